/// Partial results of a reduction that the threads of a warp or block hold.
#pragma once
#include "codegen/cuda/Emitters.h"
#include "codegen/kernel/Reductions.h"

namespace ingot {

/// Adds the shared memory that `combineThreads` needs for all outputs of a reduction.
void addCombineScratch(CudaScheduler &kernel, const Reduction &reduction, int64_t threads);

/// Combines a power of two of partial results, each with all outputs: the first half with the
/// second, until one is left.
llvm::SmallVector<mlir::Value>
combineHalves(PointEmitter &points, const Reduction &reduction,
              llvm::SmallVector<llvm::SmallVector<mlir::Value>> partials);

/// Combines one partial result a thread over `threads` neighbours, a warp or the whole block, by a
/// fixed tree; each of them gets the same. A whole block waits for all of its threads, and no
/// memory is used twice.
llvm::SmallVector<mlir::Value> combineThreads(CudaKernel &kernel, PointEmitter &points,
                                              const Reduction &reduction, mlir::ValueRange own,
                                              int64_t threads);

} // namespace ingot
