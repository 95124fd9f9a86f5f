/// What the graph ops of stage `linalg` are to kernel formation: KernelOp.td says what is asked.
#include "ir/dialect/AttentionRule.h"
#include "ir/dialect/Elements.h"
#include "ir/dialect/GraphBuilder.h"

using namespace mlir;

namespace ingot::graph {

//===--------------------------------------------------------------------------------------------===//
// Contraction
//===--------------------------------------------------------------------------------------------===//

KernelForm ContractOp::getKernelForm() {
  return {OpRole::Root, KernelRoot::Contraction, Epilogue::Points};
}

OperandUse ContractOp::getOperandUse(unsigned) { return OperandUse::Factor; }

double ContractOp::getFlops() {
  double flops = 2.0 * double(getType().getNumElements());
  for (int64_t dimension : getLhsContract())
    flops *= double(tensorType(getLhs()).getDimSize(dimension));
  return flops;
}

/// Batch loops, the free ones of the left and the right operand, contracted ones.
std::optional<OpLoops> ContractOp::getKernelLoops() {
  OpLoops loops;
  loops.operands.resize(2);
  auto assign = [](OpLoops::Dims &dims, ArrayRef<int64_t> which, int first) {
    for (auto [index, dim] : llvm::enumerate(which))
      dims[dim] = first + int(index);
  };
  OpLoops::Dims &left = loops.operands[0], &right = loops.operands[1];
  left.assign(tensorType(getLhs()).getRank(), -1);
  right.assign(tensorType(getRhs()).getRank(), -1);
  assign(left, getLhsBatch(), 0);
  assign(right, getRhsBatch(), 0);
  int next = int(getLhsBatch().size()), contracted = int(getType().getRank());
  assign(left, getLhsContract(), contracted);
  assign(right, getRhsContract(), contracted);
  for (OpLoops::Dims *dims : {&left, &right})
    for (int &loop : *dims)
      if (loop < 0)
        loop = next++;
  for (int loop = 0; loop < contracted; ++loop)
    loops.result.push_back(loop);
  loops.isReduced.assign(contracted + getLhsContract().size(), false);
  std::fill(loops.isReduced.begin() + contracted, loops.isReduced.end(), true);
  return loops;
}

//===--------------------------------------------------------------------------------------------===//
// Attention
//===--------------------------------------------------------------------------------------------===//

KernelForm AttentionOp::getKernelForm() {
  return {OpRole::Root, KernelRoot::Attention, Epilogue::Moves};
}

/// Offsets and lengths are read once for each of the batch.
template <typename Op> static OperandUse useOfAttention(Op op, unsigned operand) {
  Value value = op->getOperand(operand);
  return value == op.getOffset() || value == op.getLength() ? OperandUse::Scalar
                                                            : OperandUse::Strided;
}

OperandUse AttentionOp::getOperandUse(unsigned operand) { return useOfAttention(*this, operand); }

/// Two products of queries with keys, of those that are seen.
double AttentionOp::getFlops() {
  auto query = tensorType(getQuery()), key = tensorType(getKey());
  double scores = double(query.getNumElements()) * double(key.getDimSize(2));
  return 4 * AttentionRule(*this).share() * scores;
}

KernelForm AttentionBackwardOp::getKernelForm() {
  return {OpRole::Root, KernelRoot::AttentionBackward, Epilogue::Moves};
}

OperandUse AttentionBackwardOp::getOperandUse(unsigned operand) {
  return useOfAttention(*this, operand);
}

//===--------------------------------------------------------------------------------------------===//
// Indexing
//===--------------------------------------------------------------------------------------------===//

KernelForm GatherOp::getKernelForm() { return {OpRole::Point}; }

/// The table is read at random.
OperandUse GatherOp::getOperandUse(unsigned operand) {
  return operand == 0 ? OperandUse::Memory : OperandUse::Points;
}

PointCost GatherOp::getPointCost() { return {.scattered = 1}; }

Value GatherOp::getIndexOperand() { return getIndices(); }
int64_t GatherOp::getIndexLimit() { return shapeOf(getOperand())[getDimension()]; }

/// True for a view, or what becomes one.
static bool showsOperand(Operation *op) {
  auto kernelOp = dyn_cast<KernelOp>(op);
  return isa<ReshapeOp>(op) || (kernelOp && kernelOp.getKernelForm().role == OpRole::View);
}

/// A view where the loop moves it; all others are gathers by the time that kernels are formed.
KernelForm DynamicSliceOp::getKernelForm() {
  return {getMovingLoop() ? OpRole::View : OpRole::Unknown};
}

OperandUse DynamicSliceOp::getOperandUse(unsigned) { return OperandUse::Memory; }

Value DynamicSliceOp::getIndexOperand() { return getStart(); }
int64_t DynamicSliceOp::getIndexLimit() {
  int64_t whole = shapeOf(getOperand())[getDimension()];
  return ShapedType::isDynamic(whole) ? whole : whole - int64_t(getSize()) + 1;
}

LoopOp DynamicSliceOp::getMovingLoop() {
  auto counter = dyn_cast<BlockArgument>(getStart());
  auto loop = counter ? dyn_cast<LoopOp>(counter.getOwner()->getParentOp()) : LoopOp();
  if (!loop || counter != loop.getCounter() || (*this)->getParentOfType<LoopOp>() != loop)
    return {};
  Value whole = getOperand();
  while (Operation *maker = whole.getDefiningOp()) {
    if (!showsOperand(maker) || isa<DynamicSliceOp>(maker))
      break;
    whole = maker->getOperand(0);
  }
  if (loop.getBody().isAncestor(whole.getParentRegion()))
    return {};
  // One piece of memory at a multiple of 64 bytes for every iteration that may run.
  RankedTensorType type = getType();
  if (!type.hasStaticShape() || !tensorType(getOperand()).hasStaticShape() || getSize() != 1 ||
      type.getNumElements() * int64_t(byteSize(*elementTypeOf(type.getElementType()))) % 64 != 0 ||
      llvm::any_of(type.getShape().take_front(getDimension()), [](int64_t n) { return n != 1; }) ||
      loop.getMostTrips().value_or(INT64_MAX) > shapeOf(getOperand())[getDimension()])
    return {};
  SmallVector<Value> shown{getResult()};
  for (size_t index = 0; index < shown.size(); ++index)
    for (Operation *user : shown[index].getUsers()) {
      if (user->getParentOfType<LoopOp>() != loop || isa<LoopOp>(user))
        return {};
      if (showsOperand(user))
        llvm::append_range(shown, user->getResults());
    }
  return loop;
}

/// Written into the base.
KernelForm DynamicUpdateSliceOp::getKernelForm() { return {OpRole::Root, KernelRoot::Scatter}; }

bool DynamicUpdateSliceOp::placesOperand(unsigned operand) { return operand == 0; }

Value DynamicUpdateSliceOp::getIndexOperand() { return getStart(); }
int64_t DynamicUpdateSliceOp::getIndexLimit() {
  int64_t whole = shapeOf(getBase())[getDimension()], size = shapeOf(getUpdate())[getDimension()];
  return ShapedType::isDynamic(whole) || ShapedType::isDynamic(size) ? ShapedType::kDynamic
                                                                     : whole - size + 1;
}

KernelForm ScatterAddOp::getKernelForm() { return {OpRole::Root, KernelRoot::Scatter}; }

/// Sums are made in the base.
bool ScatterAddOp::placesOperand(unsigned operand) { return operand == 0; }

Value ScatterAddOp::getIndexOperand() { return getIndices(); }
int64_t ScatterAddOp::getIndexLimit() { return shapeOf(getBase())[getDimension()]; }

Value EmbeddingOp::getIndexOperand() { return getIndices(); }
int64_t EmbeddingOp::getIndexLimit() { return shapeOf(getTable())[0]; }

Value PickOp::getIndexOperand() { return getIndices(); }
int64_t PickOp::getIndexLimit() { return shapeOf(getOperand())[getDimension()]; }

Value CrossEntropyOp::getIndexOperand() { return getTargets(); }
int64_t CrossEntropyOp::getIndexLimit() { return shapeOf(getLogits()).back(); }

//===--------------------------------------------------------------------------------------------===//
// Whole lines
//===--------------------------------------------------------------------------------------------===//

KernelForm ScanOp::getKernelForm() { return {OpRole::Root, KernelRoot::Scan}; }

KernelForm SortOp::getKernelForm() { return {OpRole::Root, KernelRoot::Sort, Epilogue::Moves}; }

//===--------------------------------------------------------------------------------------------===//
// Updates: on flat storage, their tensors in buckets
//===--------------------------------------------------------------------------------------------===//

KernelForm UpdateOp::getKernelForm() { return {OpRole::Root, KernelRoot::Update}; }

OperandUse UpdateOp::getOperandUse(unsigned operand) {
  return operand < getNumOperands() - getScalars().size() ? OperandUse::Memory : OperandUse::Scalar;
}

bool UpdateOp::placesOperand(unsigned operand) {
  return getOperandUse(operand) == OperandUse::Memory;
}

static SmallVector<ValueRange> groupsOf(ValueRange values, size_t size) {
  SmallVector<ValueRange> groups;
  // Also of an op that does not verify: without parameters, or with some of a group.
  for (size_t first = 0; size > 0 && first < values.size(); first += size)
    groups.push_back(values.slice(first, std::min(size, values.size() - first)));
  return groups;
}

SmallVector<ValueRange> UpdateOp::getOperandGroups() {
  SmallVector<ValueRange> groups{getParameters()};
  for (ValueRange tensors : {ValueRange(getGradients()), ValueRange(getState())})
    llvm::append_range(groups, groupsOf(tensors, getParameters().size()));
  return groups;
}

SmallVector<ValueRange> UpdateOp::getResultGroups() {
  SmallVector<ValueRange> groups = groupsOf(getUpdated(), getParameters().size());
  if (!getRounded().empty())
    groups.push_back(getRounded());
  return groups;
}

//===--------------------------------------------------------------------------------------------===//
// Order
//===--------------------------------------------------------------------------------------------===//

KernelForm AfterOp::getKernelForm() { return {OpRole::View}; }

//===--------------------------------------------------------------------------------------------===//
// Control flow
//===--------------------------------------------------------------------------------------------===//

KernelForm LoopOp::getKernelForm() { return {OpRole::Region}; }

KernelForm IfOp::getKernelForm() { return {OpRole::Region}; }

} // namespace ingot::graph
