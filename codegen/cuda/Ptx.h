/// From a lowered kernel to PTX.
#pragma once
#include "codegen/cuda/CudaTarget.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Backend.h"

namespace ingot {

/// Appends the passes that turn emitted launches (scf, vector, arith, math, memref in `func`s, with
/// nvvm's registers and barriers) into kernels of the LLVM dialect.
void buildNvvmPipeline(mlir::OpPassManager &passes);

/// Compiles the launches of one kernel, in the LLVM dialect, to PTX text. `llvmIr`, when given,
/// receives the optimised LLVM IR.
Result<std::vector<uint8_t>> compileToPtx(mlir::ModuleOp module, const CudaTarget &target,
                                          std::string *llvmIr);

/// The entries of an object: NAME where the kernel NAME has one launch, else NAME__0, NAME__1, …
/// PTX has no dot in names, C++ no dollar.
std::vector<std::string> entriesOf(const KernelObject &object);

/// One module of all objects' entries.
std::vector<uint8_t> joinPtx(const std::vector<KernelObject> &objects);

} // namespace ingot
