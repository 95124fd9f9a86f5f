#include "codegen/cpu/ContractionForm.h"
#include "codegen/cpu/Code.h"

using namespace mlir;

namespace ingot {

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
  for (ContractionOperand *operand : {&left, &right})
    if (!operand->view)
      operand->chooseVectors(contract->getParentOfType<func::FuncOp>(), Code::lanes,
                             operand == &right);
  keepRows = left.depthStride() == 1;
}

} // namespace ingot
