/// Values of a region that four neighbouring lanes share, as a block of random bits does: they are
/// computed once for the four.
#pragma once
#include "codegen/kernel/PointIndex.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace ingot {

/// What depends on `position / 4` alone, where lanes hold consecutive positions from a multiple of
/// four on, is a vector with one element for every four lanes. Ops stay what they are.
class QuadLanes {
public:
  using Lookup = llvm::function_ref<mlir::Value(mlir::Value)>;

  QuadLanes(mlir::OpBuilder &builder, int64_t lanes) : builder(builder), lanes(lanes) {}

  /// The value of a linalg.index of the region.
  void index(mlir::Value value, const PointIndex &position) { positions[value] = position; }
  /// Emits an op of the region if it can be computed once for four lanes; `lookup` gives what has
  /// been emitted for values that are not shared.
  bool emit(mlir::Operation &op, Lookup lookup);
  /// A value that `emit` took, in all lanes; null if it took none such.
  mlir::Value expanded(mlir::Value value);

private:
  static constexpr int64_t shared = 4;

  std::optional<PointIndex> positionOf(mlir::Value value) const;
  std::optional<PointIndex> positionOf(mlir::Operation &op) const;
  bool startsQuads(const PointIndex &position) const;
  mlir::Value quotient(mlir::Operation &op, const PointIndex &position);
  mlir::Value narrow(mlir::Value value);

  mlir::OpBuilder &builder;
  int64_t lanes;
  llvm::DenseMap<mlir::Value, PointIndex> positions;
  llvm::DenseMap<mlir::Value, mlir::Value> quads, full;
};

} // namespace ingot
