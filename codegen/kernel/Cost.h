/// What a kernel costs: for its grains, its loops and its profile.
#pragma once
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "passes/options/TargetCosts.h"

namespace ingot {

/// Simple operations of one iteration of a structured op.
double operationsPerPoint(mlir::linalg::LinalgOp op, const TargetCosts &costs);
/// Simple operations of one evaluation of a kernel's body, without its named ops.
double operationsOf(mlir::func::FuncOp kernel, const TargetCosts &costs);
/// Bytes that a kernel reads and writes at least: all operands and results once, of a table that is
/// only gathered from no more than arrives.
double bytesOf(mlir::func::FuncOp kernel);

} // namespace ingot
