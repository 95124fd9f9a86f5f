/// The reductions inside a row or column kernel, and how to run them on lanes.
#pragma once
#include "codegen/kernel/PointAccess.h"
#include "codegen/kernel/PointEmitter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace ingot {

/// A reduction whose partial results may be formed side by side and combined afterwards.
struct Reduction {
  mlir::linalg::LinalgOp op;
  mlir::Operation *combiner; ///< combines two partial results: add, max, … or tuples
  int level = 0;             ///< how many reductions it waits for in a row
  int64_t kept = 1;          ///< points of its result
  int64_t length = 1;        ///< elements that are combined into one

  unsigned outputs() const { return combiner->getNumResults(); }
  mlir::RankedTensorType type(unsigned output) const {
    return mlir::cast<mlir::RankedTensorType>(
        mlir::linalg::LinalgOp(op)->getResult(output).getType());
  }
};

/// The reductions that the kernel's results need, in body order. What cannot be combined out of
/// order is left out: `PointEmitter` reduces it at the point.
std::vector<Reduction> findReductions(mlir::func::FuncOp kernel);

/// Where a reduction stands: one position among the points it keeps, one in what it combines, both
/// in row-major order of their dimensions.
llvm::SmallVector<PointIndex> iterationOf(PointEmitter &points, const Reduction &reduction,
                                          const PointIndex &kept, const PointIndex &along);
llvm::SmallVector<PointIndex> iterationOf(PointAccess &points, const Reduction &reduction,
                                          const PointIndex &kept, const PointIndex &along);

/// Start values of all outputs, as scalars: combining with them changes nothing.
llvm::SmallVector<mlir::Value> neutral(PointEmitter &points, const Reduction &reduction);
/// One step: the region on these accumulators at an iteration point.
llvm::SmallVector<mlir::Value> accumulate(PointEmitter &points, const Reduction &reduction,
                                          llvm::ArrayRef<PointIndex> iteration,
                                          llvm::ArrayRef<mlir::Value> accumulators,
                                          mlir::Value mask);
/// Combines two partial results, one value an output, of any one scalar or vector type.
llvm::SmallVector<mlir::Value> combine(PointEmitter &points, const Reduction &reduction,
                                       mlir::ValueRange left, mlir::ValueRange right);
/// The lanes of partial results combined by a fixed tree: halves, quarters, …
llvm::SmallVector<mlir::Value> combineLanes(PointEmitter &points, const Reduction &reduction,
                                            mlir::ValueRange partials);
/// Notes what `withInitial` reads.
void accessInitial(PointAccess &points, const Reduction &reduction,
                   llvm::ArrayRef<PointIndex> iteration);
/// Combines finished sums with the reduction's own start values at that point.
llvm::SmallVector<mlir::Value> withInitial(PointEmitter &points, const Reduction &reduction,
                                           llvm::ArrayRef<PointIndex> iteration,
                                           mlir::ValueRange sums, mlir::Value mask);

} // namespace ingot
