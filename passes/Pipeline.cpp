#include "passes/Pipeline.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Passes.h"
#include "passes/training/Training.h"
#include <array>

using namespace mlir;

namespace ingot {
namespace {

constexpr std::array<std::pair<Stage, std::string_view>, 7> stageNames = {
    {{Stage::Graph, "graph"},
     {Stage::Train, "train"},
     {Stage::Linalg, "linalg"},
     {Stage::Kernels, "kernels"},
     {Stage::Plan, "plan"},
     {Stage::Llvm, "llvm"},
     {Stage::Program, "program"}}};

void simplify(OpPassManager &passes) {
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
}

/// The model as it was built or imported: shapes known, shape arithmetic folded.
void graphStage(OpPassManager &passes) { simplify(passes); }

/// From here on the module holds the whole training step: loss, gradients, optimizer, initial
/// values.
void trainStage(OpPassManager &passes, const std::optional<TrainingOptions> &training) {
  if (training) {
    buildTrainingPipeline(passes, *training);
    simplify(passes);
  }
  // Must run where the reference can see it too, which interprets this stage.
  passes.addPass(createCheckIndices());
}

/// From here on everything but the named roots is linalg on tensors.
void linalgStage(OpPassManager &passes, const MemoryOptions &memory, const TargetCosts &costs) {
  passes.addPass(createGraphToLinalg());
  simplify(passes);
  passes.addPass(createBlockRows({memory.largestTensor.value_or(costs.largestTensor)}));
  // Must run after block-rows because a block's weight gradient reads the layer's input in place.
  passes.addPass(createRecompute(costs, {memory.leastRecomputed.value_or(costs.recomputedTogether),
                                         memory.smallestRecomputed.value_or(costs.worthRecomputing),
                                         memory.heavyRecomputed, memory.checkpointStride}));
}

/// From here on entry functions only call kernels; identical kernels are one function.
void kernelsStage(OpPassManager &passes, const TargetCosts &costs, const BlockChoices &blocks) {
  passes.addPass(createFormKernels(costs));
  if (blocks.empty())
    return;
  ChooseBlocksOptions options;
  for (const auto &[kernel, choice] : blocks)
    options.choices.push_back(kernel + ":" + choice.text());
  passes.addPass(createChooseBlocks(options));
}

/// From here on every tensor is a place in the arena. Kernels are lowered before planning, because
/// the planner needs to know what they may update in place and how much workspace they want.
void planStage(OpPassManager &passes, const Backend &backend) {
  passes.addPass(createLaunchKernels());
  backend.addLowering(passes);
  passes.addPass(createPlanMemory());
}

} // namespace

std::string_view name(Stage stage) { return stageNames[static_cast<size_t>(stage)].second; }

Result<Stage> parseStage(std::string_view text) {
  for (auto [stage, stageName] : stageNames)
    if (stageName == text)
      return stage;
  return failure(
      Error::Code::Usage, "--emit",
      "unknown stage '{}'; stages are graph, train, linalg, kernels, plan, llvm, program", text);
}

void buildStage(OpPassManager &passes, Stage stage, const std::optional<TrainingOptions> &training,
                const MemoryOptions &memory, const Backend &backend, const BlockChoices &blocks) {
  switch (stage) {
  case Stage::Graph:
    graphStage(passes);
    break;
  case Stage::Train:
    trainStage(passes, training);
    break;
  case Stage::Linalg:
    linalgStage(passes, memory, backend.costs());
    break;
  case Stage::Kernels:
    kernelsStage(passes, backend.costs(), blocks);
    break;
  case Stage::Plan:
    planStage(passes, backend);
    break;
  case Stage::Llvm:
  case Stage::Program:
    llvm_unreachable("kernels are compiled one by one");
  }
  passes.addPass(createVerifyStage({std::string(name(stage))}));
}

} // namespace ingot
