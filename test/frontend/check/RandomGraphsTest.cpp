/// Random graphs: compiled against the reference; the drawing, the comparison and the reduction.
#include "frontend/api/ModelModule.h"
#include "frontend/check/RandomTrial.h"
#include "ir/dialect/Graph.h"
#include "test/ir/Testing.h"
#include <set>

namespace ingot::testing {
namespace {

std::set<std::string> opsOf(const RandomGraph &graph) {
  std::set<std::string> names;
  moduleOf(graph.model).walk([&](mlir::Operation *op) {
    names.insert(op->getName().stripDialect().str());
  });
  return names;
}

/// Blocks of seeds, which run side by side in the long tier.
class RandomGraphs : public ::testing::TestWithParam<int> {};

TEST_P(RandomGraphs, AgreeWithTheReference) {
  const bool isLong = std::getenv("INGOT_LONG_TESTS");
  RandomOptions options;
  options.threads = options.compile.threads = 1;
  // Fresh graphs find what nobody has looked at yet: that is for the long tier to say.
  options.seed = (isLong ? runSeed() % 1'000'000'000 * 100'000 : 0) + uint64_t(GetParam()) * 10'000;
  options.graphs = isLong ? 2500 : 8;
  auto report = checkRandomGraphs(options, [](const RandomFinding &finding) {
    std::string values;
    for (const auto &[name, value] : finding.values)
      values +=
          fmt::format("{}: {} {}\n", name, ingot::name(value.type()), toString(value.shape()));
    ADD_FAILURE() << "ingot check random --graphs=1 --seed=" << finding.seed << "\n"
                  << finding.what << "\n"
                  << finding.graph << values;
  });
  ASSERT_TRUE(report) << report.error().text();
  EXPECT_GE(report->compared, options.graphs / 2) << "the rest is refused or ends in errors";
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomGraphs, ::testing::Range(0, 8));

TEST(RandomGraph, EveryOpIsDrawn) {
  // What passes make, and what the builder has no word for.
  const std::set<std::string> others = {
      "after",         "attention_backward", "bucket",   "combine",
      "random_normal", "random_uniform",     "unbucket", "update"};
  mlir::MLIRContext context;
  context.loadDialect<graph::GraphDialect>();
  std::set<std::string> missing;
  for (mlir::RegisteredOperationName name : context.getRegisteredOperationsByDialect("graph"))
    if (std::string op = name.stripDialect().str(); !others.contains(op))
      missing.insert(op);
  for (uint64_t seed = 0; seed < 3000 && !missing.empty(); ++seed) {
    auto graph = drawGraph(runSeed() + seed);
    ASSERT_TRUE(graph) << graph.error().text();
    for (const std::string &op : opsOf(*graph)) {
      missing.erase(op);
      EXPECT_FALSE(others.contains(op)) << op;
    }
  }
  for (const std::string &op : missing)
    ADD_FAILURE() << op << " is in no random graph";
}

TEST(RandomGraph, OneSeedIsOneGraph) {
  for (uint64_t seed : {1, 2, 3}) {
    auto first = drawGraph(seed), second = drawGraph(seed);
    ASSERT_TRUE(first && second);
    EXPECT_EQ(first->model.text(), second->model.text());
    ASSERT_EQ(first->values.size(), second->values.size());
    for (const auto &[name, value] : first->values)
      EXPECT_EQ(0, std::memcmp(value.data(), second->values.at(name).data(), value.bytes()));
  }
}

class RandomComparison : public GraphTest {};

TEST_F(RandomComparison, TellsErrorsFromRounding) {
  auto module = parse(function({"tensor<4xf32>"}, "tensor<4xf32>, tensor<4xi32>", R"(
    %a = graph.exp %0 : tensor<4xf32>
    %b = graph.floor %a : tensor<4xf32>
    %c = graph.cast %b : tensor<4xf32> -> tensor<4xi32>
    return %a, %c : tensor<4xf32>, tensor<4xi32>)"));
  const Tensors arguments{tensor(ElementType::F32, {4}, {0.5, 1.0, -2.0, 0.0})};
  const Result<Tensors> expected = interpret(only(*module), arguments);
  auto outcome = [&](size_t result, size_t element, double value) {
    Tensors actual{(*expected)[0].clone(), (*expected)[1].clone()};
    if (result == 0)
      actual[0].as<float>()[element] = float(value);
    else
      actual[1].as<int32_t>()[element] = int32_t(value);
    return compareResults(only(*module), arguments, Result<Tensors>(actual), expected).outcome;
  };
  const float e = (*expected)[0].as<float>()[1];
  using Outcome = Trial::Outcome;
  EXPECT_EQ(outcome(0, 1, e), Outcome::Alike);
  EXPECT_EQ(outcome(0, 1, std::nextafter(e, 10.f)), Outcome::Alike);
  EXPECT_EQ(outcome(0, 1, e * 1.0001), Outcome::Differs);
  EXPECT_EQ(outcome(0, 1, NAN), Outcome::Differs);
  EXPECT_EQ(outcome(1, 1, 3), Outcome::Differs);
  // e^0 = 1 may come out just below 1, and its floor is 0 then.
  EXPECT_EQ(outcome(1, 3, 0), Outcome::Rough);
  EXPECT_EQ(outcome(1, 3, 3), Outcome::Differs);
  const Result<Tensors> error = failure(Error::Code::BadInput, "", "no");
  EXPECT_EQ(compareResults(only(*module), arguments, error, error).outcome, Outcome::FailedAlike);
  EXPECT_EQ(compareResults(only(*module), arguments, error, expected).outcome, Outcome::Differs);
  EXPECT_EQ(compareResults(only(*module), arguments, expected, error).outcome, Outcome::Differs);
}

TEST(RandomGraph, ReducesToWhatIsWrong) {
  auto isWrong = [](const RandomGraph &graph) { return opsOf(graph).contains("sort"); };
  int reduced = 0;
  for (uint64_t seed = 0; reduced < 5; ++seed) {
    auto graph = drawGraph(seed);
    ASSERT_TRUE(graph);
    if (graph->training || !isWrong(*graph))
      continue;
    const int64_t whole = graph->model.operationCount();
    const RandomGraph small = reduceGraph(std::move(*graph), isWrong);
    ++reduced;
    EXPECT_TRUE(isWrong(small));
    EXPECT_LE(small.model.operationCount(), whole) << small.model.text();
    for (const ModelPort &port : small.model.ports())
      if (port.role != Role::Output)
        EXPECT_TRUE(small.values.contains(port.name)) << port.name;
  }
}

} // namespace
} // namespace ingot::testing
