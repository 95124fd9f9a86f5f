/// Verifiers of ops whose result types are given. A number in an error is the op's constraint in
/// its documentation.
#include "ir/dialect/GraphBuilder.h"
#include "ir/formulas/Formulas.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace ingot::graph {

static bool compatible(int64_t a, int64_t b) {
  return a == b || ShapedType::isDynamic(a) || ShapedType::isDynamic(b);
}

/// The constraint of an op whose `dimension` is one of `whose`.
template <typename Op> static LogicalResult verifyDimension(Op op, StringRef whose) {
  const int64_t dimension = op.getDimension(), rank = op.getType().getRank();
  if (dimension >= 0 && dimension < rank)
    return success();
  return op.emitOpError("(1) dimension ")
         << dimension << " is not one of the " << whose << " " << rank;
}

LogicalResult IotaOp::verify() { return verifyDimension(*this, "result's"); }

LogicalResult ReshapeOp::verify() {
  auto from = getOperand().getType(), to = getType();
  if (from.hasStaticShape() && to.hasStaticShape() && from.getNumElements() != to.getNumElements())
    return emitOpError("(1) ") << from.getNumElements() << " elements do not fit a shape of "
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

LogicalResult CombineOp::verify() {
  TypeRange types = getResultTypes();
  auto neutral = llvm::map_range(getNeutral(), [](Attribute value) -> Type {
    auto typed = dyn_cast<TypedAttr>(value);
    return typed ? typed.getType() : Type();
  });
  if (getLeft().getTypes() != types || getRight().getTypes() != types ||
      !llvm::equal(neutral, types))
    return emitOpError("(1) both tuples, neutral and the results must have the same types");
  Block &block = getCombiner().front();
  SmallVector<Type> both(types);
  llvm::append_range(both, types);
  auto yield = dyn_cast<YieldOp>(block.getTerminator());
  if (block.getArgumentTypes() != ArrayRef(both) || !yield || yield->getOperandTypes() != types)
    return emitOpError("(2) the region takes both tuples and yields one");
  return success();
}

LogicalResult ScatterAddOp::verify() {
  auto base = getBase().getType();
  int64_t dimension = getDimension();
  if (dimension < 0 || dimension >= base.getRank())
    return emitOpError("(1) dimension ")
           << dimension << " is not one of the base's " << base.getRank();
  SmallVector<int64_t> expected(base.getShape().take_front(dimension));
  llvm::append_range(expected, getIndices().getType().getShape());
  llvm::append_range(expected, base.getShape().drop_front(dimension + 1));
  if (getUpdates().getType() != RankedTensorType::get(expected, base.getElementType()))
    return emitOpError("(2) updates must be ")
           << RankedTensorType::get(expected, base.getElementType());
  return success();
}

LogicalResult DynamicUpdateSliceOp::verify() {
  auto base = getBase().getType(), update = getUpdate().getType();
  int64_t dimension = getDimension();
  if (dimension < 0 || dimension >= base.getRank())
    return emitOpError("(1) dimension ")
           << dimension << " is not one of the base's " << base.getRank();
  SmallVector<int64_t> expected(base.getShape());
  if (update.getRank() == base.getRank()) {
    int64_t size = update.getDimSize(dimension);
    if (size <= expected[dimension] || ShapedType::isDynamic(expected[dimension]))
      expected[dimension] = size;
  }
  if (update != base.clone(expected))
    return emitOpError("(2) update must be part of ") << base << " in dimension " << dimension;
  return success();
}

LogicalResult FormulaOp::verify() {
  const Formula *formula = findFormula(getName());
  if (!formula)
    return emitOpError("(1) there is no formula '") << getName() << "'";
  if (getOperands().size() != formula->operands ||
      getParameters().size() != formula->parameters.size())
    return emitOpError("(2) '") << getName() << "' takes " << formula->operands << " operands and "
                                << formula->parameters.size() << " numbers";
  return success();
}

LogicalResult SoftmaxOp::verify() { return verifyDimension(*this, "operand's"); }

LogicalResult LogSoftmaxOp::verify() { return verifyDimension(*this, "operand's"); }

LogicalResult ScanOp::verify() {
  if (failed(verifyDimension(*this, "operand's")))
    return failure();
  if (getKind() != ReduceKind::Sum && getKind() != ReduceKind::Product)
    return emitOpError("(2) ") << stringifyReduceKind(getKind()) << " is neither sum nor product";
  return success();
}

/// (6) of an update.
static bool areRoundings(ValueRange rounded, ValueRange parameters) {
  Type narrow = tensorType(rounded.front()).getElementType(),
       wide = tensorType(parameters.front()).getElementType();
  auto isOf = [&](auto pair) {
    return std::get<0>(pair).getType() == tensorType(std::get<1>(pair)).clone(narrow);
  };
  return narrow.getIntOrFloatBitWidth() < wide.getIntOrFloatBitWidth() &&
         rounded.size() == parameters.size() && llvm::all_of(llvm::zip(rounded, parameters), isOf);
}

LogicalResult UpdateOp::verify() {
  TypeRange types(getParameters().getTypes());
  SmallVector<ValueRange> groups = getOperandGroups();
  const size_t count = getParameters().size();
  llvm::append_range(groups, getResultGroups());
  if (!getRounded().empty())
    groups.pop_back();
  bool isPaired = count > 0 && getState().size() % count == 0 && !getGradients().empty() &&
                  getGradients().size() % count == 0 &&
                  getUpdated().size() == count + getState().size();
  if (!isPaired ||
      llvm::any_of(groups, [&](ValueRange group) { return group.getTypes() != types; }))
    return emitOpError(
        "(1) parameters, gradients, state and results must pair up in number and type");
  Block &block = getFormula().front();
  Type element = cast<RankedTensorType>(types.front()).getElementType();
  auto scalar = RankedTensorType::get({}, accumulationType(element));
  if (block.getNumArguments() != getOperandGroups().size() + getScalars().size() ||
      llvm::any_of(block.getArgumentTypes(), [&](Type type) { return type != scalar; }))
    return emitOpError("(2) the region takes parameter, gradient, state and scalars as ") << scalar;
  auto yield = dyn_cast<YieldOp>(block.getTerminator());
  if (!yield || yield->getNumOperands() != 1 + getStateCount() ||
      llvm::any_of(yield->getOperandTypes(), [&](Type type) { return type != scalar; }))
    return emitOpError("(3) the region yields the parameter and its state as ") << scalar;
  for (Operation &op : block.without_terminator())
    if (!op.hasTrait<OpTrait::Elementwise>() && !isa<ConstantOp>(op))
      return op.emitOpError("(4) is not elementwise, and stands in the formula of an update");
  if (!getRounded().empty() && !areRoundings(getRounded(), getParameters()))
    return emitOpError("(6) what is rounded is of every parameter, in one narrower type");
  if (bool(getLimit()) != bool(getBeyond()))
    return emitOpError("(5) `beyond` and a limit come together");
  if (!getBeyond())
    return success();
  FailureOr<RankedTensorType> bucket = bucketType(getParameters().getTypes(), getLoc());
  if (failed(bucket))
    return failure();
  const int64_t elements = bucket->getNumElements(), rows = shapeOf(getBeyond())[0];
  if (rows < 1 || elements % rows != 0)
    return emitOpError("(5) ") << elements << " elements of a bucket are not " << rows
                               << " rows of equal length";
  return success();
}

static LogicalResult verifyRandomId(Operation *op, int64_t id) {
  if (id < 0 || id > int64_t(UINT32_MAX))
    return op->emitOpError("(1) id ") << id << " is not in [0, 2^32)";
  return success();
}
LogicalResult RandomUniformOp::verify() { return verifyRandomId(*this, getId()); }
LogicalResult RandomNormalOp::verify() { return verifyRandomId(*this, getId()); }

LogicalResult UnbucketOp::verify() {
  FailureOr<RankedTensorType> expected = bucketType(getResultTypes(), getLoc());
  if (failed(expected))
    return failure();
  if (getOperand().getType() != *expected)
    return emitOpError("(1) the bucket of the results is ") << *expected;
  return success();
}

LogicalResult LoopOp::verify() {
  Block &body = getBody().front();
  if (body.getNumArguments() != getCarried().size() + 1 ||
      body.getArgument(0).getType() != getTripCount().getType())
    return emitOpError("(1) the body takes the iteration number, ")
           << getTripCount().getType() << ", and the carried values";
  auto yield = dyn_cast<YieldOp>(body.getTerminator());
  if (!yield || yield.getNumOperands() != getNumResults() || getNumResults() < getCarried().size())
    return emitOpError("(2) the body yields the carried values, then one value per stacked result");
  for (auto [index, carried] : llvm::enumerate(getCarried()))
    if (body.getArgument(index + 1).getType() != carried.getType() ||
        yield.getOperand(index).getType() != carried.getType() ||
        getResult(index).getType() != carried.getType())
      return emitOpError("(3) carried value ") << index << " changes its type";
  for (size_t index = getCarried().size(); index < getNumResults(); ++index) {
    auto part = dyn_cast<RankedTensorType>(yield.getOperand(index).getType());
    auto stack = dyn_cast<RankedTensorType>(getResult(index).getType());
    if (!part || !stack || stack.getRank() == 0 ||
        stack.getShape().drop_front() != part.getShape() ||
        stack.getElementType() != part.getElementType())
      return emitOpError("(4) result ") << index << " does not stack what the body yields";
  }
  if (const auto most = int64_t(getAtMost().value_or(0)); most < 0)
    return emitOpError("(5) at_most is ") << most;
  return success();
}

std::optional<int64_t> LoopOp::getConstantTripCount() {
  DenseIntElementsAttr count;
  if (!matchPattern(getTripCount(), m_Constant(&count)))
    return std::nullopt;
  return (*count.begin()).getSExtValue();
}

std::optional<int64_t> LoopOp::getMostTrips() {
  std::optional<int64_t> most = getConstantTripCount();
  auto limit = [&](int64_t trips) { most = std::min(most.value_or(trips), trips); };
  if (std::optional<uint64_t> atMost = getAtMost())
    limit(*atMost);
  for (Value stacked : getResults().drop_front(getCarried().size()))
    if (int64_t rows = tensorType(stacked).getDimSize(0); !ShapedType::isDynamic(rows))
      limit(rows);
  return most;
}

LogicalResult IfOp::verify() {
  if (tensorType(getCondition()).getRank() != 0)
    return emitOpError("(1) the condition must be a scalar");
  for (Region *region : getRegions()) {
    auto yield = dyn_cast<YieldOp>(region->front().getTerminator());
    if (!yield || TypeRange(yield->getOperandTypes()) != TypeRange(getResultTypes()))
      return emitOpError("(2) both regions must yield the result types");
  }
  return success();
}

} // namespace ingot::graph
