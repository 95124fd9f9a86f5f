#include "passes/Pipeline.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Passes.h"
#include "passes/schedule/ScheduleKernels.h"
#include "passes/training/Training.h"
#include <array>

using namespace mlir;

namespace ingot {
namespace {

void simplify(OpPassManager &passes) {
  // There is no control flow between blocks to simplify, and looking for it takes a fifth of a
  // large step's `linalg`.
  passes.addPass(createCanonicalizerPass(
      GreedyRewriteConfig().setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled)));
  passes.addPass(createCSEPass());
}

/// The model as it was built or imported: shapes known, shape arithmetic folded, what was written
/// out raised.
void graphStage(OpPassManager &passes) {
  simplify(passes);
  // Must run after the clean-up, which leaves one form of constants, broadcasts and equal values.
  passes.addPass(createRaiseComposites());
}

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
void toLinalg(OpPassManager &passes) {
  passes.addPass(createGraphToLinalg());
  // Must run before anything is cut into blocks or cloned because whether a product is fused into
  // a sum follows from its uses.
  passes.addPass(createContractArithmetic());
  simplify(passes);
}

/// What is not stored whole.
void blockRows(OpPassManager &passes, const MemoryOptions &memory, const TargetCosts &costs) {
  passes.addPass(createBlockRows({memory.largestTensor.value_or(costs.largestTensor)}));
}

/// What is not kept for the backward pass. Must run after block-rows because a block's weight
/// gradient reads the layer's input in place.
void recompute(OpPassManager &passes, const MemoryOptions &memory, const TargetCosts &costs) {
  passes.addPass(createRecompute(costs, {memory.leastRecomputed.value_or(costs.recomputedTogether),
                                         memory.smallestRecomputed.value_or(costs.worthRecomputing),
                                         memory.heavyRecomputed, memory.checkpointStride}));
}

/// From here on entry functions only call kernels; identical kernels are one function.
void kernelsStage(OpPassManager &passes, const TargetCosts &costs, KernelCache *known = nullptr) {
  passes.addPass(createFormKernels(costs, {}, known));
}

/// From here on every kernel has a schedule: how it runs on the target. Bodies are still tensors.
void scheduleStage(OpPassManager &passes, const Backend &backend, const BlockChoices &blocks,
                   bool packWeights, KernelCache *known = nullptr) {
  // Must run before anything is chosen by a kernel's name because packed ones have names of their
  // own.
  if (packWeights)
    passes.addPass(createPackWeights(backend));
  if (!blocks.empty()) {
    ChooseBlocksOptions options;
    for (const auto &[kernel, choice] : blocks)
      options.choices.push_back(kernel + ":" + choice.text());
    passes.addPass(createChooseBlocks(options));
  }
  passes.addPass(createScheduleKernels(backend, known));
}

/// From here on every tensor of an entry function is a place in the arena.
void planStage(OpPassManager &passes) { passes.addPass(createPlanMemory()); }

/// From here on kernels are loops on memory. For people who look and for modules that go on from
/// here: a compilation emits what no cache has (codegen/KernelCode.h).
void loopsStage(OpPassManager &passes, const Backend &backend) {
  passes.addPass(createLowerKernels(backend));
}

} // namespace

Result<Stage> parseStage(std::string_view text) {
  if (std::optional<Stage> stage = parseEnum<Stage>(text))
    return *stage;
  return failure(Error::Code::Usage, "stage", "unknown stage '{}'; stages are {}", text,
                 fmt::join(enumNames(Stage()), ", "));
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
    toLinalg(passes);
    blockRows(passes, memory, backend.costs());
    recompute(passes, memory, backend.costs());
    break;
  case Stage::Kernels:
    kernelsStage(passes, backend.costs());
    break;
  case Stage::Schedule:
    scheduleStage(passes, backend, blocks, memory.packWeights);
    break;
  case Stage::Plan:
    planStage(passes);
    break;
  case Stage::Loops:
    loopsStage(passes, backend);
    break;
  case Stage::Llvm:
  case Stage::Ptx:
  case Stage::Program:
    llvm_unreachable("kernels are compiled one by one");
  }
  passes.addPass(createVerifyStage({std::string(enumName(stage))}));
}

void buildTrialPreparation(OpPassManager &passes) { toLinalg(passes); }

void buildTrialBlocks(OpPassManager &passes, const MemoryOptions &memory, const Backend &backend) {
  blockRows(passes, memory, backend.costs());
}

void buildTrialKernels(OpPassManager &passes, const MemoryOptions &memory, const Backend &backend,
                       KernelCache &known) {
  recompute(passes, memory, backend.costs());
  kernelsStage(passes, backend.costs(), &known);
  scheduleStage(passes, backend, {}, /*packWeights=*/false, &known);
}

} // namespace ingot
