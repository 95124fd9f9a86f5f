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
  return fmt::format("{};{};{}", group.pattern, group.rateFactor, decay);
}

static void addCleanup(OpPassManager &passes) {
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
}

void buildGradientPipeline(OpPassManager &passes, const TrainingOptions &options) {
  passes.addPass(
      createAddLoss({options.loss, options.lossWeights, options.classAxis, options.output}));
  passes.addPass(createDifferentiate());
  addCleanup(passes);
}

void buildTrainingPipeline(OpPassManager &passes, const TrainingOptions &options) {
  buildGradientPipeline(passes, options);
  const TrainingOptions numbers = options.resolved();
  // Must run after the clean-up because a bucket is placed behind the last use of its parameters.
  passes.addPass(createAddOptimizer(
      {std::string(enumName(options.optimizer)), numbers.beta1, numbers.beta2.value_or(0),
       numbers.epsilon.value_or(0), *numbers.weightDecay, numbers.momentum, numbers.dampening,
       numbers.nesterov, numbers.alpha, numbers.centered, numbers.rho, numbers.rateDecay,
       numbers.momentumDecay, options.clip, options.accumulate,
       options.onNonFinite == OnNonFinite::Skip, options.gradients, /*watch=*/true,
       llvm::map_to_vector(options.groups, groupText)}));
  passes.addPass(createAddInitializers());
  addCleanup(passes);
}

} // namespace ingot
