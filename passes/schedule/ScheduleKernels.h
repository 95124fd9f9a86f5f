/// The passes that need the target itself, and the emission of one kernel.
#pragma once
#include "mlir/Pass/Pass.h"
#include "passes/Backend.h"

namespace ingot {

struct KernelCache;

std::unique_ptr<mlir::Pass> createPackWeights(const Backend &backend);
std::unique_ptr<mlir::Pass> createScheduleKernels(const Backend &backend,
                                                  KernelCache *cache = nullptr);
std::unique_ptr<mlir::Pass> createLowerKernels(const Backend &backend);
// For a tool: the target is the pass's option.
std::unique_ptr<mlir::Pass> createPackWeights(BackendParser parse);
std::unique_ptr<mlir::Pass> createScheduleKernels(BackendParser parse);
std::unique_ptr<mlir::Pass> createLowerKernels(BackendParser parse);

/// What `lower-kernels` does to each kernel: puts its launches in front of it, checks them against
/// its schedule, and takes its body away. A failure has reported a located diagnostic.
llvm::LogicalResult lowerKernel(mlir::func::FuncOp kernel, const Backend &backend);

} // namespace ingot
