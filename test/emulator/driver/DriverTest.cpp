/// The driver's table as a program uses it.
#include "runtime/emulator/driver/Driver.h"
#include "test/emulator/Reference.h"
#include <gtest/gtest.h>
#include <numeric>

namespace ingot::emulator {
namespace {

using namespace cuda;

// out[i] = in[i] * factor + scale, through dynamic shared memory.
const char *const kernels = R"(
.version 8.0
.target sm_80
.address_size 64
.extern .shared .align 16 .b8 dynamic[];
.const .align 4 .u32 scale = 3;
.visible .entry affine(.param .u64 out, .param .u64 in, .param .u32 factor, .param .u32 n)
{
  .reg .pred %p<2>;
  .reg .b32 %r<10>;
  .reg .b64 %rd<6>;
  ld.param.u64 %rd1, [out];
  ld.param.u64 %rd2, [in];
  ld.param.u32 %r1, [factor];
  ld.param.u32 %r2, [n];
  mov.u32 %r3, %tid.x;
  mov.u32 %r4, %ctaid.x;
  mov.u32 %r5, %ntid.x;
  mad.lo.u32 %r4, %r4, %r5, %r3;
  setp.ge.u32 %p1, %r4, %r2;
  @%p1 ret;
  mul.wide.u32 %rd3, %r4, 4;
  add.u64 %rd4, %rd2, %rd3;
  ld.global.u32 %r6, [%rd4];
  mov.u32 %r7, dynamic;
  mad.lo.u32 %r7, %r3, 4, %r7;
  st.shared.u32 [%r7], %r6;
  ld.shared.u32 %r8, [%r7];
  ld.const.u32 %r9, [scale];
  mad.lo.u32 %r8, %r8, %r1, %r9;
  add.u64 %rd5, %rd1, %rd3;
  st.global.u32 [%rd5], %r8;
  ret;
}
)";

class EmulatedDriver : public testing::Test {
protected:
  void SetUp() override {
    resetEmulatedDevice();
    EmulatedDeviceOptions options;
    options.launch.seed = test::freshSeed();
    configureEmulatedDevice(options);
    ASSERT_EQ(driver.cuInit(0), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuDevicePrimaryCtxRetain(&context, 0), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuCtxSetCurrent(context), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuLibraryLoadData(&library, kernels, nullptr, nullptr, 0, nullptr, nullptr, 0),
              CUDA_SUCCESS)
        << lastEmulatedError();
    CUkernel kernel;
    ASSERT_EQ(driver.cuLibraryGetKernel(&kernel, library, "affine"), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuKernelGetFunction(&affine, kernel), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuStreamCreate(&stream, 0), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuMemAlloc(&in, 4 * count), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuMemAllocAsync(&out, 4 * count, stream), CUDA_SUCCESS);
    values.resize(count);
    std::iota(values.begin(), values.end(), uint32_t(test::freshSeed()));
  }
  void TearDown() override { resetEmulatedDevice(); }

  CUresult launch(CUdeviceptr to, CUdeviceptr from, uint32_t factor, uint32_t n) {
    void *parameters[] = {&to, &from, &factor, &n};
    return driver.cuLaunchKernel(affine, (n + 127) / 128, 1, 1, 128, 1, 1, 512, stream, parameters,
                                 nullptr);
  }

  static constexpr uint32_t count = 1000;
  const Driver &driver = emulatedDriver();
  CUcontext context = nullptr;
  CUlibrary library = nullptr;
  CUfunction affine = nullptr;
  CUstream stream = nullptr;
  CUdeviceptr in = 0, out = 0;
  std::vector<uint32_t> values;
};

TEST_F(EmulatedDriver, hasEveryFunction) {
#define CHECK(member, symbol, parameters) EXPECT_NE(driver.member, nullptr) << #member;
  INGOT_CUDA_FUNCTIONS(CHECK)
#undef CHECK
}

TEST_F(EmulatedDriver, copiesAndLaunches) {
  ASSERT_EQ(driver.cuMemcpyHtoD(in, values.data(), 4 * count), CUDA_SUCCESS);
  ASSERT_EQ(launch(out, in, 7, count), CUDA_SUCCESS) << lastEmulatedError();
  std::vector<uint32_t> results(count);
  ASSERT_EQ(driver.cuMemcpyDtoHAsync(results.data(), out, 4 * count, stream), CUDA_SUCCESS);
  ASSERT_EQ(driver.cuStreamSynchronize(stream), CUDA_SUCCESS);
  for (uint32_t i = 0; i < count; ++i)
    ASSERT_EQ(results[i], values[i] * 7 + 3) << i;
}

TEST_F(EmulatedDriver, replaysACapturedStream) {
  CUstream other;
  CUevent fork, join;
  ASSERT_EQ(driver.cuStreamCreate(&other, 0), CUDA_SUCCESS);
  ASSERT_EQ(driver.cuEventCreate(&fork, 0), CUDA_SUCCESS);
  ASSERT_EQ(driver.cuEventCreate(&join, 0), CUDA_SUCCESS);
  std::vector<uint32_t> results(count, 1);
  ASSERT_EQ(driver.cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_SUCCESS);
  ASSERT_EQ(driver.cuMemcpyHtoDAsync(in, values.data(), 4 * count, stream), CUDA_SUCCESS);
  ASSERT_EQ(driver.cuEventRecord(fork, stream), CUDA_SUCCESS);
  ASSERT_EQ(driver.cuStreamWaitEvent(other, fork, 0), CUDA_SUCCESS);
  ASSERT_EQ(driver.cuMemsetD32Async(out, 5, count, other), CUDA_SUCCESS);
  ASSERT_EQ(driver.cuEventRecord(join, other), CUDA_SUCCESS);
  ASSERT_EQ(driver.cuStreamWaitEvent(stream, join, 0), CUDA_SUCCESS);
  ASSERT_EQ(launch(out, in, 2, count - 1), CUDA_SUCCESS);
  ASSERT_EQ(driver.cuMemcpyDtoHAsync(results.data(), out, 4 * count, stream), CUDA_SUCCESS);
  EXPECT_EQ(driver.cuStreamSynchronize(stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  CUgraph graph;
  CUgraphExec executable;
  ASSERT_EQ(driver.cuStreamEndCapture(stream, &graph), CUDA_SUCCESS);
  EXPECT_EQ(results[0], 1u) << "nothing runs while it is captured";
  size_t nodes = 0;
  ASSERT_EQ(driver.cuGraphGetNodes(graph, nullptr, &nodes), CUDA_SUCCESS);
  EXPECT_EQ(nodes, 4u);
  ASSERT_EQ(driver.cuGraphInstantiate(&executable, graph, 0), CUDA_SUCCESS);
  ASSERT_EQ(driver.cuGraphDestroy(graph), CUDA_SUCCESS);
  for (int replay = 0; replay < 2; ++replay) {
    for (uint32_t &value : values)
      value += 10;
    ASSERT_EQ(driver.cuGraphLaunch(executable, stream), CUDA_SUCCESS) << lastEmulatedError();
    ASSERT_EQ(driver.cuStreamSynchronize(stream), CUDA_SUCCESS);
    for (uint32_t i = 0; i + 1 < count; ++i)
      ASSERT_EQ(results[i], values[i] * 2 + 3) << i;
    EXPECT_EQ(results[count - 1], 5u);
  }
}

// A stream that joins a capture knows nothing of an earlier one: nodes of that are not there.
TEST_F(EmulatedDriver, capturesAForkAgain) {
  CUstream other;
  CUevent fork, join;
  ASSERT_EQ(driver.cuStreamCreate(&other, 0), CUDA_SUCCESS);
  ASSERT_EQ(driver.cuEventCreate(&fork, 0), CUDA_SUCCESS);
  ASSERT_EQ(driver.cuEventCreate(&join, 0), CUDA_SUCCESS);
  for (const uint32_t aside : {40u, 1u}) {
    ASSERT_EQ(driver.cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuMemsetD32Async(in, aside, count, stream), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuEventRecord(fork, stream), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuStreamWaitEvent(other, fork, 0), CUDA_SUCCESS);
    for (uint32_t node = 0; node < aside; ++node)
      ASSERT_EQ(driver.cuMemsetD32Async(out + 4 * node, 70 + node, 1, other), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuEventRecord(join, other), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuStreamWaitEvent(stream, join, 0), CUDA_SUCCESS);
    std::vector<uint32_t> results(aside);
    ASSERT_EQ(driver.cuMemcpyDtoHAsync(results.data(), out, 4 * aside, stream), CUDA_SUCCESS);
    CUgraph graph;
    CUgraphExec executable;
    ASSERT_EQ(driver.cuStreamEndCapture(stream, &graph), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuGraphInstantiate(&executable, graph, 0), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuMemsetD32(out, 0, count), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuGraphLaunch(executable, stream), CUDA_SUCCESS) << lastEmulatedError();
    for (uint32_t node = 0; node < aside; ++node)
      ASSERT_EQ(results[node], 70 + node);
  }
}

// The device is the newest; what a launch may take is that of the newest module that is loaded.
TEST_F(EmulatedDriver, staysTheNewestWhateverIsLoaded) {
  EmulatedDeviceOptions options;
  options.capability = 0;
  configureEmulatedDevice(options);
  const auto attribute = [&](CUdevice_attribute which) {
    int value = 0;
    EXPECT_EQ(driver.cuDeviceGetAttribute(&value, which, 0), CUDA_SUCCESS);
    return value;
  };
  const auto mostShared = [&] {
    return attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
  };
  EXPECT_EQ(attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR), 9);
  EXPECT_EQ(attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR), 0);
  char name[64] = {};
  ASSERT_EQ(driver.cuDeviceGetName(name, sizeof name, 0), CUDA_SUCCESS);
  EXPECT_STREQ(name, "emulated sm_90");
  EXPECT_EQ(mostShared(), 163 << 10) << "of the module for sm_80";
  ASSERT_EQ(driver.cuLibraryUnload(library), CUDA_SUCCESS);
  EXPECT_EQ(mostShared(), 227 << 10);
}

TEST_F(EmulatedDriver, limitsDynamicSharedMemory) {
  void *parameters[4];
  uint32_t n = 0;
  parameters[0] = &out, parameters[1] = &in, parameters[2] = parameters[3] = &n;
  const auto with = [&](unsigned bytes) {
    return driver.cuLaunchKernel(affine, 1, 1, 1, 32, 1, 1, bytes, stream, parameters, nullptr);
  };
  EXPECT_EQ(with(48 * 1024), CUDA_SUCCESS);
  EXPECT_EQ(with(48 * 1024 + 16), CUDA_ERROR_INVALID_VALUE);
  EXPECT_NE(lastEmulatedError().find("MAX_DYNAMIC_SHARED_SIZE_BYTES"), std::string::npos);
  int most = 0;
  ASSERT_EQ(
      driver.cuDeviceGetAttribute(&most, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 0),
      CUDA_SUCCESS);
  EXPECT_EQ(
      driver.cuFuncSetAttribute(affine, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, most + 1),
      CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(
      driver.cuFuncSetAttribute(affine, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, most),
      CUDA_SUCCESS);
  EXPECT_EQ(with(unsigned(most)), CUDA_SUCCESS) << lastEmulatedError();
}

TEST_F(EmulatedDriver, findsAccessesOutsideOfAnArenasBuffers) {
  CUdeviceptr arena;
  ASSERT_EQ(driver.cuMemAlloc(&arena, 4096), CUDA_SUCCESS);
  ASSERT_EQ(driver.cuMemsetD8(arena, 0, 4096), CUDA_SUCCESS);
  ASSERT_TRUE(emulatedMemory().divide(arena, {{0, 400, "weight"}, {512, 400, "gradient"}}));
  EXPECT_EQ(launch(arena + 512, arena, 1, 100), CUDA_SUCCESS) << lastEmulatedError();
  EXPECT_TRUE(takeEmulatedFindings().empty());
  EXPECT_EQ(launch(arena + 512, arena, 1, 101), CUDA_ERROR_ILLEGAL_ADDRESS);
  EXPECT_NE(lastEmulatedError().find("0 bytes behind the end of 'weight'"), std::string::npos)
      << lastEmulatedError();
  const auto findings = takeEmulatedFindings();
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_NE(findings[1].message.find("'gradient'"), std::string::npos) << findings[1].message;
}

TEST_F(EmulatedDriver, knowsWhatTheHostHasWritten) {
  CUdeviceptr copy;
  ASSERT_EQ(driver.cuMemAlloc(&copy, 4 * count), CUDA_SUCCESS);
  EXPECT_EQ(launch(out, in, 1, 10), CUDA_ERROR_LAUNCH_FAILED);
  EXPECT_EQ(lastEmulatedError().find("uninitialised-memory: reads 4 bytes at"), 0u)
      << lastEmulatedError();
  ASSERT_EQ(takeEmulatedFindings().size(), 1u);
  // Half of the values, then copies of all: the other half is still nobody's.
  ASSERT_EQ(driver.cuMemcpyHtoDAsync(in, values.data(), 2 * count, stream), CUDA_SUCCESS);
  ASSERT_EQ(driver.cuMemcpyDtoDAsync(copy, in, 4 * count, stream), CUDA_SUCCESS);
  EXPECT_EQ(launch(out, copy, 1, count / 2), CUDA_SUCCESS) << lastEmulatedError();
  EXPECT_EQ(launch(out, copy, 1, count / 2 + 1), CUDA_ERROR_LAUNCH_FAILED);
  ASSERT_EQ(driver.cuMemsetD32(copy + 2 * count, 7, count / 2), CUDA_SUCCESS);
  EXPECT_EQ(launch(out, copy, 1, count), CUDA_SUCCESS) << lastEmulatedError();
}

TEST_F(EmulatedDriver, namesWhatTheContextStillHolds) {
  ASSERT_EQ(driver.cuMemsetD32(in, 7, count), CUDA_SUCCESS);
  EXPECT_EQ(launch(out, in, 1, count), CUDA_SUCCESS) << lastEmulatedError();
  CUdeviceptr late;
  void *host;
  ASSERT_EQ(driver.cuMemAlloc(&late, 123), CUDA_SUCCESS);
  ASSERT_EQ(driver.cuMemHostAlloc(&host, 77, 0), CUDA_SUCCESS);
  emulatedMemory().describe(late, "activations", {});
  ASSERT_EQ(driver.cuMemFree(in), CUDA_SUCCESS);
  CUcontext again;
  ASSERT_EQ(driver.cuDevicePrimaryCtxRetain(&again, 0), CUDA_SUCCESS);
  ASSERT_EQ(driver.cuDevicePrimaryCtxRelease(0), CUDA_SUCCESS);
  EXPECT_TRUE(takeEmulatedFindings().empty()) << "the context is still retained";
  ASSERT_EQ(driver.cuDevicePrimaryCtxRelease(0), CUDA_SUCCESS);
  const auto findings = takeEmulatedFindings();
  ASSERT_EQ(findings.size(), 3u);
  std::string text;
  for (const Finding &finding : findings) {
    EXPECT_EQ(finding.check, "leak");
    text += finding.str() + "\n";
  }
  EXPECT_NE(text.find("4000 bytes of device memory"), std::string::npos) << text;
  EXPECT_NE(text.find("allocation 2, before the first launch"), std::string::npos) << text;
  EXPECT_NE(text.find("77 bytes of host memory"), std::string::npos) << text;
  EXPECT_NE(text.find("('activations') have not been freed before the context is destroyed: "
                      "allocation 3, after launch 1 (of 'affine')"),
            std::string::npos)
      << text;
  EXPECT_EQ(driver.cuDevicePrimaryCtxRelease(0), CUDA_ERROR_INVALID_CONTEXT);
  EXPECT_EQ(driver.cuMemFree(out), CUDA_ERROR_INVALID_VALUE) << "it went with its context";
}

TEST_F(EmulatedDriver, saysNothingOfAContextThatHoldsNothing) {
  ASSERT_EQ(driver.cuMemFree(in), CUDA_SUCCESS);
  ASSERT_EQ(driver.cuMemFreeAsync(out, stream), CUDA_SUCCESS);
  ASSERT_EQ(driver.cuDevicePrimaryCtxRelease(0), CUDA_SUCCESS);
  EXPECT_TRUE(takeEmulatedFindings().empty());
}

TEST_F(EmulatedDriver, launchesCooperatively) {
  ASSERT_EQ(driver.cuMemcpyHtoD(in, values.data(), 4 * count), CUDA_SUCCESS);
  uint32_t factor = 3, n = count;
  void *parameters[] = {&out, &in, &factor, &n};
  ASSERT_EQ(driver.cuLaunchCooperativeKernel(affine, 8, 1, 1, 128, 1, 1, 512, stream, parameters),
            CUDA_SUCCESS)
      << lastEmulatedError();
  uint32_t last = 0;
  ASSERT_EQ(driver.cuMemcpyDtoH(&last, out + 4 * (count - 1), 4), CUDA_SUCCESS);
  EXPECT_EQ(last, values.back() * 3 + 3);
}

TEST_F(EmulatedDriver, saysWhatIsWrong) {
  CUmodule module;
  EXPECT_EQ(driver.cuModuleLoadData(&module, ".version 8.0\n.target sm_80\n.visible .entry k()\n{\n"
                                             "  add.u32 a, 2\n}\n"),
            CUDA_ERROR_INVALID_PTX);
  EXPECT_NE(lastEmulatedError().find("module:5"), std::string::npos) << lastEmulatedError();
  EXPECT_EQ(driver.cuModuleLoadData(&module, ".version 8.0\n.target sm_90a\n"),
            CUDA_ERROR_NO_BINARY_FOR_GPU);
  EXPECT_EQ(driver.cuModuleLoadData(&module, "\x7f"
                                             "ELF"),
            CUDA_ERROR_INVALID_IMAGE);
  CUkernel kernel;
  EXPECT_EQ(driver.cuLibraryGetKernel(&kernel, library, "other"), CUDA_ERROR_NOT_FOUND);
  EXPECT_NE(lastEmulatedError().find("affine"), std::string::npos) << lastEmulatedError();
  ASSERT_EQ(driver.cuMemsetD32(in, 1, count), CUDA_SUCCESS);
  // A host pointer where a device address belongs.
  EXPECT_EQ(launch(out, CUdeviceptr(values.data()), 1, 1), CUDA_ERROR_ILLEGAL_ADDRESS);
  EXPECT_NE(lastEmulatedError().find("pointer of the host"), std::string::npos)
      << lastEmulatedError();
  ASSERT_EQ(driver.cuMemFree(out), CUDA_SUCCESS);
  EXPECT_EQ(driver.cuMemFree(out), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(launch(out, in, 1, 1), CUDA_ERROR_ILLEGAL_ADDRESS);
  EXPECT_NE(lastEmulatedError().find("which was freed"), std::string::npos) << lastEmulatedError();
  ASSERT_EQ(driver.cuLibraryUnload(library), CUDA_SUCCESS);
  EXPECT_EQ(launch(in, in, 1, 1), CUDA_ERROR_INVALID_HANDLE);
}

// An instruction that is refused keeps its own kernel from running, and no other.
TEST_F(EmulatedDriver, refusesKernelsAndNotFiles) {
  CUmodule module;
  ASSERT_EQ(driver.cuModuleLoadData(
                &module, ".version 8.0\n.target sm_80\n.visible .entry refused(.param .u64 p)\n{\n"
                         "  .reg .b32 a;\n  frobnicate.u32 a, 2;\n  ret;\n}\n"
                         ".visible .entry fine()\n{\n  ret;\n}\n"),
            CUDA_SUCCESS)
      << lastEmulatedError();
  CUfunction fine, refused;
  ASSERT_EQ(driver.cuModuleGetFunction(&fine, module, "fine"), CUDA_SUCCESS);
  ASSERT_EQ(driver.cuModuleGetFunction(&refused, module, "refused"), CUDA_SUCCESS);
  EXPECT_EQ(driver.cuLaunchKernel(fine, 1, 1, 1, 32, 1, 1, 0, nullptr, nullptr, nullptr),
            CUDA_SUCCESS)
      << lastEmulatedError();
  CUdeviceptr parameter = 0;
  void *parameters[] = {&parameter};
  EXPECT_EQ(driver.cuLaunchKernel(refused, 1, 1, 1, 32, 1, 1, 0, nullptr, parameters, nullptr),
            CUDA_ERROR_INVALID_PTX);
  EXPECT_EQ(lastEmulatedError(), "module:6: kernel 'refused': unknown instruction 'frobnicate': "
                                 "frobnicate.u32 a, 2");
  EXPECT_EQ(emulatedKernel(refused), nullptr);
  int value = 0;
  EXPECT_EQ(driver.cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, refused),
            CUDA_ERROR_INVALID_PTX);
  EXPECT_EQ(driver.cuFuncSetAttribute(refused, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 1),
            CUDA_ERROR_INVALID_PTX);
  EXPECT_EQ(driver.cuModuleUnload(module), CUDA_SUCCESS);
}

// A program's own statics may outlive the driver's use: the calls say so and touch nothing.
TEST(EmulatedDriverDeathTest, staticDestructorsComeTooLate) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto run = [] {
    struct Late {
      CUdeviceptr memory = 0;
      ~Late() {
        const Driver &driver = emulatedDriver();
        CUdeviceptr other = 0;
        CUmodule module;
        const char *name = nullptr;
        const bool right = driver.cuMemFree(memory) == CUDA_ERROR_DEINITIALIZED &&
                           driver.cuMemAlloc(&other, 4) == CUDA_ERROR_DEINITIALIZED &&
                           driver.cuModuleLoadData(&module, kernels) == CUDA_ERROR_DEINITIALIZED &&
                           driver.cuCtxSynchronize() == CUDA_ERROR_DEINITIALIZED &&
                           lastEmulatedError() == "the process is ending" &&
                           driver.cuGetErrorName(CUDA_ERROR_DEINITIALIZED, &name) == CUDA_SUCCESS &&
                           std::string_view(name) == "CUDA_ERROR_DEINITIALIZED";
        std::_Exit(right ? 42 : 1);
      }
    };
    static Late late; // before the driver's first call, so it goes after the driver
    CUcontext context;
    emulatedDriver().cuInit(0);
    emulatedDriver().cuDevicePrimaryCtxRetain(&context, 0);
    emulatedDriver().cuMemAlloc(&late.memory, 256);
    std::exit(late.memory ? 0 : 2);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(42), "");
}

TEST_F(EmulatedDriver, kernelsUsePinnedHostMemory) {
  void *host;
  ASSERT_EQ(driver.cuMemHostAlloc(&host, 4 * count, 0), CUDA_SUCCESS);
  std::memcpy(host, values.data(), 4 * count);
  ASSERT_EQ(launch(out, CUdeviceptr(host), 1, count), CUDA_SUCCESS) << lastEmulatedError();
  uint32_t last = 0;
  ASSERT_EQ(driver.cuMemcpyDtoH(&last, out + 4 * (count - 1), 4), CUDA_SUCCESS);
  EXPECT_EQ(last, values.back() + 3);
  EXPECT_EQ(driver.cuMemFreeHost(host), CUDA_SUCCESS);
}

} // namespace
} // namespace ingot::emulator
