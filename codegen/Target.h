/// The targets that code can be generated for.
#pragma once
#include "passes/Backend.h"
#include "runtime/support/Result.h"
#include <memory>

namespace ingot {

/// The backend of a `--target`: `cpu` (this machine), `cpu:NAME` or `cuda:ARCHITECTURE`.
Result<std::shared_ptr<const Backend>> parseTarget(const std::string &text);

} // namespace ingot
