/// Gradient accumulation: a step's body for each slice of the batch.
#pragma once
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Passes.h"
#include "passes/training/Buckets.h"

namespace ingot {

/// Few micro-batches are written out, one after the other; more are the iterations of a loop, which
/// compiles in the time of one. Both give the same bits.
class MicroBatches {
public:
  /// A step with so many is not slower than one with a loop, whose iterations wait for each other.
  static constexpr int64_t mostWrittenOut = 4;

  MicroBatches(mlir::func::FuncOp function, int64_t count, int64_t mostWrittenOut)
      : function(function), block(function.front()), count(count),
        isWrittenOut(count <= mostWrittenOut) {}

  /// Inputs and targets get `count` times their rows; fails after a diagnostic where one has none,
  /// or too many.
  llvm::LogicalResult widenArguments();

  using State = std::pair<mlir::BlockArgument, mlir::Value>; ///< and what becomes of it
  /// Replaces the body: gradients become their sums, the loss its mean, and state goes from one
  /// micro-batch to the next.
  void sum(llvm::MutableArrayRef<Trained> trained, llvm::MutableArrayRef<State> state,
           mlir::Value &loss);

private:
  /// Gradients, loss and state at one time.
  using Values = llvm::SmallVector<mlir::Value>;
  Values writeOut(Values before);
  Values loop(Values before);
  Values cloneOne(mlir::OpBuilder &builder, mlir::IRMapping &mapping, Values before);
  llvm::DenseSet<mlir::Operation *> findShared() const;

  mlir::func::FuncOp function;
  mlir::Block &block;
  int64_t count;
  bool isWrittenOut;
  llvm::SmallVector<mlir::BlockArgument> batches;
  llvm::SmallVector<int64_t> rows; ///< of a micro-batch
  llvm::SmallVector<mlir::Operation *> body;
  Values summed;                       ///< gradients and loss of one micro-batch
  llvm::SmallVector<mlir::Value> next; ///< state behind it
  llvm::SmallVector<mlir::BlockArgument> state;
};

/// The pass add-optimizer, with another number of micro-batches that are written out.
std::unique_ptr<mlir::Pass> createAddOptimizer(AddOptimizerOptions options, int64_t mostWrittenOut);

} // namespace ingot
