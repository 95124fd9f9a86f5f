/// The buckets of parameters that one update each trains.
#pragma once
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/SmallVector.h"

namespace ingot {

/// A parameter that is trained, with what the update needs and gives.
struct Trained {
  mlir::BlockArgument parameter;
  mlir::Value gradient; ///< the sum over micro-batches
  double rateFactor = 1, weightDecay = 0;
  llvm::SmallVector<mlir::BlockArgument> state = {};
  llvm::SmallVector<mlir::Value> updated = {}; ///< the parameter, then its state
  bool isWhole = false;     ///< its update needs more of it than elements: a bucket of its own
  mlir::Value squares = {}; ///< sum of the gradient's squares, where the step has a norm

  mlir::RankedTensorType type() const {
    return mlir::cast<mlir::RankedTensorType>(parameter.getType());
  }
  int64_t bytes() const { return type().getNumElements() * type().getElementTypeBitWidth() / 8; }
};

struct Bucket {
  llvm::SmallVector<Trained *> members;
  /// Behind it the gradients are final and the parameters not used; null: from the start.
  mlir::Operation *ready = nullptr;
  bool isApart = false;    ///< not to be joined with others: their gradients live longer
  mlir::Value beyond = {}; ///< of the update, where it watches the gradients

  int64_t bytes() const {
    int64_t sum = 0;
    for (Trained *member : members)
      sum += member->bytes();
    return sum;
  }
  mlir::Type element() const { return members.front()->type().getElementType(); }
  /// Whether one update serves both.
  bool isLike(const Bucket &other) const {
    const Trained &mine = *members.front(), &theirs = *other.members.front();
    return !mine.isWhole && !theirs.isWhole && element() == other.element() &&
           mine.rateFactor == theirs.rateFactor && mine.weightDecay == theirs.weightDecay;
  }
  unsigned firstArgument() const { return members.front()->parameter.getArgNumber(); }
};

/// The op of a block that comes later; null comes before all.
mlir::Operation *later(mlir::Operation *a, mlir::Operation *b);

/// Parameters by layer, in the order in which they get ready; small neighbours are joined. The
/// vectors (biases, scales) of large layers are one bucket of their own: one kernel sums columns
/// for the end of one layer and the start of the next, which would keep both layers' gradients
/// alive. What is updated as a whole is apart.
llvm::SmallVector<Bucket> makeBuckets(llvm::MutableArrayRef<Trained> trained, mlir::Block &block);

} // namespace ingot
