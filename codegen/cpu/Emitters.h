/// One emitter per kind of launch: a kernel on tensors and its schedule in, loops over vectors out.
#pragma once
#include "codegen/cpu/Code.h"
#include "codegen/kernel/LaunchBuilder.h"
#include "codegen/kernel/VectorMemory.h"

namespace ingot {

/// A launch on a CPU, whose own arguments are the grains [lo, hi) to compute.
class KernelBuilder : public LaunchBuilder {
public:
  KernelBuilder(mlir::func::FuncOp kernel, size_t launch);

  mlir::Value lo() { return own(0); }
  mlir::Value hi() { return own(1); }
  /// `index` constant.
  mlir::Value index(int64_t value);
  PointEmitter points(int64_t lanes = Code::lanes);
  /// Points whose loads only prefetch; their values mean nothing.
  PointEmitter pointsAhead(int64_t lanes = Code::lanes);

private:
  VectorMemory vectors;
  PrefetchingMemory prefetches;
};

/// An emitter writes the whole body as the launch's sizes say; a failure has reported a located
/// diagnostic.
using KernelEmitter = llvm::LogicalResult (*)(KernelBuilder &);

llvm::LogicalResult emitPointwise(KernelBuilder &);
llvm::LogicalResult emitRows(KernelBuilder &);
llvm::LogicalResult emitColumns(KernelBuilder &);
llvm::LogicalResult emitScatter(KernelBuilder &);
llvm::LogicalResult emitScan(KernelBuilder &);
llvm::LogicalResult emitSort(KernelBuilder &);
llvm::LogicalResult emitContraction(KernelBuilder &);
llvm::LogicalResult emitAttention(KernelBuilder &);
llvm::LogicalResult emitAttentionBackward(KernelBuilder &);

} // namespace ingot
