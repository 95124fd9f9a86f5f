/// Losses and ops that the builder composes against PyTorch's values and gradients (record-ops): in
/// the reference and compiled, in f64 and f32. All rows of a file are one model, a parameter for
/// each operand; what is trained is Σ c·value, as recorded.
#include "frontend/api/Ingot.h"
#include "ir/dialect/Elements.h"
#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ingot {
namespace {

using Value = Builder::Value;
using Values = std::vector<Value>;
using nlohmann::json;

double numberOf(const json &value) {
  return value.is_string() ? std::stod(value.get<std::string>()) : value.get<double>();
}

std::vector<double> numbersOf(const json &list) {
  std::vector<double> numbers;
  for (const json &value : list)
    numbers.push_back(numberOf(value));
  return numbers;
}

/// value(stream, i) of test/golden/record.
double hashed(uint32_t stream, uint32_t i) {
  uint32_t x = stream * 0x9e3779b1u + i;
  x ^= x >> 16, x *= 0x85ebca6bu, x ^= x >> 13, x *= 0xc2b2ae35u, x ^= x >> 16;
  return double(x >> 8) * 0x1p-23 - 1;
}

std::vector<double> hashed(uint32_t stream, const Shape &shape) {
  std::vector<double> values;
  for (int64_t i = 0; i < elementCount(shape); ++i)
    values.push_back(hashed(stream, uint32_t(i)));
  return values;
}

json recorded(const char *name) {
  std::ifstream file(std::string(INGOT_SOURCE_DIR "/test/golden/") + name);
  EXPECT_TRUE(file) << name;
  return json::parse(file)["rows"];
}

/// Builds a row's results from its operands.
using Build = std::function<Values(Builder &, const Values &, const json &row)>;

struct Device {
  const char *name;
  ElementType type;
  double tolerance; ///< of values and gradients, relative to the larger of 1 and theirs
};

class Recorded : public testing::TestWithParam<Device> {
protected:
  /// Builds, trains and compares all rows.
  void check(const json &rows, const Build &build) {
    for (size_t row = 0; row < rows.size(); ++row)
      add(row, rows[row], build);
    b.output("loss", total);
    Result<Model> model = b.finish();
    ASSERT_TRUE(model) << model.error().text();
    ModelTrainerOptions options;
    options.device = GetParam().name;
    options.threads = 2;
    options.cache = false;
    options.onNonFinite = OnNonFinite::Continue;
    options.gradients = true;
    auto trainer = model->trainer(Loss::None, Sgd{.learningRate = 0}, options);
    ASSERT_TRUE(trainer) << trainer.error().text();
    for (const auto &[name, value] : parameters)
      ASSERT_TRUE(trainer->write(name, value));
    auto outputs = trainer->run({});
    ASSERT_TRUE(outputs) << outputs.error().text();
    auto loss = trainer->step({});
    ASSERT_TRUE(loss) << loss.error().text();
    auto gradients = trainer->gradients();
    ASSERT_TRUE(gradients) << gradients.error().text();
    for (size_t row = 0; row < rows.size(); ++row)
      compare(row, rows[row], *outputs, *gradients);
  }

  void add(size_t row, const json &recorded, const Build &build) {
    auto scope = b.scope("r" + std::to_string(row));
    const Values results = build(b, operands[row], recorded);
    for (size_t i = 0; i < results.size(); ++i) {
      b.output(nameOf(row, i), results[i]);
      if (!recorded["results"][i]["integers"].get<bool>())
        addShare(results[i]);
    }
  }
  /// Σ c·value.
  void addShare(Value value) {
    Tensor scale(value.type(), value.shape());
    std::vector<double> numbers;
    for (int64_t i = 0; i < scale.size(); ++i)
      numbers.push_back(1 + double(i % 5) / 4);
    scale = graph::store(value.type(), value.shape(), numbers);
    if (!scale.size())
      return;
    Value share = b.sum(b.mul(value, b.constant(scale)));
    if (share.type() == ElementType::BF16)
      share = b.cast(share, ElementType::F32);
    if (share.valid())
      total = total.valid() ? b.add(total, share) : share;
  }

  Value parameter(size_t row, const Shape &shape, const std::vector<double> &values) {
    const std::string name = "p" + std::to_string(row) + "." + std::to_string(operands[row].size());
    parameters.emplace(name, graph::store(GetParam().type, shape, values));
    Value value = b.parameter(name, shape, Initializer::constant(0), GetParam().type);
    operands[row].push_back(value);
    return value;
  }

  static std::string nameOf(size_t row, size_t result) {
    return "y" + std::to_string(row) + "." + std::to_string(result);
  }

  void compare(size_t row, const json &recorded, const Tensors &outputs, const Tensors &gradients) {
    json what = recorded;
    for (const char *long_ : {"results", "gradients"})
      what.erase(long_);
    SCOPED_TRACE(what.dump());
    for (size_t i = 0; i < recorded["results"].size(); ++i) {
      const json &result = recorded["results"][i];
      const Tensor &output = outputs.at(nameOf(row, i));
      ASSERT_EQ(output.shape(), result["shape"].get<Shape>());
      expectNear(output, numbersOf(result["values"]), "result " + std::to_string(i));
    }
    for (size_t i = 0; i < operands[row].size(); ++i) {
      const std::string name = "p" + std::to_string(row) + "." + std::to_string(i);
      if (recorded["gradients"][i].is_null())
        continue;
      auto found = gradients.find(name);
      if (found != gradients.end())
        expectNear(found->second, numbersOf(recorded["gradients"][i]), "gradient of " + name);
      else
        for (double expected : numbersOf(recorded["gradients"][i]))
          ASSERT_EQ(expected, 0) << name;
    }
  }

  void expectNear(const Tensor &actual, const std::vector<double> &expected,
                  const std::string &what) {
    const bool isFloat = graph::kindOf(actual.type()) == graph::ElementKind::Float;
    std::vector<double> values;
    if (isFloat)
      values = graph::load<double>(actual);
    else
      for (int64_t value : graph::load<int64_t>(actual))
        values.push_back(double(value));
    ASSERT_EQ(values.size(), expected.size());
    for (size_t i = 0; i < values.size(); ++i) {
      if (values[i] == expected[i] || (std::isnan(values[i]) && std::isnan(expected[i])))
        continue;
      const double allowed = GetParam().tolerance * std::max(1.0, std::fabs(expected[i]));
      ASSERT_LE(std::fabs(values[i] - expected[i]), allowed)
          << what << ", element " << i << ": " << values[i] << ", recorded " << expected[i];
    }
  }

  Builder b;
  Value total;
  std::map<size_t, Values> operands;
  std::map<std::string, Tensor> parameters;
};

class RecordedLosses : public Recorded {};
class RecordedEdges : public Recorded {};

constexpr Device usual[] = {{"reference", ElementType::F64, 1e-12},
                            {"cpu", ElementType::F64, 1e-11},
                            {"cpu", ElementType::F32, 1e-5}};
/// Losses of predictions in bf16 are computed in f32; their operands and gradients are rounded.
constexpr Device others[] = {{"cpu", ElementType::BF16, 4e-2},
                             {"cuda:emulated", ElementType::F32, 1e-5},
                             {"cuda:emulated", ElementType::BF16, 4e-2}};
constexpr Device inF32[] = {{"reference", ElementType::F32, 1e-6},
                            {"cpu", ElementType::F32, 1e-5},
                            {"cuda:emulated", ElementType::F32, 1e-5}};

std::string nameOf(const testing::TestParamInfo<Device> &info) {
  std::string device = info.param.name;
  std::ranges::replace(device, ':', '_');
  return device + "_" + std::string(name(info.param.type));
}
INSTANTIATE_TEST_SUITE_P(Devices, Recorded, testing::ValuesIn(usual), nameOf);
INSTANTIATE_TEST_SUITE_P(Devices, RecordedLosses, testing::ValuesIn(usual), nameOf);
INSTANTIATE_TEST_SUITE_P(Others, RecordedLosses, testing::ValuesIn(others), nameOf);
INSTANTIATE_TEST_SUITE_P(Devices, RecordedEdges, testing::ValuesIn(inF32), nameOf);

//===--------------------------------------------------------------------------------------------===//
// Losses
//===--------------------------------------------------------------------------------------------===//

/// Every seventh: of each loss and number some.
json some(const json &rows) {
  json chosen = json::array();
  for (size_t row = 0; row < rows.size(); row += 7)
    chosen.push_back(rows[row]);
  return chosen;
}

LossNumbers numbersOfLoss(const json &given) {
  LossNumbers numbers;
  numbers.reduction = *parseEnum<Reduction>(given.value("reduction", "mean"));
  numbers.labelSmoothing = given.value("label_smoothing", 0.0);
  if (given.contains("ignore_index"))
    numbers.ignoreIndex = given["ignore_index"].get<int64_t>();
  if (given.contains("class_weights"))
    numbers.classWeights = given["class_weights"].get<std::vector<double>>();
  numbers.softTargets = given.value("soft_targets", false);
  numbers.logTargets = given.value("log_targets", false);
  numbers.beta = given.value("beta", 1.0);
  numbers.delta = given.value("delta", 1.0);
  numbers.margin = given.value("margin", 1.0);
  numbers.power = given.value("power", 1);
  return numbers;
}

TEST_P(RecordedLosses, InEveryCombination) {
  json rows = recorded("losses.json");
  ASSERT_GE(rows.size(), 400u);
  if (std::string_view(GetParam().name) == "cuda:emulated" && !std::getenv("INGOT_LONG_TESTS"))
    rows = some(rows); // it is slow

  for (size_t row = 0; row < rows.size(); ++row) {
    const Shape shape = rows[row]["shape"].get<Shape>();
    std::vector<double> values = hashed(0, shape);
    if (rows[row]["probability"].get<bool>())
      for (double &value : values)
        value = value / 2 + 0.5;
    parameter(row, shape, values);
    if (!rows[row]["gradients"][1].is_null())
      parameter(row, rows[row]["target_shape"].get<Shape>(), numbersOf(rows[row]["targets"]));
  }
  check(rows, [](Builder &b, const Values &operands, const json &row) -> Values {
    Value targets;
    if (row["classes"].get<bool>()) {
      const auto given = row["targets"].get<std::vector<int64_t>>();
      const ElementType type = given.size() % 2 ? ElementType::I64 : ElementType::I32;
      targets = b.constant(graph::store(type, row["target_shape"].get<Shape>(), given));
    } else if (operands.size() > 1) {
      targets = operands[1];
    } else {
      targets = b.constant(graph::store(operands[0].type(), row["target_shape"].get<Shape>(),
                                        numbersOf(row["targets"])));
    }
    return {b.loss(*parseEnum<Loss>(row["loss"].get<std::string>()), operands[0], targets,
                   numbersOfLoss(row["numbers"]), row["axis"])};
  });
}

/// Where some targets are ignored, the others must be classes all the same.
TEST(Losses, ATargetThatIsNoClassIsAnError) {
  for (const char *device : {"cpu", "reference"}) {
    Builder b;
    Value logits = b.input("x", ElementType::F32, {2, 3});
    b.output("y", b.loss(Loss::CrossEntropy, logits, b.input("t", ElementType::I32, {2}),
                         {.ignoreIndex = -1}));
    Options options;
    options.device = device;
    options.cache = false;
    auto program = b.finish().and_then([&](const Model &m) { return m.compile(options); });
    ASSERT_TRUE(program) << program.error().text();
    Tensor x(ElementType::F32, {2, 3}), t(ElementType::I32, {2});
    std::fill_n(x.as<float>(), 6, 0.5f);
    t.as<int32_t>()[0] = -1, t.as<int32_t>()[1] = 2;
    auto outputs = program->run({{"x", x}, {"t", t}});
    ASSERT_TRUE(outputs) << outputs.error().text();
    EXPECT_NEAR(outputs->at("y").as<float>()[0], std::log(3.0), 1e-6);
    t.as<int32_t>()[1] = 3;
    outputs = program->run({{"x", x}, {"t", t}});
    ASSERT_FALSE(outputs);
    EXPECT_NE(outputs.error().text().find("outside [0, 3)"), std::string::npos)
        << outputs.error().text();
  }
}

TEST(Losses, ErrorsNameLossAndCause) {
  Builder b;
  Value x = b.input("x", ElementType::F32, {2, 3}), line = b.input("l", ElementType::F32, {3});
  Value classes = b.input("t", ElementType::I64, {2});
  b.loss(Loss::None, x, x);
  b.loss(Loss::CrossEntropy, line, classes);
  b.loss(Loss::CrossEntropy, x, x);
  b.loss(Loss::CrossEntropy, x, classes, {}, 2);
  b.loss(Loss::CrossEntropy, x, classes, {.classWeights = {1, 2}});
  b.loss(Loss::CrossEntropy, x, x, {.ignoreIndex = 1, .softTargets = true});
  b.loss(Loss::CrossEntropy, x, classes, {.labelSmoothing = 1.5});
  b.loss(Loss::Mse, x, classes);
  b.loss(Loss::Nll, x, classes, {.labelSmoothing = 0.1});
  b.loss(Loss::Huber, x, x, {.delta = 0});
  b.loss(Loss::Bce, x, x, {.classWeights = {1}});
  Result<Model> model = b.finish();
  ASSERT_FALSE(model);
  const std::string text = model.error().text();
  for (const char *expected :
       {"none(2x3 f32, 2x3 f32): is no loss",
        "cross_entropy(3 f32, 2 i64): cross_entropy needs [batch…, classes]",
        "cross_entropy(2x3 f32, 2x3 f32): the targets must be 2 i32",
        "class axis 2 is no dimension", "2 class weights are not those of 3 classes",
        "targets that are probabilities have no number to ignore",
        "LossNumbers::labelSmoothing: 1.5 is not a number from 0 to 1",
        "mse(2x3 f32, 2 i64): the targets must be 2x3 f32",
        "LossNumbers::labelSmoothing: does nothing for the loss nll",
        "LossNumbers::delta: 0 is not a number above 0",
        "LossNumbers::classWeights: does nothing for the loss bce"})
    EXPECT_NE(text.find(expected), std::string::npos) << expected << "\n" << text;
}

//===--------------------------------------------------------------------------------------------===//
// Ops
//===--------------------------------------------------------------------------------------------===//

std::map<std::string, Build> makeOps() {
  using N = const json &;
  using X = const Values &;
  auto ints = [](N list) { return list.get<std::vector<int64_t>>(); };
  auto reductionOf = [](N numbers) {
    return *parseEnum<Reduction>(numbers["reduction"].get<std::string>());
  };
  auto floats = [](Builder &b, Value like, N list) {
    return b.constant(graph::store(like.type(), {int64_t(list.size())}, numbersOf(list)));
  };
  std::map<std::string, Build> table = {
      {"tile", [=](Builder &b, X x, N n) { return Values{b.tile(x[0], ints(n["counts"]))}; }},
      {"roll",
       [](Builder &b, X x, N n) { return Values{b.roll(x[0], n["shift"], n["dimension"])}; }},
      {"split",
       [=](Builder &b, X x, N n) { return b.split(x[0], ints(n["sizes"]), n["dimension"]); }},
      {"pad",
       [=](Builder &b, X x, N n) {
         const std::string mode = n["mode"];
         return Values{b.pad(x[0],
                             mode == "edge"   ? PadMode::Edge
                             : mode == "wrap" ? PadMode::Wrap
                                              : PadMode::Reflect,
                             ints(n["low"]), ints(n["high"]))};
       }},
      {"triangle",
       [](Builder &b, X x, N n) { return Values{b.triangle(x[0], n["upper"], n["diagonal"])}; }},
      {"depth_to_space",
       [](Builder &b, X x, N n) { return Values{b.depthToSpace(x[0], n["block"], false)}; }},
      {"cumulative_sum",
       [](Builder &b, X x, N n) { return Values{b.cumulativeSum(x[0], n["dimension"])}; }},
      {"cumulative_product",
       [](Builder &b, X x, N n) { return Values{b.cumulativeProduct(x[0], n["dimension"])}; }},
      {"sort", [](Builder &b, X x, N n) { return b.sort(x[0], n["dimension"], n["descending"]); }},
      {"top_k",
       [](Builder &b, X x, N n) { return b.topK(x[0], n["k"], n["dimension"], n["largest"]); }},
      {"group_norm",
       [](Builder &b, X x, N n) { return Values{b.groupNorm(x[0], n["groups"], x[1], x[2])}; }},
      {"instance_norm",
       [](Builder &b, X x, N) { return Values{b.instanceNorm(x[0], x[1], x[2])}; }},
      {"rms_norm", [](Builder &b, X x, N) { return Values{b.rmsNorm(x[0], x[1])}; }},
      {"layer_norm", [](Builder &b, X x, N) { return Values{b.layerNorm(x[0], x[1], x[2])}; }},
      {"local_response_norm",
       [](Builder &b, X x, N n) {
         return Values{b.localResponseNorm(x[0], n["size"], n["alpha"], n["beta"], n["k"])};
       }},
      {"gaussian_nll",
       [=](Builder &b, X x, N n) {
         return Values{
             b.gaussianNll(x[0], x[1], b.abs(x[2]), n["full"], n["epsilon"], reductionOf(n))};
       }},
      {"triplet_margin",
       [=](Builder &b, X x, N n) {
         return Values{b.tripletMargin(x[0], x[1], x[2], n["margin"], n["p"], 1e-6, n["swap"],
                                       reductionOf(n))};
       }},
      {"ctc",
       [=](Builder &b, X x, N n) {
         std::vector<int64_t> targets;
         for (const json &row : n["targets"])
           for (int64_t label : row)
             targets.push_back(label);
         const ElementType type = n["blank"] == 0 ? ElementType::I64 : ElementType::I32;
         auto lengths = [&](const char *of) {
           return b.constant(graph::store(type, {4}, ints(n[of])));
         };
         Value logs = b.logSoftmax(b.mul(x[0], b.scalar(2, x[0].type())), 2);
         return Values{b.ctc(logs, b.constant(graph::store(type, {4, 3}, targets)),
                             lengths("inputs"), lengths("lengths"), n["blank"], n["zero_infinity"],
                             reductionOf(n))};
       }},
      {"cosine_embedding",
       [=](Builder &b, X x, N n) {
         return Values{b.cosineEmbedding(x[0], x[1], floats(b, x[0], n["signs"]), n["margin"])};
       }},
      {"softmax", [](Builder &b, X x, N n) { return Values{b.softmax(x[0], n["dimension"])}; }},
      {"log_softmax",
       [](Builder &b, X x, N n) { return Values{b.logSoftmax(x[0], n["dimension"])}; }},
      {"log_sum_exp",
       [](Builder &b, X x, N n) { return Values{b.logSumExp(x[0], {n["dimension"]})}; }},
      {"variance", [](Builder &b, X x, N) { return Values{b.variance(x[0], {1}, false, 1)}; }},
      {"cross_entropy",
       [=](Builder &b, X x, N n) {
         const auto targets = ints(n["targets"]);
         LossNumbers numbers{.reduction = Reduction::None};
         if (!n["ignored"].is_null())
           numbers.ignoreIndex = n["ignored"].get<int64_t>();
         return Values{
             b.loss(Loss::CrossEntropy, x[0],
                    b.constant(graph::store(ElementType::I64, {int64_t(targets.size())}, targets)),
                    numbers)};
       }},
#define INGOT_UNARY(METHOD, OP, ...)                                                               \
  {#METHOD, [](Builder &b, X x, N) { return Values{b.METHOD(x[0])}; }},
#define INGOT_BINARY(...)
#include "ir/formulas/Primitives.def"
#define INGOT_FORMULA(METHOD, ...)                                                                 \
  {#METHOD, [](Builder &b, X x, N) { return Values{b.METHOD(x[0])}; }},
#include "ir/formulas/Formulas.def"
  };
  // Of elements, whose targets are given.
  for (const char *loss :
       {"bce", "bce_with_logits", "kl_div", "hinge_embedding", "l1", "huber", "smooth_l1"})
    table[loss] = [=](Builder &b, X x, N n) {
      return Values{b.loss(*parseEnum<Loss>(std::string_view(loss)), x[0],
                           floats(b, x[0], n["targets"]), {.reduction = Reduction::None})};
    };
  return table;
}

const Build &buildOf(const json &row) {
  static const std::map<std::string, Build> table = makeOps();
  return table.at(row["op"].get<std::string>());
}

Values recordedAttention(Builder &b, const Values &x, const json &n) {
  AttentionOptions how{.causal = n["causal"], .scale = n["scale"], .softCap = n["cap"]};
  auto integers = [&](const json &given, ElementType type) {
    if (given.is_number())
      return b.constant(graph::store(type, {}, std::vector<int64_t>{given.get<int64_t>()}));
    const auto all = given.get<std::vector<int64_t>>();
    return b.constant(graph::store(type, {int64_t(all.size())}, all));
  };
  if (x.size() > 3)
    how.mask = x[3];
  if (!n["mask"].is_null())
    how.mask = b.constant(graph::store(ElementType::I1, n["mask_shape"].get<Shape>(),
                                       n["mask"].get<std::vector<int64_t>>()));
  if (!n["offset"].is_null())
    how.offset = integers(n["offset"], ElementType::I64);
  if (!n["length"].is_null())
    how.length = integers(n["length"], ElementType::I32);
  if (!n["window"].is_null())
    how.window = n["window"].get<int64_t>();
  return {b.attention(x[0], x[1], x[2], how)};
}

TEST_P(Recorded, Attention) {
  const json rows = recorded("attention.json");
  ASSERT_GE(rows.size(), 50u);
  for (size_t row = 0; row < rows.size(); ++row)
    for (size_t i = 0; i < rows[row]["shapes"].size(); ++i) {
      const Shape shape = rows[row]["shapes"][i].get<Shape>();
      parameter(row, shape, hashed(uint32_t(i), shape));
    }
  check(rows, [](Builder &b, const Values &operands, const json &row) {
    return recordedAttention(b, operands, row["numbers"]);
  });
}

TEST_P(Recorded, Ops) {
  const json rows = recorded("ops.json");
  ASSERT_GE(rows.size(), 60u);
  for (size_t row = 0; row < rows.size(); ++row)
    for (size_t i = 0; i < rows[row]["shapes"].size(); ++i) {
      const Shape shape = rows[row]["shapes"][i].get<Shape>();
      parameter(row, shape,
                i == 0 && rows[row].contains("given") ? numbersOf(rows[row]["given"])
                                                      : hashed(uint32_t(i), shape));
    }
  check(rows, [](Builder &b, const Values &operands, const json &row) {
    return buildOf(row)(b, operands, row["numbers"]);
  });
}

/// Where f32 ends: what overflows, infinities, NaN, and where functions are not smooth.
TEST_P(RecordedEdges, OfF32) {
  const json rows = recorded("edges.json");
  ASSERT_GE(rows.size(), 30u);
  for (size_t row = 0; row < rows.size(); ++row)
    for (size_t i = 0; i < rows[row]["shapes"].size(); ++i)
      parameter(row, rows[row]["shapes"][i].get<Shape>(), numbersOf(rows[row]["given"][i]));
  check(rows, [](Builder &b, const Values &operands, const json &row) {
    return buildOf(row)(b, operands, row["numbers"]);
  });
}

} // namespace
} // namespace ingot
