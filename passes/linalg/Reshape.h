/// Reshapes of tensors in the tensor dialect.
#pragma once
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"

namespace ingot {

/// `value` (static shape) under another shape of as many elements: a collapse_shape and an
/// expand_shape where needed, looking through the reshapes that `value` came from.
mlir::Value reshapeTensor(mlir::OpBuilder &builder, mlir::Location location, mlir::Value value,
                          llvm::ArrayRef<int64_t> shape);

/// The value that `value` is a reshape of, through any number of reshapes.
mlir::Value reshapeSource(mlir::Value value);

} // namespace ingot
