/// Conversions of narrow floats as integer arithmetic.
#pragma once
#include "mlir/IR/Operation.h"

namespace ingot {

/// On a function: an instruction of its target rounds f32 to bf16. It gives the bits that
/// `expandConversion` gives, but of NaN those that the target has for it.
constexpr llvm::StringLiteral roundsName = "kernel.rounds";

/// True for a conversion of the dialect arith that targets do by a library function that code on
/// its own does not have (`__truncsfbf2`), by an instruction that flushes subnormal numbers
/// (`vcvtneps2bf16`), or not at all: those of floats of one byte. LLVM moves values of bf16 vectors
/// about in f32 where code branches by lane, so widening them is one.
bool needsExpansion(mlir::Operation *op);

/// Its result. What is rounded is rounded once, to nearest even: subnormal results and overflow as
/// IEEE 754 says, or to NaN where a type has no infinity; NaN to a quiet NaN of the same sign.
mlir::Value expandConversion(mlir::Operation *op);

} // namespace ingot
