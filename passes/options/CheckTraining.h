/// The numbers of training options that make sense.
#pragma once
#include "passes/options/TrainingOptions.h"
#include "runtime/support/Result.h"

namespace ingot {

/// The struct in which a C++ program sets an optimizer's numbers: `AdamW`.
std::string_view structOf(TrainingOptions::Optimizer optimizer);

/// A usage error that names the field which is out of range or not a number.
Status checkTraining(const TrainingOptions &options);

} // namespace ingot
