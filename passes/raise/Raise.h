/// What rows of raise-composites share: questions about what exporters write around a composite.
#pragma once
#include "ir/dialect/GraphBuilder.h"
#include "runtime/program/Tensor.h"
#include "llvm/ADT/DenseMap.h"
#include <optional>

namespace ingot {

/// The values that do not depend on a model's data. Computed by the reference where a pattern asks
/// for them, at most `largest` elements each.
class KnownValues {
public:
  static constexpr int64_t largest = 1 << 22;
  /// None where the value depends on data or is too large.
  std::optional<Tensor> find(mlir::Value value);
  /// Must be called before an op is erased.
  void forget(mlir::Operation *op) {
    for (mlir::Value result : op->getResults())
      known.erase(result);
  }

private:
  std::optional<Tensor> compute(mlir::Value value);
  llvm::DenseMap<mlir::Value, std::optional<Tensor>> known;
};

/// One row: gives what `op`'s only result may be replaced with, or null where it is not what the
/// row describes; then nothing was made.
struct RaiseRow {
  llvm::StringLiteral name;
  mlir::Value (*raise)(mlir::Operation *op, mlir::OpBuilder &builder, KnownValues &known);
};

llvm::ArrayRef<RaiseRow> functionRows();
llvm::ArrayRef<RaiseRow> lineRows();
llvm::ArrayRef<RaiseRow> attentionRows();

/// The element of a constant float whose elements are all equal.
std::optional<double> splatOf(mlir::Value value);
/// True for f32 and f64: what is narrower is rounded between the ops that a composite would join.
bool isWide(mlir::Value value);
/// `value` without reshapes: the same elements in row-major order.
mlir::Value skipReshapes(mlir::Value value);
/// Where `value` repeats something along `dimension` and only there: that, which has an element for
/// each line of `value` in row-major order, without reshapes. Null otherwise.
mlir::Value repeatedAlong(mlir::Value value, int64_t dimension);
/// Where `value` repeats a vector for all lines along its last dimension: that vector [n] or what
/// reshapes to it. Null otherwise.
mlir::Value repeatedForLines(mlir::Value value);
/// Where `value` is a number times something: both. A neg is a product with -1.
struct Scaled {
  mlir::Value value;
  double factor;
};
std::optional<Scaled> scaled(mlir::Value value);

} // namespace ingot
