/// Follows a recorded training curve with whatever runs a training step: the reference, compiled
/// code.
#pragma once
#include "frontend/api/ModelModule.h"
#include "ir/dialect/Elements.h"
#include "mlir/Pass/PassManager.h"
#include "passes/training/Optimizers.h"
#include "passes/training/Training.h"
#include "test/golden/Golden.h"
#include <cmath>
#include <functional>

namespace ingot::testing {

using NamedTensors = std::map<std::string, Tensor>;

/// A training step with its parameters and state, which start at what is written and at zero.
class StepRunner {
public:
  virtual ~StepRunner() = default;
  /// Sets a parameter, input, target or scalar of @step.
  virtual Status write(const std::string &name, const Tensor &value) = 0;
  virtual Status run() = 0;
  virtual Result<Tensor> read(const std::string &name) = 0;
};

using MakeStepRunner =
    std::function<Result<std::unique_ptr<StepRunner>>(const Model &, const TrainingOptions &)>;

/// A model of test/golden and one of its runs.
using GoldenCase = std::tuple<const char *, const char *>;

/// Models with every run.
inline std::vector<GoldenCase> everyRunOf(std::initializer_list<const char *> models) {
  std::vector<GoldenCase> cases;
  for (const char *model : models)
    for (const char *run : {"plain", "decay", "clip", "accumulate", "adam", "sgd"})
      cases.push_back({model, run});
  return cases;
}
inline std::vector<GoldenCase> everyGoldenRun() {
  std::vector<GoldenCase> cases = everyRunOf({"gpt", "mlp"});
  // The other optimizers differ in the update alone, which the model does not change.
  for (const char *run :
       {"nesterov", "dampening", "adamax", "nadam", "radam", "adagrad", "adadelta", "rmsprop",
        "centered", "lion", "lamb", "adafactor", "adafactor_limit", "muon", "muon_rms"})
    cases.push_back({"mlp", run});
  return cases;
}

/// Where what is multiplied is bf16, against PyTorch's autocast: relative differences of losses
/// that are left. Autocast rounds what a layer gives even where it is added to, an attention's
/// probabilities and gradients of weights; early steps of the MLP are followed, after which
/// roundings make other trainings of it (PyTorch's own with and without autocast differ by 16 %).
struct MixedCase {
  const char *model;
  size_t steps;
  double tolerance;
};
inline std::vector<MixedCase> mixedCases() { return {{"gpt", 40, 1e-3}, {"mlp", 20, 5e-3}}; }

inline std::string nameOf(const ::testing::TestParamInfo<GoldenCase> &test) {
  return std::string(std::get<0>(test.param)) + "_" + std::get<1>(test.param);
}

/// Floats in another type; integers as they are.
inline Tensor inType(const Tensor &value, ElementType type) {
  if (graph::kindOf(value.type()) != graph::ElementKind::Float)
    return value;
  return graph::store(type, value.shape(), graph::load<double>(value));
}

inline Tensor scalar(ElementType type, double value) {
  return graph::store(type, {}, std::vector<double>{value});
}

/// Checks that training `model` from `parameters` gives `losses` (and the run's gradient norms)
/// within a relative tolerance. The model's floats have the type of the parameters.
inline Status follow(const Golden &golden, const GoldenRun &expected, const Model &model,
                     const NamedTensors &parameters, const std::vector<double> &losses,
                     double tolerance, const MakeStepRunner &makeRunner) {
  INGOT_ASSIGN(auto runner, makeRunner(model, expected.options));
  for (const auto &[name, value] : parameters)
    INGOT_TRY(runner->write(name, value));
  INGOT_TRY(runner->write("learning_rate", scalar(ElementType::F32, expected.learningRate)));
  ElementType type = parameters.begin()->second.type();
  for (size_t index = 0; index < losses.size(); ++index) {
    for (const auto &[name, value] : golden.batch(index, expected.options.accumulate))
      INGOT_TRY(runner->write(name, inType(value, type)));
    if (!rowOf(expected.options.optimizer).ofStep(expected.options).empty()) {
      Tensor step(ElementType::I64, {});
      step.as<int64_t>()[0] = index;
      INGOT_TRY(runner->write("step", step));
    }
    INGOT_TRY(runner->run());
    INGOT_ASSIGN(Tensor loss, runner->read("loss"));
    double value = graph::load<double>(loss)[0];
    EXPECT_NEAR(value, losses[index], tolerance * losses[index]) << "step " << index;
    if (expected.options.clip) {
      INGOT_ASSIGN(Tensor norm, runner->read("gradient_norm"));
      double wanted = expected.gradientNorms[index];
      EXPECT_NEAR(graph::load<double>(norm)[0], wanted, 1e-4 * wanted) << "step " << index;
    }
    if (::testing::Test::HasFailure())
      return {};
  }
  return {};
}

/// Follows the recorded run with bf16 for so many steps, the case's own at most.
inline Status followMixed(const MixedCase &mixed, size_t steps, const MakeStepRunner &makeRunner) {
  Golden golden(mixed.model);
  GoldenRun expected = golden.run("bf16");
  INGOT_ASSIGN(Model model, golden.model());
  expected.losses.resize(std::min({steps, mixed.steps, expected.losses.size()}));
  return follow(golden, expected, model, golden.parameters(), expected.losses, mixed.tolerance,
                makeRunner);
}

/// Checks the gradients of the first step, which `runner` returns as `gradient.<parameter>`.
inline Status expectFirstGradients(const Golden &golden, const GoldenRun &expected,
                                   StepRunner &runner, double relative = 1e-4) {
  for (const NamedTensors &values : {golden.parameters(), golden.batch(0, 1)})
    for (const auto &[name, value] : values)
      INGOT_TRY(runner.write(name, value));
  INGOT_TRY(runner.run());
  double global = 0;
  for (const auto &[name, gradient] : expected.gradients)
    global += gradient.norm * gradient.norm;
  EXPECT_GT(global, 0);
  for (const auto &[name, gradient] : expected.gradients) {
    INGOT_ASSIGN(Tensor tensor, runner.read("gradient." + name));
    std::vector<double> actual = graph::load<double>(tensor);
    double sum = 0;
    for (double value : actual)
      sum += value * value;
    // Some are zero in exact arithmetic (the bias of attention's keys): they count against all, of
    // which an f32 is rounded by 6e-8.
    double tolerance = relative * std::max(gradient.norm, 1e-4 * std::sqrt(global));
    EXPECT_NEAR(std::sqrt(sum), gradient.norm, tolerance) << name;
    for (size_t i = 0; i < gradient.first.size() && i < actual.size(); ++i)
      EXPECT_NEAR(actual[i], gradient.first[i], tolerance) << name << "[" << i << "]";
  }
  return {};
}

/// A copy of the model's module with @gradients.
inline Result<mlir::OwningOpRef<mlir::ModuleOp>>
withGradients(const Model &model, const TrainingOptions &options = {}) {
  mlir::OwningOpRef<mlir::ModuleOp> module = moduleOf(model).clone();
  mlir::PassManager passes(module->getContext());
  buildGradientPipeline(passes, options);
  if (llvm::failed(passes.run(*module)))
    return failure(Error::Code::Internal, "", "the passes fail");
  return module;
}

} // namespace ingot::testing
