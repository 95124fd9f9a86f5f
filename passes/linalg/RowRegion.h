/// The ops that can run for a few rows of a large tensor at a time.
#pragma once
#include "passes/kernels/OpModel.h"
#include "llvm/ADT/MapVector.h"
#include <optional>
#include <vector>

namespace ingot {

/// Position of the only dimension that walks `loop`; none if there is none or several.
std::optional<int64_t> dimensionOf(const OpLoops::Dims &dims, int loop);

/// The ops that run in blocks with the seed, each with the loop that is cut.
class RowRegion {
public:
  explicit RowRegion(mlir::Value seed) : seed(seed) {}

  /// False if the ops cannot run block by block.
  bool grow(int64_t dimension);

  struct Member {
    OpLoops loops;
    int loop; ///< the one that is cut
  };
  bool contains(mlir::Operation *op) const { return members.contains(op); }
  const Member &member(mlir::Operation *op) const { return members.find(op)->second; }
  std::vector<mlir::Operation *> ops() const; ///< in program order
  /// The dimension of a member's result that is cut; none for sums over rows.
  std::optional<int64_t> cut(mlir::Value result) const {
    const Member &made = member(result.getDefiningOp());
    return dimensionOf(made.loops.result, made.loop);
  }
  /// Ops outside that need a member's result, directly or not, in program order.
  std::vector<mlir::Operation *> dependents() const;

private:
  mlir::Block *block() const { return mlir::Value(seed).getParentBlock(); }
  bool isLarge(mlir::Value value) const { return elementsOf(value) >= elementsOf(seed); }
  bool add(mlir::Operation *op, int loop);
  bool addReader(mlir::Operation *op);
  bool close();
  void follow();

  mlir::Value seed;
  llvm::MapVector<mlir::Operation *, Member> members;
};

} // namespace ingot
