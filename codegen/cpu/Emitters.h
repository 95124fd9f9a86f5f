/// One emitter per kernel root: tensors in, loops over vectors out.
#pragma once
#include "codegen/kernel/PointEmitter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "passes/options/BlockChoice.h"
#include "codegen/cpu/MachineShape.h"

namespace ingot {

/// The lowered function of one kernel while its body is written.
///
/// Arguments: one memref per tensor argument, one per result, `workspace()` if asked for, then the
/// grains [lo, hi) to compute. The insertion point starts at the end of the entry block; the
/// terminator is added when the emitter is done.
class KernelBuilder {
public:
  /// Starts the lowered function before `kernel`, a function on tensors, which stays until
  /// `finish`.
  KernelBuilder(mlir::func::FuncOp kernel, const MachineShape &machine, const BlockChoice &choice);

  mlir::OpBuilder builder;
  mlir::func::FuncOp kernel; ///< the body on tensors
  const MachineShape machine;
  const BlockChoice choice; ///< what tuning found for this kernel; absent sizes are derived

  mlir::Location location() { return kernel.getLoc(); }
  unsigned operands() { return kernel.getNumArguments(); }
  unsigned results() { return kernel.getNumResults(); }
  mlir::BlockArgument tensor(unsigned operand) { return kernel.getArgument(operand); }
  /// The kernel body's tensor that result i returns.
  mlir::Value returned(unsigned result);
  mlir::Value operandMemory(unsigned operand) { return function.getArgument(operand); }
  mlir::Value resultMemory(unsigned result) { return function.getArgument(operands() + result); }
  // The last two of the body: its workspace argument is not in the function's type before `finish`.
  mlir::Value lo() { return function.getBody().getArguments().drop_back().back(); }
  mlir::Value hi() { return function.getBody().getArguments().back(); }
  /// `index` constant.
  mlir::Value index(int64_t value);
  /// An emitter at this builder's insertion point with every tensor argument mapped to its memref.
  PointEmitter points(int64_t lanes = 16);

  /// More scratch memory of the worker that runs the grains: 64-byte aligned, contents undefined.
  mlir::Value workspace(mlir::MemRefType type);

  void setGrains(int64_t count) { grains = count; }
  /// The sizes that were taken, for dumps and for tuning, which varies them.
  void setBlocks(const BlockChoice &taken) { blocks = taken; }
  /// Result `result` may share operand `operand`'s memory.
  void addInPlace(int64_t result, int64_t operand) {
    if (!llvm::is_contained(inPlace, std::pair(result, operand)))
      inPlace.push_back({result, operand});
  }
  /// Arithmetic operations of one call; default: an estimate from the body.
  void setFlops(double count) { flops = count; }
  /// Bytes read and written at least; default: all arguments and results once.
  void setBytes(double count) { bytes = count; }
  /// Estimates of one call, by `estimateFlops` and the sizes of arguments and results.
  double estimatedBytes();
  double estimatedNanoseconds();

  /// Writes the attributes and puts the lowered function in the kernel's place.
  mlir::func::FuncOp finish();
  /// Takes the lowered function back after a failure.
  void abandon() { function.erase(); }

private:
  mlir::func::FuncOp function;
  int64_t grains = 1, workspaceBytes = 0;
  BlockChoice blocks;
  std::optional<double> flops, bytes;
  llvm::SmallVector<std::pair<int64_t, int64_t>> inPlace;
};

/// An emitter writes the whole body and sets grains; a failure has reported a located diagnostic.
using KernelEmitter = llvm::LogicalResult (*)(KernelBuilder &);

llvm::LogicalResult emitElementwise(KernelBuilder &);
llvm::LogicalResult emitRow(KernelBuilder &);
llvm::LogicalResult emitColumn(KernelBuilder &);
llvm::LogicalResult emitUpdate(KernelBuilder &);
llvm::LogicalResult emitIndexing(KernelBuilder &);
llvm::LogicalResult emitContraction(KernelBuilder &);
llvm::LogicalResult emitAttention(KernelBuilder &);
llvm::LogicalResult emitAttentionBackward(KernelBuilder &);

/// Operations of one evaluation of the kernel's body, a transcendental counted as its expansion.
double estimateFlops(mlir::func::FuncOp kernel);
/// Operations of one iteration of a structured op.
double flopsPerPoint(mlir::linalg::LinalgOp op);
/// Nanoseconds of one core for that much work, roughly.
double estimateNanoseconds(double flops, double bytes);
/// Into how many grains to cut so much work in so many units: about 20 µs each, at most 128.
int64_t grainsFor(double nanoseconds, int64_t units);

} // namespace ingot
