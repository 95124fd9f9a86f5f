/// Loop and Scan: loops of the model where their bodies allow it, written out where they do not.
#include "frontend/api/Ingot.h"
#include "frontend/onnx/Import.h"
#include "test/frontend/onnx/OnnxBytes.h"
#include <gtest/gtest.h>

namespace ingot::onnx {
namespace {

using namespace test;

constexpr int i1 = 9;

Tensor numbers(const Shape &shape, const std::vector<float> &values) {
  Tensor tensor(ElementType::F32, shape);
  std::copy(values.begin(), values.end(), tensor.as<float>());
  return tensor;
}

std::vector<float> valuesOf(const Tensor &tensor) {
  return {tensor.as<float>(), tensor.as<float>() + tensor.size()};
}

Model imported(const Bytes &graph, const ImportOptions &options = {}) {
  Result<Model> model = importModel(open(test::model(graph)), options);
  EXPECT_TRUE(model) << model.error().text();
  return std::move(*model);
}

size_t loopsIn(const Model &model) {
  const std::string text = model.text();
  size_t count = 0;
  for (size_t at = text.find("graph.loop"); at != text.npos; at = text.find("graph.loop", at + 1))
    ++count;
  return count;
}

Tensors run(const Model &model, const Tensors &inputs) {
  Result<CompiledProgram> program = model.compile({.threads = 1, .cache = false});
  EXPECT_TRUE(program) << program.error().text();
  Result<Tensors> results = program ? program->run(inputs) : Tensors();
  EXPECT_TRUE(results) << results.error().text();
  return results ? *results : Tensors();
}

/// A body with the ports of a loop that carries `now` [2] and gives `rest`.
Bytes body(const std::vector<Bytes> &nodes, const std::vector<std::string_view> &stacked = {}) {
  Bytes graph;
  for (const Bytes &node : nodes)
    graph.message(1, node);
  graph.message(11, port("i", {}, i64))
      .message(11, port("go", {}, i1))
      .message(11, port("now", {2}));
  graph.message(12, port("on", {}, i1)).message(12, port("next", {2}));
  for (std::string_view name : stacked)
    graph.message(12, port(name, {2}));
  return graph;
}

const Bytes goesOn = node("Identity", {"go"}, {"on"});

/// next = now + w · i, where w is the model's and `all` every next.
Bytes counting(int64_t trips, const std::vector<int64_t> &shape = {}) {
  const Bytes inside =
      body({goesOn, node("Cast", {"i"}, {"f"}).message(5, integerAttribute("to", 1)),
            node("Mul", {"w", "f"}, {"m"}), node("Add", {"now", "m"}, {"next"}),
            node("Identity", {"next"}, {"same"})},
           {"same"});
  return Bytes()
      .message(1, node("Loop", {"trips", "", "x"}, {"y", "all"}, "many")
                      .message(5, graphAttribute("body", inside)))
      .message(5, integers("trips", shape, {trips}))
      .message(5, floats("w", {2}, {1, -0.5f}))
      .message(11, port("x", {2}))
      .message(12, port("y", {2}))
      .message(12, port("all", {trips, 2}));
}

TEST(OnnxLoops, BodiesAreCompiledOnce) {
  for (const Shape &shape : {Shape{}, Shape{1}}) {
    const Model model = imported(counting(100, shape));
    EXPECT_EQ(loopsIn(model), 1u) << model.text();
    EXPECT_EQ(model.operationCount(), imported(counting(9000, shape)).operationCount());
    const Tensors results = run(model, {{"x", numbers({2}, {1, 2})}});
    EXPECT_EQ(valuesOf(results.at("y")), (std::vector<float>{4951, 2 - 2475}));
    EXPECT_EQ(results.at("all").shape(), (Shape{100, 2}));
    for (int64_t i = 0, sum = 0; i < 100; sum += ++i) {
      EXPECT_EQ(results.at("all").as<float>()[2 * i], float(1 + sum)) << i;
    }
  }
}

TEST(OnnxLoops, FewIterationsNeedNoLoop) {
  const Model model = imported(counting(1));
  EXPECT_EQ(loopsIn(model), 0u);
  EXPECT_EQ(valuesOf(run(model, {{"x", numbers({2}, {1, 2})}}).at("y")),
            (std::vector<float>{1, 2}));
}

TEST(OnnxLoops, TripCountsMayBeKnownAtRunTime) {
  const Bytes inside = body({goesOn, node("Add", {"now", "now"}, {"next"})});
  const Bytes graph =
      Bytes()
          .message(
              1, node("Loop", {"trips", "", "x"}, {"y"}).message(5, graphAttribute("body", inside)))
          .message(11, port("trips", {}, i64))
          .message(11, port("x", {2}))
          .message(12, port("y", {2}));
  const Model model = imported(graph);
  EXPECT_EQ(loopsIn(model), 1u);
  for (int64_t trips : {0, 1, 5}) {
    Tensor count(ElementType::I64, {});
    *count.as<int64_t>() = trips;
    EXPECT_EQ(valuesOf(run(model, {{"trips", count}, {"x", numbers({2}, {1, 3})}}).at("y")),
              (std::vector<float>{float(1 << trips), float(3 << trips)}));
  }
}

/// Doubles while the sum is below 40, eight times at most.
Bytes doubling(bool isAsked) {
  const Bytes inside =
      body({node("Add", {"now", "now"}, {"next"}),
            node("ReduceSum", {"next"}, {"sum"}).message(5, integerAttribute("keepdims", 0)),
            node("Less", {"sum", "most"}, {"on"}), node("Identity", {"now"}, {"before"})},
           {"before"});
  Bytes graph = Bytes()
                    .message(1, node("Loop", {"trips", isAsked ? "first" : "", "x"}, {"y", "all"})
                                    .message(5, graphAttribute("body", inside)))
                    .message(5, integers("trips", {}, {8}))
                    .message(5, floats("most", {}, {40}))
                    .message(11, port("x", {2}))
                    .message(12, port("y", {2}))
                    .message(12, port("all", {-1, 2}));
  if (isAsked)
    graph.message(11, port("first", {}, i1));
  return graph;
}

TEST(OnnxLoops, ConditionsEndThemAtRunTime) {
  for (bool isAsked : {false, true}) {
    const Model model = imported(doubling(isAsked));
    EXPECT_EQ(loopsIn(model), 1u);
    for (const auto &[start, doublings] : {std::pair(1.0f, 5), {9.0f, 2}, {50.0f, 1}, {0.0f, 8}})
      for (bool runs : {true, false}) {
        if (!isAsked && !runs)
          continue;
        Tensors inputs = {{"x", numbers({2}, {start, start})}};
        if (isAsked)
          *(inputs["first"] = Tensor(ElementType::I1, {})).as<uint8_t>() = runs;
        const Tensors results = run(model, inputs);
        const int count = runs ? doublings : 0;
        EXPECT_EQ(valuesOf(results.at("y"))[0], start * float(1 << count)) << start;
        ASSERT_EQ(results.at("all").shape(), (Shape{count, 2})) << start;
        for (int i = 0; i < count; ++i)
          EXPECT_EQ(results.at("all").as<float>()[2 * i], start * float(1 << i));
      }
  }
}

TEST(OnnxLoops, ShapesThatGrowAreWrittenOut) {
  const Bytes inside = body(
      {goesOn, node("Concat", {"now", "x"}, {"next"}).message(5, integerAttribute("axis", 0))});
  const Bytes graph =
      Bytes()
          .message(
              1, node("Loop", {"trips", "", "x"}, {"y"}).message(5, graphAttribute("body", inside)))
          .message(5, integers("trips", {}, {3}))
          .message(11, port("x", {2}))
          .message(12, port("y", {8}));
  const Model model = imported(graph);
  EXPECT_EQ(loopsIn(model), 0u);
  EXPECT_EQ(valuesOf(run(model, {{"x", numbers({2}, {1, 3})}}).at("y")),
            (std::vector<float>{1, 3, 1, 3, 1, 3, 1, 3}));
}

TEST(OnnxLoops, ARefusalInABodyIsSaidOnce) {
  const Bytes inside = body({goesOn, node("Wobble", {"now"}, {"next"}, "odd")});
  const Bytes graph =
      Bytes()
          .message(
              1, node("Loop", {"trips", "", "x"}, {"y"}).message(5, graphAttribute("body", inside)))
          .message(5, integers("trips", {}, {5}))
          .message(11, port("x", {2}))
          .message(12, port("y", {2}));
  Result<Model> model = importModel(open(test::model(graph)));
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().text(), "m.onnx: 1 node cannot be imported:\n"
                                  "  odd (Wobble, opset 18): the op is not supported");
}

TEST(OnnxLoops, TheyAreTrained) {
  std::vector<std::vector<float>> losses;
  for (const char *device : {"cpu", "reference"}) {
    const Bytes inside =
        body({goesOn, node("Mul", {"now", "w"}, {"m"}), node("Tanh", {"m"}, {"next"})});
    const Model model = imported(Bytes()
                                     .message(1, node("Loop", {"trips", "", "x"}, {"y"})
                                                     .message(5, graphAttribute("body", inside)))
                                     .message(5, integers("trips", {}, {6}))
                                     .message(5, floats("w", {2}, {1.5f, 0.7f}))
                                     .message(11, port("x", {2}))
                                     .message(12, port("y", {2})));
    ModelTrainerOptions options;
    options.device = device;
    auto trainer = model.trainer(Loss::Mse, AdamW{.learningRate = 0.05}, options);
    ASSERT_TRUE(trainer) << trainer.error().text();
    std::vector<float> &of = losses.emplace_back();
    for (int step = 0; step < 6; ++step) {
      auto loss =
          trainer->step({{"x", numbers({2}, {1, 2})}, {"targets", numbers({2}, {0.2f, 0.5f})}});
      ASSERT_TRUE(loss) << loss.error().text();
      of.push_back(*loss);
    }
  }
  for (size_t step = 0; step < losses[0].size(); ++step)
    EXPECT_NEAR(losses[0][step], losses[1][step], 1e-5) << step;
  EXPECT_LT(losses[0].back(), losses[0].front());
}

/// Running sums of x [2, steps] along its second dimension.
Model sums(int64_t steps, bool isBackwards, bool readsBackwards) {
  const Bytes inside = Bytes()
                           .message(1, node("Add", {"now", "part"}, {"next"}))
                           .message(1, node("Identity", {"next"}, {"same"}))
                           .message(11, port("now", {2}))
                           .message(11, port("part", {2}))
                           .message(12, port("next", {2}))
                           .message(12, port("same", {2}));
  return imported(
      Bytes()
          .message(1, node("Scan", {"start", "x"}, {"y", "all"})
                          .message(5, graphAttribute("body", inside))
                          .message(5, integerAttribute("num_scan_inputs", 1))
                          .message(5, integersAttribute("scan_input_axes", {1}))
                          .message(5, integersAttribute("scan_input_directions", {readsBackwards}))
                          .message(5, integersAttribute("scan_output_axes", {1}))
                          .message(5, integersAttribute("scan_output_directions", {isBackwards})))
          .message(5, floats("start", {2}, {0, 100}))
          .message(11, port("x", {2, steps}))
          .message(12, port("y", {2}))
          .message(12, port("all", {2, steps})));
}

TEST(OnnxLoops, ScansRunInBothDirections) {
  constexpr int64_t steps = 20;
  std::vector<float> x;
  for (int64_t i = 0; i < 2 * steps; ++i)
    x.push_back(float(i * 7 % 11));
  for (bool isBackwards : {false, true})
    for (bool readsBackwards : {false, true}) {
      const Model model = sums(steps, isBackwards, readsBackwards);
      EXPECT_EQ(loopsIn(model), 1u);
      const Tensors results = run(model, {{"x", numbers({2, steps}, x)}});
      for (int64_t row = 0; row < 2; ++row) {
        float sum = row ? 100 : 0;
        for (int64_t i = 0; i < steps; ++i) {
          sum += x[size_t(row * steps + (readsBackwards ? steps - 1 - i : i))];
          const int64_t place = isBackwards ? steps - 1 - i : i;
          EXPECT_EQ(results.at("all").as<float>()[row * steps + place], sum);
        }
        EXPECT_EQ(results.at("y").as<float>()[row], sum);
      }
    }
}

} // namespace
} // namespace ingot::onnx
