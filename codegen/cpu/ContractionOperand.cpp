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

ContractionForm::ContractionForm(graph::ContractOp contract)
    : left(contract.getLhs(), contract.getLhsBatch(), contract.getLhsContract()),
      right(contract.getRhs(), contract.getRhsBatch(), contract.getRhsContract()) {
  Type element = cast<RankedTensorType>(contract.getType()).getElementType();
  sumType = element.getIntOrFloatBitWidth() < 32 ? Float32Type::get(contract.getContext()) : element;
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
  shape.depthContiguous =
      lhsInPlace && rhsInPlace && left.contract.stride() == 1 && right.contract.stride() == 1;
  keepRows = left.view && left.contract.stride() == 1;
}

std::optional<SmallVector<unsigned>> ContractionForm::factors() const {
  if (!left.view || !right.view)
    return std::nullopt;
  return SmallVector<unsigned>{left.view->memory, right.view->memory};
}

} // namespace ingot
