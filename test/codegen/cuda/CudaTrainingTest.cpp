/// Whole training steps as PTX on the PTX machine, all checks on, against PyTorch's recorded
/// curves.
#include "codegen/Compile.h"
#include "test/codegen/CompiledKernel.h"
#include "test/codegen/cuda/EmulatedProgram.h"
#include "test/golden/Follow.h"

namespace ingot::testing {
namespace {

class EmulatedRunner : public StepRunner {
public:
  explicit EmulatedRunner(std::unique_ptr<test::EmulatedProgram> program)
      : program(std::move(program)) {}
  Status write(const std::string &name, const Tensor &value) override {
    return (*program)->write("step", name, value);
  }
  Status run() override { return (*program)->run("step"); }
  Result<Tensor> read(const std::string &name) override { return (*program)->read("step", name); }

private:
  std::unique_ptr<test::EmulatedProgram> program;
};

Result<std::unique_ptr<StepRunner>> makeStep(const Model &model, const TrainingOptions &training) {
  CompileOptions options;
  options.training = training;
  options.target = "cuda:sm_80";
  INGOT_ASSIGN(Program program, compile(moduleOf(model), options));
  INGOT_ASSIGN(auto loaded, test::EmulatedProgram::load(std::move(program), test::testSeed()));
  return std::make_unique<EmulatedRunner>(std::move(loaded));
}

class CudaTraining : public ::testing::TestWithParam<GoldenCase> {};

TEST_P(CudaTraining, FollowsPyTorch) {
  Golden golden(std::get<0>(GetParam()));
  GoldenRun expected = golden.run(std::get<1>(GetParam()));
  constexpr size_t steps = 10; // the machine is slow
  expected.losses.resize(std::min(steps, expected.losses.size()));
  auto model = golden.model();
  ASSERT_TRUE(model) << model.error().text();
  Status status =
      follow(golden, expected, *model, golden.parameters(), expected.losses, 1e-4, makeStep);
  ASSERT_TRUE(status) << status.error().text();
}

INSTANTIATE_TEST_SUITE_P(Golden, CudaTraining, ::testing::ValuesIn(everyRunOf({"gpt", "mlp"})),
                         nameOf);

} // namespace
} // namespace ingot::testing
