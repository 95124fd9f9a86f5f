#include "codegen/kernel/ScatterShape.h"
#include "codegen/kernel/Sharing.h"
#include "passes/linalg/Reshape.h"

using namespace mlir;

namespace ingot {

ScatterShape::ScatterShape(Operation *op)
    : base(op->getOperand(0)), type(cast<RankedTensorType>(base.getType())) {
  int64_t dim = 0;
  if (auto scatter = dyn_cast<graph::ScatterAddOp>(op)) {
    indices = scatter.getIndices(), updates = scatter.getUpdates(), dim = scatter.getDimension();
    count = cast<RankedTensorType>(indices.getType()).getNumElements();
  } else {
    auto update = cast<graph::DynamicUpdateSliceOp>(op);
    indices = update.getStart(), updates = update.getUpdate(), dim = update.getDimension();
    count = update.getUpdate().getType().getDimSize(dim);
    adds = false;
  }
  for (int64_t index = 0; index < type.getRank(); ++index)
    (index < dim ? outer : index > dim ? inner : size) *= type.getShape()[index];
  indexType = cast<RankedTensorType>(indices.getType());
}

BlockArgument ScatterShape::baseOperand() const {
  return dyn_cast<BlockArgument>(reshapeSource(base));
}

double ScatterShape::bytes() const {
  const double element = type.getElementTypeBitWidth() / 8.0,
               index = indexType.getElementTypeBitWidth() / 8.0;
  return 3 * element * written() + index * double(count);
}

Operation *scatterOf(func::FuncOp kernel) {
  auto returned = kernel.getBody().front().getTerminator()->getOperands();
  Operation *op = returned.size() == 1 ? reshapeSource(returned[0]).getDefiningOp() : nullptr;
  if (isa_and_nonnull<graph::ScatterAddOp, graph::DynamicUpdateSliceOp>(op))
    return op;
  kernel.emitError("a scatter kernel returns one scatter_add or dynamic_update_slice");
  return nullptr;
}

LogicalResult accessScatter(func::FuncOp kernel, const ScatterShape &shape, int64_t lanes) {
  PointAccess points(kernel, lanes);
  for (Value tensor : {shape.base, shape.updates}) {
    auto type = cast<RankedTensorType>(tensor.getType());
    const int64_t rows = type.getNumElements() / std::max<int64_t>(shape.inner, 1);
    if (rows)
      points.at(tensor,
                points.split(points.uniform(rows) * shape.inner + points.consecutive(shape.inner),
                             type.getShape()));
  }
  if (!shape.adds)
    points.at(shape.indices, {});
  else if (shape.count)
    points.at(shape.indices, points.split(points.uniform(shape.count), shape.indexType.getShape()));
  return success(points.ok());
}

void shareBase(ScheduleBuilder &kernel, const ScatterShape &shape) {
  BlockArgument base = shape.baseOperand();
  if (base && base.hasOneUse() && canShare(kernel.type(0), base.getType()))
    kernel.share(kernel::PairAttr::get(kernel.context(), 0, base.getArgNumber(),
                                       kernel::Sharing::SamePoint, 1));
}

} // namespace ingot
