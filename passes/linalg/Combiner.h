/// How reductions take in elements, and how their partial results are joined.
#pragma once
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace ingot {

/// The op by which output `output` of a reduction takes in one more element, if partial results may
/// be formed side by side: `x + sum`, `max(x, most)`, …, or `fma(x, y, sum)`. Null if the body does
/// more with its accumulator.
mlir::Operation *combinerOf(mlir::linalg::LinalgOp op, unsigned output);

/// True if the combiner adds: floats, or products of floats.
bool addsUp(mlir::Operation *combiner);

/// The value that changes nothing when it is combined.
mlir::TypedAttr neutralElement(mlir::Operation *combiner);

/// Two partial results, of any one scalar or vector type, as one.
mlir::Value combinePartials(mlir::OpBuilder &builder, mlir::Operation *combiner, mlir::Value left,
                            mlir::Value right);

} // namespace ingot
