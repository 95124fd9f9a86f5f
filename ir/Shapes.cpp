/// Result types from operand types and attributes, and the verifiers of ops whose result type is
/// given.
#include "ir/GraphBuilder.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallBitVector.h"

using namespace mlir;

namespace ingot::graph {
namespace {

using Dims = SmallVector<int64_t>;

RankedTensorType ranked(Value value) { return cast<RankedTensorType>(value.getType()); }

/// True if `dims` are distinct and inside [0, rank).
bool areDistinctDims(ArrayRef<int64_t> dims, int64_t rank) {
  llvm::SmallBitVector seen(rank);
  for (int64_t dim : dims) {
    if (dim < 0 || dim >= rank || seen.test(dim))
      return false;
    seen.set(dim);
  }
  return true;
}

bool compatible(int64_t a, int64_t b) {
  return a == b || ShapedType::isDynamic(a) || ShapedType::isDynamic(b);
}

LogicalResult oneResult(SmallVectorImpl<Type> &results, ArrayRef<int64_t> shape, Type element) {
  results.push_back(RankedTensorType::get(shape, element));
  return success();
}

/// One value per row: the operand without its last dimension, never narrower than f32.
RankedTensorType statisticsType(RankedTensorType type) {
  return RankedTensorType::get(type.getShape().drop_back(1),
                               accumulationType(type.getElementType()));
}

/// Inferred and stated types agree where both are known: a stated `?` dimension may be known
/// better.
bool areCompatible(TypeRange inferred, TypeRange stated) {
  return inferred.size() == stated.size() &&
         llvm::all_of(llvm::zip(inferred, stated), [](auto pair) {
           auto a = cast<ShapedType>(std::get<0>(pair)), b = cast<ShapedType>(std::get<1>(pair));
           return a.getElementType() == b.getElementType() &&
                  succeeded(verifyCompatibleShape(a, b));
         });
}

} // namespace

#define COMPATIBLE_RESULTS(OP)                                                                     \
  bool OP::isCompatibleReturnTypes(TypeRange inferred, TypeRange stated) {                         \
    return areCompatible(inferred, stated);                                                        \
  }
COMPATIBLE_RESULTS(AttentionBackwardOp)
COMPATIBLE_RESULTS(AttentionOp)
COMPATIBLE_RESULTS(BucketOp)
COMPATIBLE_RESULTS(CompareOp)
COMPATIBLE_RESULTS(ConcatOp)
COMPATIBLE_RESULTS(ContractOp)
COMPATIBLE_RESULTS(CrossEntropyOp)
COMPATIBLE_RESULTS(EmbeddingOp)
COMPATIBLE_RESULTS(GatherOp)
COMPATIBLE_RESULTS(LayerNormOp)
COMPATIBLE_RESULTS(LinearOp)
COMPATIBLE_RESULTS(MseOp)
COMPATIBLE_RESULTS(PadOp)
COMPATIBLE_RESULTS(ReduceOp)
COMPATIBLE_RESULTS(SliceOp)
COMPATIBLE_RESULTS(TransposeOp)
#undef COMPATIBLE_RESULTS

LogicalResult CompareOp::inferReturnTypes(MLIRContext *context, std::optional<Location>,
                                          Adaptor adaptor, SmallVectorImpl<Type> &results) {
  return oneResult(results, ranked(adaptor.getLhs()).getShape(), IntegerType::get(context, 1));
}

LogicalResult TransposeOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                            Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto type = ranked(adaptor.getOperand());
  ArrayRef<int64_t> permutation = adaptor.getPermutation();
  if (int64_t(permutation.size()) != type.getRank() ||
      !areDistinctDims(permutation, type.getRank()))
    return emitOptionalError(location, "permutation must name each of the operand's ",
                             type.getRank(), " dimensions once");
  Dims shape;
  for (int64_t dim : permutation)
    shape.push_back(type.getDimSize(dim));
  return oneResult(results, shape, type.getElementType());
}

LogicalResult SliceOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                        Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto type = ranked(adaptor.getOperand());
  size_t rank = type.getRank();
  if (adaptor.getOffsets().size() != rank || adaptor.getLimits().size() != rank ||
      adaptor.getStrides().size() != rank)
    return emitOptionalError(
        location, "offsets, limits and strides need one entry for each of the operand's ", rank,
        " dimensions");
  Dims shape;
  for (auto [dim, offset, limit, stride] : llvm::zip_equal(
           type.getShape(), adaptor.getOffsets(), adaptor.getLimits(), adaptor.getStrides())) {
    bool inside = offset >= 0 && offset <= limit && (ShapedType::isDynamic(dim) || limit <= dim);
    if (!inside || stride <= 0)
      return emitOptionalError(location, "slice ", offset, " to ", limit, " by ", stride,
                               " is not inside a dimension of size ", dim);
    shape.push_back((limit - offset + stride - 1) / stride);
  }
  return oneResult(results, shape, type.getElementType());
}

LogicalResult PadOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                      Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto type = ranked(adaptor.getOperand());
  auto value = ranked(adaptor.getValue());
  if (value.getRank() != 0 || value.getElementType() != type.getElementType())
    return emitOptionalError(location,
                             "the padding value must be a scalar of the operand's element type");
  size_t rank = type.getRank();
  if (adaptor.getLow().size() != rank || adaptor.getHigh().size() != rank ||
      adaptor.getInterior().size() != rank)
    return emitOptionalError(location,
                             "low, high and interior need one entry for each of the operand's ",
                             rank, " dimensions");
  Dims shape;
  for (auto [dim, low, high, interior] : llvm::zip_equal(
           type.getShape(), adaptor.getLow(), adaptor.getHigh(), adaptor.getInterior())) {
    if (low < 0 || high < 0 || interior < 0)
      return emitOptionalError(location, "padding must not be negative");
    shape.push_back(ShapedType::isDynamic(dim)
                        ? dim
                        : low + dim + std::max<int64_t>(dim - 1, 0) * interior + high);
  }
  return oneResult(results, shape, type.getElementType());
}

LogicalResult ConcatOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                         Adaptor adaptor, SmallVectorImpl<Type> &results) {
  if (adaptor.getOperands().empty())
    return emitOptionalError(location, "concat needs at least one operand");
  auto first = ranked(adaptor.getOperands().front());
  int64_t dimension = adaptor.getDimension();
  if (dimension < 0 || dimension >= first.getRank())
    return emitOptionalError(location, "dimension ", dimension, " is not one of the operands' ",
                             first.getRank());
  Dims shape(first.getShape());
  shape[dimension] = 0;
  for (Value operand : adaptor.getOperands()) {
    auto type = ranked(operand);
    if (type.getRank() != first.getRank() || type.getElementType() != first.getElementType())
      return emitOptionalError(location, "operands differ in rank or element type: ", first,
                               " and ", type);
    for (int64_t dim = 0; dim < type.getRank(); ++dim)
      if (dim != dimension && !compatible(type.getDimSize(dim), first.getDimSize(dim)))
        return emitOptionalError(location, "operands differ in dimension ", dim, ": ", first,
                                 " and ", type);
    int64_t size = type.getDimSize(dimension);
    bool dynamic = ShapedType::isDynamic(size) || ShapedType::isDynamic(shape[dimension]);
    shape[dimension] = dynamic ? ShapedType::kDynamic : shape[dimension] + size;
  }
  return oneResult(results, shape, first.getElementType());
}

LogicalResult ReduceOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                         Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto type = ranked(adaptor.getOperand());
  if (!areDistinctDims(adaptor.getDimensions(), type.getRank()))
    return emitOptionalError(location, "dimensions must be distinct and below the operand's rank ",
                             type.getRank());
  Dims shape;
  for (int64_t dim = 0; dim < type.getRank(); ++dim)
    if (!llvm::is_contained(adaptor.getDimensions(), dim))
      shape.push_back(type.getDimSize(dim));
  return oneResult(results, shape, type.getElementType());
}

LogicalResult ContractOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                           Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto lhs = ranked(adaptor.getLhs()), rhs = ranked(adaptor.getRhs());
  if (lhs.getElementType() != rhs.getElementType())
    return emitOptionalError(location, "operands differ in element type: ", lhs, " and ", rhs);
  auto paired = [&](ArrayRef<int64_t> left, ArrayRef<int64_t> right) {
    return left.size() == right.size() && llvm::all_of(llvm::zip(left, right), [&](auto pair) {
             auto [l, r] = pair;
             return l >= 0 && l < lhs.getRank() && r >= 0 && r < rhs.getRank() &&
                    compatible(lhs.getDimSize(l), rhs.getDimSize(r));
           });
  };
  Dims lhsUsed(adaptor.getLhsBatch()), rhsUsed(adaptor.getRhsBatch());
  llvm::append_range(lhsUsed, adaptor.getLhsContract());
  llvm::append_range(rhsUsed, adaptor.getRhsContract());
  if (!paired(adaptor.getLhsBatch(), adaptor.getRhsBatch()) ||
      !paired(adaptor.getLhsContract(), adaptor.getRhsContract()) ||
      !areDistinctDims(lhsUsed, lhs.getRank()) || !areDistinctDims(rhsUsed, rhs.getRank()))
    return emitOptionalError(
        location, "batch and contracted dimensions must be distinct and pair up in size: ", lhs,
        " and ", rhs);
  Dims shape;
  for (int64_t dim : adaptor.getLhsBatch())
    shape.push_back(lhs.getDimSize(dim));
  for (int64_t dim = 0; dim < lhs.getRank(); ++dim)
    if (!llvm::is_contained(lhsUsed, dim))
      shape.push_back(lhs.getDimSize(dim));
  for (int64_t dim = 0; dim < rhs.getRank(); ++dim)
    if (!llvm::is_contained(rhsUsed, dim))
      shape.push_back(rhs.getDimSize(dim));
  return oneResult(results, shape, lhs.getElementType());
}

LogicalResult GatherOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                         Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto type = ranked(adaptor.getOperand());
  int64_t dimension = adaptor.getDimension();
  if (dimension < 0 || dimension >= type.getRank())
    return emitOptionalError(location, "dimension ", dimension, " is not one of the operand's ",
                             type.getRank());
  Dims shape(type.getShape().take_front(dimension));
  llvm::append_range(shape, ranked(adaptor.getIndices()).getShape());
  llvm::append_range(shape, type.getShape().drop_front(dimension + 1));
  return oneResult(results, shape, type.getElementType());
}

LogicalResult LayerNormOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                            Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto type = ranked(adaptor.getOperand());
  auto vector = RankedTensorType::get(type.getShape().take_back(1), type.getElementType());
  if (type.getRank() == 0 || adaptor.getScale().getType() != vector ||
      adaptor.getBias().getType() != vector)
    return emitOptionalError(location,
                             "scale and bias must have the shape of the operand's last dimension");
  results.append({type, statisticsType(type), statisticsType(type)});
  return success();
}

LogicalResult LinearOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                         Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto type = ranked(adaptor.getOperand()), weight = ranked(adaptor.getWeight());
  if (type.getRank() < 1 || weight.getRank() != 2 ||
      weight.getElementType() != type.getElementType() ||
      !compatible(weight.getDimSize(1), type.getShape().back()))
    return emitOptionalError(location, "weight must be [out, ",
                             type.getRank() ? type.getShape().back() : 0,
                             "] of the operand's element type, but is ", weight);
  Dims shape(type.getShape());
  shape.back() = weight.getDimSize(0);
  if (adaptor.getBias() &&
      adaptor.getBias().getType() != RankedTensorType::get({shape.back()}, type.getElementType()))
    return emitOptionalError(location, "bias must be [", shape.back(),
                             "] of the operand's element type");
  return oneResult(results, shape, type.getElementType());
}

LogicalResult EmbeddingOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                            Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto table = ranked(adaptor.getTable());
  if (table.getRank() != 2)
    return emitOptionalError(location, "the table must be [vocabulary, width], but is ", table);
  Dims shape(ranked(adaptor.getIndices()).getShape());
  shape.push_back(table.getDimSize(1));
  return oneResult(results, shape, table.getElementType());
}

static LogicalResult checkAttention(std::optional<Location> location, RankedTensorType query,
                                    RankedTensorType key, RankedTensorType value) {
  if (query.getRank() != 4 || key.getRank() != 4 || value.getRank() != 4)
    return emitOptionalError(location,
                             "query, key and value must be [batch, heads, sequence, head]");
  for (int64_t dim : {0, 1, 3})
    if (!compatible(query.getDimSize(dim), key.getDimSize(dim)))
      return emitOptionalError(location, "query and key differ in dimension ", dim);
  for (int64_t dim : {0, 1, 2})
    if (!compatible(key.getDimSize(dim), value.getDimSize(dim)))
      return emitOptionalError(location, "key and value differ in dimension ", dim);
  if (query.getElementType() != key.getElementType() ||
      key.getElementType() != value.getElementType())
    return emitOptionalError(location, "query, key and value differ in element type");
  return success();
}

LogicalResult AttentionOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                            Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto query = ranked(adaptor.getQuery()), value = ranked(adaptor.getValue());
  if (failed(checkAttention(location, query, ranked(adaptor.getKey()), value)))
    return failure();
  Dims shape(query.getShape());
  shape.back() = value.getShape().back();
  results.push_back(RankedTensorType::get(shape, query.getElementType()));
  results.push_back(statisticsType(query));
  return success();
}

LogicalResult AttentionBackwardOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                                    Adaptor adaptor,
                                                    SmallVectorImpl<Type> &results) {
  auto query = ranked(adaptor.getQuery()), key = ranked(adaptor.getKey()),
       value = ranked(adaptor.getValue());
  if (failed(checkAttention(location, query, key, value)))
    return failure();
  if (adaptor.getOutput().getType() != adaptor.getGradient().getType())
    return emitOptionalError(location, "output and its gradient differ in type");
  results.append({query, key, value});
  return success();
}

LogicalResult CrossEntropyOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                               Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto logits = ranked(adaptor.getLogits());
  if (logits.getRank() < 1 ||
      logits.getShape().drop_back(1) != ranked(adaptor.getTargets()).getShape())
    return emitOptionalError(
        location, "targets must have the shape of the logits without their last dimension");
  results.push_back(RankedTensorType::get({}, accumulationType(logits.getElementType())));
  results.push_back(statisticsType(logits));
  return success();
}

LogicalResult MseOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                      Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto type = ranked(adaptor.getPrediction());
  if (adaptor.getTarget().getType() != type)
    return emitOptionalError(location, "prediction and target differ in type");
  return oneResult(results, {}, accumulationType(type.getElementType()));
}

LogicalResult BucketOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                         Adaptor adaptor, SmallVectorImpl<Type> &results) {
  if (adaptor.getOperands().empty())
    return emitOptionalError(location, "a bucket needs at least one tensor");
  Type element = ranked(adaptor.getOperands().front()).getElementType();
  int64_t size = 0;
  for (Value operand : adaptor.getOperands()) {
    auto type = ranked(operand);
    if (!type.hasStaticShape() || type.getElementType() != element)
      return emitOptionalError(location,
                               "a bucket's tensors have static shapes and one element type");
    size += llvm::alignTo(type.getNumElements(), 16);
  }
  return oneResult(results, {size}, element);
}

//===--------------------------------------------------------------------------------------------===//
// Verifiers of ops whose result type is given
//===--------------------------------------------------------------------------------------------===//

LogicalResult IotaOp::verify() {
  int64_t dimension = getDimension(), rank = getType().getRank();
  if (dimension < 0 || dimension >= rank)
    return emitOpError("dimension ") << dimension << " is not one of the result's " << rank;
  return success();
}

LogicalResult SelectOp::verify() {
  if (getCondition().getType().getShape() != getType().getShape())
    return emitOpError("condition and values differ in shape");
  return success();
}

LogicalResult ReshapeOp::verify() {
  auto from = getOperand().getType(), to = getType();
  if (from.hasStaticShape() && to.hasStaticShape() && from.getNumElements() != to.getNumElements())
    return emitOpError() << from.getNumElements() << " elements do not fit a shape of "
                         << to.getNumElements();
  return success();
}

LogicalResult BroadcastOp::verify() {
  auto from = getOperand().getType(), to = getType();
  ArrayRef<int64_t> dimensions = getDimensions();
  if (int64_t(dimensions.size()) != from.getRank())
    return emitOpError("(1) dimensions need one entry for each of the operand's ")
           << from.getRank();
  int64_t previous = -1;
  for (auto [index, dim] : llvm::enumerate(dimensions)) {
    if (dim <= previous || dim >= to.getRank())
      return emitOpError("(1) dimensions must increase strictly and stay below the result's rank ")
             << to.getRank();
    previous = dim;
    int64_t size = from.getDimSize(index);
    if (size != 1 && !compatible(size, to.getDimSize(dim)))
      return emitOpError("(2) operand dimension ")
             << index << " has size " << size << ", result dimension " << dim << " "
             << to.getDimSize(dim);
  }
  return success();
}

LogicalResult ScatterAddOp::verify() {
  auto base = getBase().getType();
  int64_t dimension = getDimension();
  if (dimension < 0 || dimension >= base.getRank())
    return emitOpError("dimension ") << dimension << " is not one of the base's " << base.getRank();
  Dims expected(base.getShape().take_front(dimension));
  llvm::append_range(expected, getIndices().getType().getShape());
  llvm::append_range(expected, base.getShape().drop_front(dimension + 1));
  if (getUpdates().getType() != RankedTensorType::get(expected, base.getElementType()))
    return emitOpError("updates must be ")
           << RankedTensorType::get(expected, base.getElementType());
  return success();
}

LogicalResult SoftmaxOp::verify() {
  int64_t dimension = getDimension(), rank = getType().getRank();
  if (dimension < 0 || dimension >= rank)
    return emitOpError("dimension ") << dimension << " is not one of the operand's " << rank;
  return success();
}

LogicalResult AdamWOp::verify() {
  for (TypeRange group :
       {TypeRange(getGradients().getTypes()), TypeRange(getFirstMoments().getTypes()),
        TypeRange(getSecondMoments().getTypes()), TypeRange(getNewParameters().getTypes()),
        TypeRange(getNewFirstMoments().getTypes()), TypeRange(getNewSecondMoments().getTypes())})
    if (group != TypeRange(getParameters().getTypes()))
      return emitOpError("parameters, gradients and moments must pair up in number and type");
  return success();
}

LogicalResult SgdOp::verify() {
  if (TypeRange(getGradients().getTypes()) != TypeRange(getParameters().getTypes()) ||
      TypeRange(getNewParameters().getTypes()) != TypeRange(getParameters().getTypes()))
    return emitOpError("parameters and gradients must pair up in number and type");
  if (!getMomenta().empty() &&
      TypeRange(getMomenta().getTypes()) != TypeRange(getParameters().getTypes()))
    return emitOpError("momenta, where present, must pair up with parameters");
  if (TypeRange(getNewMomenta().getTypes()) != TypeRange(getMomenta().getTypes()))
    return emitOpError("new momenta must pair up with momenta");
  return success();
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  if (!symbols.lookupNearestSymbolFrom(*this, getKernelAttr()))
    return emitOpError("there is no kernel named ") << getKernelAttr();
  return success();
}

LogicalResult LoopOp::verify() {
  Block &body = getBody().front();
  if (body.getNumArguments() != getCarried().size() + 1 ||
      body.getArgument(0).getType() != getTripCount().getType())
    return emitOpError("the body takes the iteration number and the carried values");
  auto yield = cast<YieldOp>(body.getTerminator());
  if (yield.getNumOperands() != getNumResults() || getNumResults() < getCarried().size())
    return emitOpError("the body yields the carried values, then one value per stacked result");
  for (auto [index, carried] : llvm::enumerate(getCarried()))
    if (body.getArgument(index + 1).getType() != carried.getType() ||
        yield.getOperand(index).getType() != carried.getType() ||
        getResult(index).getType() != carried.getType())
      return emitOpError("carried value ") << index << " changes its type";
  return success();
}

LogicalResult IfOp::verify() {
  if (getCondition().getType().getRank() != 0)
    return emitOpError("the condition must be a scalar");
  for (Region *region : getRegions())
    if (TypeRange(region->front().getTerminator()->getOperandTypes()) !=
        TypeRange(getResultTypes()))
      return emitOpError("both regions must yield the result types");
  return success();
}

} // namespace ingot::graph
