/// Tensors of a kernel body as strided views of the kernel's memory.
#pragma once
#include "codegen/kernel/IndexCode.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <optional>

namespace ingot {

/// Dimensions that are walked by one index in row-major order. Neighbours whose strides fit
/// together are one dimension, dimensions of size 1 are none.
class IndexGroup {
public:
  void append(int64_t size, int64_t stride);
  int64_t size() const;
  /// The distance between neighbours where the whole group has a single one.
  std::optional<int64_t> stride() const;
  /// Elements from the view's start to element `linear` of the group.
  mlir::Value offset(IndexCode &code, mlir::Value linear) const;

private:
  struct Dimension {
    int64_t size, stride;
  };
  llvm::SmallVector<Dimension> dimensions;
  bool empty = false; // some dimension has size 0
};

/// Element (i, j, …) is `offset + i * strides[0] + j * strides[1] + …` elements into an argument
/// or result of the kernel.
struct KernelView {
  unsigned memory = 0; ///< which argument, or which result
  int64_t offset = 0;
  llvm::SmallVector<int64_t> sizes, strides;

  /// The dimensions `which` walked by one index.
  IndexGroup group(llvm::ArrayRef<int64_t> which) const;
};

/// `tensor` as a view of a function argument, through slices, reshapes, permutations and
/// broadcasts (a stride of 0); none if it is computed or no strides express it.
std::optional<KernelView> viewOfOperand(mlir::Value tensor);

/// The tensor whose elements, all of them, an op moves about or repeats; null for any other op.
mlir::Value movedBy(mlir::Operation *op);

/// Where a tensor of the body is to be written so that the function returns it, through reshapes,
/// permutations and concatenations; none if a use computes with it or no strides express it.
/// A tensor that is returned twice has two views.
std::optional<llvm::SmallVector<KernelView>> viewsOfResult(mlir::Value tensor);

} // namespace ingot
