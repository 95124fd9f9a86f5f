/// The numbers of training options that make sense.
#pragma once
#include "passes/options/TrainingOptions.h"
#include "runtime/support/Result.h"

namespace ingot {

/// A usage error that names the field which is out of range or not a number.
Status checkTraining(const TrainingOptions &options);

} // namespace ingot
