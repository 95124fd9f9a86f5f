/// LSTM, GRU and RNN beside loops over scalars, as ONNX defines them.
#include "frontend/api/Ingot.h"
#include "frontend/onnx/Import.h"
#include "test/frontend/onnx/OnnxBytes.h"
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <random>

namespace ingot::onnx {
namespace {

using namespace test;

struct Layer {
  std::string op;
  int64_t steps, batch, width, hidden;
  std::string direction = "forward";
  bool hasLengths = false, hasState = false, hasPeepholes = false, resetsAfter = false;
  float clip = 0;

  int64_t gates() const { return op == "LSTM" ? 4 : op == "GRU" ? 3 : 1; }
  int64_t directions() const { return direction == "bidirectional" ? 2 : 1; }
};

void PrintTo(const Layer &layer, std::ostream *out) {
  *out << layer.op << " " << layer.direction << " of " << layer.steps << " steps";
}

struct Values {
  std::vector<float> x, w, r, b, h, c, p;
  std::vector<int64_t> lengths;
};

Values valuesFor(const Layer &layer, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<float> uniform(-0.8f, 0.8f);
  auto some = [&](int64_t count) {
    std::vector<float> values(static_cast<size_t>(count));
    for (float &value : values)
      value = uniform(random);
    return values;
  };
  const int64_t d = layer.directions(), rows = layer.gates() * layer.hidden;
  Values v{some(layer.steps * layer.batch * layer.width),
           some(d * rows * layer.width),
           some(d * rows * layer.hidden),
           some(d * 2 * rows),
           some(d * layer.batch * layer.hidden),
           some(d * layer.batch * layer.hidden),
           some(d * 3 * layer.hidden),
           {}};
  for (int64_t i = 0; i < layer.batch; ++i)
    v.lengths.push_back(1 + int64_t(random() % uint64_t(layer.steps)));
  return v;
}

/// Y [steps, directions, batch, hidden], then Y_h and Y_c [directions, batch, hidden].
struct Expected {
  std::vector<double> y, h, c;
};

Expected expectedOf(const Layer &l, const Values &v) {
  const int64_t gates = l.gates(), rows = gates * l.hidden, d = l.directions();
  Expected e{std::vector<double>(size_t(l.steps * d * l.batch * l.hidden)),
             std::vector<double>(size_t(d * l.batch * l.hidden)),
             std::vector<double>(size_t(d * l.batch * l.hidden))};
  auto sigmoid = [&](double x) {
    x = l.clip > 0 ? std::clamp<double>(x, -l.clip, l.clip) : x;
    return 1 / (1 + std::exp(-x));
  };
  auto tanh = [&](double x) {
    return std::tanh(l.clip > 0 ? std::clamp<double>(x, -l.clip, l.clip) : x);
  };
  for (int64_t k = 0; k < d; ++k)
    for (int64_t n = 0; n < l.batch; ++n) {
      const auto at = size_t((k * l.batch + n) * l.hidden);
      std::vector<double> h(size_t(l.hidden), 0.0), c(size_t(l.hidden), 0.0);
      if (l.hasState) {
        h.assign(v.h.begin() + ptrdiff_t(at), v.h.begin() + ptrdiff_t(at) + l.hidden);
        c.assign(v.c.begin() + ptrdiff_t(at), v.c.begin() + ptrdiff_t(at) + l.hidden);
      }
      const bool isBackwards = l.direction == "reverse" || k == 1;
      for (int64_t i = 0; i < l.steps; ++i) {
        const int64_t t = isBackwards ? l.steps - 1 - i : i;
        if (l.hasLengths && t >= v.lengths[size_t(n)])
          continue;
        auto input = [&](int64_t row) {
          double sum = v.b[size_t(k * 2 * rows + row)];
          for (int64_t j = 0; j < l.width; ++j)
            sum += double(v.x[size_t((t * l.batch + n) * l.width + j)]) *
                   v.w[size_t((k * rows + row) * l.width + j)];
          return sum;
        };
        auto recurrent = [&](int64_t row, const std::vector<double> &state) {
          double sum = v.b[size_t((k * 2 + 1) * rows + row)];
          for (int64_t j = 0; j < l.hidden; ++j)
            sum += state[size_t(j)] * v.r[size_t((k * rows + row) * l.hidden + j)];
          return sum;
        };
        std::vector<double> nextH = h, nextC = c;
        std::vector<double> reset = h;
        for (int64_t j = 0; l.op == "GRU" && j < l.hidden; ++j)
          reset[size_t(j)] = sigmoid(input(l.hidden + j) + recurrent(l.hidden + j, h));
        std::vector<double> shown = h;
        for (size_t j = 0; j < h.size(); ++j)
          shown[j] *= reset[j];
        for (int64_t j = 0; j < l.hidden; ++j) {
          auto gate = [&](int64_t g) {
            return input(g * l.hidden + j) + recurrent(g * l.hidden + j, h);
          };
          auto peep = [&](int64_t g, double cell) {
            return l.hasPeepholes ? cell * v.p[size_t((k * 3 + g) * l.hidden + j)] : 0.0;
          };
          const auto J = size_t(j);
          if (l.op == "LSTM") {
            nextC[J] = sigmoid(gate(2) + peep(2, c[J])) * c[J] +
                       sigmoid(gate(0) + peep(0, c[J])) * tanh(gate(3));
            nextH[J] = sigmoid(gate(1) + peep(1, nextC[J])) * std::tanh(nextC[J]);
          } else if (l.op == "GRU") {
            const int64_t row = 2 * l.hidden + j;
            const double candidate = tanh(input(row) + (l.resetsAfter ? reset[J] * recurrent(row, h)
                                                                      : recurrent(row, shown)));
            const double update = sigmoid(gate(0));
            nextH[J] = (1 - update) * candidate + update * h[J];
          } else {
            nextH[J] = tanh(gate(0));
          }
        }
        h = nextH, c = nextC;
        std::copy(h.begin(), h.end(), e.y.begin() + ((t * d + k) * l.batch + n) * l.hidden);
      }
      std::copy(h.begin(), h.end(), e.h.begin() + ptrdiff_t(at));
      std::copy(c.begin(), c.end(), e.c.begin() + ptrdiff_t(at));
    }
  return e;
}

Model modelOf(const Layer &l, const Values &v) {
  const int64_t d = l.directions(), rows = l.gates() * l.hidden;
  std::vector<std::string_view> inputs = {"x", "w", "r", "b", l.hasLengths ? "n" : ""};
  if (l.hasState || l.hasPeepholes)
    inputs.push_back(l.hasState ? "h" : "");
  if (l.op == "LSTM" && (l.hasState || l.hasPeepholes))
    inputs.push_back(l.hasState ? "c" : "");
  if (l.hasPeepholes)
    inputs.push_back("p");
  std::vector<std::string_view> outputs = {"y", "last"};
  if (l.op == "LSTM")
    outputs.push_back("cell");
  Bytes layer = node(l.op, inputs, outputs, "layer")
                    .message(5, integerAttribute("hidden_size", l.hidden))
                    .message(5, textAttribute("direction", l.direction));
  if (l.resetsAfter)
    layer.message(5, integerAttribute("linear_before_reset", 1));
  if (l.clip > 0)
    layer.message(5, Bytes().text(1, "clip").real(2, l.clip).number(20, 1));
  const Shape state = {d, l.batch, l.hidden};
  Bytes counts; // lengths are i32
  counts.number(1, l.batch).number(2, 6).text(8, "n");
  std::string bytes;
  for (int64_t length : v.lengths) {
    const auto narrow = int32_t(length);
    bytes.append(reinterpret_cast<const char *>(&narrow), 4);
  }
  counts.text(9, bytes);
  Bytes graph = Bytes()
                    .message(1, layer)
                    .message(5, floats("w", {d, rows, l.width}, v.w))
                    .message(5, floats("r", {d, rows, l.hidden}, v.r))
                    .message(5, floats("b", {d, 2 * rows}, v.b))
                    .message(5, floats("h", state, v.h))
                    .message(5, floats("c", state, v.c))
                    .message(5, floats("p", {d, 3 * l.hidden}, v.p))
                    .message(5, counts)
                    .message(11, port("x", {l.steps, l.batch, l.width}));
  for (std::string_view output : outputs)
    graph.message(12, port(output, {}));
  Result<Model> model = importModel(open(test::model(graph, 14)));
  EXPECT_TRUE(model) << model.error().text();
  return std::move(*model);
}

void expectNear(const Tensor &actual, const std::vector<double> &expected, const char *what) {
  ASSERT_EQ(actual.size(), int64_t(expected.size())) << what;
  for (int64_t i = 0; i < actual.size(); ++i)
    ASSERT_NEAR(actual.as<float>()[i], expected[size_t(i)], 2e-5) << what << " " << i;
}

class Recurrent : public testing::TestWithParam<Layer> {};

TEST_P(Recurrent, IsAsTheDefinition) {
  const Layer &layer = GetParam();
  const Values v = valuesFor(layer, std::random_device()());
  const Model model = modelOf(layer, v);
  Result<CompiledProgram> program = model.compile({.threads = 1, .cache = false});
  ASSERT_TRUE(program) << program.error().text();
  Tensor x(ElementType::F32, {layer.steps, layer.batch, layer.width});
  std::copy(v.x.begin(), v.x.end(), x.as<float>());
  Result<Tensors> results = program->run(Tensors{{"x", x}});
  ASSERT_TRUE(results) << results.error().text();
  const Expected expected = expectedOf(layer, v);
  expectNear(results->at("y"), expected.y, "y");
  expectNear(results->at("last"), expected.h, "last");
  if (layer.op == "LSTM")
    expectNear(results->at("cell"), expected.c, "cell");
}

const Layer layers[] = {
    {"LSTM", 7, 3, 5, 4},
    {"LSTM", 6, 2, 3, 16, "bidirectional", true, true, true},
    {"LSTM", 5, 4, 3, 6, "reverse", true},
    {"LSTM", 1, 2, 3, 4, "bidirectional", false, true, false, false, 0.5f},
    {"GRU", 7, 3, 5, 4, "bidirectional", true, true},
    {"GRU", 7, 3, 5, 16, "bidirectional", true, true, false, true},
    {"GRU", 4, 2, 3, 5, "reverse", false, true, false, true},
    {"GRU", 4, 2, 3, 5, "forward", false, false, false, false, 0.3f},
    {"RNN", 9, 3, 4, 8, "bidirectional", true, true},
    {"RNN", 2, 1, 1, 1},
};
INSTANTIATE_TEST_SUITE_P(Onnx, Recurrent, testing::ValuesIn(layers));

// Sequences of any length have one body, and train as the reference does.
TEST(OnnxRecurrent, LengthsMakeNoModelLarger) {
  for (const char *op : {"LSTM", "GRU", "RNN"}) {
    const Layer small{op, 4, 2, 3, 4, "bidirectional"}, large{op, 6000, 2, 3, 4, "bidirectional"};
    EXPECT_EQ(modelOf(small, valuesFor(small, 1)).operationCount(),
              modelOf(large, valuesFor(large, 1)).operationCount());
  }
}

TEST(OnnxRecurrent, TheyTrainAsTheReferenceDoes) {
  for (const Layer &layer : {Layer{"LSTM", 5, 2, 3, 4, "bidirectional", true, true, true},
                             Layer{"GRU", 5, 2, 3, 16, "bidirectional", true, true, false, true},
                             Layer{"GRU", 5, 2, 3, 4, "reverse"}, Layer{"RNN", 6, 2, 3, 4}}) {
    SCOPED_TRACE(layer.op + layer.direction);
    const Values v = valuesFor(layer, 3);
    const Model model = modelOf(layer, v);
    std::vector<std::vector<float>> losses;
    for (const char *device : {"cpu", "reference"}) {
      ModelTrainerOptions options;
      options.device = device;
      options.output = "y";
      auto trainer = model.trainer(Loss::Mse, AdamW{.learningRate = 0.02}, options);
      ASSERT_TRUE(trainer) << trainer.error().text();
      Tensor x(ElementType::F32, {layer.steps, layer.batch, layer.width}),
          targets(ElementType::F32, {layer.steps, layer.directions(), layer.batch, layer.hidden});
      std::copy(v.x.begin(), v.x.end(), x.as<float>());
      for (int64_t i = 0; i < targets.size(); ++i)
        targets.as<float>()[i] = float(i % 5) / 5;
      std::vector<float> &of = losses.emplace_back();
      for (int step = 0; step < 5; ++step) {
        auto loss = trainer->step({{"x", x}, {"targets", targets}});
        ASSERT_TRUE(loss) << loss.error().text();
        of.push_back(*loss);
      }
    }
    for (size_t step = 0; step < losses[0].size(); ++step)
      EXPECT_NEAR(losses[0][step], losses[1][step], 1e-5) << step;
    EXPECT_LT(losses[0].back(), losses[0].front());
  }
}

} // namespace
} // namespace ingot::onnx
