/// Index arithmetic by digits, compared with the numbers it stands for.
#include "codegen/kernel/PointIndex.h"
#include "mlir/IR/Block.h"
#include "mlir/IR/MLIRContext.h"
#include <gtest/gtest.h>

using namespace mlir;

namespace ingot {
namespace {

/// The value of `index` where its one variable is `variable`.
int64_t valueAt(const PointIndex &index, int64_t variable) {
  int64_t value = index.offset();
  for (const PointIndex::Digit &digit : index.digits())
    value += digit.coefficient * (variable / digit.divisor % digit.extent);
  return value;
}

/// A filter's taps in reverse order, seen through reshapes: no index needs a division at run time.
TEST(PointIndex, ReversedDimensionsAreSplitIntoDigits) {
  MLIRContext context;
  Block block;
  Value variable = block.addArgument(IndexType::get(&context), UnknownLoc::get(&context));
  for (auto [channels, height, width] : {std::array<int64_t, 3>{5, 3, 3}, {2, 4, 3}, {3, 1, 7}}) {
    SCOPED_TRACE(testing::Message() << channels << " x " << height << " x " << width);
    auto exactly = [](const PointIndex &index, int64_t divisor) {
      auto parts = index.divide(divisor);
      EXPECT_TRUE(parts) << "by " << divisor;
      return parts.value_or(std::pair(PointIndex(), PointIndex()));
    };
    const int64_t shape[] = {channels, height, width}, count = channels * height * width;
    SmallVector<PointIndex> taps =
        splitPosition(PointIndex::uniform(variable, count), shape, exactly);
    for (int dimension : {1, 2})
      taps[dimension] = PointIndex::constant(shape[dimension] - 1) + taps[dimension] * -1;
    const PointIndex reversed = linearise(taps, shape);
    SmallVector<PointIndex> again = splitPosition(reversed, shape, exactly);
    for (int64_t v = 0; v < count; ++v) {
      const int64_t row = height - 1 - v / width % height, column = width - 1 - v % width;
      EXPECT_EQ(valueAt(again[0], v), v / (width * height)) << v;
      EXPECT_EQ(valueAt(again[1], v), row) << v;
      EXPECT_EQ(valueAt(again[2], v), column) << v;
    }
    EXPECT_EQ(linearise(again, shape), reversed);
  }
}

/// 1 - d for d up to 2 has values below zero, and 4 - d leaves the digits of 3.
TEST(PointIndex, WhatIsNoDigitIsNotDivided) {
  MLIRContext context;
  Block block;
  PointIndex digit = PointIndex::uniform(
      block.addArgument(IndexType::get(&context), UnknownLoc::get(&context)), 9);
  for (int64_t start : {1, 4})
    EXPECT_FALSE((PointIndex::constant(start) + digit * -1).divide(3)) << start;
}

/// Lanes that start at a multiple of their number: which lane holds what is known.
TEST(PointIndex, RunsWhoseElementsFillSeveralLanes) {
  MLIRContext context;
  Block block;
  Value variable = block.addArgument(IndexType::get(&context), UnknownLoc::get(&context));
  auto exactly = [](const PointIndex &index, int64_t divisor) { return *index.divide(divisor); };
  const int64_t shape[] = {6, 4, 2};
  for (bool aligned : {true, false}) {
    SCOPED_TRACE(aligned);
    auto digits = splitPosition(PointIndex::consecutive(variable, 48, aligned), shape, exactly);
    const PointIndex pairs = digits[0] * 4 + digits[1];
    EXPECT_EQ(pairs.lanesPerStep(16), aligned ? std::optional<int64_t>(2) : std::nullopt);
    EXPECT_EQ(digits[0].lanesPerStep(16), aligned ? std::optional<int64_t>(8) : std::nullopt);
    EXPECT_EQ(digits[1].lanesPerStep(16), std::nullopt); // begins anew within the lanes
    EXPECT_EQ((pairs * 3).lanesPerStep(16), std::nullopt);
    EXPECT_EQ((pairs + PointIndex::constant(5)).lanesPerStep(16), pairs.lanesPerStep(16));
  }
}

} // namespace
} // namespace ingot
