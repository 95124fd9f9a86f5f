/// What random graphs found: each compiled and compared with the reference again.
#include "frontend/check/RandomTrial.h"
#include "ir/dialect/Elements.h"
#include "test/ir/Testing.h"

namespace ingot::testing {
namespace {

struct Found {
  const char *name, *text;
};

std::ostream &operator<<(std::ostream &stream, const Found &found) { return stream << found.name; }

class FoundGraphs : public ::testing::TestWithParam<Found> {};

TEST_P(FoundGraphs, AgreeWithTheReference) {
  auto model = Model::parse(GetParam().text);
  ASSERT_TRUE(model) << model.error().text();
  RandomGraph graph{*model, {}, std::nullopt};
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
};

INSTANTIATE_TEST_SUITE_P(Seeds, FoundGraphs, ::testing::ValuesIn(found),
                         [](const auto &test) { return std::string(test.param.name); });

} // namespace
} // namespace ingot::testing
