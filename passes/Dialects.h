/// The dialects that any stage of the pipeline may hold.
#pragma once
#include "mlir/IR/DialectRegistry.h"

namespace ingot {

/// Registers `graph` and the upstream dialects of the stages `graph` to `llvm`.
void registerDialects(mlir::DialectRegistry &registry);

} // namespace ingot
