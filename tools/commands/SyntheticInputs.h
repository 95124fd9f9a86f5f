/// Inputs for runs of which only the time counts.
#pragma once
#include "runtime/program/Device.h"

namespace ingot {

/// Writes initial parameters, synthetic inputs and the scalars that a trainer feeds; the same at
/// every call.
Status fillSyntheticInputs(Session &session, const Function &function);

} // namespace ingot
