/// Lines along one dimension of a tensor, which scan and sort kernels walk from end to end.
#pragma once
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinTypes.h"

namespace ingot {

/// The tensor is [outer, size, inner].
struct LineShape {
  LineShape(mlir::RankedTensorType type, int64_t dimension) {
    for (int64_t index = 0; index < type.getRank(); ++index)
      (index < dimension ? outer : index > dimension ? inner : size) *= type.getDimSize(index);
  }
  double elements() const { return double(outer) * double(size) * double(inner); }
  int64_t lines() const { return outer * inner; }

  int64_t outer = 1, size = 1, inner = 1;
};

/// The op of the kernel's root; null after a diagnostic.
template <typename Op> Op lineOpOf(mlir::func::FuncOp kernel) {
  auto ops = llvm::to_vector(kernel.getOps<Op>());
  if (ops.size() == 1)
    return ops.front();
  kernel.emitError("a kernel of this root holds one ") << Op::getOperationName();
  return {};
}

} // namespace ingot
