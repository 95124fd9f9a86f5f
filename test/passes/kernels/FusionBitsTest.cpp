/// A step's results have the same bits whether its ops are fused, run as one kernel each, or are
/// recomputed in the backward pass, and whatever a target says that work costs: for f32 and for
/// bf16 values in chains, rows and epilogues.
#include "codegen/Compile.h"
#include "codegen/RunStages.h"
#include "frontend/api/ModelModule.h"
#include "frontend/families/Models.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Passes.h"
#include "runtime/program/Device.h"
#include <cstring>
#include <gtest/gtest.h>
#include <map>
#include <random>

using namespace mlir;

namespace ingot {
namespace {

using Values = std::map<std::string, Tensor>;

/// A model's @step or @forward, compiled in one way.
struct Variant {
  std::string name;
  bool fuse = true;
  MemoryOptions memory = {};
  TargetCosts costs = {};
};

const std::vector<Variant> &variants() {
  // Whatever may be recomputed is, contractions and attention too.
  static const MemoryOptions recomputed{
      .leastRecomputed = 1, .smallestRecomputed = 1, .heavyRecomputed = 1000};
  static const TargetCosts slowMemory{.bytesPerNanosecond = 1e-6, .fusionWindow = 1000};
  static const TargetCosts slowArithmetic{
      .operationsPerNanosecond = 1e-6, .pointsPerUniformValue = 1, .fusionWindow = 0};
  static const TargetCosts prologues{.packings = 0}, noPrologues{.packings = 1 << 20},
      copies{.copiedRowBytes = 2};
  static const std::vector<Variant> all = {{"fused"},
                                           {"one kernel an op", false},
                                           {"recomputed", true, recomputed},
                                           {"recomputed, one kernel an op", false, recomputed},
                                           {"memory is slow", true, {}, slowMemory},
                                           {"arithmetic is slow", true, {}, slowArithmetic},
                                           {"prologues", true, {}, prologues},
                                           {"no prologues", true, {}, noPrologues},
                                           {"copied factors", true, {}, copies}};
  return all;
}

/// Small numbers; indices stay inside their table.
Tensor randomInput(const Port &port, std::mt19937_64 &random) {
  Tensor tensor(port.type, port.shape);
  std::uniform_real_distribution<float> real(0.1f, 1.0f);
  for (int64_t i = 0; i < tensor.size(); ++i)
    switch (port.type) {
    case ElementType::F32:
      tensor.as<float>()[i] = real(random);
      break;
    case ElementType::BF16: {
      float value = real(random);
      uint32_t bits;
      std::memcpy(&bits, &value, sizeof bits);
      tensor.as<uint16_t>()[i] = uint16_t(bits >> 16);
      break;
    }
    case ElementType::I32:
      tensor.as<int32_t>()[i] = int32_t(random() % (port.limit ? port.limit : 7));
      break;
    default:
      tensor.as<int64_t>()[i] = 1;
    }
  return tensor;
}

/// The parameters, state and outputs of the function after it ran once. Nothing else outlives a
/// run.
Values run(Program program, const std::string &function, uint64_t seed) {
  auto device = openDevice("cpu", {.threads = 2});
  auto session = (*device)->load(std::make_shared<Program>(std::move(program)));
  EXPECT_TRUE(session) << session.error().text();
  const Function *entry = nullptr;
  for (const Function &candidate : (*session)->program().functions)
    if (candidate.name == function)
      entry = &candidate;
  Values values;
  if (!entry) {
    ADD_FAILURE() << "no function " << function;
    return values;
  }
  std::mt19937_64 random(seed);
  for (const Port &port : entry->ports)
    if (port.role != Role::Output) {
      Status written = (*session)->write(function, port.name, randomInput(port, random));
      EXPECT_TRUE(written) << written.error().text();
    }
  EXPECT_TRUE((*session)->run(function));
  for (const Port &port : entry->ports)
    if (port.role == Role::Parameter || port.role == Role::State || port.role == Role::Output)
      values.emplace(port.name, *(*session)->read(function, port.name));
  return values;
}

Result<Program> compileVariant(const Model &model, const Variant &variant,
                               std::optional<TrainingOptions> training, int64_t &kernels) {
  CompileOptions options;
  options.training = training;
  options.memory = variant.memory;
  INGOT_ASSIGN(OwningOpRef<ModuleOp> module, lowerTo(Stage::Linalg, moduleOf(model), options));
  PassManager passes(module->getContext());
  passes.addPass(createFormKernels(variant.costs, {.fuse = variant.fuse}));
  passes.addPass(createVerifyStage({"kernels"}));
  if (failed(passes.run(*module)))
    return ingot::failure(Error::Code::BadInput, variant.name, "kernels were not formed");
  module->walk([&](func::CallOp) { ++kernels; });
  Builder builder(module->getContext());
  (*module)->setAttr("graph.stage", builder.getStringAttr("kernels"));
  return compile(*module, options);
}

void expectSameBits(const Model &model, const std::string &function,
                    std::optional<TrainingOptions> training) {
  uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Values expected;
  int64_t fused = 0;
  for (const Variant &variant : variants()) {
    SCOPED_TRACE(variant.name);
    int64_t kernels = 0;
    Result<Program> program = compileVariant(model, variant, training, kernels);
    ASSERT_TRUE(program) << program.error().text();
    Values values = run(std::move(*program), function, seed);
    ASSERT_FALSE(values.empty());
    if (expected.empty()) {
      expected = std::move(values);
      fused = kernels;
      continue;
    }
    if (!variant.fuse)
      EXPECT_GT(kernels, fused) << "nothing was fused: the comparison says nothing";
    for (auto &[name, value] : expected) {
      const Tensor &other = values.at(name);
      ASSERT_EQ(value.bytes(), other.bytes());
      EXPECT_EQ(std::memcmp(value.data(), other.data(), value.bytes()), 0) << name;
    }
  }
}

Model parse(const std::string &text) {
  auto impl = std::make_shared<Model::Impl>();
  impl->module = parseSourceString<ModuleOp>(text, impl->context.get());
  EXPECT_TRUE(impl->module);
  return Model(impl);
}

TEST(FusionBits, GptStep) {
  Result<Model> model = buildGpt(
      {.layers = 2, .heads = 2, .width = 32, .sequence = 24, .vocabulary = 50, .batch = 2});
  ASSERT_TRUE(model);
  TrainingOptions training;
  training.clip = 1;
  expectSameBits(*model, "step", training);
}

/// What is multiplied is bf16: rounded once, wherever it is computed.
TEST(FusionBits, MixedGptStep) {
  Result<Model> model = buildGpt(
      {.layers = 2, .heads = 2, .width = 32, .sequence = 24, .vocabulary = 50, .batch = 2});
  ASSERT_TRUE(model);
  TrainingOptions training;
  training.dtype = TrainingOptions::Dtype::BF16;
  training.clip = 1;
  expectSameBits(*model, "step", training);
}

TEST(FusionBits, MixedMlpStep) {
  Result<Model> model = buildMlp({.layers = {40, 33, 17, 5}, .batch = 19});
  ASSERT_TRUE(model);
  TrainingOptions training;
  training.dtype = TrainingOptions::Dtype::BF16;
  training.accumulate = 2;
  expectSameBits(*model, "step", training);
}

TEST(FusionBits, MlpStep) {
  Result<Model> model = buildMlp({.layers = {40, 33, 17, 5}, .batch = 19});
  ASSERT_TRUE(model);
  TrainingOptions training;
  training.optimizer = TrainingOptions::Optimizer::Sgd;
  training.momentum = 0.9;
  expectSameBits(*model, "step", training);
}

/// A layer whose activations are bf16: contractions with chains as epilogues, a softmax and a norm
/// over rows, quotients by sums of rows and of columns, and the backward pass of all that.
constexpr const char *narrowLayer = R"mlir(
func.func @forward(
    %w1: tensor<24x40xf32> {graph.name = "w1", graph.role = "parameter", graph.init = "normal:0.5"},
    %b1: tensor<24xf32> {graph.name = "b1", graph.role = "parameter", graph.init = "normal:0.5"},
    %scale: tensor<24xf32> {graph.name = "scale", graph.role = "parameter", graph.init = "normal:0.5"},
    %shift: tensor<24xf32> {graph.name = "shift", graph.role = "parameter", graph.init = "normal:0.5"},
    %w2: tensor<24x24xf32> {graph.name = "w2", graph.role = "parameter", graph.init = "normal:0.5"},
    %x: tensor<19x40xbf16> {graph.name = "x", graph.role = "input"})
    -> (tensor<19x24xf32> {graph.name = "y"}) {
  %half = graph.constant dense<0.3> : tensor<19x24xbf16>
  %w1n = graph.cast %w1 : tensor<24x40xf32> -> tensor<24x40xbf16>
  %b1n = graph.cast %b1 : tensor<24xf32> -> tensor<24xbf16>
  %w2n = graph.cast %w2 : tensor<24x24xf32> -> tensor<24x24xbf16>
  // An epilogue of many narrow values.
  %h = graph.linear %x, %w1n, %b1n : tensor<19x40xbf16>, tensor<24x40xbf16>, tensor<24xbf16> -> tensor<19x24xbf16>
  %g = graph.formula "gelu_tanh"(%h) [] : tensor<19x24xbf16>
  %m = graph.mul %g, %half : tensor<19x24xbf16>
  %a = graph.add %m, %h : tensor<19x24xbf16>
  // Rows.
  %scalen = graph.cast %scale : tensor<24xf32> -> tensor<24xbf16>
  %shiftn = graph.cast %shift : tensor<24xf32> -> tensor<24xbf16>
  %n, %mean, %rstd = graph.layer_norm %a, %scalen, %shiftn epsilon 1.0e-5 : tensor<19x24xbf16>, tensor<24xbf16>, tensor<24xbf16> -> tensor<19x24xbf16>, tensor<19xf32>, tensor<19xf32>
  %e = graph.exp %n : tensor<19x24xbf16>
  %sum = graph.reduce sum %e [1] : tensor<19x24xbf16> -> tensor<19xbf16>
  %sums = graph.broadcast %sum [0] : tensor<19xbf16> -> tensor<19x24xbf16>
  %p = graph.div %e, %sums : tensor<19x24xbf16>
  // A chain, then the next contraction.
  %q = graph.mul %p, %a : tensor<19x24xbf16>
  %r = graph.sub %q, %n : tensor<19x24xbf16>
  %t = graph.tanh %r : tensor<19x24xbf16>
  %z = graph.contract %t, %w2n batch [] x [] over [1] x [1] : tensor<19x24xbf16>, tensor<24x24xbf16> -> tensor<19x24xbf16>
  %s = graph.add %z, %a : tensor<19x24xbf16>
  %y = graph.cast %s : tensor<19x24xbf16> -> tensor<19x24xf32>
  return %y : tensor<19x24xf32>
}
)mlir";

TEST(FusionBits, NarrowForward) { expectSameBits(parse(narrowLayer), "forward", std::nullopt); }

TEST(FusionBits, NarrowStep) {
  TrainingOptions training;
  training.loss = TrainingOptions::Loss::Mse;
  expectSameBits(parse(narrowLayer), "step", training);
}

} // namespace
} // namespace ingot
