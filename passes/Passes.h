/// Every pass of the pipeline: see Passes.td for what each does, Pipeline.cpp for their order.
#pragma once
#include "ir/dialect/Graph.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "passes/options/TargetCosts.h"
#include "passes/options/TrainingOptions.h"

namespace ingot {

struct KernelCache;

#define GEN_PASS_DECL
#include "passes/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"

// The same by the costs of a target; those above take a CPU's. (schedule/ScheduleKernels.h has the
// passes that need the target itself.)
std::unique_ptr<mlir::Pass> createRecompute(const TargetCosts &costs, RecomputeOptions options);
std::unique_ptr<mlir::Pass> createFormKernels(const TargetCosts &costs,
                                              FormKernelsOptions options = {},
                                              KernelCache *known = nullptr);

} // namespace ingot
