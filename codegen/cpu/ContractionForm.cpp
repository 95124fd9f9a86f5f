#include "codegen/cpu/ContractionForm.h"
#include "codegen/cpu/Code.h"

using namespace mlir;

namespace ingot {

namespace {

/// Up to so many columns of one matrix leave much of the last panel empty, and are few to pack the
/// left operand for.
constexpr int64_t joinedColumns = 8 * Code::lanes;

/// Whether the matrices that the left operand multiplies are computed as one: images of a
/// convolution.
bool joinsMatrices(const ContractionOperand &left, const ContractionOperand &right) {
  const int64_t columns = product(right.sizes(right.freeDims));
  return left.isShared() && !right.isShared() && columns > 1 && columns <= joinedColumns &&
         !(left.isDepthLast() && right.isDepthLast());
}

/// Whether packing could copy the operand from memory only element by element: neighbours lie at
/// several distances, as pixels of a batch of images do. It is copied line by line then, as
/// computed ones are.
bool isCopiedByElement(const ContractionOperand &operand, bool isLeft) {
  std::optional<int64_t> depth = operand.contract.stride(), free = operand.free.stride();
  const bool isReadInPlace = isLeft && depth;
  return depth != 1 && free != 1 && !isReadInPlace && (!depth || !free);
}

} // namespace

ContractionForm::ContractionForm(graph::ContractOp contract)
    : left(contract.getLhs(), contract.getLhsBatch(), contract.getLhsContract()),
      right(contract.getRhs(), contract.getRhsBatch(), contract.getRhsContract()) {
  Type element = cast<RankedTensorType>(contract.getType()).getElementType();
  sumType =
      element.getIntOrFloatBitWidth() < 32 ? Float32Type::get(contract.getContext()) : element;
  // Not of what happens to lie side by side: the order of the sum would follow from what is fused.
  shape.depthLast = left.isDepthLast() && right.isDepthLast() && !left.packed && !right.packed;
  shape.isTurned = bool(left.packed);
  shape.rhsPacked = left.packed || right.packed;
  if (shape.isTurned)
    std::swap(left, right);
  if (!shape.rhsPacked && joinsMatrices(left, right)) {
    shape.joined = product(left.sizes(left.batchDims));
    left.joinBatch();
    right.joinBatch();
  }
  for (ContractionOperand *operand : {&left, &right})
    if (operand->view && isCopiedByElement(*operand, operand == &left))
      operand->view.reset();
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
  shape.rhsInPlace = shape.rhsPacked || (rhsInPlace && right.free.stride() == 1);
  shape.rhsInMemory = right.view.has_value();
  if (lhsInPlace && left.contract.stride() == 1)
    shape.lhsRowStride = left.free.stride().value_or(0);
  shape.lhsRunsAlongDepth = left.view && left.contract.stride() == 1;
  shape.rhsRunsAlongDepth = right.view && right.contract.stride() == 1;
  for (ContractionOperand *operand : {&left, &right})
    if (!operand->view && !operand->packed)
      operand->chooseVectors(contract->getParentOfType<func::FuncOp>(), Code::lanes,
                             operand == &right);
  keepRows = left.depthStride() == 1;
}

} // namespace ingot
