/// PTX through NVRTC: the same machine code as ptxas makes of it.
#include "runtime/cuda/Assembler.h"
#include "runtime/cuda/Disassembler.h"
#include "runtime/cuda/SplitPtx.h"
#include "runtime/cuda/WrapPtx.h"
#include "runtime/support/File.h"
#include "test/emulator/Toolkit.h"
#include "test/runtime/TestPrograms.h"
#include <cstring>
#include <elf.h>
#include <gtest/gtest.h>
#include <map>
#include <mutex>

namespace ingot::cuda {
namespace {

using emulator::test::Toolkit;

/// The machine code of each kernel of a cubin.
std::map<std::string, std::string> codeOf(std::string_view cubin) {
  const auto at = [&]<typename T>(uint64_t offset, T value) {
    EXPECT_LE(offset + sizeof value, cubin.size());
    if (offset + sizeof value <= cubin.size())
      std::memcpy(&value, cubin.data() + offset, sizeof value);
    return value;
  };
  const auto header = at(0, Elf64_Ehdr());
  const auto section = [&](int index) {
    return at(header.e_shoff + uint64_t(index) * header.e_shentsize, Elf64_Shdr());
  };
  std::map<std::string, std::string> code;
  const uint64_t names = section(header.e_shstrndx).sh_offset;
  for (int i = 0; i < header.e_shnum; ++i) {
    const Elf64_Shdr row = section(i);
    const std::string name(cubin.data() + names + row.sh_name);
    if (name.starts_with(".text."))
      code[name.substr(6)] = std::string(cubin.substr(row.sh_offset, row.sh_size));
  }
  return code;
}

std::string_view viewOf(const std::vector<uint8_t> &bytes) {
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

std::string kernelFile(const std::string &name) {
  return readFile(std::string(INGOT_SOURCE_DIR) + "/test/emulator/programs/kernels/" + name)
      .value();
}

std::string testKernels() {
  const Program program = test::cudaAffineProgram(64);
  return std::string(viewOf(program.objects[0].bytes));
}

class AssemblerTest : public testing::Test {
protected:
  void SetUp() override {
    const Result<const Assembler *> found = Assembler::find();
    if (!found)
      GTEST_SKIP() << found.error().text();
    assembler = *found;
  }
  const Assembler *assembler = nullptr;
};

// Several entries, parameters of every kind, static and dynamic shared memory, clusters and
// register budgets: what the product's kernels are made of.
TEST_F(AssemblerTest, machineCodeIsThatOfPtxas) {
  std::string bounded = kernelFile("gemm-sm80.ptx");
  const std::string bounds = ".maxntid 128, 1, 1";
  ASSERT_NE(bounded.find(bounds), std::string::npos);
  bounded.insert(bounded.find(bounds) + bounds.size(), "\n.maxnreg 232");
  const std::pair<std::string, std::string> rows[] = {
      {testKernels(), "sm_80"},
      {testKernels(), "sm_90a"},
      {kernelFile("gemm-sm80.ptx"), "sm_80"},
      {bounded, "sm_80"},
      {kernelFile("gemm-sm90.ptx"), "sm_90a"},
      {kernelFile("attention-overlapped-sm90.ptx"), "sm_90a"}};
  for (const auto &[ptx, architecture] : rows) {
    const Result<Cubin> made = assembler->assemble(std::span(&ptx, 1), architecture);
    ASSERT_TRUE(made) << made.error().text();
    EXPECT_EQ(made->log, "") << "spills, or a serialised wgmma";
    if (!Toolkit::instance().hasPtxas())
      continue;
    const Result<std::string> expected = Toolkit::instance().cubin(ptx, architecture);
    ASSERT_TRUE(expected) << expected.error().text();
    const auto ours = codeOf(viewOf(made->bytes)), theirs = codeOf(*expected);
    ASSERT_FALSE(theirs.empty());
    EXPECT_EQ(ours.size(), theirs.size());
    for (const auto &[kernel, code] : theirs)
      EXPECT_TRUE(ours.contains(kernel) && ours.at(kernel) == code) << kernel << architecture;
  }
}

TEST_F(AssemblerTest, aBadModuleFailsAlone) {
  const std::string bad = ".version 7.0\n.target sm_80\n.address_size 64\n"
                          ".visible .entry bad(.param .u64 x)\n{\n frobnicate.u32 a;\n ret;\n}\n";
  const std::string function = ".version 7.0\n.func helper()\n{\n ret;\n}\n";
  const std::string good = ".version 7.0\n.target sm_80\n.address_size 64\n"
                           ".visible .entry good()\n{\n ret;\n}\n";
  const std::vector<std::string> modules = {testKernels(), bad, function, good};
  const auto one = assembler->assembleAll(modules, "sm_80", 1),
             two = assembler->assembleAll(modules, "sm_80", 2);
  for (const auto &result : {one, two}) {
    ASSERT_TRUE(result.places[0] && result.places[3]);
    EXPECT_EQ(codeOf(viewOf(result.cubins[*result.places[0]].bytes)).count("affine"), 1u);
    EXPECT_EQ(codeOf(viewOf(result.cubins[*result.places[3]].bytes)).count("good"), 1u);
    ASSERT_FALSE(result.places[1]);
    EXPECT_NE(result.places[1].error().text().find("frobnicate"), std::string::npos);
    ASSERT_FALSE(result.places[2]);
    EXPECT_EQ(result.places[2].error().text(), "NVRTC cannot take this PTX: '.func helper()'");
  }
  // Together where nothing is wrong.
  const std::vector<std::string> fine = {testKernels(), good};
  EXPECT_EQ(assembler->assembleAll(fine, "sm_80", 2).cubins.size(), 1u);
}

TEST_F(AssemblerTest, spillsAreInTheLog) {
  // 300 values that are all alive at once, in a kernel that may have 32 registers.
  std::string ptx = ".version 7.0\n.target sm_80\n.address_size 64\n"
                    ".visible .entry spills(.param .u64 x)\n.maxntid 32, 1, 1\n.maxnreg 32\n{\n"
                    " .reg .b64 %rd<2>;\n .reg .f32 %f<302>;\n ld.param.u64 %rd1, [x];\n";
  for (int i = 0; i < 300; ++i)
    ptx += fmt::format(" ld.volatile.global.f32 %f{}, [%rd1+{}];\n", i, 4 * i);
  for (int i = 0; i < 300; ++i)
    ptx += fmt::format(" st.volatile.global.f32 [%rd1+{}], %f{};\n", 4 * (299 - i), i);
  ptx += " ret;\n}\n";
  const Result<Cubin> made = assembler->assemble(std::span(&ptx, 1), "sm_80");
  ASSERT_TRUE(made) << made.error().text();
  EXPECT_NE(made->log.find("spill"), std::string::npos) << made->log;
}

TEST(WrapPtx, keepsSignaturesAndNames) {
  const Result<PtxModule> module = parsePtxModule(R"(
.version 8.0 // a comment
.target sm_90a
.address_size 64
.extern .shared .align 128 .b8 dynamic[];
.shared .align 16 .b8 fixed[64];
.visible .entry k(.param .align 64 .b8 map[128], .param .u64 .ptr .align 16 x, .param .f32 f,
                  .param .u16 h)
.maxntid 128, 1, 1
.minnctapersm 2
.reqnctapercluster 2, 1, 1
{
  ld.param.u64 %rd1, [x];
  mov.u32 %r1, fixed;
  ld.shared.u32 %xx, [dynamic];
  mov.u32 %r2, %tid.x;
}
.visible .entry few()
.maxntid 32, 1, 1
.maxnreg 64
{
  ret;
}
)");
  ASSERT_TRUE(module) << module.error().text();
  const std::string source = wrapPtx(std::span(&*module, 1));
  for (const char *part :
       {"extern __shared__ __align__(128) char dynamic[];",
        "extern \"C\" __global__ void __launch_bounds__(128* 1* 1, 2) __cluster_dims__(2, 1, 1) "
        "k(const __grid_constant__ Bytes<128, 64> p0, unsigned long long p1, float p2, "
        "unsigned short p3)",
        "ld.param.u64 %%rd1, [k_param_1];", ".shared .align 16 .b8 fixed[64];",
        "\"r\"((unsigned)__cvta_generic_to_shared(dynamic))", "%%xx", "%%tid.x;",
        "extern \"C\" __global__ void __maxnreg__(64) few()"})
    EXPECT_NE(source.find(part), std::string::npos) << part << "\n" << source;
  EXPECT_EQ(source.find("comment"), std::string::npos);
  EXPECT_FALSE(parsePtxModule(".global .align 4 .b8 variable[4];"));
  EXPECT_FALSE(parsePtxModule(".global .align 8 .u64 address = generic(table);"));
}

constexpr const char *twoKernels = R"(//
.version 7.0
.target sm_80
.address_size 64
.extern .shared .align 16 .b8 block_scratch[];
.global .align 4 .b8 a__data[8] = {1, 0, 0, 0, 2, 0, 0, 0};
	// .globl a__0
.visible .entry a__0(
	.param .u64 .ptr .align 1 a__0_param_0
)
.reqntid 32
{
	.reg .b64 %rd<4>;
	.reg .b32 %r<2>;
	.loc	7 1 0
	ld.param.b64 %rd1, [a__0_param_0];
	cvta.to.global.u64 %rd2, %rd1;
	mov.b64 %rd3, a__data;
	ld.global.b32 %r1, [%rd3+4];
	.loc	9 3 0
	st.global.b32 [%rd2], %r1;
	ret;
}
.visible .entry b()
.reqntid 32
{
	.reg .b32 %r<2>;
	.loc	9 1 0
	mov.b32 %r1, block_scratch;
	{
.reg .pred p;
setp.ne.b32 p, 1, 0;
}
	st.shared.b32 [%r1], %r1;
	ret;
}
	.file	7 "first"
	.file	9 "second"
)";

TEST(SplitPtx, anEntryHasWhatItMentionsAndCountsItsOwnFiles) {
  const std::vector<PtxEntry> entries = splitPtx(twoKernels);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].name, "a__0");
  EXPECT_EQ(entries[1].name, "b");
  for (const PtxEntry &entry : entries)
    EXPECT_TRUE(entry.text.starts_with(".version 7.0\n.target sm_80\n.address_size 64\n."));
  EXPECT_NE(entries[0].text.find("a__data[8]"), std::string::npos);
  EXPECT_EQ(entries[0].text.find("block_scratch"), std::string::npos);
  EXPECT_NE(entries[0].text.find("\t.loc\t1 1 0\n"), std::string::npos);
  EXPECT_NE(entries[0].text.find("\t.loc\t2 3 0\n"), std::string::npos);
  EXPECT_EQ(entries[1].text.find("a__data"), std::string::npos);
  EXPECT_NE(entries[1].text.find(".extern .shared"), std::string::npos);
  EXPECT_NE(entries[1].text.find("st.shared"), std::string::npos) << "ends with a block in it";
  EXPECT_NE(entries[1].text.find("\t.loc\t1 1 0\n"), std::string::npos);
  EXPECT_TRUE(splitPtx("").empty());
}

TEST_F(AssemblerTest, tablesAreKept) {
  const std::string ptx = twoKernels;
  const Result<Cubin> made = assembler->assemble(std::span(&ptx, 1), "sm_80");
  ASSERT_TRUE(made) << made.error().text();
  const std::string bytes = {1, 0, 0, 0, 2, 0, 0, 0};
  EXPECT_NE(viewOf(made->bytes).find(bytes), std::string_view::npos);
  EXPECT_EQ(codeOf(viewOf(made->bytes)).size(), 2u);
}

TEST_F(AssemblerTest, whatWasAssembledIsRemembered) {
  std::map<std::string, std::vector<uint8_t>, std::less<>> known;
  std::mutex mutex;
  const Assembler::Memory memory = {
      [&](std::string_view text) -> std::optional<std::vector<uint8_t>> {
        std::scoped_lock lock(mutex);
        const auto found = known.find(text);
        return found == known.end() ? std::nullopt : std::optional(found->second);
      },
      [&](std::string_view text, std::span<const uint8_t> entry) {
        std::scoped_lock lock(mutex);
        known[std::string(text)] = {entry.begin(), entry.end()};
      }};
  std::vector<std::string> modules;
  for (const PtxEntry &entry : splitPtx(twoKernels))
    modules.push_back(entry.text);
  modules.push_back(modules[1]);
  modules.back().replace(modules.back().find("mov.b32"), 7, "frobnicate");
  const auto cold = assembler->assembleAll(modules, "sm_80", 2, memory),
             warm = assembler->assembleAll(modules, "sm_80", 2, memory),
             other = assembler->assembleAll(modules, "sm_90a", 2, memory);
  EXPECT_EQ(cold.calls, 4u); // all, then each by itself
  EXPECT_EQ(warm.calls, 0u);
  EXPECT_EQ(other.calls, 4u);
  ASSERT_EQ(cold.cubins.size(), warm.cubins.size());
  for (size_t i = 0; i < cold.cubins.size(); ++i)
    EXPECT_EQ(cold.cubins[i].bytes, warm.cubins[i].bytes);
  for (const auto *result : {&cold, &warm}) {
    EXPECT_TRUE(result->places[0] && result->places[1]);
    ASSERT_FALSE(result->places[2]);
    EXPECT_NE(result->places[2].error().text().find("frobnicate"), std::string::npos);
  }
  for (auto &[text, entry] : known) // damaged: too short for what it says
    entry.resize(3);
  EXPECT_EQ(assembler->assembleAll(modules, "sm_80", 1, memory).calls, 4u);
}

TEST_F(AssemblerTest, instructionsAreCountedAndDisassembled) {
  const std::string ptx = kernelFile("gemm-sm80.ptx");
  const Result<Cubin> made = assembler->assemble(std::span(&ptx, 1), "sm_80", /*isVerbose=*/true);
  ASSERT_TRUE(made) << made.error().text();
  EXPECT_NE(made->log.find("registers"), std::string::npos) << made->log;
  const auto counts = countInstructions(made->bytes);
  ASSERT_TRUE(counts) << counts.error().text();
  ASSERT_TRUE(counts->contains("gemm"));
  const InstructionCounts &gemm = counts->at("gemm");
  EXPECT_GT(gemm.hmma, 0);
  EXPECT_EQ(gemm.hgmma, 0);
  EXPECT_EQ(gemm.local, 0);
  std::vector<uint8_t> cut(made->bytes.begin(), made->bytes.begin() + 100);
  EXPECT_FALSE(countInstructions(cut));
  EXPECT_FALSE(countInstructions({}));

  const Result<std::string> text = disassemble(made->bytes);
  if (!text && text.error().text().find("is not there") != std::string::npos)
    GTEST_SKIP() << text.error().text();
  ASSERT_TRUE(text) << text.error().text();
  const auto times = [&](std::string_view word) {
    int64_t found = 0;
    for (size_t at = 0; (at = text->find(word, at)) != text->npos; at += word.size())
      ++found;
    return found;
  };
  EXPECT_EQ(times(" HMMA."), gemm.hmma);
  EXPECT_EQ(times(" LDGSTS."), gemm.ldgsts);
  EXPECT_EQ(times(" LDSM."), gemm.ldsm);
  EXPECT_EQ(times(" FFMA "), gemm.ffma);
}

} // namespace
} // namespace ingot::cuda
