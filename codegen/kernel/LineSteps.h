/// What scan and sort kernels compute with the elements of a line, for every target.
#pragma once
#include "codegen/kernel/ConvertFloat.h"
#include "codegen/kernel/PointEmitter.h"
#include "ir/dialect/GraphBuilder.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace ingot {

/// How running totals go on: scalars, or vectors of lines side by side.
struct ScanStep {
  ScanStep(IndexCode &code, graph::ScanOp op)
      : code(code), element(op.getType().getElementType()),
        total(valueType(graph::accumulationType(element))), kind(op.getKind()) {}

  /// The total of no elements; a vector if `lanes` is not 0.
  mlir::Value neutral(int64_t lanes = 0) const;
  mlir::Value combine(mlir::Value before, mlir::Value after) const;
  /// An element as a total, and a total as an element.
  mlir::Value widened(mlir::Value value) const { return converted(value, total); }
  mlir::Value narrowed(mlir::Value value) const { return converted(value, element); }

  IndexCode &code;
  const mlir::Type element, total;
  const graph::ReduceKind kind;

private:
  mlir::Value converted(mlir::Value value, mlir::Type type) const {
    return mlir::isa<mlir::FloatType>(type) ? convertFloat(code, value, type) : value;
  }
};

/// An integer of `type`, an i32 or i64 that holds all elements' bits, that is less than another's
/// where its element comes before the other in a sorted line.
mlir::Value sortKey(IndexCode &code, graph::SortOp op, mlir::Value element, mlir::IntegerType type);
/// The narrowest type of such integers.
mlir::IntegerType sortKeyType(graph::SortOp op);

/// A result of a sort kernel.
struct SortedResult {
  bool isPlaces = false; ///< that the elements had; else the elements
  int64_t size = 0;      ///< of a line: all of it, or its first elements
};
SortedResult sortedResult(mlir::func::FuncOp kernel, graph::SortOp op, unsigned result);

} // namespace ingot
