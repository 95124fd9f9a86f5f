/// Constants and ops that move elements without computing: bytes are copied.
#include "ir/reference/ReferenceOps.h"
#include "runtime/program/Bucket.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace ingot::graph {
namespace {

/// Copies a box of `shape` between two tensors of one element type, each with a start and strides.
void copyBox(const Shape &shape, const Tensor &from, int64_t fromStart,
             const std::vector<int64_t> &fromStrides, Tensor &to, int64_t toStart,
             const std::vector<int64_t> &toStrides) {
  size_t size = byteSize(to.type());
  const char *source = from.as<char>() + fromStart * size;
  char *target = to.as<char>() + toStart * size;
  forEachPoint<2>(shape, {fromStrides, toStrides}, [&](std::array<int64_t, 2> at) {
    std::memcpy(target + at[1] * size, source + at[0] * size, size);
  });
}

Tensors evaluateReshape(ReshapeOp op, const Tensor &operand) {
  Tensor result(operand.type(), resultShape(op));
  std::memcpy(result.data(), operand.data(), operand.bytes());
  return {result};
}

Tensors evaluateTranspose(TransposeOp op, const Tensor &operand) {
  Tensor result(operand.type(), resultShape(op));
  std::vector<int64_t> strides = stridesOf(operand.shape()), permuted;
  for (int64_t dim : op.getPermutation())
    permuted.push_back(strides[dim]);
  copyBox(result.shape(), operand, 0, permuted, result, 0, stridesOf(result.shape()));
  return {result};
}

Tensors evaluateBroadcast(BroadcastOp op, const Tensor &operand) {
  Tensor result(operand.type(), resultShape(op));
  std::vector<int64_t> strides = stridesOf(operand.shape()), spread(result.shape().size(), 0);
  for (auto [index, dim] : llvm::enumerate(op.getDimensions()))
    if (operand.shape()[index] != 1)
      spread[dim] = strides[index];
  copyBox(result.shape(), operand, 0, spread, result, 0, stridesOf(result.shape()));
  return {result};
}

Tensors evaluateSlice(SliceOp op, const Tensor &operand) {
  Tensor result(operand.type(), resultShape(op));
  std::vector<int64_t> strides = stridesOf(operand.shape());
  int64_t start = 0;
  for (size_t dim = 0; dim < strides.size(); ++dim) {
    start += op.getOffsets()[dim] * strides[dim];
    strides[dim] *= op.getStrides()[dim];
  }
  copyBox(result.shape(), operand, start, strides, result, 0, stridesOf(result.shape()));
  return {result};
}

Tensors evaluatePad(PadOp op, const Tensor &operand, const Tensor &value) {
  Tensor result(operand.type(), resultShape(op));
  std::vector<int64_t> strides = stridesOf(result.shape());
  copyBox(result.shape(), value, 0, std::vector<int64_t>(strides.size(), 0), result, 0, strides);
  int64_t start = 0;
  std::vector<int64_t> spread = strides;
  for (size_t dim = 0; dim < strides.size(); ++dim) {
    start += op.getLow()[dim] * strides[dim];
    spread[dim] *= op.getInterior()[dim] + 1;
  }
  copyBox(operand.shape(), operand, 0, stridesOf(operand.shape()), result, start, spread);
  return {result};
}

Tensors evaluateReverse(ReverseOp op, const Tensor &operand) {
  Tensor result(operand.type(), resultShape(op));
  std::vector<int64_t> strides = stridesOf(operand.shape());
  int64_t start = 0;
  if (result.size() > 0)
    for (int64_t dim : op.getDimensions()) {
      start += (operand.shape()[dim] - 1) * strides[dim];
      strides[dim] = -strides[dim];
    }
  copyBox(result.shape(), operand, start, strides, result, 0, stridesOf(result.shape()));
  return {result};
}

Tensors evaluateWindow(WindowOp op, const Tensor &operand) {
  Tensor result(operand.type(), resultShape(op));
  std::vector<int64_t> strides = stridesOf(operand.shape()), within;
  for (auto [dim, stride, dilation] :
       llvm::zip_equal(op.getDimensions(), op.getStrides(), op.getDilations())) {
    within.push_back(strides[dim] * dilation);
    strides[dim] *= stride;
  }
  strides.insert(strides.end(), within.begin(), within.end());
  copyBox(result.shape(), operand, 0, strides, result, 0, stridesOf(result.shape()));
  return {result};
}

Tensors evaluateConcat(ConcatOp op, Operands operands) {
  Tensor result(operands[0].type(), resultShape(op));
  std::vector<int64_t> strides = stridesOf(result.shape());
  int64_t start = 0;
  for (const Tensor &operand : operands) {
    copyBox(operand.shape(), operand, 0, stridesOf(operand.shape()), result, start, strides);
    start += operand.shape()[op.getDimension()] * strides[op.getDimension()];
  }
  return {result};
}

/// A tensor seen as [outer, dimension, inner].
struct Split {
  int64_t outer = 1, size = 1, inner = 1;

  Split(const Shape &shape, int64_t dimension) : size(shape[dimension]) {
    for (int64_t dim = 0; dim < int64_t(shape.size()); ++dim)
      (dim < dimension ? outer : inner) *= dim == dimension ? 1 : shape[dim];
  }
};

/// Copies between part of `whole`, from `start` along the split dimension, and `part`.
template <typename Copy>
void forEachPiece(const Split &split, int64_t start, int64_t size, size_t element, Copy copy) {
  const size_t bytes = size * split.inner * element;
  for (int64_t outer = 0; outer < split.outer; ++outer)
    copy((outer * split.size + start) * split.inner * element, outer * bytes, bytes);
}

Result<int64_t> startOf(Operation *op, const Tensor &start, int64_t limit) {
  const int64_t index = load<int64_t>(start)[0];
  if (index < 0 || index >= limit)
    return errorAt(op, Error::Code::BadInput, "index {} at position 0 is outside [0, {})", index,
                   limit);
  return index;
}

Result<Tensors> evaluateDynamicSlice(DynamicSliceOp op, Operands operands) {
  Split split(operands[0].shape(), op.getDimension());
  const int64_t size = op.getSize();
  INGOT_ASSIGN(const int64_t start, startOf(op, operands[1], split.size - size + 1));
  Tensor result(operands[0].type(), resultShape(op));
  forEachPiece(split, start, size, byteSize(result.type()),
               [&](size_t from, size_t to, size_t bytes) {
                 std::memcpy(result.as<char>() + to, operands[0].as<char>() + from, bytes);
               });
  return Tensors{result};
}

Result<Tensors> evaluateDynamicUpdateSlice(DynamicUpdateSliceOp op, Operands operands) {
  Split split(operands[0].shape(), op.getDimension());
  const int64_t size = operands[1].shape()[op.getDimension()];
  INGOT_ASSIGN(const int64_t start, startOf(op, operands[2], split.size - size + 1));
  Tensor result(operands[0].type(), resultShape(op));
  if (result.bytes())
    std::memcpy(result.data(), operands[0].data(), result.bytes());
  forEachPiece(split, start, size, byteSize(result.type()),
               [&](size_t to, size_t from, size_t bytes) {
                 std::memcpy(result.as<char>() + to, operands[1].as<char>() + from, bytes);
               });
  return Tensors{result};
}

Result<Tensors> evaluateGather(GatherOp op, Operands operands) {
  Split split(operands[0].shape(), op.getDimension());
  std::vector<int64_t> indices = load<int64_t>(operands[1]);
  for (auto [position, index] : llvm::enumerate(indices))
    if (index < 0 || index >= split.size)
      return errorAt(op, Error::Code::BadInput, "index {} at position {} is outside [0, {})", index,
                     position, split.size);
  Tensor result(operands[0].type(), resultShape(op));
  size_t bytes = split.inner * byteSize(result.type());
  char *target = result.as<char>();
  for (int64_t outer = 0; outer < split.outer; ++outer)
    for (int64_t index : indices) {
      std::memcpy(target, operands[0].as<char>() + (outer * split.size + index) * bytes, bytes);
      target += bytes;
    }
  return Tensors{result};
}

Result<Tensors> evaluateScatterAdd(ScatterAddOp op, Operands operands) {
  Split split(operands[0].shape(), op.getDimension());
  std::vector<int64_t> indices = load<int64_t>(operands[1]);
  for (auto [position, index] : llvm::enumerate(indices))
    if (index < 0 || index >= split.size)
      return errorAt(op, Error::Code::BadInput, "index {} at position {} is outside [0, {})", index,
                     position, split.size);
  return dispatch(operands[0].type(), [&](auto zero) -> Tensors {
    // Integers add modulo 2^64 and wrap when stored.
    using Wide = std::conditional_t<std::is_same_v<decltype(zero), double>, double, uint64_t>;
    std::vector<Wide> base = load<Wide>(operands[0]), updates = load<Wide>(operands[2]);
    auto update = updates.begin();
    for (int64_t outer = 0; outer < split.outer; ++outer)
      for (int64_t index : indices)
        for (int64_t inner = 0; inner < split.inner; ++inner)
          base[(outer * split.size + index) * split.inner + inner] += *update++;
    return {storeResult(op, base)};
  });
}

Tensors evaluateBucket(BucketOp op, Operands operands) {
  Tensor result(operands[0].type(), resultShape(op));
  size_t size = byteSize(result.type());
  char *target = result.as<char>();
  for (const Tensor &operand : operands) {
    std::memcpy(target, operand.data(), operand.bytes());
    target += elementsInBucket(operand.size(), int64_t(size)) * int64_t(size);
  }
  return {result};
}

Tensors evaluateUnbucket(UnbucketOp op, const Tensor &operand) {
  Tensors results;
  size_t size = byteSize(operand.type());
  const char *source = operand.as<char>();
  for (unsigned index = 0; index < op.getNumResults(); ++index) {
    Tensor &part = results.emplace_back(operand.type(), resultShape(op, index));
    std::memcpy(part.data(), source, part.bytes());
    source += elementsInBucket(part.size(), int64_t(size)) * int64_t(size);
  }
  return results;
}

Result<Tensors> evaluateConstant(ConstantOp op) {
  Result<Tensor> value = tensorOf(op.getValue());
  if (!value)
    return errorAt(op, value.error().code, "{}", value.error().text());
  return Tensors{*value};
}

} // namespace

std::optional<Result<Tensors>> evaluateMovement(Operation *op, Operands operands) {
  return TypeSwitch<Operation *, std::optional<Result<Tensors>>>(op)
      .Case([&](ConstantOp op) { return evaluateConstant(op); })
      .Case([&](ReshapeOp op) { return evaluateReshape(op, operands[0]); })
      .Case([&](TransposeOp op) { return evaluateTranspose(op, operands[0]); })
      .Case([&](BroadcastOp op) { return evaluateBroadcast(op, operands[0]); })
      .Case([&](SliceOp op) { return evaluateSlice(op, operands[0]); })
      .Case([&](ReverseOp op) { return evaluateReverse(op, operands[0]); })
      .Case([&](WindowOp op) { return evaluateWindow(op, operands[0]); })
      .Case([&](PadOp op) { return evaluatePad(op, operands[0], operands[1]); })
      .Case([&](ConcatOp op) { return evaluateConcat(op, operands); })
      .Case([&](DynamicSliceOp op) { return evaluateDynamicSlice(op, operands); })
      .Case([&](DynamicUpdateSliceOp op) { return evaluateDynamicUpdateSlice(op, operands); })
      .Case([&](GatherOp op) { return evaluateGather(op, operands); })
      .Case([&](ScatterAddOp op) { return evaluateScatterAdd(op, operands); })
      .Case([&](BucketOp op) { return evaluateBucket(op, operands); })
      .Case([&](AfterOp) { return Tensors{operands[0]}; })
      .Case([&](UnbucketOp op) { return evaluateUnbucket(op, operands[0]); })
      .Default([](Operation *) { return std::nullopt; });
}

} // namespace ingot::graph
