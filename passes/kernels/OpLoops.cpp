#include "passes/kernels/OpLoops.h"
#include "ir/dialect/Graph.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;

namespace ingot {
namespace {

OpLoops::Dims dimsOf(AffineMap map) {
  OpLoops::Dims dims;
  for (AffineExpr expression : map.getResults()) {
    auto loop = dyn_cast<AffineDimExpr>(expression);
    dims.push_back(loop ? int(loop.getPosition()) : -1);
  }
  return dims;
}

OpLoops loopsOf(linalg::GenericOp op) {
  OpLoops loops;
  for (OpOperand *input : op.getDpsInputOperands())
    loops.operands.push_back(dimsOf(op.getMatchingIndexingMap(input)));
  loops.result = dimsOf(op.getIndexingMapsArray().back());
  for (utils::IteratorType kind : op.getIteratorTypesArray())
    loops.isReduced.push_back(kind == utils::IteratorType::reduction);
  return loops;
}

/// Batch loops, the free ones of the left and the right operand, contracted ones.
OpLoops loopsOf(graph::ContractOp op) {
  OpLoops loops;
  loops.operands.resize(2);
  int next = 0;
  auto assign = [](OpLoops::Dims &dims, ArrayRef<int64_t> which, int first) {
    for (auto [index, dim] : llvm::enumerate(which))
      dims[dim] = first + int(index);
  };
  OpLoops::Dims &left = loops.operands[0], &right = loops.operands[1];
  left.assign(cast<RankedTensorType>(op.getLhs().getType()).getRank(), -1);
  right.assign(cast<RankedTensorType>(op.getRhs().getType()).getRank(), -1);
  assign(left, op.getLhsBatch(), 0);
  assign(right, op.getRhsBatch(), 0);
  next = int(op.getLhsBatch().size());
  int contracted = int(cast<RankedTensorType>(op.getType()).getRank());
  assign(left, op.getLhsContract(), contracted);
  assign(right, op.getRhsContract(), contracted);
  for (OpLoops::Dims *dims : {&left, &right})
    for (int &loop : *dims)
      if (loop < 0)
        loop = next++;
  for (int loop = 0; loop < contracted; ++loop)
    loops.result.push_back(loop);
  loops.isReduced.assign(contracted + op.getLhsContract().size(), false);
  std::fill(loops.isReduced.begin() + contracted, loops.isReduced.end(), true);
  return loops;
}

} // namespace

std::optional<OpLoops> OpLoops::of(Operation *op) {
  if (auto contract = dyn_cast<graph::ContractOp>(op))
    return loopsOf(contract);
  if (auto generic = dyn_cast<linalg::GenericOp>(op); generic && generic.getNumResults() == 1)
    return loopsOf(generic);
  return std::nullopt;
}

} // namespace ingot
