/// What streams, events and the host's waits order; what nothing orders is found.
#include "runtime/emulator/driver/Driver.h"
#include "test/emulator/Reference.h"
#include <algorithm>
#include <functional>
#include <gtest/gtest.h>
#include <thread>

namespace ingot::emulator {
namespace {

using namespace cuda;

/// A kernel of one thread that touches 16 bytes at `at`, each row in its way.
struct Toucher {
  const char *name;
  const char *body;
  bool writes = false;
  bool isConstant = false; ///< touches the module's constants
};
constexpr Toucher touchers[] = {
    {"load", "ld.global.u32 %r1, [%rd1];"},
    {"readOnly", "ld.global.nc.u32 %r1, [%rd1];"},
    {"relaxedLoad", "ld.relaxed.gpu.global.u32 %r1, [%rd1];"},
    {"constantLoad", "ld.const.u32 %r1, [table];", false, true},
    {"copyAsync", R"(
  mov.u32 %r1, tile;
  cp.async.ca.shared.global [%r1], [%rd1], 4;
  cp.async.wait_all;)"},
    {"bulkLoad", R"(
  mov.u32 %r1, tile;
  mov.u32 %r2, full;
  mbarrier.init.shared::cta.b64 [%r2], 1;
  fence.mbarrier_init.release.cluster;
  mbarrier.arrive.expect_tx.shared::cta.b64 %rd2, [%r2], 16;
  cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%rd1], 16, [%r2];
WAIT:
  mbarrier.try_wait.parity.shared::cta.b64 %p1, [%r2], 0;
  @!%p1 bra WAIT;)"},
    {"store", "mov.u32 %r1, 7;\n  st.global.u32 [%rd1], %r1;", true},
    {"reduction", "mov.u32 %r1, 7;\n  red.global.add.u32 [%rd1], %r1;", true},
    {"bulkStore", R"(
  mov.u32 %r1, tile;
  mov.u32 %r2, 7;
  st.shared.v4.u32 [%r1], {%r2, %r2, %r2, %r2};
  fence.proxy.async.shared::cta;
  cp.async.bulk.global.shared::cta.bulk_group [%rd1], [%r1], 16;
  cp.async.bulk.commit_group;
  cp.async.bulk.wait_group 0;)",
     true},
    {"bulkReduction", R"(
  mov.u32 %r1, tile;
  mov.u32 %r2, 7;
  st.shared.v4.u32 [%r1], {%r2, %r2, %r2, %r2};
  fence.proxy.async.shared::cta;
  cp.reduce.async.bulk.global.shared::cta.bulk_group.add.u32 [%rd1], [%r1], 16;
  cp.async.bulk.commit_group;
  cp.async.bulk.wait_group 0;)",
     true},
};

std::string moduleOfTouchers() {
  std::string text = R"(.version 8.0
.target sm_90
.address_size 64
.visible .const .align 16 .b32 table[4] = {1, 2, 3, 4};
)";
  for (const Toucher &toucher : touchers)
    text += fmt::format(R"(
.visible .entry {}(.param .u64 at)
{{
  .reg .pred %p<2>;
  .reg .b32 %r<3>;
  .reg .b64 %rd<3>;
  .shared .align 16 .b32 tile[4];
  .shared .align 8 .b64 full;
  ld.param.u64 %rd1, [at];
  {}
  ret;
}}
)",
                        toucher.name, toucher.body);
  return text;
}

class StreamOrderTest : public testing::Test {
protected:
  void SetUp() override {
    resetEmulatedDevice();
    EmulatedDeviceOptions options;
    options.capability = 90;
    options.launch.seed = test::freshSeed();
    configureEmulatedDevice(options);
    CUcontext context;
    ASSERT_EQ(driver.cuInit(0), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuDevicePrimaryCtxRetain(&context, 0), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuModuleLoadData(&module, moduleOfTouchers().c_str()), CUDA_SUCCESS)
        << lastEmulatedError();
    ASSERT_EQ(driver.cuMemAlloc(&memory, 4 * words), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuMemsetD8(memory, 0, 4 * words), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuCtxSynchronize(), CUDA_SUCCESS);
    left = makeStream();
    right = makeStream();
    ASSERT_EQ(driver.cuEventCreate(&event, 0), CUDA_SUCCESS);
  }
  void TearDown() override { resetEmulatedDevice(); }

  CUstream makeStream(unsigned flags = CU_STREAM_NON_BLOCKING) {
    CUstream stream = nullptr;
    EXPECT_EQ(driver.cuStreamCreate(&stream, flags), CUDA_SUCCESS);
    return stream;
  }
  CUresult launch(const char *kernel, CUdeviceptr at, CUstream stream) {
    CUfunction function = nullptr;
    EXPECT_EQ(driver.cuModuleGetFunction(&function, module, kernel), CUDA_SUCCESS);
    void *values[] = {&at};
    return driver.cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, stream, values, nullptr);
  }
  CUresult fill(CUdeviceptr at, CUstream stream) {
    return driver.cuMemsetD8Async(at, 7, 16, stream);
  }
  /// `to` goes on when all that `from` was given is done.
  void order(CUstream from, CUstream to) {
    EXPECT_EQ(driver.cuEventRecord(event, from), CUDA_SUCCESS);
    EXPECT_EQ(driver.cuStreamWaitEvent(to, event, 0), CUDA_SUCCESS);
  }
  /// Both streams write; whether something orders the two.
  bool areOrdered(CUstream first, CUstream second, const std::function<void()> &between) {
    EXPECT_EQ(driver.cuCtxSynchronize(), CUDA_SUCCESS);
    EXPECT_EQ(fill(memory, first), CUDA_SUCCESS);
    between();
    const CUresult result = fill(memory, second);
    EXPECT_TRUE(result == CUDA_SUCCESS || lastEmulatedError().starts_with("launch-race: "));
    return result == CUDA_SUCCESS;
  }

  static constexpr uint32_t words = 64;
  const Driver &driver = emulatedDriver();
  CUmodule module = nullptr;
  CUdeviceptr memory = 0;
  CUstream left = nullptr, right = nullptr;
  CUevent event = nullptr;
};

// Kernels beside fills and copies, in whichever way they touch memory.
TEST_F(StreamOrderTest, everyKindOfAccessIsSeen) {
  for (const Toucher &toucher : touchers)
    for (const bool kernelFirst : {true, false})
      for (const bool ordered : {false, true}) {
        ASSERT_EQ(driver.cuCtxSynchronize(), CUDA_SUCCESS);
        CUdeviceptr at = memory;
        if (toucher.isConstant)
          ASSERT_EQ(driver.cuModuleGetGlobal(&at, nullptr, module, "table"), CUDA_SUCCESS);
        const auto kernel = [&] { return launch(toucher.name, at, left); };
        const auto other = [&] { return fill(at, right); };
        const CUresult first = kernelFirst ? kernel() : other();
        EXPECT_EQ(first, CUDA_SUCCESS) << toucher.name << lastEmulatedError();
        if (ordered)
          kernelFirst ? order(left, right) : order(right, left);
        const CUresult second = kernelFirst ? other() : kernel();
        EXPECT_EQ(second == CUDA_SUCCESS, ordered) << toucher.name << lastEmulatedError();
        if (!ordered)
          EXPECT_NE(lastEmulatedError().find(fmt::format("kernel '{}'", toucher.name)),
                    std::string::npos)
              << lastEmulatedError();
        if (toucher.isConstant)
          continue;
        // A copy only reads.
        ASSERT_EQ(driver.cuCtxSynchronize(), CUDA_SUCCESS);
        ASSERT_EQ(kernel(), CUDA_SUCCESS);
        EXPECT_EQ(driver.cuMemcpyDtoDAsync(memory + 32, at, 16, right) == CUDA_SUCCESS,
                  !toucher.writes)
            << toucher.name;
      }
}

TEST_F(StreamOrderTest, atomicsOfTheDeviceTakeTurns) {
  EXPECT_EQ(launch("reduction", memory, left), CUDA_SUCCESS);
  EXPECT_EQ(launch("reduction", memory, right), CUDA_SUCCESS) << lastEmulatedError();
  EXPECT_EQ(launch("relaxedLoad", memory, makeStream()), CUDA_SUCCESS) << lastEmulatedError();
  EXPECT_EQ(launch("load", memory, makeStream()), CUDA_ERROR_LAUNCH_FAILED);
}

// A missing wait for an event, in each direction.
TEST_F(StreamOrderTest, everyMissingWaitForAnEventIsFound) {
  for (int missing = 0; missing < 4; ++missing) {
    TearDown();
    SetUp();
    CUevent written = event, read;
    ASSERT_EQ(driver.cuEventCreate(&read, 0), CUDA_SUCCESS);
    std::vector<CUresult> results;
    for (int round = 0; round < 3; ++round) {
      results.push_back(fill(memory, left));
      driver.cuEventRecord(written, left);
      if (missing != 1)
        driver.cuStreamWaitEvent(right, written, 0);
      results.push_back(driver.cuMemcpyDtoDAsync(memory + 16, memory, 16, right));
      driver.cuEventRecord(read, right);
      if (missing != 2)
        driver.cuStreamWaitEvent(left, read, 0);
    }
    // The host reads in the default stream, which waits for neither.
    if (missing != 3)
      driver.cuEventSynchronize(read);
    uint32_t value = 0;
    results.push_back(driver.cuMemcpyDtoH(&value, memory + 16, 4));
    EXPECT_EQ(std::ranges::count(results, CUDA_SUCCESS) == int64_t(results.size()), missing == 0)
        << lastEmulatedError();
    if (missing)
      EXPECT_NE(lastEmulatedError().find("launch-race: a "), std::string::npos)
          << lastEmulatedError();
  }
}

TEST_F(StreamOrderTest, theHostOrdersWhatItHasWaitedFor) {
  EXPECT_FALSE(areOrdered(left, right, [] {}));
  EXPECT_FALSE(areOrdered(left, right, [&] { driver.cuStreamSynchronize(right); }));
  EXPECT_TRUE(areOrdered(left, right, [&] { driver.cuStreamSynchronize(left); }));
  EXPECT_TRUE(areOrdered(left, right, [&] { driver.cuStreamQuery(left); }));
  EXPECT_TRUE(areOrdered(left, right, [&] { driver.cuCtxSynchronize(); }));
  EXPECT_TRUE(areOrdered(left, right, [&] { order(left, right); }));
  EXPECT_FALSE(areOrdered(left, right, [&] { order(right, left); }));
  EXPECT_FALSE(areOrdered(left, right, [&] {
    driver.cuStreamWaitEvent(right, event, 0); // of before
    driver.cuEventRecord(event, left);
  }));
  // A stream that has been destroyed ends its work.
  EXPECT_FALSE(areOrdered(makeStream(), right, [] {}));
  const CUstream short1 = makeStream(), short2 = makeStream();
  EXPECT_FALSE(areOrdered(short1, right, [&] { driver.cuStreamDestroy(short1); }));
  EXPECT_TRUE(areOrdered(short2, right, [&] {
    driver.cuStreamDestroy(short2);
    driver.cuCtxSynchronize();
  }));
}

// Blocking streams take turns with the default stream; those that do not are their own masters.
TEST_F(StreamOrderTest, theDefaultStreamOrdersBlockingStreams) {
  const CUstream blocking = makeStream(0), other = makeStream(0);
  EXPECT_TRUE(areOrdered(blocking, nullptr, [] {}));
  EXPECT_TRUE(areOrdered(nullptr, blocking, [] {}));
  EXPECT_FALSE(areOrdered(left, nullptr, [] {}));
  EXPECT_FALSE(areOrdered(nullptr, left, [] {}));
  EXPECT_FALSE(areOrdered(blocking, other, [] {}));
  EXPECT_TRUE(areOrdered(blocking, other, [&] { fill(memory + 32, nullptr); }));
  // Events of the default stream come after all blocking ones, theirs after the default one.
  EXPECT_TRUE(areOrdered(blocking, left, [&] { order(nullptr, left); }));
  EXPECT_TRUE(areOrdered(nullptr, left, [&] { order(blocking, left); }));
  EXPECT_FALSE(areOrdered(right, left, [&] { order(nullptr, left); }));
  EXPECT_TRUE(areOrdered(blocking, left, [&] { driver.cuStreamSynchronize(nullptr); }));
  const CUstream shortLived = makeStream(0);
  EXPECT_TRUE(areOrdered(shortLived, nullptr, [&] { driver.cuStreamDestroy(shortLived); }));
}

TEST_F(StreamOrderTest, eachThreadHasADefaultStream) {
  const auto ofThread = reinterpret_cast<CUstream>(uintptr_t(2));
  EXPECT_TRUE(areOrdered(ofThread, ofThread, [] {}));
  EXPECT_TRUE(areOrdered(ofThread, nullptr, [] {}));
  EXPECT_FALSE(areOrdered(ofThread, left, [] {}));
  bool result = true;
  const auto elsewhere = [&] { std::thread([&] { result = fill(memory, ofThread) == 0; }).join(); };
  EXPECT_TRUE(areOrdered(left, right, [&] { driver.cuStreamSynchronize(left); }));
  EXPECT_EQ(driver.cuCtxSynchronize(), CUDA_SUCCESS);
  EXPECT_EQ(fill(memory, ofThread), CUDA_SUCCESS);
  elsewhere();
  EXPECT_FALSE(result);
}

// The host waits for copies that touch its memory, and for nothing else that it calls.
TEST_F(StreamOrderTest, whatConcernsTheDeviceAloneIsNotWaitedFor) {
  EXPECT_EQ(driver.cuMemsetD8(memory, 1, 16), CUDA_SUCCESS);
  EXPECT_EQ(launch("load", memory, left), CUDA_ERROR_LAUNCH_FAILED);
  EXPECT_EQ(driver.cuCtxSynchronize(), CUDA_SUCCESS);
  EXPECT_EQ(driver.cuMemcpyDtoD(memory, memory + 32, 16), CUDA_SUCCESS);
  EXPECT_EQ(launch("load", memory, left), CUDA_ERROR_LAUNCH_FAILED);
  uint32_t value = 3;
  EXPECT_EQ(driver.cuCtxSynchronize(), CUDA_SUCCESS);
  EXPECT_EQ(driver.cuMemcpyHtoD(memory, &value, 4), CUDA_SUCCESS);
  EXPECT_EQ(launch("load", memory, left), CUDA_SUCCESS) << lastEmulatedError();
  EXPECT_EQ(driver.cuMemcpyDtoH(&value, memory, 4), CUDA_SUCCESS);
  EXPECT_EQ(launch("store", memory, right), CUDA_ERROR_LAUNCH_FAILED) << "beside `left`";
  EXPECT_EQ(driver.cuCtxSynchronize(), CUDA_SUCCESS);
  void *pinned = nullptr;
  ASSERT_EQ(driver.cuMemHostAlloc(&pinned, 16, 0), CUDA_SUCCESS);
  EXPECT_EQ(driver.cuMemsetD8(reinterpret_cast<CUdeviceptr>(pinned), 1, 16), CUDA_SUCCESS);
  EXPECT_EQ(launch("load", reinterpret_cast<CUdeviceptr>(pinned), left), CUDA_SUCCESS)
      << lastEmulatedError();
}

// Memory of a stream is used after it was made and before it goes, in other streams too.
TEST_F(StreamOrderTest, memoryOfAStreamComesAndGoesInItsOrder) {
  for (const bool early : {false, true})
    for (const bool late : {false, true}) {
      CUdeviceptr made = 0;
      ASSERT_EQ(driver.cuMemAllocAsync(&made, 16, left), CUDA_SUCCESS);
      if (!early)
        order(left, right);
      EXPECT_EQ(launch("store", made, right) == CUDA_SUCCESS, !early) << lastEmulatedError();
      if (!late)
        order(right, left);
      EXPECT_EQ(driver.cuMemFreeAsync(made, left) == CUDA_SUCCESS, !late) << lastEmulatedError();
      EXPECT_EQ(driver.cuMemFree(made), CUDA_ERROR_INVALID_VALUE) << "it is gone";
    }
  CUdeviceptr none = 0;
  const auto unknown = reinterpret_cast<CUstream>(uintptr_t(64));
  EXPECT_EQ(driver.cuMemAllocAsync(&none, 16, unknown), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(driver.cuMemFreeAsync(memory, unknown), CUDA_ERROR_INVALID_HANDLE);
}

// What lies at an address later is not what lay there before.
TEST_F(StreamOrderTest, memoryOfTheHostIsForgottenWhenItGoes) {
  alignas(64) static char bytes[64];
  const auto address = reinterpret_cast<CUdeviceptr>(&bytes[0]);
  for (const CUstream stream : {left, right}) {
    ASSERT_EQ(driver.cuMemHostRegister(bytes, sizeof bytes, 0), CUDA_SUCCESS);
    EXPECT_EQ(launch("store", address, stream), CUDA_SUCCESS) << lastEmulatedError();
    ASSERT_EQ(driver.cuMemHostUnregister(bytes), CUDA_SUCCESS);
  }
}

TEST_F(StreamOrderTest, theCheckHasAName) {
  EmulatedDeviceOptions options;
  options.capability = 90;
  options.launch.off = {"launch-race"};
  configureEmulatedDevice(options);
  EXPECT_TRUE(areOrdered(left, right, [] {}));
}

} // namespace
} // namespace ingot::emulator
