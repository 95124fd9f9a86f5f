#include "ir/dialect/GraphBuilder.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Sequence.h"

using namespace mlir;

namespace ingot::graph {
namespace {

/// `value` as an attribute of `element`, rounded to nearest even; out of an integer's range it
/// wraps.
Attribute elementAttr(Type element, double value) {
  if (auto floating = dyn_cast<FloatType>(element)) {
    APFloat rounded(value);
    bool losesInfo;
    rounded.convert(floating.getFloatSemantics(), APFloat::rmNearestTiesToEven, &losesInfo);
    return FloatAttr::get(floating, rounded);
  }
  auto integer = cast<IntegerType>(element);
  APInt wide(64, uint64_t(int64_t(value)));
  return IntegerAttr::get(integer, wide.trunc(integer.getWidth()));
}

} // namespace

Type accumulationType(Type element) {
  auto floating = dyn_cast<FloatType>(element);
  return floating && floating.getWidth() < 32 ? Float32Type::get(element.getContext()) : element;
}

Value GraphBuilder::splat(RankedTensorType type, double value) {
  if (!type.hasStaticShape())
    return broadcast(scalar(type.getElementType(), value), type.getShape(), {});
  return make<ConstantOp>(DenseElementsAttr::get(type, elementAttr(type.getElementType(), value)));
}

Value GraphBuilder::scalar(Type element, double value) {
  return splat(RankedTensorType::get({}, element), value);
}

Value GraphBuilder::iota(ArrayRef<int64_t> shape, Type element, int64_t dimension) {
  return make<IotaOp>(RankedTensorType::get(shape, element), dimension);
}

Value GraphBuilder::cast(Value x, Type element) {
  auto type = tensorType(x);
  return type.getElementType() == element ? x : make<CastOp>(type.clone(element), x);
}

Value GraphBuilder::reshape(Value x, ArrayRef<int64_t> shape) {
  auto type = tensorType(x);
  return type.getShape() == shape ? x : make<ReshapeOp>(type.clone(shape), x);
}

Value GraphBuilder::transpose(Value x, ArrayRef<int64_t> permutation) {
  return make<TransposeOp>(x, permutation);
}

Value GraphBuilder::broadcast(Value x, ArrayRef<int64_t> shape, ArrayRef<int64_t> dimensions) {
  auto type = tensorType(x);
  return type.getShape() == shape ? x : make<BroadcastOp>(type.clone(shape), x, dimensions);
}

Value GraphBuilder::broadcastTo(Value x, ArrayRef<int64_t> shape) {
  int64_t rank = shape.size();
  return broadcast(x, shape, llvm::to_vector(llvm::seq(rank - tensorType(x).getRank(), rank)));
}

Value GraphBuilder::broadcastReduced(Value reduced, ArrayRef<int64_t> shape,
                                     ArrayRef<int64_t> dimensions) {
  SmallVector<int64_t> kept;
  for (int64_t dim = 0, rank = shape.size(); dim < rank; ++dim)
    if (!llvm::is_contained(dimensions, dim))
      kept.push_back(dim);
  return broadcast(reduced, shape, kept);
}

Value GraphBuilder::slice(Value x, int64_t dimension, int64_t offset, int64_t limit) {
  auto type = tensorType(x);
  SmallVector<int64_t> offsets(type.getRank(), 0), limits(type.getShape()),
      strides(type.getRank(), 1);
  offsets[dimension] = offset;
  limits[dimension] = limit;
  return make<SliceOp>(x, offsets, limits, strides);
}

Value GraphBuilder::concat(ValueRange xs, int64_t dimension) {
  return make<ConcatOp>(xs, dimension);
}

Value GraphBuilder::reduce(ReduceKind kind, Value x, ArrayRef<int64_t> dimensions) {
  return dimensions.empty() ? x : make<ReduceOp>(kind, x, dimensions);
}

Value GraphBuilder::reduceMean(Value x, ArrayRef<int64_t> dimensions) {
  double count = 1;
  for (int64_t dim : dimensions)
    count *= double(tensorType(x).getDimSize(dim));
  return mul(reduceSum(x, dimensions), 1 / count);
}

Value GraphBuilder::sumAll(Value x) {
  return reduceSum(x, llvm::to_vector(llvm::seq<int64_t>(0, tensorType(x).getRank())));
}

Value GraphBuilder::gather(Value x, Value indices, int64_t dimension) {
  return make<GatherOp>(x, indices, dimension);
}

Value GraphBuilder::scatterAdd(Value base, Value indices, Value updates, int64_t dimension) {
  return make<ScatterAddOp>(base.getType(), base, indices, updates, dimension);
}

} // namespace ingot::graph
