/// The rule of pass contract-arithmetic, which kernels of optimizer updates follow too.
#pragma once
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace ingot {

/// Makes fused multiply-adds and reciprocals explicit where fast-math flags allow them, then drops
/// the flags. linalg/Passes.td (contract-arithmetic) states the rule.
void contractArithmetic(mlir::func::FuncOp function);

} // namespace ingot
