/// Result types from operand types and attributes. A number in an error is the op's constraint in
/// its documentation.
#include "ir/formulas/TupleReductions.h"
#include "ir/shapes/Inference.h"
#include "runtime/program/Bucket.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallBitVector.h"
#include "llvm/Support/MathExtras.h"
#include <limits>

using namespace mlir;

namespace ingot::graph {
namespace {

using Dims = SmallVector<int64_t>;

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

LogicalResult oneResult(SmallVectorImpl<Type> &results, ArrayRef<int64_t> shape, Type element) {
  results.push_back(RankedTensorType::get(shape, element));
  return success();
}

/// How many positions a window has in a dimension: none if it does not fit.
std::optional<int64_t> positions(int64_t dimension, int64_t size, int64_t stride,
                                 int64_t dilation) {
  if (ShapedType::isDynamic(dimension))
    return dimension;
  int64_t reach = 0;
  if (llvm::MulOverflow(size - 1, dilation, reach) || reach >= dimension)
    return std::nullopt;
  return (dimension - reach - 1) / stride + 1;
}

/// The same for sums of products, which may stay as wide as they were accumulated.
bool areCompatibleSums(TypeRange inferred, TypeRange stated) {
  if (inferred.size() != 1 || stated.size() != 1)
    return false;
  auto own = cast<ShapedType>(inferred[0]);
  Type wide = own.clone(accumulationType(own.getElementType()));
  return areCompatible(inferred, stated) || areCompatible(wide, stated);
}

} // namespace

#define COMPATIBLE_RESULTS(OP)                                                                     \
  bool OP::isCompatibleReturnTypes(TypeRange inferred, TypeRange stated) {                         \
    return areCompatible(inferred, stated);                                                        \
  }
COMPATIBLE_RESULTS(AttentionBackwardOp)
COMPATIBLE_RESULTS(AttentionOp)
COMPATIBLE_RESULTS(BatchNormOp)
COMPATIBLE_RESULTS(BucketOp)
COMPATIBLE_RESULTS(CompareOp)
COMPATIBLE_RESULTS(ConcatOp)
COMPATIBLE_RESULTS(ConvolutionOp)
COMPATIBLE_RESULTS(CrossEntropyOp)
COMPATIBLE_RESULTS(DynamicSliceOp)
COMPATIBLE_RESULTS(EmbeddingOp)
COMPATIBLE_RESULTS(GatherOp)
COMPATIBLE_RESULTS(LayerNormOp)
COMPATIBLE_RESULTS(MseOp)
COMPATIBLE_RESULTS(PadOp)
COMPATIBLE_RESULTS(PickOp)
COMPATIBLE_RESULTS(ReduceOp)
COMPATIBLE_RESULTS(ReduceTuplesOp)
COMPATIBLE_RESULTS(ReverseOp)
COMPATIBLE_RESULTS(SliceOp)
COMPATIBLE_RESULTS(SortOp)
COMPATIBLE_RESULTS(TransposeOp)
COMPATIBLE_RESULTS(WindowOp)
#undef COMPATIBLE_RESULTS

bool ContractOp::isCompatibleReturnTypes(TypeRange inferred, TypeRange stated) {
  return areCompatibleSums(inferred, stated);
}
bool LinearOp::isCompatibleReturnTypes(TypeRange inferred, TypeRange stated) {
  return areCompatibleSums(inferred, stated);
}

LogicalResult CompareOp::inferReturnTypes(MLIRContext *context, std::optional<Location>,
                                          Adaptor adaptor, SmallVectorImpl<Type> &results) {
  return oneResult(results, tensorType(adaptor.getLhs()).getShape(), IntegerType::get(context, 1));
}

LogicalResult TransposeOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                            Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto type = tensorType(adaptor.getOperand());
  ArrayRef<int64_t> permutation = adaptor.getPermutation();
  if (int64_t(permutation.size()) != type.getRank() ||
      !areDistinctDims(permutation, type.getRank()))
    return emitOptionalError(location, "(1) permutation must name each of the operand's ",
                             type.getRank(), " dimensions once");
  Dims shape;
  for (int64_t dim : permutation)
    shape.push_back(type.getDimSize(dim));
  return oneResult(results, shape, type.getElementType());
}

LogicalResult ReverseOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                          Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto type = tensorType(adaptor.getOperand());
  if (!areDistinctDims(adaptor.getDimensions(), type.getRank()))
    return emitOptionalError(location, "(1) dimensions must be distinct ones of the operand's ",
                             type.getRank());
  return oneResult(results, type.getShape(), type.getElementType());
}

LogicalResult SliceOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                        Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto type = tensorType(adaptor.getOperand());
  size_t rank = type.getRank();
  if (adaptor.getOffsets().size() != rank || adaptor.getLimits().size() != rank ||
      adaptor.getStrides().size() != rank)
    return emitOptionalError(
        location, "(1) offsets, limits and strides need one entry for each of the operand's ", rank,
        " dimensions");
  Dims shape;
  for (auto [dim, offset, limit, stride] : llvm::zip_equal(
           type.getShape(), adaptor.getOffsets(), adaptor.getLimits(), adaptor.getStrides())) {
    bool inside = offset >= 0 && offset <= limit && (ShapedType::isDynamic(dim) || limit <= dim);
    if (!inside || stride <= 0)
      return emitOptionalError(location, "(2) slice ", offset, " to ", limit, " by ", stride,
                               " is not inside a dimension of size ", dim);
    shape.push_back((limit - offset + stride - 1) / stride);
  }
  return oneResult(results, shape, type.getElementType());
}

LogicalResult PadOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                      Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto type = tensorType(adaptor.getOperand());
  auto value = tensorType(adaptor.getValue());
  if (value.getRank() != 0 || value.getElementType() != type.getElementType())
    return emitOptionalError(
        location, "(1) the padding value must be a scalar of the operand's element type");
  size_t rank = type.getRank();
  if (adaptor.getLow().size() != rank || adaptor.getHigh().size() != rank ||
      adaptor.getInterior().size() != rank)
    return emitOptionalError(location,
                             "(2) low, high and interior need one entry for each of the operand's ",
                             rank, " dimensions");
  Dims shape;
  for (auto [dim, low, high, interior] : llvm::zip_equal(
           type.getShape(), adaptor.getLow(), adaptor.getHigh(), adaptor.getInterior())) {
    if (low < 0 || high < 0 || interior < 0)
      return emitOptionalError(location, "(3) padding must not be negative");
    if (ShapedType::isDynamic(dim)) {
      shape.push_back(dim);
      continue;
    }
    int64_t size = 0;
    if (llvm::MulOverflow<int64_t>(std::max<int64_t>(dim - 1, 0), interior, size) ||
        llvm::AddOverflow<int64_t>(size, dim, size) ||
        llvm::AddOverflow<int64_t>(size, low, size) || llvm::AddOverflow<int64_t>(size, high, size))
      return emitOptionalError(location, "(3) the padded dimension has more than 64 bits");
    shape.push_back(size);
  }
  return oneResult(results, shape, type.getElementType());
}

LogicalResult WindowOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                         Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto type = tensorType(adaptor.getOperand());
  const size_t count = adaptor.getDimensions().size();
  auto areSteps = [&](ArrayRef<int64_t> steps) {
    return steps.size() == count && llvm::all_of(steps, [](int64_t step) { return step >= 1; });
  };
  if (!areDistinctDims(adaptor.getDimensions(), type.getRank()) || !areSteps(adaptor.getSizes()) ||
      !areSteps(adaptor.getStrides()) || !areSteps(adaptor.getDilations()))
    return emitOptionalError(location, "(1) dimensions must be distinct ones of the operand's ",
                             type.getRank(),
                             ", with a size, a stride and a dilation of 1 or more for each");
  Dims shape(type.getShape());
  for (auto [dim, size, stride, dilation] :
       llvm::zip_equal(adaptor.getDimensions(), adaptor.getSizes(), adaptor.getStrides(),
                       adaptor.getDilations())) {
    std::optional<int64_t> count = positions(shape[dim], size, stride, dilation);
    if (!count)
      return emitOptionalError(location, "(2) a window of ", size, " elements at distance ",
                               dilation, " does not fit a dimension of size ", shape[dim]);
    shape[dim] = *count;
  }
  llvm::append_range(shape, adaptor.getSizes());
  return oneResult(results, shape, type.getElementType());
}

LogicalResult ConcatOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                         Adaptor adaptor, SmallVectorImpl<Type> &results) {
  if (adaptor.getOperands().empty())
    return emitOptionalError(location, "(1) concat needs at least one operand");
  auto first = tensorType(adaptor.getOperands().front());
  int64_t dimension = adaptor.getDimension();
  if (dimension < 0 || dimension >= first.getRank())
    return emitOptionalError(location, "(2) dimension ", dimension, " is not one of the operands' ",
                             first.getRank());
  Dims shape(first.getShape());
  shape[dimension] = 0;
  for (Value operand : adaptor.getOperands()) {
    auto type = tensorType(operand);
    if (type.getRank() != first.getRank() || type.getElementType() != first.getElementType())
      return emitOptionalError(location, "(3) operands differ in rank or element type: ", first,
                               " and ", type);
    for (int64_t dim = 0; dim < type.getRank(); ++dim)
      if (dim != dimension && !compatible(type.getDimSize(dim), first.getDimSize(dim)))
        return emitOptionalError(location, "(4) operands differ in dimension ", dim, ": ", first,
                                 " and ", type);
    int64_t size = type.getDimSize(dimension);
    bool dynamic = ShapedType::isDynamic(size) || ShapedType::isDynamic(shape[dimension]);
    shape[dimension] = dynamic ? ShapedType::kDynamic : shape[dimension] + size;
  }
  return oneResult(results, shape, first.getElementType());
}

/// `shape` without `dimensions`.
static Dims reducedShape(ArrayRef<int64_t> shape, ArrayRef<int64_t> dimensions) {
  Dims kept;
  for (auto [dim, size] : llvm::enumerate(shape))
    if (!llvm::is_contained(dimensions, int64_t(dim)))
      kept.push_back(size);
  return kept;
}

LogicalResult ReduceOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                         Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto type = tensorType(adaptor.getOperand());
  if (!areDistinctDims(adaptor.getDimensions(), type.getRank()))
    return emitOptionalError(
        location, "(1) dimensions must be distinct and below the operand's rank ", type.getRank());
  const ReduceKind kind = adaptor.getKind();
  const bool isLogical = kind == ReduceKind::Any || kind == ReduceKind::All;
  if (type.getElementType().isInteger(1) != isLogical)
    return emitOptionalError(location, "(2) ", stringifyReduceKind(kind), " is not of ",
                             type.getElementType());
  return oneResult(results, reducedShape(type.getShape(), adaptor.getDimensions()),
                   type.getElementType());
}

LogicalResult PickOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                       Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto type = tensorType(adaptor.getOperand()), indices = tensorType(adaptor.getIndices());
  const int64_t dimension = adaptor.getDimension();
  if (dimension < 0 || dimension >= type.getRank())
    return emitOptionalError(location, "(1) dimension ", dimension, " is not one of the operand's ",
                             type.getRank());
  const Dims kept = reducedShape(type.getShape(), dimension);
  if (indices.getRank() != int64_t(kept.size()) ||
      !llvm::all_of_zip(indices.getShape(), kept, compatible))
    return emitOptionalError(location, "(2) indices must be ",
                             RankedTensorType::get(kept, indices.getElementType()));
  return oneResult(results, kept, type.getElementType());
}

LogicalResult SortOp::inferReturnTypes(MLIRContext *context, std::optional<Location> location,
                                       Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto type = tensorType(adaptor.getOperand());
  const int64_t dimension = adaptor.getDimension();
  if (dimension < 0 || dimension >= type.getRank())
    return emitOptionalError(location, "(1) dimension ", dimension, " is not one of the operand's ",
                             type.getRank());
  if (type.getDimSize(dimension) > std::numeric_limits<int32_t>::max())
    return emitOptionalError(location, "(2) a line has ", type.getDimSize(dimension),
                             " elements, more than 2^31 - 1");
  results.append({type, type.clone(IntegerType::get(context, 64))});
  return success();
}

LogicalResult ReduceTuplesOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                               Adaptor adaptor, SmallVectorImpl<Type> &results) {
  const TupleReduction *row = findTupleReduction(adaptor.getKind());
  if (!row)
    return emitOptionalError(location, "(2) there is no reduction of tuples '", adaptor.getKind(),
                             "'");
  ValueRange operands = adaptor.getOperands();
  if (operands.size() != row->size())
    return emitOptionalError(location, "(3) the tuples of ", row->name, " have ", row->size(),
                             " parts, not ", operands.size());
  auto first = tensorType(operands.front());
  for (auto [index, operand] : llvm::enumerate(operands)) {
    auto type = tensorType(operand);
    if (!areDistinctDims(adaptor.getDimensions(), type.getRank()) ||
        failed(verifyCompatibleShape(first, type)))
      return emitOptionalError(location,
                               "(1) dimensions must be distinct and below the rank of "
                               "the operands, which have one shape: ",
                               first, " and ", type);
    const bool isNumber = row->isNumbered() && index + 1 == operands.size();
    Type element = type.getElementType();
    if (isNumber
            ? !element.isInteger(32) && !element.isInteger(64)
            : !row->isNumbered() && (element != first.getElementType() || !isa<FloatType>(element)))
      return emitOptionalError(location, "(3) part ", index, " of ", row->name, "'s tuples is no ",
                               element);
    results.push_back(
        RankedTensorType::get(reducedShape(first.getShape(), adaptor.getDimensions()), element));
  }
  return success();
}

LogicalResult ContractOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                           Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto lhs = tensorType(adaptor.getLhs()), rhs = tensorType(adaptor.getRhs());
  if (lhs.getElementType() != rhs.getElementType())
    return emitOptionalError(location, "(1) operands differ in element type: ", lhs, " and ", rhs);
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
        location, "(2) batch and contracted dimensions must be distinct and pair up in size: ", lhs,
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

LogicalResult DynamicSliceOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                               Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto type = tensorType(adaptor.getOperand());
  int64_t dimension = adaptor.getDimension(), size = adaptor.getSize();
  if (dimension < 0 || dimension >= type.getRank())
    return emitOptionalError(location, "(1) dimension ", dimension, " is not one of the operand's ",
                             type.getRank());
  Dims shape(type.getShape());
  if (size < 0 || (!ShapedType::isDynamic(shape[dimension]) && size > shape[dimension]))
    return emitOptionalError(location, "(2) size ", size, " does not fit the operand's dimension ",
                             dimension, " of ", shape[dimension]);
  shape[dimension] = size;
  return oneResult(results, shape, type.getElementType());
}

LogicalResult GatherOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                         Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto type = tensorType(adaptor.getOperand());
  int64_t dimension = adaptor.getDimension();
  if (dimension < 0 || dimension >= type.getRank())
    return emitOptionalError(location, "(1) dimension ", dimension, " is not one of the operand's ",
                             type.getRank());
  Dims shape(type.getShape().take_front(dimension));
  llvm::append_range(shape, tensorType(adaptor.getIndices()).getShape());
  llvm::append_range(shape, type.getShape().drop_front(dimension + 1));
  return oneResult(results, shape, type.getElementType());
}

LogicalResult LayerNormOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                            Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto type = tensorType(adaptor.getOperand());
  auto vector = RankedTensorType::get(type.getShape().take_back(1), type.getElementType());
  if (type.getRank() == 0 || adaptor.getScale().getType() != vector ||
      adaptor.getBias().getType() != vector)
    return emitOptionalError(
        location, "(1) scale and bias must have the shape of the operand's last dimension");
  results.append({type, statisticsType(type), statisticsType(type)});
  return success();
}

LogicalResult BatchNormOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                            Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto type = tensorType(adaptor.getOperand());
  if (type.getRank() < 2)
    return emitOptionalError(location, "(1) the operand must have a batch and channels, but is ",
                             type);
  auto channels = RankedTensorType::get({type.getDimSize(1)}, type.getElementType());
  auto statistics = channels.clone(accumulationType(type.getElementType()));
  if (adaptor.getScale().getType() != channels || adaptor.getBias().getType() != channels ||
      adaptor.getMean().getType() != statistics || adaptor.getVariance().getType() != statistics)
    return emitOptionalError(location, "(2) scale and bias must be ", channels,
                             ", mean and variance ", statistics);
  if (adaptor.getTraining() && type.hasStaticShape() && type.getDimSize(1) > 0 &&
      type.getNumElements() / type.getDimSize(1) < 2)
    return emitOptionalError(location, "(3) a channel of ", type,
                             " has less than two elements: it has no variance to train with");
  results.push_back(type);
  results.append(4, statistics);
  return success();
}

LogicalResult LinearOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                         Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto type = tensorType(adaptor.getOperand()), weight = tensorType(adaptor.getWeight());
  if (type.getRank() < 1 || weight.getRank() != 2 ||
      weight.getElementType() != type.getElementType() ||
      !compatible(weight.getDimSize(1), type.getShape().back()))
    return emitOptionalError(location, "(1) weight must be [out, ",
                             type.getRank() ? type.getShape().back() : 0,
                             "] of the operand's element type, but is ", weight);
  Dims shape(type.getShape());
  shape.back() = weight.getDimSize(0);
  Type element = type.getElementType();
  if (adaptor.getBias()) {
    auto bias = tensorType(adaptor.getBias());
    if (bias.getElementType() == accumulationType(element))
      element = bias.getElementType();
    if (bias != RankedTensorType::get({shape.back()}, element))
      return emitOptionalError(location, "(2) bias must be [", shape.back(),
                               "] of the operand's element type or of that of its sums");
  }
  return oneResult(results, shape, element);
}

LogicalResult ConvolutionOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                              Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto type = tensorType(adaptor.getOperand()), weight = tensorType(adaptor.getWeight());
  const int64_t rank = type.getRank();
  if (rank < 3 || weight.getRank() != rank || weight.getElementType() != type.getElementType())
    return emitOptionalError(location,
                             "(1) weight must have the operand's element type and rank, 3 "
                             "or more, but they are ",
                             weight, " and ", type);
  const int64_t channels = type.getDimSize(1), out = weight.getDimSize(0),
                groups = adaptor.getGroups();
  if (!weight.hasStaticShape() || ShapedType::isDynamic(channels) || groups < 1 ||
      channels % groups != 0 || out % groups != 0 || weight.getDimSize(1) != channels / groups)
    return emitOptionalError(location, "(2) ", groups, " groups of ", channels,
                             " channels and a weight of ", weight, " do not go together");
  auto areAtLeast = [&](ArrayRef<int64_t> entries, int64_t least) {
    return int64_t(entries.size()) == rank - 2 &&
           llvm::all_of(entries, [&](int64_t entry) { return entry >= least; });
  };
  if (!areAtLeast(adaptor.getStrides(), 1) || !areAtLeast(adaptor.getDilations(), 1) ||
      !areAtLeast(adaptor.getLow(), 0) || !areAtLeast(adaptor.getHigh(), 0))
    return emitOptionalError(location, "(3) strides and dilations need ", rank - 2,
                             " entries of 1 or more, low and high as many of 0 or more");
  Dims shape = {type.getDimSize(0), out};
  for (int64_t dim = 0; dim < rank - 2; ++dim) {
    int64_t size = type.getDimSize(dim + 2);
    if (!ShapedType::isDynamic(size) && (llvm::AddOverflow(size, adaptor.getLow()[dim], size) ||
                                         llvm::AddOverflow(size, adaptor.getHigh()[dim], size)))
      return emitOptionalError(location, "(4) the padded dimension has more than 64 bits");
    std::optional<int64_t> count = positions(
        size, weight.getDimSize(dim + 2), adaptor.getStrides()[dim], adaptor.getDilations()[dim]);
    if (!count)
      return emitOptionalError(location, "(4) a window of ", weight.getDimSize(dim + 2),
                               " elements at distance ", adaptor.getDilations()[dim],
                               " does not fit a padded dimension of size ", size);
    shape.push_back(*count);
  }
  return oneResult(results, shape, type.getElementType());
}

LogicalResult EmbeddingOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                            Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto table = tensorType(adaptor.getTable());
  if (table.getRank() != 2)
    return emitOptionalError(location, "(1) the table must be [vocabulary, width], but is ", table);
  Dims shape(tensorType(adaptor.getIndices()).getShape());
  shape.push_back(table.getDimSize(1));
  return oneResult(results, shape, table.getElementType());
}

LogicalResult CrossEntropyOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                               Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto logits = tensorType(adaptor.getLogits());
  if (logits.getRank() < 1 ||
      logits.getShape().drop_back(1) != tensorType(adaptor.getTargets()).getShape())
    return emitOptionalError(
        location, "(1) targets must have the shape of the logits without their last dimension");
  results.push_back(RankedTensorType::get({}, accumulationType(logits.getElementType())));
  results.push_back(statisticsType(logits));
  return success();
}

LogicalResult MseOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                      Adaptor adaptor, SmallVectorImpl<Type> &results) {
  auto type = tensorType(adaptor.getPrediction());
  if (adaptor.getTarget().getType() != type)
    return emitOptionalError(location, "(1) prediction and target differ in type");
  return oneResult(results, {}, accumulationType(type.getElementType()));
}

FailureOr<RankedTensorType> bucketType(TypeRange parts, std::optional<Location> location) {
  if (parts.empty())
    return emitOptionalError(location, "(1) a bucket needs at least one tensor");
  Type element = cast<RankedTensorType>(parts.front()).getElementType();
  const int64_t bytes = std::max<int64_t>(1, element.getIntOrFloatBitWidth() / 8);
  int64_t size = 0;
  for (Type part : parts) {
    auto type = cast<RankedTensorType>(part);
    if (!type.hasStaticShape() || type.getElementType() != element)
      return emitOptionalError(location,
                               "(2) a bucket's tensors have static shapes and one element type");
    size += elementsInBucket(type.getNumElements(), bytes);
  }
  return RankedTensorType::get({size}, element);
}

LogicalResult BucketOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                         Adaptor adaptor, SmallVectorImpl<Type> &results) {
  FailureOr<RankedTensorType> type = bucketType(adaptor.getOperands().getTypes(), location);
  if (succeeded(type))
    results.push_back(*type);
  return type;
}

} // namespace ingot::graph
