/// Emitted kernels keep to their schedules: memory planning trusts nothing that is not checked
/// here.
#pragma once
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace ingot {

/// Checks the functions emitted for the launches of a scheduled kernel:
///
/// 1. There is one for each launch, with the memory and the scratch of the schedule.
/// 2. Scratch is used through views that lie within it, and nothing else is allocated or called.
/// 3. Of an operand that may share a result's memory, no point is read after that point of the
///    result (same_point), or any point of its row (same_row), was stored. A read must stand before
///    a store of the same point in one block, or before all stores of its row; every loop around
///    a store moves it, so that a point is stored once. Later launches read no such operand. What
///    cannot be seen to be so is refused.
llvm::LogicalResult verifyEmission(mlir::func::FuncOp kernel);

} // namespace ingot
