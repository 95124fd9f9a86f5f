/// Something to compute on where only the time counts.
#pragma once
#include "runtime/program/Device.h"

namespace ingot {

/// Writes initial parameters, made-up inputs and the scalars that a trainer feeds; the same at
/// every call.
Status fillMadeUpInputs(Session &session, const Function &function);

} // namespace ingot
