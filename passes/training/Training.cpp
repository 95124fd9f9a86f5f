#include "passes/training/Training.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Passes.h"

using namespace mlir;

namespace ingot {

static void addCleanup(OpPassManager &passes) {
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
}

void buildGradientPipeline(OpPassManager &passes, TrainingOptions::Loss loss) {
  passes.addPass(createAddLoss({loss}));
  passes.addPass(createDifferentiate());
  addCleanup(passes);
}

void buildTrainingPipeline(OpPassManager &passes, const TrainingOptions &options) {
  buildGradientPipeline(passes, options.loss);
  // Must run after the clean-up because a bucket is placed behind the last use of its parameters.
  passes.addPass(
      createAddOptimizer({options.optimizer, options.beta1, options.beta2, options.epsilon,
                          options.decay(), options.momentum, options.clip, options.accumulate}));
  passes.addPass(createAddInitializers());
  addCleanup(passes);
}

} // namespace ingot
