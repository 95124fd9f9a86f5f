#include "runtime/program/Device.h"
#include "test/runtime/TestPrograms.h"
#include <gtest/gtest.h>

namespace ingot {
namespace {

TEST(CpuDevice, refusesWhatItCannotRun) {
  auto device = openDevice("cpu", {.threads = 1});
  ASSERT_TRUE(device);
  auto error = [&](Program program) {
    auto session = (*device)->load(std::make_shared<Program>(std::move(program)));
    return session ? "" : session.error().text();
  };
  Program program = test::affineProgram(64);
  program.features = {"sse2", "avx1024"};
  EXPECT_NE(error(program).find("needs avx1024, which this processor"), std::string::npos);
  program = test::affineProgram(64);
  program.arenaBytes = program.functions[0].arenaBytes = int64_t(1) << 45;
  EXPECT_NE(error(program).find("the program's arena needs 35.2 TB"), std::string::npos)
      << error(program);
  program = test::affineProgram(64);
  program.kernels[0].name = "fine";
  EXPECT_NE(error(program).find("unsound program: kernel 'fine' is no entry of its code"),
            std::string::npos);
  program = test::affineProgram(64);
  program.objects.push_back({CodeObject::Kind::Ptx, "sm_80", {'/', '/'}});
  program.kernels.push_back({.name = "k", .object = 1, .launch = CudaGrid{}});
  EXPECT_NE(error(program).find("its kernel 'k' runs on a GPU alone"), std::string::npos);
}

TEST(Devices, areListedAndOpenedByName) {
  std::vector<DeviceInfo> devices = listDevices();
  ASSERT_FALSE(devices.empty());
  EXPECT_EQ(devices[0].name, "cpu");
  EXPECT_GT(devices[0].cores, 0);
  EXPECT_GT(devices[0].memoryBytes, 0);
  EXPECT_FALSE(devices[0].features.empty());
  auto unknown = openDevice("tpu", {});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().text(), "unknown device 'tpu'; devices: cpu, cuda, cuda:N, "
                                    "cuda:emulated");
  EXPECT_FALSE(openDevice("cpu", {.threads = -1}));
}

} // namespace
} // namespace ingot
