/// In which order a row kernel's reductions walk its rows. The order of sums follows from it, so
/// shapes and the reductions' own maps decide it. What the kernel stores or keeps besides can rule
/// out an order: only there do bits depend on what is fused.
#pragma once
#include "codegen/kernel/RowPlan.h"

namespace ingot {

/// Whether lanes go across rows: sums over a dimension that is not the last, whose results alone
/// the kernel stores.
bool goesAcross(mlir::func::FuncOp kernel, const RowStages &plan);

/// The lines of a reduction's row are its last dimensions: all of them, unless a block of lanes
/// that leaves no line needs fewer gathers and divisions, as windows do.
int64_t chooseLine(mlir::func::FuncOp kernel, const RowStages &plan, const RowStage &stage);

/// The extent of the reduced dimension whose elements are lines of this length.
int64_t extentBefore(const RowStage &stage, int64_t length);

/// The rows of the result's last dimensions are computed side by side if they are few and need few
/// loads more than one of them, as the taps of a filter's gradient do.
int64_t chooseRowsAtOnce(mlir::func::FuncOp kernel, const RowStages &plan,
                         llvm::ArrayRef<int64_t> lines);

} // namespace ingot
