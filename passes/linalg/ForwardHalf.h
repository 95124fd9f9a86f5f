/// The two halves of a training step: what the loss needs, and what runs after it.
#pragma once
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SetVector.h"
#include <vector>

namespace ingot {

/// The ops of a training step before the loss is known, and what those after it (the backward
/// pass) read of them.
class ForwardHalf {
public:
  /// False if the function returns no loss, or nothing but what the loss needs. Where a loop over
  /// micro-batches carries the sum of their losses, the step is the loop's body. A step with loops
  /// or branches of its own has no halves.
  bool read(mlir::func::FuncOp function);

  /// The ops of both halves.
  mlir::Block &block() const { return *step; }

  bool contains(mlir::Operation *op) const { return op && ops.contains(op); }
  llvm::ArrayRef<mlir::Operation *> inOrder() const { return ops.getArrayRef(); }
  /// Position of an op of either half in the function.
  unsigned position(mlir::Operation *op) const { return positions.lookup(op); }
  /// How many heavy ops stand before an op: the step's clock.
  unsigned time(mlir::Operation *op) const { return times.lookup(op); }
  /// Uses of a value or of its views by ops of the backward pass.
  llvm::SmallVector<mlir::OpOperand *> backwardUses(mlir::Value value) const;
  /// True if the value waits between the passes: long enough that dropping it frees memory.
  bool waits(mlir::Value value) const;
  /// Values to which the forward pass narrows: at one point, nothing else of at least
  /// `smallestBytes` is on its way to later ops of it. One between any two heavy ops, in program
  /// order: the residual stream before attention and before the MLP of every layer.
  std::vector<mlir::Value> narrowPoints(int64_t smallestBytes) const;

private:
  mlir::Block *step = nullptr;
  llvm::SetVector<mlir::Operation *> ops;
  llvm::DenseMap<mlir::Operation *, unsigned> positions, times;
};

} // namespace ingot
