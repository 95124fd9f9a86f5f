/// One scheduler per kernel root, which decides and emits nothing, and one emitter per kind of
/// launch: a kernel on tensors and its schedule in, the code of one thread out.
#pragma once
#include "codegen/kernel/IndexCode.h"
#include "codegen/kernel/LaunchBuilder.h"
#include "codegen/kernel/ScheduleBuilder.h"
#include "codegen/kernel/VectorMemory.h"

namespace ingot {

constexpr int64_t warpSize = 32;
constexpr unsigned sharedSpace = 3;        ///< LLVM's number of the address space
constexpr int64_t scratchAlignment = 1024; ///< of a block's scratch, in bytes

/// What a loop says of how it is to be unrolled, on its way to LLVM.
constexpr llvm::StringLiteral loopAnnotationName = "llvm.loop_annotation";

/// The schedule of one kernel on a GPU. A grain is a block; every launch has a size `threads`; a
/// worker's scratch is the block's shared memory.
class CudaScheduler : public ScheduleBuilder {
public:
  CudaScheduler(mlir::func::FuncOp kernel, const TargetCosts &costs, int64_t sharedBytes,
                bool hasWarpgroups, bool tf32)
      : ScheduleBuilder(kernel, costs), sharedBytes(sharedBytes), hasWarpgroups(hasWarpgroups),
        tf32(tf32) {}

  const int64_t sharedBytes; ///< the most that a block can have
  const bool hasWarpgroups;  ///< warpgroups multiply what its copy engine brings: sm_90a alone
  const bool tf32;           ///< factors in f32 are rounded for tensor cores
};

/// The threads of a launch's blocks; 0 if its sizes do not say.
int64_t threadsOf(kernel::LaunchAttr launch);

/// A launch on a GPU: what one thread does. Blocks and threads have one dimension.
class CudaKernel : public LaunchBuilder {
public:
  CudaKernel(mlir::func::FuncOp kernel, size_t launch);

  /// Indices have 32 bits where all positions do.
  IndexCode code;
  const int64_t threads; ///< of a block
  mlir::Value block();   ///< the number of this block, and of this thread in it
  mlir::Value thread();
  /// Waits for all threads of the block, or of the warp; what they wrote can be read then.
  void synchronise();
  void synchroniseWarp();
  /// The value of the thread whose number in the warp differs in this bit alone.
  mlir::Value exchange(mlir::Value value, int64_t bit);
  /// The value of the thread with this number in the warp, an i32.
  mlir::Value fromLane(mlir::Value value, mlir::Value lane);
  PointEmitter points(int64_t lanes);
  /// A pointer to one of the launch's maps.
  mlir::Value map(unsigned number) { return own(number); }

  llvm::LogicalResult finish();

private:
  /// Moves a value of any type between the threads of a warp, 32 bits at a time.
  mlir::Value shuffle(mlir::Value value, llvm::function_ref<mlir::Value(mlir::Value)> piece);

  VectorMemory memory;
  mlir::Value blockNumber, threadNumber;
};

/// A failure has reported a located diagnostic.
llvm::LogicalResult schedulePointwise(CudaScheduler &);
llvm::LogicalResult scheduleRow(CudaScheduler &);
llvm::LogicalResult scheduleColumn(CudaScheduler &);
llvm::LogicalResult scheduleScatter(CudaScheduler &);
llvm::LogicalResult scheduleScan(CudaScheduler &);
llvm::LogicalResult scheduleSort(CudaScheduler &);
llvm::LogicalResult scheduleContraction(CudaScheduler &);
llvm::LogicalResult scheduleMatrixContraction(CudaScheduler &);
llvm::LogicalResult scheduleAttention(CudaScheduler &);
llvm::LogicalResult scheduleAttentionBackward(CudaScheduler &);

/// Writes the whole body as the launch's sizes say; a failure has reported a located diagnostic.
using CudaEmitter = llvm::LogicalResult (*)(CudaKernel &);
llvm::LogicalResult emitPointwise(CudaKernel &);
llvm::LogicalResult emitRows(CudaKernel &);
llvm::LogicalResult emitColumns(CudaKernel &);
llvm::LogicalResult emitScatter(CudaKernel &);
llvm::LogicalResult emitScan(CudaKernel &);
llvm::LogicalResult emitSort(CudaKernel &);
llvm::LogicalResult emitContraction(CudaKernel &);
llvm::LogicalResult emitMatrixContraction(CudaKernel &);
llvm::LogicalResult emitWarpgroupContraction(CudaKernel &);
llvm::LogicalResult emitContractionOfSplits(CudaKernel &);
llvm::LogicalResult emitAttention(CudaKernel &);
llvm::LogicalResult emitAttentionBackward(CudaKernel &);

} // namespace ingot
