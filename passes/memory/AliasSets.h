/// Which tensors of a function share memory, and at which distance: a union-find with offsets.
#pragma once
#include "mlir/IR/Value.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"

namespace ingot {

/// Every tensor lies in one alias set at a byte offset. Views, buckets and in-place updates
/// join sets at a distance; a set becomes one buffer of the arena.
class AliasSets {
public:
  struct Place {
    mlir::Value root;
    int64_t offset; ///< of the tensor, from the root's first byte; may be negative
  };

  /// Where a tensor lies; a tensor not seen before is a set of its own.
  Place find(mlir::Value value);

  /// Demands that `value` starts `distance` bytes after `anchor`. False if they already lie in one
  /// set at another distance.
  bool join(mlir::Value value, mlir::Value anchor, int64_t distance);

  /// The tensors of `value`'s set, in the order they were seen.
  llvm::ArrayRef<mlir::Value> members(mlir::Value value);

private:
  llvm::DenseMap<mlir::Value, Place> parents;
  llvm::DenseMap<mlir::Value, llvm::SmallVector<mlir::Value>> classes; // by root
};

} // namespace ingot
