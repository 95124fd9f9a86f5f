/// Rounding to narrower floats as integer arithmetic.
#pragma once
#include "mlir/Dialect/Arith/IR/Arith.h"

namespace ingot {

/// True if no instruction of every target does this conversion: LLVM would call a library function
/// that code on its own does not have (`__truncsfbf2`), or an instruction that flushes subnormal
/// numbers (`vcvtneps2bf16`).
bool needsExpansion(mlir::arith::TruncFOp op);

/// The operand rounded once, to nearest even: subnormal results and overflow as IEEE 754 says, NaN
/// to a quiet NaN of the same sign.
mlir::Value expandNarrowing(mlir::arith::TruncFOp op);

} // namespace ingot
