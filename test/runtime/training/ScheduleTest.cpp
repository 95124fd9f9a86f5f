#include "runtime/training/Schedule.h"
#include <cmath>
#include <gtest/gtest.h>
#include <numbers>

namespace ingot {
namespace {

TEST(Schedule, ConstantWithoutWarmupIsThePeak) {
  Schedule schedule{.peak = 0.3};
  for (int64_t step : {0, 1, 1000000})
    EXPECT_EQ(schedule.at(step), 0.3);
}

TEST(Schedule, WarmupReachesThePeakAtItsLastStep) {
  Schedule schedule{.peak = 2, .warmup = 4};
  EXPECT_EQ(schedule.at(0), 0.5);
  EXPECT_EQ(schedule.at(1), 1.0);
  EXPECT_EQ(schedule.at(3), 2.0);
  EXPECT_EQ(schedule.at(4), 2.0);
}

TEST(Schedule, FollowsTheClosedForms) {
  Schedule linear{
      .kind = Schedule::Kind::Linear, .peak = 1, .final = 0.1, .warmup = 10, .steps = 110};
  Schedule cosine = linear;
  cosine.kind = Schedule::Kind::Cosine;
  for (int64_t step = 10; step <= 110; ++step) {
    double p = double(step - 10) / 100;
    EXPECT_DOUBLE_EQ(linear.at(step), 0.1 + 0.9 * (1 - p));
    EXPECT_DOUBLE_EQ(cosine.at(step), 0.1 + 0.45 * (1 + std::cos(std::numbers::pi * p)));
  }
  EXPECT_DOUBLE_EQ(linear.at(10), 1);
  EXPECT_DOUBLE_EQ(cosine.at(60), 0.55);
  EXPECT_DOUBLE_EQ(linear.at(500), 0.1);
  EXPECT_DOUBLE_EQ(cosine.at(500), 0.1);
}

TEST(Schedule, RatesAreFiniteSingles) {
  for (double rate : {0.0, 1e-3, 3e38})
    EXPECT_TRUE(Schedule::isRate(rate));
  for (double rate : {-1e-9, 1e39, double(INFINITY), double(NAN)})
    EXPECT_FALSE(Schedule::isRate(rate));
}

} // namespace
} // namespace ingot
