/// What the ops of stage `linalg` are to block-rows, recompute and kernel formation: questions to
/// the interface KernelOp (ir/dialect/KernelOp.td), bytes, cost.
#pragma once
#include "ir/dialect/Graph.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/DialectRegistry.h"
#include "passes/options/TargetCosts.h"
#include <optional>

namespace ingot {

using graph::Epilogue;
using graph::KernelForm;
using graph::KernelRoot;
using graph::OperandUse;
using graph::OpLoops;
using graph::OpRole;

/// Gives upstream ops the interface KernelOp (UpstreamOps.cpp).
void registerUpstreamKernelOps(mlir::DialectRegistry &registry);

/// Of role Unknown where the op is no KernelOp.
KernelForm formOf(mlir::Operation *op);
inline OpRole roleOf(mlir::Operation *op) { return formOf(op).role; }
/// True for an op that a kernel of this root is built around.
bool isRoot(mlir::Operation *op, KernelRoot root);

/// How the op's kernel reads this operand.
OperandUse useOf(mlir::OpOperand &operand);

/// The tensor whose memory `value` shows, through any number of views.
mlir::Value viewSource(mlir::Value value);

/// What an op reads: its operands, and what the blocks of a loop or branch use from outside.
llvm::SmallVector<mlir::Value> valuesRead(mlir::Operation *op);

/// True for an op that strides express: a permutation or a slice. Contractions and attention read
/// their operands through these.
bool isStridedMove(mlir::Operation *op);

/// True for constants that kernels hold themselves. Integer scalars are arguments, so that kernels
/// that differ in a counter alone are one.
bool isInlinedConstant(mlir::Operation *op);

int64_t elementsOf(mlir::Value value);
int64_t bytesOf(mlir::Value value);

/// What a scalar op in a body takes. Ops of the dialect `math` are functions but for those that are
/// instructions.
graph::PointCost costOf(mlir::Operation &scalar);

/// Cost of computing one element, in bytes of memory traffic that take as long.
double costPerElement(mlir::Operation *pointOp, const TargetCosts &costs);

/// None for an op that cannot run in blocks of a loop.
std::optional<OpLoops> loopsOf(mlir::Operation *op);

/// Floating-point operations of an op that takes a step's time (a contraction, attention); 0 for
/// all others.
double flopsOf(mlir::Operation *op);
inline bool isHeavy(mlir::Operation *op) { return flopsOf(op) > 0; }

} // namespace ingot
