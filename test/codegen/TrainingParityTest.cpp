/// Compiled training steps against PyTorch's recorded curves.
#include "codegen/Compile.h"
#include "passes/training/MicroBatches.h"
#include "runtime/program/Device.h"
#include "test/golden/Follow.h"
#include <cstring>
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

TEST(CompiledMixedParity, FollowsAutocast) {
  for (const MixedCase &mixed : mixedCases())
    for (const MakeStepRunner &make :
         {MakeStepRunner(makeStep), MakeStepRunner(makeStepInBlocks)}) {
      SCOPED_TRACE(mixed.model);
      Status status = followMixed(mixed, mixed.steps, make);
      ASSERT_TRUE(status) << status.error().text();
    }
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

/// model
class MicroBatchForms : public ::testing::TestWithParam<const char *> {
protected:
  static constexpr int64_t count = 6;

  /// Losses and norms of three steps, then parameters.
  std::vector<Tensor> train(int64_t mostWrittenOut) {
    std::vector<Tensor> seen;
    Status status = train(mostWrittenOut, seen);
    EXPECT_TRUE(status) << status.error().text();
    return seen;
  }

private:
  Status train(int64_t mostWrittenOut, std::vector<Tensor> &seen) {
    Golden golden(GetParam());
    INGOT_ASSIGN(Model model, golden.model());
    mlir::OwningOpRef<mlir::ModuleOp> module = moduleOf(model).clone();
    mlir::PassManager passes(module->getContext());
    buildGradientPipeline(passes, TrainingOptions());
    AddOptimizerOptions options;
    options.accumulate = count;
    options.clip = 0.5;
    passes.addPass(createAddOptimizer(options, mostWrittenOut));
    if (failed(passes.run(*module)))
      return failure(Error::Code::Internal, "", "the passes fail");
    bool hasLoop = false;
    module->walk([&](graph::LoopOp loop) { hasLoop |= loop.getConstantTripCount() == count; });
    EXPECT_EQ(hasLoop, count > mostWrittenOut);
    INGOT_ASSIGN(auto runner, CompiledRunner::make(*module, "step", {}));
    const NamedTensors parameters = golden.parameters();
    for (const auto &[name, value] : parameters)
      INGOT_TRY(runner->write(name, value));
    INGOT_TRY(runner->write("learning_rate", scalar(ElementType::F32, 1e-2)));
    for (int64_t index = 0; index < 3; ++index) {
      for (const auto &[name, value] : golden.batch(index, count))
        INGOT_TRY(runner->write(name, value));
      Tensor step(ElementType::I64, {});
      step.as<int64_t>()[0] = index;
      INGOT_TRY(runner->write("step", step));
      INGOT_TRY(runner->run());
      for (const char *name : {"loss", "gradient_norm"}) {
        INGOT_ASSIGN(Tensor value, runner->read(name));
        seen.push_back(value);
      }
    }
    for (const auto &[name, value] : parameters) {
      INGOT_ASSIGN(Tensor after, runner->read(name));
      seen.push_back(after);
    }
    return {};
  }
};

TEST_P(MicroBatchForms, GiveTheSameBits) {
  const std::vector<Tensor> written = train(count), looped = train(count - 1);
  ASSERT_GT(written.size(), 6u);
  ASSERT_EQ(written.size(), looped.size());
  for (size_t i = 0; i < written.size(); ++i)
    EXPECT_EQ(std::memcmp(written[i].data(), looped[i].data(), written[i].bytes()), 0) << i;
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
INSTANTIATE_TEST_SUITE_P(Sequences, CompiledParity,
                         ::testing::Combine(::testing::Values("gru", "grouped", "experts"),
                                            ::testing::Values("plain", "clip", "accumulate")),
                         nameOf);
INSTANTIATE_TEST_SUITE_P(Images, CompiledParity,
                         ::testing::ValuesIn(everyRunOf({"cnn", "separable", "transposed"})),
                         nameOf);
INSTANTIATE_TEST_SUITE_P(Golden, CompiledRecomputation,
                         ::testing::Combine(::testing::Values("gpt", "mlp"),
                                            ::testing::Values("plain", "accumulate", "bf16")),
                         nameOf);
INSTANTIATE_TEST_SUITE_P(Golden, MicroBatchForms, ::testing::Values("gpt", "mlp", "gru", "grouped"),
                         [](const auto &test) { return std::string(test.param); });
INSTANTIATE_TEST_SUITE_P(Golden, CompiledGradients,
                         ::testing::Values("gpt", "mlp", "cnn", "separable", "transposed", "gru",
                                           "grouped", "experts"),
                         [](const auto &test) { return std::string(test.param); });

} // namespace
} // namespace ingot::testing
