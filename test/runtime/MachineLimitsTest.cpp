#include "runtime/cpu/MachineLimits.h"
#include "runtime/cpu/CpuInfo.h"
#include <algorithm>
#include <gtest/gtest.h>

using namespace ingot;

TEST(MachineLimits, LeastTimeIsWhatBinds) {
  MachineLimits limits{.flops = 100, .levels = {{1000, 50}, {1 << 20, 10}}};
  EXPECT_DOUBLE_EQ(limits.leastSeconds(1000, 100, 100), 10); // arithmetic
  EXPECT_DOUBLE_EQ(limits.leastSeconds(0, 1000, 1000), 20);  // the cache
  EXPECT_DOUBLE_EQ(limits.leastSeconds(0, 1000, 1001), 100); // memory behind it
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
