/// Folders: constants through the reference, and identities that hold for every value (the sign of
/// a zero aside).
#include "ir/dialect/Elements.h"
#include "ir/dialect/GraphBuilder.h"
#include "ir/reference/Reference.h"
#include "mlir/IR/PatternMatch.h"
#include <numeric>

using namespace mlir;

namespace ingot::graph {

//===--------------------------------------------------------------------------------------------===//
// Constants
//===--------------------------------------------------------------------------------------------===//

namespace {

/// A folded constant holds at most this many elements, or as many as the constants that it replaces
/// if those are few enough to be worth the compiler's time.
constexpr int64_t smallConstant = 4096, largeConstant = 1 << 20;

std::optional<std::vector<Tensor>> tensorsOf(ArrayRef<Attribute> attributes) {
  std::vector<Tensor> tensors;
  for (Attribute attribute : attributes) {
    Result<Tensor> tensor = tensorOf(cast<ElementsAttr>(attribute));
    if (!tensor)
      return std::nullopt;
    tensors.push_back(*tensor);
  }
  return tensors;
}

/// An elementwise op on splats is a splat: one element is computed.
OpFoldResult foldSplats(Operation *op, ArrayRef<Attribute> operands) {
  auto scalarOf = [](Type type) { return cast<RankedTensorType>(type).clone(ArrayRef<int64_t>()); };
  SmallVector<Attribute> scalars;
  for (Attribute operand : operands) {
    auto splat = cast<DenseElementsAttr>(operand);
    scalars.push_back(splat.resizeSplat(scalarOf(splat.getType())));
  }
  auto tensors = tensorsOf(scalars);
  if (!tensors)
    return {};
  Operation *scalarOp = op->clone();
  scalarOp->getResult(0).setType(scalarOf(op->getResult(0).getType()));
  Result<std::vector<Tensor>> results = evaluate(scalarOp, *tensors);
  auto type = cast<RankedTensorType>(scalarOp->getResult(0).getType());
  scalarOp->destroy();
  if (!results)
    return {};
  return attributeOf(results->front(), type)
      .resizeSplat(cast<RankedTensorType>(op->getResult(0).getType()));
}

bool isSplat(Attribute attribute) {
  auto dense = dyn_cast_or_null<DenseElementsAttr>(attribute);
  return dense && dense.isSplat();
}

} // namespace

LogicalResult foldThroughReference(Operation *op, ArrayRef<Attribute> operands,
                                   SmallVectorImpl<OpFoldResult> &results) {
  if (operands.empty() || !llvm::all_of(operands, llvm::IsaAndPresentPred<ElementsAttr>))
    return llvm::failure();
  // Named ops outlive the stages that have graph.constant; the result would be one.
  if (!llvm::all_of(op->getOperands(),
                    [](Value operand) { return operand.getDefiningOp<ConstantOp>(); }))
    return llvm::failure();
  int64_t read = 0, written = 0;
  for (Attribute operand : operands)
    read += cast<ElementsAttr>(operand).getNumElements();
  for (Type type : op->getResultTypes()) {
    auto ranked = dyn_cast<RankedTensorType>(type);
    if (!ranked || !ranked.hasStaticShape())
      return llvm::failure();
    written += ranked.getNumElements();
  }
  if (op->hasTrait<OpTrait::Elementwise>() && llvm::all_of(operands, isSplat) && written > 0) {
    OpFoldResult splat = foldSplats(op, operands);
    if (splat)
      results.push_back(splat);
    return success(bool(splat));
  }
  if (std::max(read, written) > largeConstant || (written > smallConstant && written > read))
    return llvm::failure();
  auto tensors = tensorsOf(operands);
  if (!tensors)
    return llvm::failure();
  Result<std::vector<Tensor>> values = evaluate(op, *tensors);
  if (!values)
    return llvm::failure();
  for (auto [type, value] : llvm::zip_equal(op->getResultTypes(), *values))
    results.push_back(attributeOf(value, cast<RankedTensorType>(type)));
  return success();
}

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

//===--------------------------------------------------------------------------------------------===//
// Arithmetic
//===--------------------------------------------------------------------------------------------===//

namespace {

/// True for a constant whose every element is `value`.
bool isAll(Attribute attribute, double value) {
  if (!isSplat(attribute))
    return false;
  auto dense = cast<DenseElementsAttr>(attribute);
  if (isa<FloatType>(dense.getElementType())) {
    APFloat expected(value);
    bool losesInfo;
    APFloat element = dense.getSplatValue<APFloat>();
    expected.convert(element.getSemantics(), APFloat::rmNearestTiesToEven, &losesInfo);
    return element == expected;
  }
  APInt element = dense.getSplatValue<APInt>();
  return element == APInt(64, uint64_t(int64_t(value))).trunc(element.getBitWidth());
}

/// x op neutral = x; commutative ops have their constants on the right.
template <typename Op> OpFoldResult foldNeutral(Op op, Attribute rhs, double neutral) {
  return isAll(rhs, neutral) ? OpFoldResult(op.getLhs()) : OpFoldResult();
}

bool isInteger(Value value) { return !isa<FloatType>(tensorType(value).getElementType()); }

} // namespace

OpFoldResult AddOp::fold(FoldAdaptor adaptor) { return foldNeutral(*this, adaptor.getRhs(), 0); }
OpFoldResult SubOp::fold(FoldAdaptor adaptor) { return foldNeutral(*this, adaptor.getRhs(), 0); }
OpFoldResult DivOp::fold(FoldAdaptor adaptor) { return foldNeutral(*this, adaptor.getRhs(), 1); }
OpFoldResult PowOp::fold(FoldAdaptor adaptor) { return foldNeutral(*this, adaptor.getRhs(), 1); }
OpFoldResult OrOp::fold(FoldAdaptor adaptor) { return foldNeutral(*this, adaptor.getRhs(), 0); }
OpFoldResult XorOp::fold(FoldAdaptor adaptor) { return foldNeutral(*this, adaptor.getRhs(), 0); }
OpFoldResult AndOp::fold(FoldAdaptor adaptor) { return foldNeutral(*this, adaptor.getRhs(), -1); }

OpFoldResult MulOp::fold(FoldAdaptor adaptor) {
  // 0·x is 0 for integers only: floats keep NaN and infinity alive.
  if (isInteger(getLhs()) && isAll(adaptor.getRhs(), 0))
    return getRhs();
  return foldNeutral(*this, adaptor.getRhs(), 1);
}

OpFoldResult SelectOp::fold(FoldAdaptor adaptor) {
  if (getOnTrue() == getOnFalse() || isAll(adaptor.getCondition(), -1))
    return getOnTrue();
  return isAll(adaptor.getCondition(), 0) ? OpFoldResult(getOnFalse()) : OpFoldResult();
}

/// True if every value of `narrow` is a value of `wide`.
static bool holdsAll(Type wide, Type narrow) {
  auto wideFloat = dyn_cast<FloatType>(wide), narrowFloat = dyn_cast<FloatType>(narrow);
  if (wideFloat && narrowFloat)
    return APFloat::isRepresentableBy(narrowFloat.getFloatSemantics(),
                                      wideFloat.getFloatSemantics());
  auto wideInteger = dyn_cast<IntegerType>(wide), narrowInteger = dyn_cast<IntegerType>(narrow);
  return wideInteger && narrowInteger && !narrowInteger.isInteger(1) &&
         wideInteger.getSignedness() == narrowInteger.getSignedness() &&
         wideInteger.getWidth() >= narrowInteger.getWidth();
}

OpFoldResult CastOp::fold(FoldAdaptor) {
  if (getOperand().getType() == getType())
    return getOperand();
  auto inner = getOperand().getDefiningOp<CastOp>();
  if (inner && inner.getOperand().getType() == getType() &&
      holdsAll(getOperand().getType().getElementType(), getType().getElementType()))
    return inner.getOperand();
  return {};
}

//===--------------------------------------------------------------------------------------------===//
// Movement
//===--------------------------------------------------------------------------------------------===//

namespace {

/// Whatever moves a splat's elements gives a splat.
OpFoldResult foldMovedSplat(Attribute operand, RankedTensorType type) {
  if (!isSplat(operand) || !type.hasStaticShape() || type.getNumElements() == 0)
    return {};
  return cast<DenseElementsAttr>(operand).resizeSplat(type);
}

bool isIdentity(ArrayRef<int64_t> permutation) {
  return llvm::all_of(llvm::enumerate(permutation),
                      [](auto entry) { return int64_t(entry.index()) == entry.value(); });
}

bool areAll(ArrayRef<int64_t> values, int64_t value) {
  return llvm::all_of(values, [&](int64_t each) { return each == value; });
}

} // namespace

OpFoldResult ReshapeOp::fold(FoldAdaptor adaptor) {
  auto type = getType();
  if (getOperand().getType() == type && type.getNumDynamicDims() <= 1)
    return getOperand();
  if (auto inner = getOperand().getDefiningOp<ReshapeOp>()) {
    getOperandMutable().assign(inner.getOperand());
    return getResult();
  }
  return foldMovedSplat(adaptor.getOperand(), type);
}

OpFoldResult TransposeOp::fold(FoldAdaptor adaptor) {
  if (isIdentity(getPermutation()) && getOperand().getType() == getType())
    return getOperand();
  if (auto inner = getOperand().getDefiningOp<TransposeOp>()) {
    SmallVector<int64_t> merged;
    for (int64_t dim : getPermutation())
      merged.push_back(inner.getPermutation()[dim]);
    setPermutation(merged);
    getOperandMutable().assign(inner.getOperand());
    return getResult();
  }
  return foldMovedSplat(adaptor.getOperand(), getType());
}

OpFoldResult BroadcastOp::fold(FoldAdaptor adaptor) {
  if (getOperand().getType() == getType() && getType().hasStaticShape())
    return getOperand();
  auto inner = getOperand().getDefiningOp<BroadcastOp>();
  if (inner && inner.getType().hasStaticShape()) {
    SmallVector<int64_t> merged;
    for (int64_t dim : inner.getDimensions())
      merged.push_back(getDimensions()[dim]);
    setDimensions(merged);
    getOperandMutable().assign(inner.getOperand());
    return getResult();
  }
  return foldMovedSplat(adaptor.getOperand(), getType());
}

OpFoldResult SliceOp::fold(FoldAdaptor adaptor) {
  auto from = getOperand().getType();
  if (from == getType() && from.hasStaticShape() && areAll(getStrides(), 1))
    return getOperand();
  if (auto inner = getOperand().getDefiningOp<SliceOp>()) {
    SmallVector<int64_t> offsets, limits, strides;
    for (int64_t dim = 0; dim < from.getRank(); ++dim) {
      int64_t start = inner.getOffsets()[dim], stride = inner.getStrides()[dim];
      int64_t size = getType().getDimSize(dim);
      offsets.push_back(start + getOffsets()[dim] * stride);
      strides.push_back(stride * getStrides()[dim]);
      limits.push_back(size ? offsets.back() + (size - 1) * strides.back() + 1 : offsets.back());
    }
    setOffsets(offsets);
    setLimits(limits);
    setStrides(strides);
    getOperandMutable().assign(inner.getOperand());
    return getResult();
  }
  return foldMovedSplat(adaptor.getOperand(), getType());
}

OpFoldResult PadOp::fold(FoldAdaptor) {
  bool isEmpty = areAll(getLow(), 0) && areAll(getHigh(), 0) && areAll(getInterior(), 0);
  return isEmpty && getOperand().getType() == getType() ? OpFoldResult(getOperand())
                                                        : OpFoldResult();
}

OpFoldResult ConcatOp::fold(FoldAdaptor) {
  bool isAlone = getOperands().size() == 1 && getOperands().front().getType() == getType();
  return isAlone ? OpFoldResult(getOperands().front()) : OpFoldResult();
}

OpFoldResult ReduceOp::fold(FoldAdaptor) {
  return getDimensions().empty() ? OpFoldResult(getOperand()) : OpFoldResult();
}

} // namespace ingot::graph
