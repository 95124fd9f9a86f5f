#include "passes/training/Training.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Passes.h"
#include "llvm/ADT/SmallVectorExtras.h"
#include <fmt/format.h>

using namespace mlir;

namespace ingot {

/// As the pass add-optimizer takes a group.
static std::string groupText(const ParameterGroup &group) {
  if (group.frozen)
    return group.pattern + ";frozen";
  std::string decay = group.weightDecay ? fmt::format("{}", *group.weightDecay) : "";
  return fmt::format("{};{};{}{}", group.pattern, group.rateFactor, decay,
                     group.adamw ? ";adamw" : "");
}

static void addCleanup(OpPassManager &passes) {
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
}

void buildGradientPipeline(OpPassManager &passes, const TrainingOptions &options) {
  // Must run before the loss is added: gradients are those of the rounded forward pass.
  if (options.dtype == TrainingOptions::Dtype::BF16)
    passes.addPass(createNarrowOperands());
  const LossNumbers &loss = options.lossNumbers;
  AddLossOptions addLoss;
  addLoss.loss = enumName(options.loss);
  addLoss.weights = options.lossWeights;
  addLoss.classAxis = options.classAxis;
  addLoss.output = options.output;
  addLoss.reduction = enumName(loss.reduction);
  addLoss.classWeights = llvm::to_vector(loss.classWeights);
  addLoss.labelSmoothing = loss.labelSmoothing;
  addLoss.softTargets = loss.softTargets;
  addLoss.logTargets = loss.logTargets;
  addLoss.beta = loss.beta;
  addLoss.delta = loss.delta;
  addLoss.margin = loss.margin;
  addLoss.power = loss.power;
  if (loss.ignoreIndex)
    addLoss.ignoreIndex = {*loss.ignoreIndex};
  passes.addPass(createAddLoss(std::move(addLoss)));
  passes.addPass(createDifferentiate());
  addCleanup(passes);
}

void buildTrainingPipeline(OpPassManager &passes, const TrainingOptions &options) {
  buildGradientPipeline(passes, options);
  const TrainingOptions numbers = options.resolved();
  // Must run after the clean-up because a bucket is placed behind the last use of its parameters.
  passes.addPass(createAddOptimizer({std::string(enumName(options.optimizer)),
                                     numbers.beta1,
                                     numbers.beta2.value_or(0),
                                     numbers.epsilon.value_or(0),
                                     *numbers.weightDecay,
                                     numbers.momentum.value_or(0),
                                     numbers.dampening,
                                     numbers.nesterov,
                                     numbers.alpha,
                                     numbers.centered,
                                     numbers.rho,
                                     numbers.rateDecay,
                                     numbers.momentumDecay,
                                     numbers.beta2Decay,
                                     numbers.leastScale,
                                     numbers.updateLimit,
                                     numbers.matchRms,
                                     options.clip,
                                     options.accumulate,
                                     options.onNonFinite == OnNonFinite::Skip,
                                     options.gradients,
                                     /*watch=*/true,
                                     llvm::map_to_vector(options.groups, groupText)}));
  passes.addPass(createAddInitializers());
  // Must run when all functions are there: they share what is kept.
  passes.addPass(createKeepRounded());
  addCleanup(passes);
}

} // namespace ingot
