#include "ir/dialect/GraphBuilder.h"
#include "mlir/IR/IRMapping.h"
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

Value GraphBuilder::castAtSource(Value x, Type element) {
  if (tensorType(x).getElementType() == element)
    return x;
  Operation *source = x.getDefiningOp();
  if (auto wide = dyn_cast_or_null<CastOp>(source);
      wide && wide.getOperand().getType() == tensorType(x).clone(element))
    return wide.getOperand();
  if (!isa_and_nonnull<ReshapeOp, TransposeOp, SliceOp>(source) ||
      source->getBlock() != builder.getInsertionBlock())
    return cast(x, element);
  IRMapping moved;
  moved.map(source->getOperand(0), castAtSource(source->getOperand(0), element));
  Operation *clone = builder.clone(*source, moved);
  clone->getResult(0).setType(tensorType(x).clone(element));
  return clone->getResult(0);
}

Value GraphBuilder::contract(Value lhs, Value rhs, ArrayRef<int64_t> lhsBatch,
                             ArrayRef<int64_t> rhsBatch, ArrayRef<int64_t> lhsContract,
                             ArrayRef<int64_t> rhsContract, Type element) {
  auto product = make<ContractOp>(lhs, rhs, lhsBatch, rhsBatch, lhsContract, rhsContract);
  product.setType(tensorType(product).clone(element));
  return product;
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

Value GraphBuilder::pad(Value x, int64_t first, ArrayRef<int64_t> low, ArrayRef<int64_t> high,
                        ArrayRef<int64_t> interior) {
  const int64_t rank = tensorType(x).getRank();
  SmallVector<int64_t> before(rank, 0), after(rank, 0), between(rank, 0), ones(rank, 1);
  SmallVector<int64_t> from(rank, 0), cut(rank, 0);
  for (size_t dim = 0; dim < low.size(); ++dim) {
    before[first + dim] = std::max<int64_t>(low[dim], 0);
    after[first + dim] = std::max<int64_t>(high[dim], 0);
    between[first + dim] = interior.empty() ? 0 : interior[dim];
    from[first + dim] = std::max<int64_t>(-low[dim], 0);
    cut[first + dim] = std::max<int64_t>(-high[dim], 0);
  }
  auto isNothing = [](ArrayRef<int64_t> amounts) {
    return llvm::all_of(amounts, [](int64_t amount) { return amount == 0; });
  };
  if (!isNothing(before) || !isNothing(after) || !isNothing(between))
    x = make<PadOp>(x, scalar(tensorType(x).getElementType(), 0), before, after, between);
  if (isNothing(from) && isNothing(cut))
    return x;
  SmallVector<int64_t> to(tensorType(x).getShape());
  for (auto [limit, amount] : llvm::zip_equal(to, cut))
    limit -= amount;
  return make<SliceOp>(x, from, to, ones);
}

Value GraphBuilder::reverse(Value x, ArrayRef<int64_t> dimensions) {
  return make<ReverseOp>(x, dimensions);
}

Value GraphBuilder::window(Value x, int64_t first, ArrayRef<int64_t> sizes,
                           ArrayRef<int64_t> strides, ArrayRef<int64_t> dilations) {
  return make<WindowOp>(x, llvm::to_vector(llvm::seq(first, tensorType(x).getRank())), sizes,
                        strides, dilations);
}

Value GraphBuilder::splitGroups(Value x, int64_t dimension, int64_t groups) {
  if (groups == 1)
    return x;
  SmallVector<int64_t> shape(tensorType(x).getShape());
  shape[dimension] /= groups;
  shape.insert(shape.begin() + dimension, groups);
  return reshape(x, shape);
}

/// As a contraction there would be one row of products each: here every element is the sum over its
/// window.
Value GraphBuilder::convolveChannels(Value x, Value weight, ArrayRef<int64_t> strides,
                                     ArrayRef<int64_t> dilations) {
  const int64_t spatial = strides.size();
  SmallVector<int64_t> kernels(tensorType(weight).getShape()), dimensions = {1};
  kernels.erase(kernels.begin() + 1);
  Value windows = window(widen(x), 2, ArrayRef(kernels).drop_front(), strides, dilations);
  auto places = llvm::to_vector(llvm::seq(2 + spatial, 2 + 2 * spatial));
  llvm::append_range(dimensions, places);
  Value factors =
      broadcast(reshape(widen(weight), kernels), tensorType(windows).getShape(), dimensions);
  return cast(reduceSum(mul(windows, factors), places), tensorType(x).getElementType());
}

/// Weight [batch, group, out, channel, k…] times windows. One group is no dimension, so that what
/// reads the result has the product's own.
Value GraphBuilder::convolve(Value x, Value weight, ArrayRef<int64_t> strides,
                             ArrayRef<int64_t> dilations, int64_t groups) {
  const int64_t spatial = strides.size(), batch = tensorType(x).getDimSize(0),
                out = tensorType(weight).getDimSize(0);
  ArrayRef<int64_t> sizes = tensorType(weight).getShape().drop_front(2);
  if (groups == out && groups == tensorType(x).getDimSize(1))
    return convolveChannels(x, weight, strides, dilations);
  Value windows = groupWindows(x, sizes, strides, dilations, groups);
  Value factors = splitGroups(weight, 0, groups);
  SmallVector<int64_t> shape(tensorType(factors).getShape());
  shape.insert(shape.begin(), batch);
  factors = broadcastTo(factors, shape);
  const int64_t shared = groups == 1 ? 1 : 2;
  const auto batches = llvm::to_vector(llvm::seq<int64_t>(0, shared));
  SmallVector<int64_t> ofFactors = {shared + 1}, ofWindows = {shared};
  for (int64_t dim = 0; dim < spatial; ++dim) {
    ofFactors.push_back(shared + 2 + dim);
    ofWindows.push_back(shared + 1 + spatial + dim);
  }
  Value product = contract(factors, windows, batches, batches, ofFactors, ofWindows);
  SmallVector<int64_t> result = {batch, out};
  llvm::append_range(result, tensorType(product).getShape().drop_front(shared + 1));
  return reshape(product, result);
}

Value GraphBuilder::reduce(ReduceKind kind, Value x, ArrayRef<int64_t> dimensions) {
  return dimensions.empty() ? x : make<ReduceOp>(kind, x, dimensions);
}

SmallVector<Value> GraphBuilder::reduceTuples(StringRef kind, ValueRange operands,
                                              ArrayRef<int64_t> dimensions) {
  return ReduceTuplesOp::create(builder, location, kind, operands, dimensions)->getResults();
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
