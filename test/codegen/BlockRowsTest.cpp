/// Blocks of rows, written out and as a loop.
#include "codegen/Compile.h"
#include "codegen/RunStages.h"
#include "frontend/api/ModelModule.h"
#include "frontend/builder/Builder.h"
#include "ir/dialect/Graph.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Passes.h"
#include "runtime/program/Device.h"
#include "test/codegen/CompiledKernel.h"
#include <cstring>
#include <gtest/gtest.h>
#include <map>

namespace ingot::test {
namespace {

constexpr int64_t rows = 128, features = 24, width = 40, classes = 512, blocks = 8;

Result<Model> classifier() {
  Builder b;
  auto x = b.input("x", ElementType::F32, {rows, features});
  auto hidden = b.relu(b.linear(x, b.parameter("in", {width, features}, Initializer::normal(0.3))));
  b.output("logits",
           b.linear(hidden, b.parameter("out", {classes, width}, Initializer::normal(0.3)),
                    b.parameter("bias", {classes}, Initializer::normal(0.3))));
  return b.finish();
}

/// The loss of a step and the parameters after it.
Status train(int64_t writtenOut, uint64_t seed, std::map<std::string, Tensor> &seen) {
  INGOT_ASSIGN(Model model, classifier());
  CompileOptions options;
  options.training = TrainingOptions();
  options.training->loss = Loss::CrossEntropy;
  options.training->optimizer = TrainingOptions::Optimizer::Sgd;
  INGOT_ASSIGN(auto module, runStages(Stage::Train, moduleOf(model), options));
  mlir::PassManager passes(module->getContext());
  buildTrialPreparation(passes);
  passes.addPass(createBlockRows({rows * classes * 4 / blocks, writtenOut}));
  passes.addPass(createVerifyStage({std::string(enumName(Stage::Linalg))}));
  if (failed(passes.run(*module)))
    return failure(Error::Code::Internal, "", "the passes fail");
  module->getOperation()->setAttr("graph.stage",
                                  mlir::StringAttr::get(module->getContext(), "linalg"));
  int64_t loops = 0, contractions = 0;
  module->lookupSymbol<mlir::func::FuncOp>("step").walk([&](mlir::Operation *op) {
    loops += mlir::isa<graph::LoopOp>(op);
    contractions += mlir::isa<graph::ContractOp>(op);
  });
  const bool isLoop = writtenOut < blocks;
  EXPECT_EQ(loops, isLoop ? 1 : 0);
  EXPECT_EQ(contractions, 2 + 3 * (isLoop ? 1 : blocks)); // the first layer's and its gradient's

  INGOT_ASSIGN(Program program, compile(*module, {}));
  INGOT_ASSIGN(auto device, openDevice("cpu", {}));
  INGOT_ASSIGN(auto session, device->load(std::make_shared<Program>(std::move(program))));
  Tensor targets(ElementType::I32, {rows}), rate(ElementType::F32, {});
  for (int64_t row = 0; row < rows; ++row)
    targets.as<int32_t>()[row] = int32_t((seed + row * row * 31) % classes);
  rate.as<float>()[0] = 1e-2F;
  const std::vector<std::pair<std::string, Shape>> parameters = {
      {"in", {width, features}}, {"out", {classes, width}}, {"bias", {classes}}};
  for (const auto &[name, shape] : parameters)
    INGOT_TRY(session->write("step", name, randomTensor(ElementType::F32, shape, seed++)));
  INGOT_TRY(session->write("step", "x", randomTensor(ElementType::F32, {rows, features}, seed)));
  INGOT_TRY(session->write("step", "targets", targets));
  INGOT_TRY(session->write("step", "learning_rate", rate));
  INGOT_TRY(session->run("step"));
  for (const char *name : {"loss", "in", "out", "bias"}) {
    INGOT_ASSIGN(Tensor value, session->read("step", name));
    seen.emplace(name, std::move(value));
  }
  return {};
}

TEST(BlockRows, ALoopGivesTheSameSums) {
  const uint64_t seed = testSeed();
  std::map<std::string, Tensor> written, looped;
  Status status = train(blocks, seed, written);
  ASSERT_TRUE(status) << status.error().text();
  status = train(blocks - 1, seed, looped);
  ASSERT_TRUE(status) << status.error().text();
  ASSERT_EQ(written.size(), looped.size());
  // What is added up block by block has the same bits. A later sum over all rows reads the pieces
  // of a concatenation in the one form, whole memory in the other.
  for (const char *name : {"out", "bias"}) {
    const Tensor &a = written.at(name), &b = looped.at(name);
    EXPECT_EQ(std::memcmp(a.data(), b.data(), a.bytes()), 0) << name;
  }
  for (const auto &[name, a] : written)
    for (int64_t i = 0; i < a.size(); ++i)
      ASSERT_NEAR(elementAt(a, i), elementAt(looped.at(name), i), 1e-5) << name << " " << i;
}

} // namespace
} // namespace ingot::test
