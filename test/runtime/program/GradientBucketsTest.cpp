#include "runtime/program/GradientBuckets.h"
#include "test/runtime/TestPrograms.h"
#include <gtest/gtest.h>

namespace ingot {
namespace {

TEST(GradientBuckets, areInOrderAndThereOnce) {
  Program program = test::affineProgram(64);
  program.kernels[test::AddKernel].root = "update";
  const int64_t x = program.functions[0].port("x")->offset,
                y = program.functions[0].port("y")->offset,
                bytes = program.kernels[test::AddKernel].parameters[0].bytes;
  const auto update = [](int64_t gradients) {
    return Step{CallStep{test::AddKernel, {gradients, 0}, {}, "update"}};
  };
  program.functions[0].steps = {update(y), update(x), update(y), update(x + 64)};
  const std::vector<ByteRange> ranges = gradientBuckets(program);
  ASSERT_EQ(ranges.size(), 2u);
  EXPECT_EQ(ranges[0].first, x);
  EXPECT_EQ(ranges[0].end, x + 64 + bytes) << "ranges that overlap are one";
  EXPECT_EQ(ranges[1].first, y);
  EXPECT_EQ(ranges[1].end, y + bytes);
}

} // namespace
} // namespace ingot
