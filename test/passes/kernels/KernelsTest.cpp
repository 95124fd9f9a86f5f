/// Kernel formation on whole models: how many kernels a step has, and that random graphs computed
/// by kernels agree with the reference.
#include "frontend/api/ModelModule.h"
#include "frontend/check/Check.h"
#include "frontend/families/Models.h"
#include "ir/dialect/GraphBuilder.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <gtest/gtest.h>
#include <numeric>
#include <random>

using namespace mlir;
using namespace ingot;

namespace {

/// Calls of kernels in a function, by root.
using Launches = std::map<std::string, int>;

Launches launchesOf(ModuleOp module, StringRef function) {
  Launches launches;
  auto entry = module.lookupSymbol<func::FuncOp>(function);
  entry.walk([&](func::CallOp call) {
    auto kernel = module.lookupSymbol<func::FuncOp>(call.getCallee());
    ++launches[kernel->getAttrOfType<StringAttr>("graph.kernel").str()];
  });
  return launches;
}

int total(const Launches &launches) {
  return std::accumulate(launches.begin(), launches.end(), 0,
                         [](int sum, const auto &entry) { return sum + entry.second; });
}

GptSizes smallGpt(int64_t layers) {
  return {.layers = layers, .heads = 2, .width = 32, .sequence = 16, .vocabulary = 50, .batch = 3};
}

Launches gptStep(const GptSizes &sizes) {
  Result<Model> model = buildGpt(sizes);
  if (!model)
    return {};
  CompileOptions options;
  options.training = TrainingOptions();
  auto module = lowerTo(Stage::Kernels, moduleOf(*model), options);
  if (!module)
    return {};
  return launchesOf(**module, "step");
}

TEST(Kernels, GptStepIsFewLaunches) {
  Launches two = gptStep(smallGpt(2)), three = gptStep(smallGpt(3));
  ASSERT_GT(total(two), 0);
  // Of one layer: 4 + 8 contractions, attention forward and backward, norms forward and backward,
  // sums over rows, one update.
  EXPECT_EQ(three["contraction"] - two["contraction"], 12);
  EXPECT_EQ(three["attention"] - two["attention"], 1);
  EXPECT_EQ(three["attention_backward"] - two["attention_backward"], 1);
  EXPECT_EQ(three["row"] - two["row"], 4);
  EXPECT_LE(three["column"] - two["column"], 1);
  EXPECT_LE(three["update"] - two["update"], 1); // small layers share a bucket
  // Nothing is moved, broadcast or added by a kernel of its own: only the embedding, the scalars of
  // the optimizer and the zeros that a scatter_add starts from are elementwise.
  EXPECT_EQ(three["elementwise"], two["elementwise"]);
  EXPECT_LE(two["elementwise"], 3);
}

TEST(Kernels, Gpt2StepIsAtMost250Launches) {
  GptSizes sizes; // 12 layers of GPT-2's width: nothing of this size is computed here
  sizes.sequence = 64;
  Launches launches = gptStep(sizes);
  ASSERT_GT(total(launches), 0);
  EXPECT_LE(total(launches), 250);
}

/// Random graphs on [rows, width] tensors: elementwise ops, broadcasts, transposes, slices,
/// concats, reductions, contractions.
class RandomGraph {
public:
  RandomGraph(graph::GraphBuilder &build, std::mt19937_64 &random, ValueRange inputs)
      : build(build), random(random), values(inputs.begin(), inputs.end()) {}

  void grow(int ops) {
    for (int count = 0; count < ops; ++count)
      values.push_back(step(any()));
  }
  /// The last values, and some in the middle.
  SmallVector<Value> outputs() { return {values.back(), values[values.size() / 2], any()}; }

private:
  int64_t pick(int64_t count) {
    return std::uniform_int_distribution<int64_t>(0, count - 1)(random);
  }
  Value any() { return values[pick(values.size())]; }
  int64_t size(Value value, int64_t dim) { return graph::tensorType(value).getDimSize(dim); }

  /// A value of the same shape; `like` itself if there is no other.
  Value partner(Value like) {
    SmallVector<Value> same;
    for (Value value : values)
      if (value.getType() == like.getType())
        same.push_back(value);
    return same[pick(same.size())];
  }

  Value step(Value x) {
    int64_t dim = pick(2), extent = size(x, dim);
    switch (pick(10)) {
    case 0:
      return build.tanh(x);
    case 1:
      return build.add(x, partner(x));
    case 2:
      return build.mul(build.tanh(x), partner(x));
    case 3:
      return build.broadcastReducedLike(build.reduceMean(x, dim), x, dim);
    case 4: { // softmax-like: two reductions that feed on each other
      Value shifted = build.sub(x, build.broadcastReducedLike(build.reduceMax(x, dim), x, dim));
      Value e = build.exp(shifted);
      return build.div(e, build.broadcastReducedLike(build.reduceSum(e, dim), e, dim));
    }
    case 5:
      return build.transpose(x, {1, 0});
    case 6:
      return build.mul(build.contract(x, partner(x), {}, {}, {dim}, {dim}), 1.0 / extent);
    case 7:
      return build.slice(x, dim, pick(extent), extent);
    case 8: {
      Value other = partner(x);
      return size(x, dim) < 40 ? build.make<graph::ConcatOp>(ValueRange{x, other}, dim) : x;
    }
    default:
      return build.reshape(build.mul(build.reshape(x, {size(x, 0) * size(x, 1)}), 0.5),
                           {size(x, 1), size(x, 0)});
    }
  }

  graph::GraphBuilder &build;
  std::mt19937_64 &random;
  SmallVector<Value> values;
};

Model randomModel(uint64_t seed) {
  std::mt19937_64 random(seed);
  auto impl = std::make_shared<Model::Impl>();
  MLIRContext *context = impl->context.get();
  OpBuilder builder(context);
  Location location = NameLoc::get(builder.getStringAttr("random"));
  impl->module = ModuleOp::create(location);
  builder.setInsertionPointToEnd(impl->module->getBody());
  auto extent = [&] { return std::uniform_int_distribution<int64_t>(1, 33)(random); };
  SmallVector<Type> inputs;
  Type shape = RankedTensorType::get({extent(), extent()}, builder.getF32Type());
  inputs.append(2, shape);
  inputs.push_back(RankedTensorType::get({extent(), extent()}, builder.getF32Type()));
  auto function =
      func::FuncOp::create(builder, location, "forward", builder.getFunctionType(inputs, {}));
  builder.setInsertionPointToStart(function.addEntryBlock());
  for (unsigned index = 0; index < inputs.size(); ++index) {
    function.setArgAttr(index, "graph.name", builder.getStringAttr("x" + std::to_string(index)));
    function.setArgAttr(index, "graph.role", builder.getStringAttr("input"));
  }
  graph::GraphBuilder build(builder, location);
  RandomGraph graph(build, random, function.getArguments());
  graph.grow(12);
  SmallVector<Value> outputs = graph.outputs();
  func::ReturnOp::create(builder, location, outputs);
  function.setType(builder.getFunctionType(inputs, ValueRange(outputs).getTypes()));
  for (unsigned index = 0; index < outputs.size(); ++index)
    function.setResultAttr(index, "graph.name", builder.getStringAttr("y" + std::to_string(index)));
  return Model(impl);
}

TEST(Kernels, RandomGraphsAgreeWithTheReference) {
  bool isLong = std::getenv("INGOT_LONG_TESTS");
  uint64_t first = std::random_device()();
  for (uint64_t seed = first; seed < first + (isLong ? 200 : 3); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Model model = randomModel(seed);
    CheckOptions options;
    options.seed = seed;
    options.ops = false;
    Result<CheckReport> report = checkModel(model, options);
    ASSERT_TRUE(report) << report.error().text() << "\n" << model.text();
    EXPECT_TRUE(report->fine()) << report->culprit << "\n" << model.text();
  }
}

} // namespace
