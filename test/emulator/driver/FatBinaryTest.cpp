/// Fat binaries as nvcc writes them, and the options that the command hands to the runtime.
#include "runtime/emulator/driver/FatBinary.h"
#include "runtime/emulator/driver/EmulatedProgram.h"
#include "test/emulator/Support.h"
#include <cstring>
#include <dlfcn.h>

namespace ingot::emulator::test {
namespace {

struct ImageOf {
  int architecture = 80;
  std::string payload;
  bool isPtx = true;
  uint64_t flags = 0;
  uint32_t compressedBytes = 0;
  uint64_t textBytes = 0;
};

template <typename T> void append(std::string &to, T value) {
  to.append(reinterpret_cast<const char *>(&value), sizeof value);
}

/// A container in the layout of CUDA 12 and 13.
std::string container(const std::vector<ImageOf> &images) {
  std::string all;
  for (const ImageOf &image : images) {
    const std::string padded = image.payload + std::string(8 - image.payload.size() % 8, '\0');
    append<uint16_t>(all, image.isPtx ? 1 : 2);
    append<uint16_t>(all, 0x101);
    append<uint32_t>(all, 72);
    append<uint64_t>(all, padded.size());
    append<uint32_t>(all, image.compressedBytes);
    append<uint32_t>(all, 0);
    append<uint32_t>(all, 7 << 16);
    append<uint32_t>(all, uint32_t(image.architecture));
    append<uint32_t>(all, 64);
    append<uint32_t>(all, 4);
    append<uint64_t>(all, image.flags);
    append<uint64_t>(all, 0);
    append<uint64_t>(all, image.textBytes);
    all += std::string("a.cu\0\0\0\0", 8) + padded;
  }
  std::string result;
  append<uint32_t>(result, 0xba55ed50);
  append<uint16_t>(result, 1);
  append<uint16_t>(result, 16);
  append<uint64_t>(result, all.size());
  return result + all;
}

TEST(FatBinary, TheNewestPtxThatTheChipRunsIsTaken) {
  const std::string bytes =
      container({{75, "old"}, {86, "machine code", false}, {80, "newer"}, {90, "newest"}});
  ASSERT_TRUE(FatBinary::isFatBinary(bytes.data()));
  const Result<FatBinary> binary = FatBinary::read(bytes.data());
  ASSERT_TRUE(binary) << binary.error().text();
  EXPECT_EQ(binary->name(), "a.cu");
  EXPECT_EQ(*binary->ptx(89), "newer");
  EXPECT_EQ(*binary->ptx(90), "newest");
  EXPECT_EQ(*binary->ptx(0), "newest");
  EXPECT_EQ(binary->newestPtx(79), 75);
}

TEST(FatBinary, WithoutPtxTheErrorSaysHowToCompile) {
  const std::string bytes = container({{86, "machine code", false}, {90, "text"}});
  const Result<std::string> ptx = FatBinary::read(bytes.data())->ptx(80);
  ASSERT_FALSE(ptx);
  EXPECT_EQ(ptx.error().text(),
            "a.cu: holds no PTX for sm_80 (machine code for sm_86, PTX for sm_90); compile with "
            "nvcc -gencode arch=compute_80,code=compute_80");
}

TEST(FatBinary, DamageIsAnError) {
  const std::string whole = container({{80, "text"}});
  for (const size_t field : {16 + 4, 16 + 8, 16 + 16}) { // sizes: header, padded, compressed
    std::string bytes = whole;
    std::memset(bytes.data() + field, 0x7f, 4);
    EXPECT_FALSE(FatBinary::read(bytes.data())) << field;
  }
  const std::string unknown = container({{80, "text", true, 0x40, 4, 100}});
  EXPECT_FALSE(FatBinary::read(unknown.data())->ptx(80));
}

TEST(FatBinary, Lz4) {
  // 5 literals, a match of 9 at distance 5 (overlapping itself), 1 literal.
  const std::string block =
      std::string("\x55") + "abcab" + std::string("\x05\x00", 2) + "\x10" + "!";
  EXPECT_EQ(*decompressLz4(block, 15), "abcababcababca!");
  const std::string longRun = std::string("\x1f") + "a" + std::string("\x01\x00", 2) + "\xff\x05";
  EXPECT_EQ(*decompressLz4(longRun, 1 + 15 + 255 + 5 + 4), std::string(280, 'a'));
  for (size_t cut = 0; cut < block.size(); ++cut)
    EXPECT_FALSE(decompressLz4(std::string_view(block).substr(0, cut), 15)) << cut;
  EXPECT_FALSE(decompressLz4(block, 14));
  EXPECT_FALSE(decompressLz4(std::string("\x10"
                                         "a\x09\x00",
                                         4),
                             6)); // distance before the start
  const std::string bytes = container({{80, block, true, 0x2000, uint32_t(block.size()), 15}});
  EXPECT_EQ(*FatBinary::read(bytes.data())->ptx(80), "abcababcababca!");
}

TEST(FatBinary, Zstd) {
  void *library = dlopen("libzstd.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library)
    GTEST_SKIP() << "libzstd.so.1 was not found";
  using Compress = size_t (*)(void *, size_t, const void *, size_t, int);
  const auto compress = reinterpret_cast<Compress>(dlsym(library, "ZSTD_compress"));
  std::string text, frame(4096, '\0');
  for (int i = 0; i < 1000; ++i)
    text += fmt::format("add.s32 %r{}, %r{}, {};\n", i % 7, i % 5, i);
  frame.resize(4 * text.size());
  frame.resize(compress(frame.data(), frame.size(), text.data(), text.size(), 3));
  const std::string bytes =
      container({{80, frame, true, 0x8000, uint32_t(frame.size()), text.size()}});
  EXPECT_EQ(*FatBinary::read(bytes.data())->ptx(80), text);
  const std::string damaged =
      container({{80, frame, true, 0x8000, uint32_t(frame.size()), text.size() + 1}});
  EXPECT_FALSE(FatBinary::read(damaged.data())->ptx(80));
}

TEST(FatBinary, TheDriverLoadsOne) {
  Device device;
  const std::string bytes =
      container({{80, header("sm_80") + ".visible .entry nothing() { ret; }\n"}});
  ingot::cuda::CUmodule module = nullptr;
  ASSERT_EQ(device.driver.cuModuleLoadData(&module, bytes.data()), ingot::cuda::CUDA_SUCCESS)
      << lastEmulatedError();
  EXPECT_EQ(emulatedModule(module)->kernels(), std::vector<std::string>{"nothing"});
  EXPECT_EQ(device.driver.cuModuleUnload(module), ingot::cuda::CUDA_SUCCESS);
}

TEST(ManagedMemory, HasOneAddress) {
  Device device(header("sm_80") + R"(
.visible .global .attribute(.managed) .align 4 .u32 word = 7;
.visible .entry add(.param .u64 other)
{
  .reg .b32 %r<4>;
  .reg .b64 %rd<4>;
  ld.param.u64 %rd1, [other];
  ld.global.u32 %r1, [word];
  ld.global.u32 %r2, [%rd1];
  add.u32 %r3, %r1, %r2;
  st.global.u32 [word], %r3;
  st.global.u32 [%rd1], %r1;
  ret;
}
)");
  ingot::cuda::CUdeviceptr address = 0;
  ASSERT_EQ(device.driver.cuMemAllocManaged(&address, 4, 1), ingot::cuda::CUDA_SUCCESS);
  auto *other = reinterpret_cast<uint32_t *>(address);
  *other = 5;
  device.launch("add", {1}, {1}, address);
  EXPECT_EQ(*other, 7u);
  ASSERT_EQ(device.driver.cuMemFree(address), ingot::cuda::CUDA_SUCCESS);
  // The system may hand the pages out again; what was freed there is forgotten.
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(device.driver.cuMemAllocManaged(&address, 8192, 1), ingot::cuda::CUDA_SUCCESS);
    EXPECT_EQ(device.driver.cuMemsetD8(address + 4096, 1, 4096), ingot::cuda::CUDA_SUCCESS)
        << lastEmulatedError();
    ASSERT_EQ(device.driver.cuMemFree(address), ingot::cuda::CUDA_SUCCESS);
  }
}

TEST(RegisteredMemory, IsKnownUntilItIsUnregistered) {
  Device device;
  std::vector<uint32_t> values(64);
  const size_t bytes = values.size() * sizeof values[0];
  using namespace ingot::cuda;
  ASSERT_EQ(device.driver.cuMemHostRegister(values.data(), bytes, 0), CUDA_SUCCESS);
  EXPECT_EQ(device.driver.cuMemHostRegister(values.data() + 32, 4, 0),
            CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
  CUdeviceptr address = 0;
  EXPECT_EQ(device.driver.cuMemHostGetDevicePointer(&address, values.data(), 0), CUDA_SUCCESS);
  EXPECT_EQ(device.driver.cuMemFree(address), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(device.driver.cuMemHostUnregister(values.data()), CUDA_SUCCESS);
  EXPECT_EQ(device.driver.cuMemHostUnregister(values.data()),
            CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
}

TEST(ProgramOptions, ComeBackFromTheirText) {
  ProgramOptions options;
  options.chip = 90;
  options.off = {"leak", "profile"};
  options.seed = 3;
  options.threads = 2;
  options.limit = 1000000;
  options.strict = true;
  options.report = 5;
  const Result<ProgramOptions> back = ProgramOptions::parse(options.str());
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(back->str(), options.str());
  EXPECT_EQ(back->off, options.off);
  EXPECT_TRUE(back->strict);
  EXPECT_EQ(ProgramOptions::parse("")->str(), ProgramOptions().str());
  for (const char *wrong : {"chip=sm_80", "seed=", "threads=2x", "sed=1", "limit"})
    EXPECT_FALSE(ProgramOptions::parse(wrong)) << wrong;
}

} // namespace
} // namespace ingot::emulator::test
