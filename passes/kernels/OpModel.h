/// What the ops of stage `linalg` are to block-rows, recompute and kernel formation: kind, loops,
/// bytes, cost.
#pragma once
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Operation.h"
#include "passes/options/TargetCosts.h"
#include <optional>

namespace ingot {

enum class OpKind {
  View,   ///< the same memory under another type: free in the step and inside kernels
  Source, ///< constants and fills: every kernel makes its own
  Point,  ///< each element of the result from elements of the operands, at any point on its own
  Reduction,
  Contraction,
  Attention,
  AttentionBackward,
  Update,
  Scatter,
  Return,
  Unknown
};

OpKind kindOf(mlir::Operation *op);

/// The tensor whose memory `value` shows, through any number of views.
mlir::Value viewSource(mlir::Value value);

/// True for an op that strides express: a permutation or a slice. Contractions and attention read
/// their operands through these.
bool isStridedMove(mlir::Operation *op);

/// True for constants that kernels hold themselves. Integer scalars are arguments, so that kernels
/// that differ in a counter alone are one.
bool isInlinedConstant(mlir::Operation *op);

int64_t elementsOf(mlir::Value value);
int64_t bytesOf(mlir::Value value);

/// Cost of computing one element, in bytes of memory traffic that take as long.
double costPerElement(mlir::Operation *pointOp, const TargetCosts &costs);

/// The loops of a linalg.generic or a graph.contract with one result.
struct OpLoops {
  using Dims = llvm::SmallVector<int>; ///< loop of each dimension; -1: none, or no loop alone
  llvm::SmallVector<Dims> operands;    ///< inputs; a generic's init is left out
  Dims result;
  llvm::SmallVector<bool> isReduced; ///< by loop

  /// None for any other op.
  static std::optional<OpLoops> of(mlir::Operation *op);
};

} // namespace ingot
