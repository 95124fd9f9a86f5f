/// One emitter per kind of launch: a kernel on tensors and its schedule in, loops over vectors out.
#pragma once
#include "codegen/cpu/Code.h"
#include "codegen/cpu/VectorMemory.h"
#include "codegen/kernel/LaunchSizes.h"
#include "codegen/kernel/PointEmitter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

namespace ingot {

/// The emitted function of one launch while its body is written.
///
/// Arguments: one memref per tensor argument, one per result, the launch scratch and the worker's
/// scratch where the schedule has some, then the grains [lo, hi) to compute. The insertion point
/// starts at the end of the entry block; the terminator is added when the emitter is done.
class KernelBuilder {
public:
  /// Starts the function of a launch before `kernel`, a function on tensors with a schedule.
  KernelBuilder(mlir::func::FuncOp kernel, size_t launch);

  mlir::OpBuilder builder;
  mlir::func::FuncOp kernel; ///< the body on tensors
  const kernel::ScheduleAttr schedule;
  const kernel::LaunchAttr launch;

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
  mlir::Value lo() { return function.getBody().getArguments().drop_back().back(); }
  mlir::Value hi() { return function.getBody().getArguments().back(); }
  /// `index` constant.
  mlir::Value index(int64_t value);
  /// An emitter at this builder's insertion point with every tensor argument mapped to its memref.
  PointEmitter points(int64_t lanes = Code::lanes);

  /// The next part of the worker's scratch: 64-byte aligned, contents undefined.
  mlir::Value workspace(mlir::MemRefType type);

  /// The next part of the scratch that the kernel's launches share: 64-byte aligned, and the same
  /// memory in each launch that takes its parts in one order.
  mlir::Value launchScratch(mlir::MemRefType type);

  /// Adds the terminator and says which arguments share no memory with any other.
  llvm::LogicalResult finish();
  /// Takes the function back after a failure.
  void abandon() { function.erase(); }

  mlir::func::FuncOp function;

private:
  VectorMemory vectors;
  /// A part of the scratch `argument`, at `used` bytes, which it adds to.
  mlir::Value scratchPart(mlir::Value argument, int64_t &used, mlir::MemRefType type);

  int64_t workspaceBytes = 0, launchScratchBytes = 0;
};

/// An emitter writes the whole body as the launch's sizes say; a failure has reported a located
/// diagnostic.
using KernelEmitter = llvm::LogicalResult (*)(KernelBuilder &);

llvm::LogicalResult emitPointwise(KernelBuilder &);
llvm::LogicalResult emitRows(KernelBuilder &);
llvm::LogicalResult emitColumns(KernelBuilder &);
llvm::LogicalResult emitScatter(KernelBuilder &);
llvm::LogicalResult emitContraction(KernelBuilder &);
llvm::LogicalResult emitAttention(KernelBuilder &);
llvm::LogicalResult emitAttentionBackward(KernelBuilder &);

} // namespace ingot
