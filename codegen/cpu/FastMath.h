/// Uses up the fast-math licence of a lowered kernel.
#pragma once
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace ingot {

/// Writes the fused multiply-adds that `contract` allows and the reciprocals of divisors that are
/// the same in all lanes that `arcp` allows, then removes every fast-math flag: LLVM must not round
/// two copies of the same arithmetic (loop body, masked tail) differently.
void takeFastMath(mlir::func::FuncOp function);

} // namespace ingot
