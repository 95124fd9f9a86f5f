/// Where the pieces of a concatenation lie.
#pragma once
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace ingot {

/// Where each piece begins along the joined dimension, and where the last one ends.
inline llvm::SmallVector<int64_t> startsOf(mlir::tensor::ConcatOp op) {
  llvm::SmallVector<int64_t> starts{0};
  for (mlir::Value piece : op.getInputs())
    starts.push_back(starts.back() +
                     mlir::cast<mlir::RankedTensorType>(piece.getType()).getDimSize(op.getDim()));
  return starts;
}

} // namespace ingot
