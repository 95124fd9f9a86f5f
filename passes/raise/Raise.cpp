#include "passes/raise/Raise.h"
#include "ir/dialect/Elements.h"
#include "ir/reference/Reference.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace ingot::graph;

namespace ingot {

std::optional<Tensor> KnownValues::find(Value value) {
  if (auto place = known.find(value); place != known.end())
    return place->second;
  std::optional<Tensor> computed = compute(value);
  known.insert({value, computed});
  return computed;
}

std::optional<Tensor> KnownValues::compute(Value value) {
  Operation *op = value.getDefiningOp();
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!op || !type || !type.hasStaticShape() || type.getNumElements() > largest ||
      op->getNumResults() != 1 || op->getNumRegions() != 0 || !isPure(op))
    return std::nullopt;
  if (auto constant = dyn_cast<ConstantOp>(op)) {
    Result<Tensor> tensor = tensorOf(cast<ElementsAttr>(constant.getValue()));
    return tensor ? std::optional(std::move(*tensor)) : std::nullopt;
  }
  if (op->getNumOperands() == 0 && !isa<IotaOp>(op))
    return std::nullopt;
  std::vector<Tensor> operands;
  for (Value operand : op->getOperands()) {
    std::optional<Tensor> tensor = find(operand);
    if (!tensor)
      return std::nullopt;
    operands.push_back(*tensor);
  }
  Result<std::vector<Tensor>> results = evaluate(op, operands);
  return results ? std::optional(std::move(results->front())) : std::nullopt;
}

std::optional<double> splatOf(Value value) {
  DenseElementsAttr constant;
  if (!matchPattern(value, m_Constant(&constant)) || !constant.isSplat() ||
      !isa<FloatType>(constant.getElementType()))
    return std::nullopt;
  return constant.getSplatValue<APFloat>().convertToDouble();
}

bool isWide(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.hasStaticShape() && type.getNumElements() > 0 &&
         (type.getElementType().isF32() || type.getElementType().isF64());
}

Value skipReshapes(Value value) {
  while (auto reshape = value.getDefiningOp<ReshapeOp>())
    value = reshape.getOperand();
  return value;
}

Value repeatedAlong(Value value, int64_t dimension) {
  auto broadcast = value.getDefiningOp<BroadcastOp>();
  if (!broadcast)
    return {};
  ArrayRef<int64_t> from = shapeOf(broadcast.getOperand()), to = shapeOf(value);
  SmallVector<int64_t> kept(to.size(), 1);
  for (auto [size, dim] : llvm::zip_equal(from, broadcast.getDimensions()))
    kept[dim] = size;
  for (int64_t dim = 0; dim < int64_t(to.size()); ++dim)
    if (kept[dim] != (dim == dimension ? 1 : to[dim]))
      return {};
  return skipReshapes(broadcast.getOperand());
}

Value repeatedForLines(Value value) {
  auto broadcast = value.getDefiningOp<BroadcastOp>();
  if (!broadcast)
    return {};
  ArrayRef<int64_t> from = shapeOf(broadcast.getOperand()), to = shapeOf(value);
  const int64_t last = int64_t(to.size()) - 1;
  for (auto [size, dim] : llvm::zip_equal(from, broadcast.getDimensions()))
    if (size != (dim == last ? to[last] : 1))
      return {};
  if (from.empty() || broadcast.getDimensions().back() != last)
    return {};
  return broadcast.getOperand();
}

std::optional<Scaled> scaled(Value value) {
  Operation *op = value.getDefiningOp();
  if (auto neg = dyn_cast_or_null<NegOp>(op))
    return Scaled{neg.getOperand(), -1};
  if (!isa_and_nonnull<MulOp, DivOp>(op))
    return std::nullopt;
  if (auto number = splatOf(op->getOperand(1)))
    return Scaled{op->getOperand(0), isa<MulOp>(op) ? *number : 1 / *number};
  if (auto number = splatOf(op->getOperand(0)); number && isa<MulOp>(op))
    return Scaled{op->getOperand(1), *number};
  return std::nullopt;
}

} // namespace ingot
