#include "passes/kernels/OpModel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/RegionUtils.h"
#include "passes/linalg/GraphToLinalg.h"

using namespace mlir;

namespace ingot {

using graph::KernelOp;

KernelForm formOf(Operation *op) {
  auto kernelOp = dyn_cast<KernelOp>(op);
  return kernelOp ? kernelOp.getKernelForm() : KernelForm();
}

bool isRoot(Operation *op, KernelRoot root) {
  KernelForm form = formOf(op);
  return form.role == OpRole::Root && form.root == root;
}

OperandUse useOf(OpOperand &operand) {
  return cast<KernelOp>(operand.getOwner()).getOperandUse(operand.getOperandNumber());
}

Value viewSource(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (roleOf(op) != OpRole::View)
      break;
    value = op->getOperand(0);
  }
  return value;
}

SmallVector<Value> valuesRead(Operation *op) {
  SmallVector<Value> values(op->getOperands());
  if (roleOf(op) != OpRole::Region)
    return values;
  llvm::SetVector<Value> captures;
  getUsedValuesDefinedAbove(op->getRegions(), captures);
  llvm::append_range(values, captures);
  return values;
}

bool isStridedMove(Operation *op) {
  if (isa<tensor::ExtractSliceOp>(op))
    return true;
  return isCopy(op) && cast<linalg::GenericOp>(op).getIndexingMapsArray()[0].isPermutation();
}

bool isInlinedConstant(Operation *op) {
  auto constant = dyn_cast<arith::ConstantOp>(op);
  if (!constant)
    return false;
  auto value = dyn_cast<DenseElementsAttr>(constant.getValue());
  if (!value) // a scalar that a region uses
    return true;
  bool isCounter = value.getType().getRank() == 0 && value.getElementType().isInteger(64);
  return value.isSplat() && !isCounter;
}

int64_t elementsOf(Value value) { return cast<RankedTensorType>(value.getType()).getNumElements(); }

int64_t bytesOf(Value value) {
  unsigned bits = cast<RankedTensorType>(value.getType()).getElementTypeBitWidth();
  return elementsOf(value) * std::max(1u, bits / 8);
}

double costPerElement(Operation *op, const TargetCosts &costs) {
  graph::PointCost cost = cast<KernelOp>(op).getPointCost();
  return costs.asBytes(cost.operations + cost.functions * costs.function +
                       cost.divisions * costs.division + cost.scattered * costs.scattered);
}

std::optional<OpLoops> loopsOf(Operation *op) {
  auto kernelOp = dyn_cast<KernelOp>(op);
  return kernelOp ? kernelOp.getKernelLoops() : std::nullopt;
}

double flopsOf(Operation *op) {
  auto kernelOp = dyn_cast<KernelOp>(op);
  return kernelOp ? kernelOp.getFlops() : 0;
}

} // namespace ingot
