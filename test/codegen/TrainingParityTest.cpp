/// Compiled training steps against PyTorch's recorded curves.
#include "codegen/Compile.h"
#include "runtime/program/Device.h"
#include "test/golden/Follow.h"
#include <numeric>

namespace ingot::testing {
namespace {

/// Runs one function of a compiled module on the CPU.
class CompiledRunner : public StepRunner {
public:
  static Result<std::unique_ptr<StepRunner>> make(mlir::ModuleOp module, std::string function,
                                                  const CompileOptions &options) {
    INGOT_ASSIGN(Program program, compile(module, options));
    auto runner = std::make_unique<CompiledRunner>();
    runner->function = std::move(function);
    INGOT_ASSIGN(runner->device, openDevice("cpu", {}));
    INGOT_ASSIGN(runner->session,
                 runner->device->load(std::make_shared<Program>(std::move(program))));
    return runner;
  }

  Status write(const std::string &name, const Tensor &value) override {
    return session->write(function, name, value);
  }
  Status run() override { return session->run(function); }
  Result<Tensor> read(const std::string &name) override { return session->read(function, name); }

private:
  std::string function;
  std::unique_ptr<Device> device;
  std::unique_ptr<Session> session;
};

Result<std::unique_ptr<StepRunner>> makeStep(const Model &model, const TrainingOptions &options) {
  CompileOptions compile;
  compile.training = options;
  return CompiledRunner::make(moduleOf(model), "step", compile);
}

/// The model's output and what is as large, in blocks.
Result<std::unique_ptr<StepRunner>> makeStepInBlocks(const Model &model,
                                                     const TrainingOptions &options) {
  CompileOptions compile;
  compile.training = options;
  for (const ModelPort &port : model.ports())
    if (port.role == Role::Output)
      compile.memory.largestTensor =
          std::accumulate(port.shape.begin(), port.shape.end(), int64_t(4), std::multiplies()) / 3;
  return CompiledRunner::make(moduleOf(model), "step", compile);
}

class CompiledParity : public ::testing::TestWithParam<GoldenCase> {};
class CompiledRecomputation : public ::testing::TestWithParam<GoldenCase> {};
/// model
class CompiledGradients : public ::testing::TestWithParam<const char *> {};

TEST_P(CompiledParity, FollowsPyTorch) {
  Golden golden(std::get<0>(GetParam()));
  GoldenRun expected = golden.run(std::get<1>(GetParam()));
  auto model = golden.model();
  ASSERT_TRUE(model) << model.error().text();
  Status status =
      follow(golden, expected, *model, golden.parameters(), expected.losses, 1e-4, makeStep);
  ASSERT_TRUE(status) << status.error().text();
}

TEST_P(CompiledParity, FollowsPyTorchInBlocks) {
  Golden golden(std::get<0>(GetParam()));
  GoldenRun expected = golden.run(std::get<1>(GetParam()));
  auto model = golden.model();
  ASSERT_TRUE(model) << model.error().text();
  Status status = follow(golden, expected, *model, golden.parameters(), expected.losses, 1e-4,
                         makeStepInBlocks);
  ASSERT_TRUE(status) << status.error().text();
}

/// A runner that notes the losses it gives.
class NotingRunner : public StepRunner {
public:
  NotingRunner(std::unique_ptr<StepRunner> runner, std::vector<double> &losses)
      : runner(std::move(runner)), losses(losses) {}
  Status write(const std::string &name, const Tensor &value) override {
    return runner->write(name, value);
  }
  Status run() override { return runner->run(); }
  Result<Tensor> read(const std::string &name) override {
    INGOT_ASSIGN(Tensor value, runner->read(name));
    losses.push_back(graph::load<double>(value)[0]);
    return value;
  }

private:
  std::unique_ptr<StepRunner> runner;
  std::vector<double> &losses;
};

TEST_P(CompiledRecomputation, GivesTheSameBits) {
  Golden golden(std::get<0>(GetParam()));
  GoldenRun expected = golden.run(std::get<1>(GetParam()));
  auto model = golden.model();
  ASSERT_TRUE(model) << model.error().text();
  auto maker = [&](const MemoryOptions &memory, std::vector<double> &losses) {
    return
        [&losses, memory](const Model &model,
                          const TrainingOptions &training) -> Result<std::unique_ptr<StepRunner>> {
          CompileOptions options;
          options.training = training;
          options.memory = memory;
          INGOT_ASSIGN(auto runner, CompiledRunner::make(moduleOf(model), "step", options));
          return std::make_unique<NotingRunner>(std::move(runner), losses);
        };
  };
  std::vector<double> kept, again;
  ASSERT_TRUE(
      follow(golden, expected, *model, golden.parameters(), expected.losses, 1, maker({}, kept)));
  ASSERT_EQ(kept.size(), expected.losses.size());
  for (int64_t stride : {1, 2, 4}) {
    again.clear();
    MemoryOptions all;
    all.leastRecomputed = all.smallestRecomputed = 1;
    all.heavyRecomputed = 1000;
    all.checkpointStride = stride;
    ASSERT_TRUE(follow(golden, expected, *model, golden.parameters(), expected.losses, 1,
                       maker(all, again)));
    EXPECT_EQ(again, kept) << "stride " << stride;
  }
}

TEST_P(CompiledGradients, FirstArePyTorchs) {
  Golden golden(GetParam());
  auto model = golden.model();
  ASSERT_TRUE(model) << model.error().text();
  auto module = withGradients(*model);
  ASSERT_TRUE(module) << module.error().text();
  auto runner = CompiledRunner::make(**module, "gradients", {});
  ASSERT_TRUE(runner) << runner.error().text();
  Status status = expectFirstGradients(golden, golden.run("plain"), **runner);
  ASSERT_TRUE(status) << status.error().text();
}

INSTANTIATE_TEST_SUITE_P(Golden, CompiledParity, ::testing::ValuesIn(everyGoldenRun()), nameOf);
INSTANTIATE_TEST_SUITE_P(Images, CompiledParity,
                         ::testing::ValuesIn(everyRunOf({"cnn", "separable", "transposed"})),
                         nameOf);
INSTANTIATE_TEST_SUITE_P(Golden, CompiledRecomputation,
                         ::testing::Combine(::testing::Values("gpt", "mlp"),
                                            ::testing::Values("plain", "accumulate")),
                         nameOf);
INSTANTIATE_TEST_SUITE_P(Golden, CompiledGradients,
                         ::testing::Values("gpt", "mlp", "cnn", "separable", "transposed"),
                         [](const auto &test) { return std::string(test.param); });

} // namespace
} // namespace ingot::testing
