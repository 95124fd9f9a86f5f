/// From a lowered kernel to machine code.
#pragma once
#include "codegen/cpu/Target.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include <cstdint>
#include <vector>

namespace ingot {

/// Appends the passes that turn lowered kernels (scf, vector, arith, math, memref in `func`s) into
/// the LLVM dialect. Kernels that end in `(…, %lo: index, %hi: index)` get the range-kernel
/// signature `void f(ptr arguments, i64 lo, i64 hi)` under their own name.
void buildLlvmPipeline(mlir::OpPassManager &passes, const CpuTarget &target);

/// Compiles a module in the LLVM dialect to a relocatable ELF object without external symbols.
/// `llvmIr`, when given, receives the optimized LLVM IR as text.
Result<std::vector<uint8_t>> compileToObject(mlir::ModuleOp module, const CpuTarget &target,
                                             std::string *llvmIr = nullptr);

} // namespace ingot
