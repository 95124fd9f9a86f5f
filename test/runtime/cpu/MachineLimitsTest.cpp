#include "runtime/cpu/MachineLimits.h"
#include "runtime/cpu/CpuInfo.h"
#include <algorithm>
#include <gtest/gtest.h>

using namespace ingot;

TEST(MachineLimits, TheSlowerOfArithmeticAndMemoryBinds) {
  MachineLimits limits{.flops = 100, .levels = {{"L2", 1000, 50}, {"memory", 1 << 20, 10}}};
  auto expect = [&](MachineLimits::Bound bound, double seconds, std::string_view by) {
    EXPECT_DOUBLE_EQ(bound.seconds, seconds);
    EXPECT_EQ(bound.by, by);
  };
  expect(limits.bound(1000, 100, 100), 10, "FMA");
  expect(limits.bound(0, 1000, 1000), 20, "L2");
  expect(limits.bound(0, 1000, 1001), 100, "memory");
}

TEST(MachineLimits, EveryRateIsMeasured) {
  MachineLimits limits = measureMachine(2);
  EXPECT_EQ(limits.threads, 2);
  EXPECT_GT(limits.flops, 0);
  EXPECT_GT(limits.readBandwidth, 0);
  EXPECT_GT(limits.copyBandwidth, 0);
  EXPECT_EQ(limits.bf16Flops > 0, std::ranges::binary_search(cpuInfo().features, "avx512_bf16"));
  for (const MachineLimits::Level &level : limits.levels)
    EXPECT_GT(level.bandwidth, 0);
  EXPECT_TRUE(std::ranges::is_sorted(limits.levels, {}, &MachineLimits::Level::bytes));
}
