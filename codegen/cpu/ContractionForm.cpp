#include "codegen/cpu/ContractionForm.h"
#include "codegen/cpu/Code.h"

using namespace mlir;

namespace ingot {

namespace {

/// Matrices of up to so many columns are joined: one alone leaves much of its last panel empty and
/// repays the packing of the left operand badly, and its computation even less.
constexpr int64_t joinedColumns = 16 * Code::lanes, columnsOfComputed = 64 * Code::lanes;

/// Whether the matrices that the left operand multiplies are computed as one: images of a
/// convolution.
bool joinsMatrices(const ContractionOperand &left, const ContractionOperand &right,
                   func::FuncOp kernel) {
  const int64_t columns = product(right.sizes(right.freeDims));
  return columns > 1 && columns <= (left.view ? joinedColumns : columnsOfComputed) &&
         !(left.isDepthLast() && right.isDepthLast()) && left.isShared(kernel) &&
         !right.isShared(kernel);
}

/// Whether packing could copy the operand from memory only element by element: neighbours lie at
/// several distances, as pixels of a batch of images do. It is copied line by line then, as
/// computed ones are.
bool isCopiedByElement(const ContractionOperand &operand, bool isLeft) {
  std::optional<int64_t> depth = operand.contract.stride(), free = operand.free.stride();
  const bool isReadInPlace = isLeft && depth;
  return depth != 1 && free != 1 && !isReadInPlace && (!depth || !free);
}

/// Depths that differ in the last dimensions of the depth alone, such as the taps of a window, and
/// are few enough to have code of their own.
int64_t depthGroupOf(const ContractionOperand &operand) {
  constexpr int64_t mostCode = 16;
  int64_t group = 1;
  for (int64_t size : llvm::reverse(operand.sizes(operand.contractDims))) {
    if (group * size > mostCode)
      break;
    group *= size;
  }
  return std::max<int64_t>(group, 1);
}

} // namespace

ContractionForm::ContractionForm(graph::ContractOp contract)
    : left(contract.getLhs(), contract.getLhsBatch(), contract.getLhsContract()),
      right(contract.getRhs(), contract.getRhsBatch(), contract.getRhsContract()) {
  Type element = cast<RankedTensorType>(contract.getType()).getElementType();
  sumType =
      element.getIntOrFloatBitWidth() < 32 ? Float32Type::get(contract.getContext()) : element;
  auto kernel = contract->getParentOfType<func::FuncOp>();
  // Not of what happens to lie side by side: the order of the sum would follow from what is fused.
  shape.depthLast = left.isDepthLast() && right.isDepthLast() && !left.packed && !right.packed;
  shape.isTurned = bool(left.packed);
  shape.rhsPacked = left.packed || right.packed;
  if (shape.isTurned)
    std::swap(left, right);
  if (!shape.rhsPacked && joinsMatrices(left, right, kernel)) {
    shape.joined = product(left.sizes(left.batchDims));
    left.joinBatch(kernel);
    right.joinBatch(kernel);
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
      operand->chooseVectors(kernel, Code::lanes, operand == &right);
  for (const ContractionOperand *operand : {&left, &right})
    if (!operand->view && !operand->packed && !operand->alongDepth)
      shape.depthGroup = depthGroupOf(*operand);
  keepRows = left.depthStride() == 1;
}

} // namespace ingot
