/// Loops of the ops of stage `linalg`: which dimension of which tensor each of them walks.
#pragma once
#include "mlir/IR/Operation.h"
#include "llvm/ADT/SmallVector.h"
#include <optional>

namespace ingot {

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
