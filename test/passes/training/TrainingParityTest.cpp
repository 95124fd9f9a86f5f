/// Training by the reference against PyTorch's recorded curves.
#include "ir/reference/Reference.h"
#include "passes/Signature.h"
#include "test/golden/Follow.h"
#include <regex>

using namespace mlir;

namespace ingot::testing {
namespace {

/// Interprets one function of a module; donated arguments find their new values in the next run.
class ReferenceRunner : public StepRunner {
public:
  ReferenceRunner(OwningOpRef<ModuleOp> module, StringRef name)
      : module(std::move(module)), function(this->module->lookupSymbol<func::FuncOp>(name)) {}

  Status write(const std::string &name, const Tensor &value) override {
    values[name] = value;
    return {};
  }
  Result<Tensor> read(const std::string &name) override { return values.at(name); }

  Status run() override {
    if (auto derive = module->lookupSymbol<func::FuncOp>(StringRef(deriveFunction));
        derive && !runs++)
      INGOT_TRY(run(derive));
    return run(function);
  }

private:
  Status run(func::FuncOp function) {
    std::vector<Tensor> arguments;
    for (unsigned index = 0; index < function.getNumArguments(); ++index)
      arguments.push_back(argument(function, index));
    INGOT_ASSIGN(std::vector<Tensor> results, interpret(function, arguments));
    for (unsigned index = 0; index < function.getNumResults(); ++index)
      values[resultName(function, index).str()] = results[index];
    return {};
  }

  /// State starts at zero; everything else must have been written.
  Tensor argument(func::FuncOp function, unsigned index) {
    std::string name = argumentName(function, index).str();
    if (!values.contains(name) && roleOf(function, index) == Role::State) {
      auto type = cast<RankedTensorType>(function.getArgumentTypes()[index]);
      values[name] = Tensor(*graph::elementTypeOf(type.getElementType()), type.getShape().vec());
    }
    return values.at(name);
  }

  OwningOpRef<ModuleOp> module;
  func::FuncOp function;
  int runs = 0;
  NamedTensors values;
};

Result<std::unique_ptr<StepRunner>> makeReferenceRunner(const Model &model,
                                                        const TrainingOptions &options) {
  OwningOpRef<ModuleOp> module = moduleOf(model).clone();
  PassManager passes(module->getContext());
  buildTrainingPipeline(passes, options);
  if (failed(passes.run(*module)))
    return failure(Error::Code::Internal, "", "the passes fail");
  return std::make_unique<ReferenceRunner>(std::move(module), "step");
}

class LossParity : public ::testing::TestWithParam<GoldenCase> {
protected:
  Golden golden{std::get<0>(GetParam())};
  GoldenRun expected = golden.run(std::get<1>(GetParam()));
};
/// model
class GradientParity : public ::testing::TestWithParam<const char *> {};

TEST_P(LossParity, FollowsPyTorch) {
  auto model = golden.model();
  ASSERT_TRUE(model) << model.error().text();
  Status status = follow(golden, expected, *model, golden.parameters(), expected.losses, 1e-4,
                         makeReferenceRunner);
  ASSERT_TRUE(status) << status.error().text();
}

TEST(MixedParity, FollowsAutocast) {
  for (const MixedCase &mixed : mixedCases()) {
    SCOPED_TRACE(mixed.model);
    Status status = followMixed(mixed, mixed.steps, makeReferenceRunner);
    ASSERT_TRUE(status) << status.error().text();
  }
}

/// Without f32's rounding what remains is that of the learning rate, which is an f32: a formula
/// that is slightly off has no place to hide.
TEST_P(LossParity, FollowsPyTorchCloselyInF64) {
  auto narrow = golden.model();
  ASSERT_TRUE(narrow) << narrow.error().text();
  // Infinities are written as the bits of their type.
  std::string text = std::regex_replace(narrow->text(), std::regex("f32"), "f64");
  text = std::regex_replace(text, std::regex("0xFF800000"), "0xFFF0000000000000");
  auto model = Model::parse(text);
  ASSERT_TRUE(model) << model.error().text();
  NamedTensors parameters = golden.parameters();
  for (auto &[name, value] : parameters)
    value = inType(value, ElementType::F64);
  // A centered mean square is a difference of nearly equal numbers, which magnifies what f64
  // rounds.
  const double tolerance = expected.options.centered ? 1e-6 : 1e-7;
  Status status = follow(golden, expected, *model, parameters, expected.exactLosses, tolerance,
                         makeReferenceRunner);
  ASSERT_TRUE(status) << status.error().text();
}

TEST_P(GradientParity, FirstGradientsArePyTorchs) {
  Golden golden(GetParam());
  auto model = golden.model();
  ASSERT_TRUE(model) << model.error().text();
  auto module = withGradients(*model);
  ASSERT_TRUE(module) << module.error().text();
  ReferenceRunner runner(std::move(*module), "gradients");
  Status status = expectFirstGradients(golden, golden.run("plain"), runner);
  ASSERT_TRUE(status) << status.error().text();
}

/// Gradients of rounded factors are near PyTorch's in f64, that of every parameter.
TEST(MixedParity, FirstGradientsAreNear) {
  for (const MixedCase &mixed : mixedCases()) {
    SCOPED_TRACE(mixed.model);
    Golden golden(mixed.model);
    const GoldenRun expected = golden.run("bf16");
    auto model = golden.model();
    ASSERT_TRUE(model) << model.error().text();
    auto module = withGradients(*model, expected.options);
    ASSERT_TRUE(module) << module.error().text();
    ReferenceRunner runner(std::move(*module), "gradients");
    Status status = expectFirstGradients(golden, expected, runner, 2e-2);
    ASSERT_TRUE(status) << status.error().text();
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, LossParity, ::testing::ValuesIn(everyGoldenRun()), nameOf);
INSTANTIATE_TEST_SUITE_P(Sequences, LossParity,
                         ::testing::Combine(::testing::Values("gru", "grouped", "experts"),
                                            ::testing::Values("plain", "clip", "accumulate")),
                         nameOf);
INSTANTIATE_TEST_SUITE_P(Images, LossParity,
                         ::testing::ValuesIn(everyRunOf({"cnn", "separable", "transposed"})),
                         nameOf);
INSTANTIATE_TEST_SUITE_P(Golden, GradientParity,
                         ::testing::Values("gpt", "mlp", "cnn", "separable", "transposed", "gru",
                                           "grouped", "experts"),
                         [](const auto &test) { return std::string(test.param); });

} // namespace
} // namespace ingot::testing
