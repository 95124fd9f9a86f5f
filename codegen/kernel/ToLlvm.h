/// The way from emitted loops to the LLVM dialect that all targets share.
#pragma once
#include "mlir/Pass/PassManager.h"

namespace ingot {

/// Appends the conversions of scf, vector, arith, math, memref and func to the LLVM dialect.
/// Functions take bare pointers.
void addLlvmConversions(mlir::OpPassManager &passes);

} // namespace ingot
