/// PTX through NVRTC: the same machine code as ptxas makes of it.
#include "runtime/cuda/Assembler.h"
#include "runtime/cuda/WrapPtx.h"
#include "runtime/support/File.h"
#include "test/emulator/Toolkit.h"
#include "test/runtime/TestPrograms.h"
#include <cstring>
#include <elf.h>
#include <gtest/gtest.h>
#include <map>

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
  EXPECT_FALSE(parsePtxModule(".global .align 4 .b8 table[4] = {1, 2, 3, 4};"));
}

} // namespace
} // namespace ingot::cuda
