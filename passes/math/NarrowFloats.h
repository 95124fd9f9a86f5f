/// Conversions of narrow floats as integer arithmetic.
#pragma once
#include "mlir/Dialect/Arith/IR/Arith.h"

namespace ingot {

/// True if LLVM would do this conversion on some CPUs by a library function that code on its own
/// does not have (`__truncsfbf2`), or by an instruction that flushes subnormal numbers
/// (`vcvtneps2bf16`).
bool needsExpansion(mlir::arith::TruncFOp op);

/// The operand rounded once, to nearest even: subnormal results and overflow as IEEE 754 says, NaN
/// to a quiet NaN of the same sign.
mlir::Value expandNarrowing(mlir::arith::TruncFOp op);

/// True if the operand is bf16. LLVM moves values of bf16 vectors about in f32 where code branches
/// by lane, and then rounds them by `__truncsfbf2`.
bool needsExpansion(mlir::arith::ExtFOp op);

/// The operand as f32 or f64, exactly.
mlir::Value expandWidening(mlir::arith::ExtFOp op);

} // namespace ingot
