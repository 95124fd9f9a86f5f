/// Reductions of whole tensors in two steps.
#pragma once
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/options/TargetCosts.h"

namespace ingot {

/// A reduction of a whole tensor of more elements than this becomes two kernels.
constexpr int64_t wholeReductionLimit = 4096;

/// Splits large reductions to a scalar: first over chunks, then over the chunks' results. Chunks
/// come from the shape alone, so that the order of additions never depends on threads.
void splitReductions(mlir::func::FuncOp function, const TargetCosts &costs);

} // namespace ingot
