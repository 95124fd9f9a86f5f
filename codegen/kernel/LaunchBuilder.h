/// The emitted function of one launch while its body is written.
#pragma once
#include "codegen/kernel/LaunchSizes.h"
#include "codegen/kernel/PointEmitter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

namespace ingot {

/// Arguments: one memref per tensor argument, one per result, the launch scratch and the worker's
/// scratch where the schedule has some, then the target's own. The insertion point starts at the
/// end of the entry block; the terminator is added when the emitter is done.
class LaunchBuilder {
public:
  /// Starts the function of a launch before `kernel`, a function on tensors with a schedule. The
  /// worker's scratch is in `scratchSpace`, null for memory that is like any other.
  LaunchBuilder(mlir::func::FuncOp kernel, size_t launch, llvm::ArrayRef<mlir::Type> own,
                mlir::Attribute scratchSpace = {});

  mlir::OpBuilder builder;
  mlir::func::FuncOp kernel; ///< the body on tensors
  const kernel::ScheduleAttr schedule;
  const kernel::LaunchAttr launch;
  mlir::func::FuncOp function;

  mlir::Location location() { return kernel.getLoc(); }
  unsigned operands() { return kernel.getNumArguments(); }
  unsigned results() { return kernel.getNumResults(); }
  mlir::BlockArgument tensor(unsigned operand) { return kernel.getArgument(operand); }
  /// The kernel body's tensor that result i returns, and its type.
  mlir::Value returned(unsigned result);
  mlir::RankedTensorType type(unsigned result) {
    return mlir::cast<mlir::RankedTensorType>(returned(result).getType());
  }
  mlir::Value operandMemory(unsigned operand) { return function.getArgument(operand); }
  mlir::Value resultMemory(unsigned result) { return function.getArgument(operands() + result); }

  /// The next part of the worker's scratch: 64-byte aligned, contents undefined.
  mlir::Value workspace(mlir::MemRefType type);
  /// The next part of the scratch that the kernel's launches share: 64-byte aligned, and the same
  /// memory in each launch that takes its parts in one order.
  mlir::Value launchScratch(mlir::MemRefType type);

  /// Adds the terminator and says which arguments share no memory with any other.
  llvm::LogicalResult finish();
  /// Takes the function back after a failure.
  void abandon() { function.erase(); }

protected:
  /// An argument of the target's own.
  mlir::BlockArgument own(unsigned number) { return function.getArgument(memories() + number); }
  /// An emitter at this builder's insertion point with every tensor argument mapped to its memref.
  PointEmitter points(PointMemory &memory, int64_t lanes);

private:
  /// Arguments that are memory.
  unsigned memories();
  /// A part of the scratch `argument`, at `used` bytes, which it adds to.
  mlir::Value scratchPart(mlir::Value argument, int64_t &used, mlir::MemRefType type);

  int64_t workspaceBytes = 0, launchScratchBytes = 0;
};

} // namespace ingot
