/// How reductions take in elements, and how their partial results are joined.
#pragma once
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace ingot {

/// The op by which a reduction takes in one more element, if partial results may be formed side by
/// side: `x + sum`, `max(x, most)`, `fma(x, y, sum)`, … of one result, or `graph.combine` of all.
/// Null if the body does more with its accumulators.
mlir::Operation *combinerOf(mlir::linalg::LinalgOp op);

/// True if the combiner adds: floats, or products of floats.
bool addsUp(mlir::Operation *combiner);

/// The values that change nothing when they are combined, one a result.
llvm::SmallVector<mlir::TypedAttr> neutralElements(mlir::Operation *combiner);

/// Two partial results as one: scalars, or vectors of one shape.
llvm::SmallVector<mlir::Value> combinePartials(mlir::OpBuilder &builder, mlir::Operation *combiner,
                                               mlir::ValueRange left, mlir::ValueRange right);

} // namespace ingot
