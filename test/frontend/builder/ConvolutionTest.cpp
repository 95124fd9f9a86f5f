/// Convolutions as compiled programs: forward, both gradients and the update, against the
/// reference's definition.
#include "frontend/builder/Builder.h"
#include "frontend/check/Check.h"
#include <gtest/gtest.h>
#include <random>

namespace ingot {
namespace {

using Value = Builder::Value;

struct Layer {
  Shape x, weight;
  Convolution how;
};

/// Two convolutions, so that the first one's result needs a gradient too.
Result<Model> modelOf(const Layer &layer) {
  Builder b;
  Value x = b.input("x", ElementType::F32, layer.x);
  Value weight = b.parameter("weight", layer.weight, Initializer::normal(0.5));
  Value bias = b.parameter("bias", {layer.weight[0]}, Initializer::normal(0.5));
  Value hidden = b.relu(b.convolution(x, weight, bias, layer.how));
  Shape pointwise(layer.x.size(), 1);
  pointwise[0] = 3;
  pointwise[1] = layer.weight[0];
  b.output("y", b.convolution(hidden, b.parameter("mix", pointwise, Initializer::normal(0.5))));
  return b.finish();
}

void check(const Layer &layer) {
  SCOPED_TRACE("x " + toString(layer.x) + ", weight " + toString(layer.weight));
  Result<Model> model = modelOf(layer);
  ASSERT_TRUE(model) << model.error().text();
  CheckOptions options;
  options.compile.training.emplace().loss = TrainingOptions::Loss::Mse;
  options.seed = std::random_device()();
  options.ops = false;
  Result<CheckReport> report = checkModel(*model, options);
  ASSERT_TRUE(report) << report.error().text();
  EXPECT_FALSE(report->outputs.empty());
  for (const CheckRow &row : report->outputs)
    EXPECT_TRUE(row.fine) << row.function << " " << row.what << ": " << row.relative << " "
                          << row.problem << ", seed " << options.seed;
}

TEST(Convolution, KindsThatModelsUse) {
  check({{2, 3, 9, 11}, {4, 3, 3, 3}, {.low = {1, 1}, .high = {1, 1}}});
  check({{1, 4, 8, 8}, {6, 4, 1, 1}, {}});                                           // pointwise
  check({{2, 4, 9, 7}, {4, 1, 3, 3}, {.low = {1, 1}, .high = {1, 1}, .groups = 4}}); // depthwise
  check({{2, 3, 13, 13}, {5, 3, 7, 7}, {.strides = {2, 2}, .low = {3, 3}, .high = {3, 3}}});
  check({{1, 6, 12, 10}, {8, 3, 3, 5}, {.strides = {1, 2}, .dilations = {2, 1}, .groups = 2}});
  check({{3, 2, 17}, {4, 2, 4}, {.strides = {3}, .low = {0}, .high = {2}}});        // 1-d
  check({{1, 2, 5, 6, 4}, {3, 2, 2, 3, 1}, {.low = {1, 0, 0}, .high = {0, 2, 0}}}); // 3-d
  check({{2, 3, 4, 4}, {2, 3, 2, 2}, {.low = {3, 3}, .high = {2, 4}}}); // more zeros than a window
}

// A vector of results lies within one line of them, reaches into the next, or spans several.
TEST(Convolution, LinesShorterAndLongerThanVectors) {
  for (int64_t width : {7, 16, 19, 33})
    for (int64_t stride : {1, 2}) {
      check({{2, 3, 6, width},
             {20, 3, 3, 3},
             {.strides = {1, stride}, .low = {1, 1}, .high = {1, 1}}});
      check({{1, 2, 5, width},
             {2, 1, 3, 3},
             {.strides = {stride, stride}, .low = {1, 1}, .high = {1, 1}, .groups = 2}});
    }
  check({{1, 2, 3, 4, 9}, {18, 2, 2, 2, 2}, {.strides = {1, 1, 2}}}); // lines of lines
}

TEST(Convolution, RandomShapes) {
  std::mt19937_64 generator(std::random_device{}());
  auto between = [&](int64_t low, int64_t high) {
    return low + int64_t(generator() % uint64_t(high - low + 1));
  };
  for (int trial = 0; trial < 6; ++trial) {
    Layer layer;
    const int64_t spatial = between(1, 2);
    layer.how.groups = between(1, 3);
    layer.x = {between(1, 3), layer.how.groups * between(1, 3)};
    layer.weight = {layer.how.groups * between(1, 20), layer.x[1] / layer.how.groups};
    for (int64_t dim = 0; dim < spatial; ++dim) {
      layer.weight.push_back(between(1, 4));
      layer.how.strides.push_back(between(1, 3));
      layer.how.dilations.push_back(between(1, 2));
      layer.how.low.push_back(between(0, 3));
      layer.how.high.push_back(between(0, 3));
      layer.x.push_back((layer.weight.back() - 1) * layer.how.dilations.back() + between(1, 20));
    }
    check(layer);
  }
}

} // namespace
} // namespace ingot
