/// The scatter_add or dynamic_update_slice of a scatter kernel.
#pragma once
#include "codegen/kernel/ScheduleBuilder.h"
#include "ir/dialect/Graph.h"

namespace ingot {

/// The result is [outer, size, inner], the updates [outer, count, inner], with rows of `size` that
/// indices name, or that follow a first one.
struct ScatterShape {
  explicit ScatterShape(mlir::Operation *op);

  mlir::Value base, indices, updates;
  mlir::RankedTensorType type, indexType;
  bool adds = true;  ///< and names each row by an index
  int64_t count = 0; ///< of rows that are written
  int64_t outer = 1, size = 1, inner = 1;

  /// The operand that the base is, if it is one; the result may lie in its place where the emitted
  /// code then leaves out copying it.
  mlir::BlockArgument baseOperand() const;
  /// The last row that an index may name.
  int64_t lastRow() const { return adds ? size - 1 : size - count; }
  double written() const { return double(outer) * double(count) * double(inner); }
  double flops() const { return adds ? written() : 0; }
  /// Updates are read once, their places in the result read and written; so it is in place.
  double bytes() const;
};

/// The op that a scatter kernel returns; null after a diagnostic.
mlir::Operation *scatterOf(mlir::func::FuncOp kernel);

/// Notes what the base, the indices and the updates read.
llvm::LogicalResult accessScatter(mlir::func::FuncOp kernel, const ScatterShape &shape,
                                  int64_t lanes);

void shareBase(ScheduleBuilder &kernel, const ScatterShape &shape);

} // namespace ingot
