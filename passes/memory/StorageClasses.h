/// Which tensors of a function share memory, and at which distance: a union-find with offsets.
#pragma once
#include "mlir/IR/Value.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"

namespace ingot {

/// Every tensor lies in one storage class at a byte offset. Views, buckets and in-place updates
/// join classes at a distance; a class becomes one buffer of the arena.
class StorageClasses {
public:
  struct Place {
    mlir::Value root;
    int64_t offset; ///< of the tensor, from the root's first byte; may be negative
  };

  /// Where a tensor lies; a tensor not seen before is its own class.
  Place find(mlir::Value value);

  /// Demands that `value` starts `distance` bytes after `anchor`. False if they already lie in one
  /// class at another distance.
  bool join(mlir::Value value, mlir::Value anchor, int64_t distance);

  /// The tensors of `value`'s class, in the order they were seen.
  llvm::ArrayRef<mlir::Value> members(mlir::Value value);

private:
  llvm::DenseMap<mlir::Value, Place> parents;
  llvm::DenseMap<mlir::Value, llvm::SmallVector<mlir::Value>> classes; // by root
};

/// Bytes of a tensor of static shape in memory.
int64_t storageBytes(mlir::Type tensor);

} // namespace ingot
