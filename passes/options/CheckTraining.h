/// The numbers of training options that make sense.
#pragma once
#include "passes/options/TrainingOptions.h"
#include "runtime/support/Result.h"

namespace ingot {

/// The struct in which a C++ program sets an optimizer's numbers: `AdamW`.
std::string_view structOf(TrainingOptions::Optimizer optimizer);

/// The members of LossNumbers, and the class axis of TrainingOptions, that a loss has.
std::vector<std::string_view> numbersOf(Loss loss);

/// Whether a training's targets are class numbers.
bool hasClassTargets(const TrainingOptions &options);

/// A usage error that names a number of a loss which is out of range, or does nothing for it.
Status checkLoss(Loss loss, const LossNumbers &numbers);

/// A usage error that names the field which is out of range or not a number.
Status checkTraining(const TrainingOptions &options);

} // namespace ingot
