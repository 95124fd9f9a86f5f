/// From a model to a training step: stage `graph` to stage `train`.
#pragma once
#include "mlir/Pass/PassManager.h"
#include "passes/options/TrainingOptions.h"

namespace ingot {

/// @forward gets @init, @step and @evaluate (see add-loss, differentiate, add-optimizer and
/// add-initializers in training/Passes.td).
void buildTrainingPipeline(mlir::OpPassManager &passes, const TrainingOptions &options);

/// @forward gets @evaluate and `@gradients(parameters…, inputs…, targets…) -> (loss, gradients…)`.
void buildGradientPipeline(mlir::OpPassManager &passes, const TrainingOptions &options);

} // namespace ingot
