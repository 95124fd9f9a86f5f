#include "codegen/cpu/ContractionOperand.h"

using namespace mlir;

namespace ingot {

int64_t product(ArrayRef<int64_t> sizes) {
  int64_t count = 1;
  for (int64_t size : sizes)
    count *= size;
  return count;
}

ContractionOperand::ContractionOperand(Value tensor, ArrayRef<int64_t> batchDims,
                                       ArrayRef<int64_t> contractDims)
    : tensor(tensor), batchDims(batchDims), contractDims(contractDims) {
  const int64_t rank = cast<RankedTensorType>(tensor.getType()).getRank();
  for (int64_t d = 0; d < rank; ++d)
    if (!llvm::is_contained(batchDims, d) && !llvm::is_contained(contractDims, d))
      freeDims.push_back(d);
  view = viewOfOperand(tensor);
  if (!view)
    return;
  batch = view->group(batchDims);
  free = view->group(freeDims);
  contract = view->group(contractDims);
}

SmallVector<int64_t> ContractionOperand::sizes(ArrayRef<int64_t> dims) const {
  auto type = cast<RankedTensorType>(tensor.getType());
  return llvm::map_to_vector(dims, [&](int64_t d) { return type.getDimSize(d); });
}

bool ContractionOperand::endsWith(ArrayRef<int64_t> dims) const {
  return !dims.empty() && dims.back() == cast<RankedTensorType>(tensor.getType()).getRank() - 1;
}

std::optional<int64_t> ContractionOperand::stride(const IndexGroup &group,
                                                  ArrayRef<int64_t> dims) const {
  if (view)
    return group.stride();
  return endsWith(dims) ? std::optional<int64_t>(1) : std::nullopt;
}

ContractionForm::ContractionForm(graph::ContractOp contract)
    : left(contract.getLhs(), contract.getLhsBatch(), contract.getLhsContract()),
      right(contract.getRhs(), contract.getRhsBatch(), contract.getRhsContract()) {
  Type element = cast<RankedTensorType>(contract.getType()).getElementType();
  sumType =
      element.getIntOrFloatBitWidth() < 32 ? Float32Type::get(contract.getContext()) : element;
  shape.batch = product(left.sizes(left.batchDims));
  shape.rows = product(left.sizes(left.freeDims));
  shape.columns = product(right.sizes(right.freeDims));
  shape.depth = product(left.sizes(left.contractDims));
  shape.elementBytes = sumType.getIntOrFloatBitWidth() / 8;
  // The micro-kernel can read an operand where it lies: nothing to widen, a regular depth.
  auto inPlace = [&](const ContractionOperand &operand) {
    return operand.view && getElementTypeOrSelf(operand.tensor) == sumType &&
           operand.contract.stride();
  };
  const bool lhsInPlace = inPlace(left), rhsInPlace = inPlace(right);
  shape.lhsInPlace = lhsInPlace;
  shape.rhsInPlace = rhsInPlace && right.free.stride() == 1;
  if (lhsInPlace && left.contract.stride() == 1)
    shape.lhsRowStride = left.free.stride().value_or(0);
  // Not of what happens to lie side by side: the order of the sum would follow from what is fused.
  shape.depthLast = left.isDepthLast() && right.isDepthLast();
  shape.lhsRunsAlongDepth = left.view && left.contract.stride() == 1;
  shape.rhsRunsAlongDepth = right.view && right.contract.stride() == 1;
  keepRows = left.depthStride() == 1;
}

SmallVector<unsigned> ContractionForm::factors() const {
  llvm::SetVector<Value> read;
  read.insert(left.tensor);
  read.insert(right.tensor);
  for (size_t index = 0; index < read.size(); ++index)
    if (Operation *op = read[index].getDefiningOp())
      read.insert(op->operand_begin(), op->operand_end());
  SmallVector<unsigned> arguments;
  for (Value value : read)
    if (auto argument = dyn_cast<BlockArgument>(value))
      arguments.push_back(argument.getArgNumber());
  return arguments;
}

graph::ContractOp contractionOf(func::FuncOp kernel) {
  auto contracts = llvm::to_vector(kernel.getOps<graph::ContractOp>());
  if (contracts.size() == 1)
    return contracts.front();
  kernel.emitError("a contraction kernel holds one graph.contract, this one ") << contracts.size();
  return {};
}

} // namespace ingot
