/// Compiled training steps against PyTorch's recorded curves.
#include "codegen/Compile.h"
#include "frontend/ModelModule.h"
#include "runtime/Device.h"
#include "test/golden/Follow.h"

namespace ingot::testing {
namespace {

class CompiledRunner : public StepRunner {
public:
  static Result<std::unique_ptr<StepRunner>> make(const Model &model,
                                                  const TrainingOptions &options) {
    INGOT_ASSIGN(Program program, compile(moduleOf(model), {.training = options}));
    auto runner = std::make_unique<CompiledRunner>();
    INGOT_ASSIGN(runner->device, openDevice("cpu", {}));
    INGOT_ASSIGN(runner->session,
                 runner->device->load(std::make_shared<Program>(std::move(program))));
    return runner;
  }

  Status write(const std::string &name, const Tensor &value) override {
    return session->write("step", name, value);
  }
  Status run() override { return session->run("step"); }
  Result<Tensor> read(const std::string &name) override { return session->read("step", name); }

private:
  std::unique_ptr<Device> device;
  std::unique_ptr<Session> session;
};

/// (model, run)
class CompiledParity : public ::testing::TestWithParam<std::tuple<const char *, const char *>> {};

TEST_P(CompiledParity, FollowsPyTorch) {
  Golden golden(std::get<0>(GetParam()));
  GoldenRun expected = golden.run(std::get<1>(GetParam()));
  auto model = golden.model();
  ASSERT_TRUE(model) << model.error().text();
  Status status = follow(golden, expected, *model, golden.parameters(), expected.losses, 1e-4,
                         CompiledRunner::make);
  ASSERT_TRUE(status) << status.error().text();
}

INSTANTIATE_TEST_SUITE_P(Golden, CompiledParity,
                         ::testing::Combine(::testing::Values("gpt", "mlp"),
                                            ::testing::Values("plain", "decay", "clip",
                                                              "accumulate", "sgd")),
                         [](const auto &test) {
                           return std::string(std::get<0>(test.param)) + "_" +
                                  std::get<1>(test.param);
                         });

} // namespace
} // namespace ingot::testing
