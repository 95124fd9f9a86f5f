/// Training steps against PyTorch's recorded curves.
#include "frontend/ModelModule.h"
#include "ir/Reference.h"
#include "ir/ReferenceElements.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Passes.h"
#include "passes/Signature.h"
#include "passes/Training.h"
#include "test/golden/Golden.h"
#include <cmath>
#include <regex>

using namespace mlir;

namespace ingot::testing {
namespace {

using NamedTensors = std::map<std::string, Tensor>;

/// Runs a function of a module by the names of its arguments and results, which are kept: donated
/// arguments find their new values in the next run.
class ReferenceRunner {
public:
  explicit ReferenceRunner(NamedTensors values) : values(std::move(values)) {}

  void write(const std::string &name, const Tensor &value) { values[name] = value; }
  const Tensor &read(const std::string &name) { return values.at(name); }
  double scalar(const std::string &name) {
    const Tensor &value = read(name);
    return value.type() == ElementType::F64 ? value.as<double>()[0] : value.as<float>()[0];
  }

  void run(func::FuncOp function) {
    std::vector<Tensor> arguments;
    for (unsigned index = 0; index < function.getNumArguments(); ++index) {
      std::string name = argumentName(function, index).str();
      auto type = cast<RankedTensorType>(function.getArgumentTypes()[index]);
      // State starts at zero.
      if (!values.contains(name) && roleOf(function, index) == ArgumentRole::State)
        values[name] = Tensor(*graph::elementTypeOf(type.getElementType()), type.getShape().vec());
      ASSERT_TRUE(values.contains(name)) << name;
      arguments.push_back(values[name]);
    }
    auto results = interpret(function, arguments);
    ASSERT_TRUE(results) << results.error().text();
    for (unsigned index = 0; index < function.getNumResults(); ++index)
      values[resultName(function, index).str()] = (*results)[index];
  }

private:
  NamedTensors values;
};

/// A copy of the model's module after some passes; null, with a failed test, if they fail.
OwningOpRef<ModuleOp> lower(const Model &model, llvm::function_ref<void(OpPassManager &)> build) {
  OwningOpRef<ModuleOp> module = moduleOf(model).clone();
  PassManager passes(module->getContext());
  build(passes);
  if (succeeded(passes.run(*module)))
    return module;
  ADD_FAILURE() << "the passes fail";
  return {};
}

/// Floats in another type; integers as they are.
Tensor inType(const Tensor &value, ElementType type) {
  if (graph::kindOf(value.type()) != graph::ElementKind::Float)
    return value;
  return graph::store(type, value.shape(), graph::load<double>(value));
}

/// (model, run)
class LossParity : public ::testing::TestWithParam<std::tuple<const char *, const char *>> {};
/// model
class GradientParity : public ::testing::TestWithParam<const char *> {};

/// Trains `model` from `parameters` along a run; losses and norms must agree to `tolerance`.
void follow(const Golden &golden, const GoldenRun &expected, const Model &model,
            NamedTensors parameters, const std::vector<double> &losses, double tolerance) {
  auto module =
      lower(model, [&](OpPassManager &passes) { buildTrainingPipeline(passes, expected.options); });
  ASSERT_TRUE(module);
  auto step = module->lookupSymbol<func::FuncOp>("step");
  ElementType parameterType = parameters.begin()->second.type();
  ReferenceRunner runner(std::move(parameters));
  Tensor rate(ElementType::F32, {}), count(ElementType::I64, {});
  rate.as<float>()[0] = expected.learningRate;
  runner.write("learning_rate", rate);
  for (size_t index = 0; index < losses.size(); ++index) {
    for (const auto &[name, value] : golden.batch(index, expected.options.accumulate))
      runner.write(name, inType(value, parameterType));
    count.as<int64_t>()[0] = index;
    runner.write("step", count);
    runner.run(step);
    ASSERT_FALSE(::testing::Test::HasFatalFailure());
    ASSERT_NEAR(runner.scalar("loss"), losses[index], tolerance * losses[index])
        << "step " << index;
    if (expected.options.clip) {
      double norm = expected.gradientNorms[index];
      ASSERT_NEAR(runner.scalar("gradient_norm"), norm, 1e-4 * norm) << "step " << index;
    }
  }
}

TEST_P(LossParity, FollowsPyTorch) {
  Golden golden(std::get<0>(GetParam()));
  GoldenRun expected = golden.run(std::get<1>(GetParam()));
  auto model = golden.model();
  ASSERT_TRUE(model) << model.error().text();
  follow(golden, expected, *model, golden.parameters(), expected.losses, 1e-4);
}

/// Without f32's rounding what remains is that of the learning rate, which is an f32: a formula
/// that is slightly off has no place to hide.
TEST_P(LossParity, FollowsPyTorchCloselyInF64) {
  Golden golden(std::get<0>(GetParam()));
  GoldenRun expected = golden.run(std::get<1>(GetParam()));
  auto narrow = golden.model();
  ASSERT_TRUE(narrow) << narrow.error().text();
  auto model = Model::parse(std::regex_replace(narrow->text(), std::regex("f32"), "f64"));
  ASSERT_TRUE(model) << model.error().text();
  NamedTensors parameters = golden.parameters();
  for (auto &[name, value] : parameters)
    value = inType(value, ElementType::F64);
  follow(golden, expected, *model, parameters, expected.exactLosses, 1e-7);
}

TEST_P(GradientParity, FirstGradientsArePyTorchs) {
  Golden golden(GetParam());
  GoldenRun expected = golden.run("plain");
  auto model = golden.model();
  ASSERT_TRUE(model) << model.error().text();
  auto module = lower(
      *model, [&](OpPassManager &passes) { buildGradientPipeline(passes, expected.options.loss); });
  ASSERT_TRUE(module);
  ReferenceRunner runner(golden.parameters());
  for (const auto &[name, value] : golden.batch(0, 1))
    runner.write(name, value);
  runner.run(module->lookupSymbol<func::FuncOp>("gradients"));
  ASSERT_FALSE(HasFatalFailure());

  double global = 0;
  for (const auto &[name, gradient] : expected.gradients)
    global += gradient.norm * gradient.norm;
  ASSERT_FALSE(expected.gradients.empty());
  for (const auto &[name, gradient] : expected.gradients) {
    const Tensor &actual = runner.read("gradient." + name);
    double sum = 0;
    for (int64_t i = 0; i < actual.size(); ++i)
      sum += double(actual.as<float>()[i]) * actual.as<float>()[i];
    // Some are zero in exact arithmetic (the bias of attention's keys): they count against all.
    double tolerance = 1e-4 * std::max(gradient.norm, 1e-6 * std::sqrt(global));
    EXPECT_NEAR(std::sqrt(sum), gradient.norm, tolerance) << name;
    for (size_t i = 0; i < gradient.first.size() && int64_t(i) < actual.size(); ++i)
      EXPECT_NEAR(actual.as<float>()[i], gradient.first[i], tolerance) << name << "[" << i << "]";
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, LossParity,
                         ::testing::Combine(::testing::Values("gpt", "mlp"),
                                            ::testing::Values("plain", "decay", "clip",
                                                              "accumulate", "sgd")),
                         [](const auto &test) {
                           return std::string(std::get<0>(test.param)) + "_" +
                                  std::get<1>(test.param);
                         });
INSTANTIATE_TEST_SUITE_P(Golden, GradientParity, ::testing::Values("gpt", "mlp"),
                         [](const auto &test) { return std::string(test.param); });

} // namespace
} // namespace ingot::testing
