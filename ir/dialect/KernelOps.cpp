/// What the graph ops of stage `linalg` are to kernel formation: KernelOp.td says what is asked.
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

OperandUse AttentionOp::getOperandUse(unsigned) { return OperandUse::Strided; }

/// Two products of queries with keys; with a causal mask about half of either.
double AttentionOp::getFlops() {
  auto query = tensorType(getQuery()), key = tensorType(getKey());
  double scores = double(query.getNumElements()) * double(key.getDimSize(2));
  return (getCausal() ? 2 : 4) * scores;
}

KernelForm AttentionBackwardOp::getKernelForm() {
  return {OpRole::Root, KernelRoot::AttentionBackward, Epilogue::Moves};
}

OperandUse AttentionBackwardOp::getOperandUse(unsigned) { return OperandUse::Strided; }

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

KernelForm ScatterAddOp::getKernelForm() { return {OpRole::Root, KernelRoot::Scatter}; }

/// Sums are made in the base.
bool ScatterAddOp::placesOperand(unsigned operand) { return operand == 0; }

Value ScatterAddOp::getIndexOperand() { return getIndices(); }
int64_t ScatterAddOp::getIndexLimit() { return shapeOf(getBase())[getDimension()]; }

Value EmbeddingOp::getIndexOperand() { return getIndices(); }
int64_t EmbeddingOp::getIndexLimit() { return shapeOf(getTable())[0]; }

Value CrossEntropyOp::getIndexOperand() { return getTargets(); }
int64_t CrossEntropyOp::getIndexLimit() { return shapeOf(getLogits()).back(); }

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
  for (size_t first = 0; first < values.size(); first += size)
    groups.push_back(values.slice(first, size));
  return groups;
}

SmallVector<ValueRange> UpdateOp::getOperandGroups() {
  SmallVector<ValueRange> groups{getParameters(), getGradients()};
  llvm::append_range(groups, groupsOf(getState(), getParameters().size()));
  return groups;
}

SmallVector<ValueRange> UpdateOp::getResultGroups() {
  return groupsOf(getUpdated(), getParameters().size());
}

//===--------------------------------------------------------------------------------------------===//
// Order
//===--------------------------------------------------------------------------------------------===//

KernelForm AfterOp::getKernelForm() { return {OpRole::View}; }

} // namespace ingot::graph
