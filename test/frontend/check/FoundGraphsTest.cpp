/// What random graphs found: each compiled and compared with the reference again.
#include "frontend/check/RandomTrial.h"
#include "ir/dialect/Elements.h"
#include "test/ir/Testing.h"

namespace ingot::testing {
namespace {

struct Found {
  const char *name, *text;
  bool isTrained = false; ///< then it gives its loss
};

std::ostream &operator<<(std::ostream &stream, const Found &found) { return stream << found.name; }

class FoundGraphs : public ::testing::TestWithParam<Found> {};

TEST_P(FoundGraphs, AgreeWithTheReference) {
  auto model = Model::parse(GetParam().text);
  ASSERT_TRUE(model) << model.error().text();
  RandomGraph graph{*model, {}, std::nullopt};
  if (GetParam().isTrained)
    graph.training.emplace().loss = TrainingOptions::Loss::None;
  std::mt19937_64 random(runSeed());
  for (const ModelPort &port : model->ports()) {
    if (port.role == Role::Output)
      continue;
    std::vector<double> values(size_t(elementCount(port.shape)));
    for (double &value : values)
      value = std::uniform_real_distribution<double>(0, 2)(random);
    graph.values[port.name] =
        graph::kindOf(port.type) == graph::ElementKind::Float
            ? graph::store(port.type, port.shape, values)
            : graph::store(port.type, port.shape,
                           std::vector<int64_t>(values.begin(), values.end()));
  }
  RandomOptions options;
  options.threads = options.compile.threads = 1;
  const Trial trial = tryGraph(graph, options);
  EXPECT_EQ(trial.outcome, Trial::Outcome::Alike) << trial.what;
}

const Found found[] = {
    {"SumOfNothing", R"(
func.func @forward(%x: tensor<7x5x0xf32> {graph.name = "x", graph.role = "input"})
    -> (tensor<f32> {graph.name = "y"}) {
  %t = graph.tanh %x : tensor<7x5x0xf32>
  %y = graph.reduce sum %t [0, 1, 2] : tensor<7x5x0xf32> -> tensor<f32>
  return %y : tensor<f32>
})"},
    {"PadByComputedValue", R"(
func.func @forward(%v: tensor<4xf32> {graph.init = "uniform:1", graph.name = "v",
                                     graph.role = "parameter"},
                   %x: tensor<3x5xf32> {graph.name = "x", graph.role = "input"})
    -> (tensor<f32> {graph.name = "loss"}) {
  %sum = graph.reduce sum %v [0] : tensor<4xf32> -> tensor<f32>
  %p = graph.pad %x, %sum low [1, 0] high [0, 2] interior [0, 2]
    : tensor<3x5xf32>, tensor<f32> -> tensor<4x15xf32>
  %t = graph.mul %p, %p : tensor<4x15xf32>
  %y = graph.reduce sum %t [0, 1] : tensor<4x15xf32> -> tensor<f32>
  return %y : tensor<f32>
})",
     true},
    {"ScatterAddBF16", R"(
func.func @forward(%x: tensor<4x4xbf16> {graph.name = "x", graph.role = "input"},
                   %i: tensor<i32> {graph.name = "i", graph.role = "input"},
                   %u: tensor<4xbf16> {graph.name = "u", graph.role = "input"})
    -> (tensor<4x4xbf16> {graph.name = "y"}) {
  %y = graph.scatter_add %x, %i, %u dimension 1 : tensor<4x4xbf16>, tensor<i32>, tensor<4xbf16>
  return %y : tensor<4x4xbf16>
})"},
    {"ScatterAddF16", R"(
func.func @forward(%x: tensor<4x4xf16> {graph.name = "x", graph.role = "input"},
                   %i: tensor<i32> {graph.name = "i", graph.role = "input"},
                   %u: tensor<4xf16> {graph.name = "u", graph.role = "input"})
    -> (tensor<4x4xf16> {graph.name = "y"}) {
  %y = graph.scatter_add %x, %i, %u dimension 1 : tensor<4x4xf16>, tensor<i32>, tensor<4xf16>
  return %y : tensor<4x4xf16>
})"},
    {"ScatterAddF8", R"(
func.func @forward(%x: tensor<4x4xf8E4M3FN> {graph.name = "x", graph.role = "input"},
                   %i: tensor<i32> {graph.name = "i", graph.role = "input"},
                   %u: tensor<4xf8E4M3FN> {graph.name = "u", graph.role = "input"})
    -> (tensor<4x4xf8E4M3FN> {graph.name = "y"}) {
  %y = graph.scatter_add %x, %i, %u dimension 1 : tensor<4x4xf8E4M3FN>, tensor<i32>, tensor<4xf8E4M3FN>
  return %y : tensor<4x4xf8E4M3FN>
})"},
    // The exponentials' sums take the place of their only elements.
    {"SoftmaxOverOne", R"(
func.func @forward(%x: tensor<2x1x1x4xf32> {graph.name = "x", graph.role = "input"})
    -> (tensor<2x1x1x4xf32> {graph.name = "y"}) {
  %t = graph.tanh %x : tensor<2x1x1x4xf32>
  %y = graph.log_softmax %t dimension 1 : tensor<2x1x1x4xf32>
  %z = graph.formula "log_add_exp"(%t, %y) [] : tensor<2x1x1x4xf32>
  return %z : tensor<2x1x1x4xf32>
})"},
    // The cotangent of the branches is rounded before them.
    {"BranchesInBF16",
     R"(
func.func @forward(%w: tensor<4xbf16> {graph.init = "uniform:1", graph.name = "w",
                                     graph.role = "parameter"},
                   %c: tensor<i1> {graph.name = "c", graph.role = "input"})
    -> (tensor<f32> {graph.name = "loss"}) {
  %x = graph.if %c : tensor<i1> -> (tensor<4xbf16>) {
    %t = graph.tanh %w : tensor<4xbf16>
    graph.yield %t : tensor<4xbf16>
  } else {
    %t = graph.sin %w : tensor<4xbf16>
    graph.yield %t : tensor<4xbf16>
  }
  %y = graph.cast %x : tensor<4xbf16> -> tensor<4xf32>
  %s = graph.mul %y, %y : tensor<4xf32>
  %loss = graph.reduce sum %s [0] : tensor<4xf32> -> tensor<f32>
  return %loss : tensor<f32>
})",
     true},
    // A single column, whose sums take the place of what they are added to.
    {"OneColumnInPlace",
     R"(
func.func @forward(%w: tensor<64x2x1xf32> {graph.init = "constant:0", graph.name = "w",
                                         graph.role = "parameter"},
                   %x: tensor<64x9x2xf32> {graph.name = "x", graph.role = "input"})
    -> (tensor<f32> {graph.name = "loss"}) {
  %p = graph.contract %x, %w batch [0] x [0] over [2] x [1]
      : tensor<64x9x2xf32>, tensor<64x2x1xf32> -> tensor<64x9x1xf32>
  %t = graph.tanh %p : tensor<64x9x1xf32>
  %a = graph.reduce sum %t [0, 1, 2] : tensor<64x9x1xf32> -> tensor<f32>
  %s = graph.sin %w : tensor<64x2x1xf32>
  %b = graph.reduce sum %s [0, 1, 2] : tensor<64x2x1xf32> -> tensor<f32>
  %loss = graph.add %a, %b : tensor<f32>
  return %loss : tensor<f32>
})",
     true},
    // The gradients are parts of one tensor, and lie side by side where they are updated.
    {"PartsInOneBucket",
     R"(
func.func @forward(%a: tensor<2xf32> {graph.init = "constant:0", graph.name = "a",
                                    graph.role = "parameter"},
                   %b: tensor<64xf32> {graph.init = "constant:0", graph.name = "b",
                                     graph.role = "parameter"},
                   %c: tensor<4xf32> {graph.init = "constant:0", graph.name = "c",
                                    graph.role = "parameter"},
                   %d: tensor<1xf32> {graph.name = "d", graph.role = "input"})
    -> (tensor<f32> {graph.name = "loss"}) {
  %x = graph.concat %a, %b, %c dimension 0
      : tensor<2xf32>, tensor<64xf32>, tensor<4xf32> -> tensor<70xf32>
  %s = graph.reduce sum %x [0] : tensor<70xf32> -> tensor<f32>
  %r = graph.reshape %s : tensor<f32> -> tensor<1xf32>
  %q = graph.div %r, %d : tensor<1xf32>
  %loss = graph.reduce sum %q [0] : tensor<1xf32> -> tensor<f32>
  return %loss : tensor<f32>
})",
     true},
    // 16 elements of two bytes are half of what tensors are aligned to.
    {"BucketOfF16",
     R"(
func.func @forward(%a: tensor<3xf16> {graph.init = "uniform:1", graph.name = "a",
                                    graph.role = "parameter"},
                   %b: tensor<5xf16> {graph.init = "uniform:1", graph.name = "b",
                                    graph.role = "parameter"})
    -> (tensor<f32> {graph.name = "loss"}) {
  %x = graph.cast %a : tensor<3xf16> -> tensor<3xf32>
  %y = graph.cast %b : tensor<5xf16> -> tensor<5xf32>
  %s = graph.reduce sum %x [0] : tensor<3xf32> -> tensor<f32>
  %t = graph.reduce sum %y [0] : tensor<5xf32> -> tensor<f32>
  %loss = graph.mul %s, %t : tensor<f32>
  return %loss : tensor<f32>
})",
     true},
};

INSTANTIATE_TEST_SUITE_P(Seeds, FoundGraphs, ::testing::ValuesIn(found),
                         [](const auto &test) { return std::string(test.param.name); });

} // namespace
} // namespace ingot::testing
