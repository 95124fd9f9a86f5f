/// The reference's evaluators, one file a group of ops. Internal to ir/Reference*.
#pragma once
#include "ir/dialect/Diagnostics.h"
#include "ir/dialect/Elements.h"
#include "ir/dialect/Graph.h"
#include <span>

namespace ingot::graph {

using Tensors = std::vector<Tensor>;
using Operands = std::span<const Tensor>;

/// Each returns the op's results, or nothing if the op is not of its group.
std::optional<Result<Tensors>> evaluateElementwise(mlir::Operation *op, Operands operands);
std::optional<Result<Tensors>> evaluateMovement(mlir::Operation *op, Operands operands);
std::optional<Result<Tensors>> evaluateReduction(mlir::Operation *op, Operands operands);
std::optional<Result<Tensors>> evaluateComposite(mlir::Operation *op, Operands operands);

Tensors evaluateAttention(AttentionOp op, Operands operands);
Tensors evaluateAttentionBackward(AttentionBackwardOp op, Operands operands);

/// An elementwise op or a constant without rounding; an operand of one element stands for all.
Result<std::vector<double>> evaluateOnDoubles(mlir::Operation *op,
                                              llvm::ArrayRef<std::vector<double>> operands);

inline ElementType resultElement(mlir::Operation *op, unsigned index = 0) {
  auto type = mlir::cast<mlir::RankedTensorType>(op->getResult(index).getType());
  return *elementTypeOf(type.getElementType());
}
inline Shape resultShape(mlir::Operation *op, unsigned index = 0) {
  return mlir::cast<mlir::RankedTensorType>(op->getResult(index).getType()).getShape().vec();
}
/// A result of `op`, rounded to its element type.
template <typename Wide>
Tensor storeResult(mlir::Operation *op, const std::vector<Wide> &elements, unsigned index = 0) {
  return store(resultElement(op, index), resultShape(op, index), elements);
}

/// An error at `op`; the message starts with the op's name.
template <typename... Args>
tl::unexpected<Error> errorAt(mlir::Operation *op, Error::Code code,
                              fmt::format_string<Args...> format, Args &&...args) {
  std::string name = op->getName().getStringRef().str();
  return tl::unexpected(Error{code, name + ": " + fmt::format(format, std::forward<Args>(args)...),
                              placeOf(op->getLoc())});
}

/// Elements between neighbours of each dimension in row-major order.
inline std::vector<int64_t> stridesOf(const Shape &shape) {
  std::vector<int64_t> strides(shape.size());
  int64_t stride = 1;
  for (size_t dim = shape.size(); dim-- > 0; stride *= shape[dim])
    strides[dim] = stride;
  return strides;
}

/// Calls `visit` once a point of `shape` in row-major order with the sums of `strides` at that
/// point, one sum per stride vector.
template <size_t N, typename Visit>
void forEachPoint(const Shape &shape, const std::array<std::vector<int64_t>, N> &strides,
                  Visit visit) {
  if (elementCount(shape) == 0)
    return;
  std::vector<int64_t> index(shape.size(), 0);
  std::array<int64_t, N> offsets{};
  while (true) {
    visit(offsets);
    size_t dim = shape.size();
    while (dim > 0) {
      --dim;
      for (size_t i = 0; i < N; ++i)
        offsets[i] += strides[i][dim];
      if (++index[dim] < shape[dim])
        break;
      for (size_t i = 0; i < N; ++i)
        offsets[i] -= strides[i][dim] * shape[dim];
      index[dim] = 0;
      if (dim == 0)
        return;
    }
    if (shape.empty())
      return;
  }
}

} // namespace ingot::graph
