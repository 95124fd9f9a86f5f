#include "codegen/cuda/ContractionProduct.h"

using namespace mlir;

namespace ingot {

ContractionProduct::ContractionProduct(graph::ContractOp contract)
    : left(contract.getLhs(), contract.getLhsBatch(), contract.getLhsContract()),
      right(contract.getRhs(), contract.getRhsBatch(), contract.getRhsContract()),
      batch(product(left.sizes(left.batchDims))), rows(product(left.sizes(left.freeDims))),
      columns(product(right.sizes(right.freeDims))), depth(product(left.sizes(left.contractDims))) {
  Type element = getElementTypeOrSelf(contract.getType());
  sumType =
      element.getIntOrFloatBitWidth() < 32 ? Float32Type::get(contract.getContext()) : element;
}

bool readsAlongDepth(func::FuncOp kernel, const ContractionProduct &product,
                     const ContractionOperand &operand, int64_t free, int64_t lanes) {
  auto slow = [&](bool depthWise) {
    PointAccess points(kernel, lanes);
    PointIndex batch = points.uniform(product.batch);
    if (depthWise)
      operand.access(points, batch, points.uniform(free), points.consecutive(product.depth));
    else
      operand.access(points, batch, points.consecutive(free), points.uniform(product.depth));
    return points.slowAccesses();
  };
  const int64_t byDepth = slow(true), byFree = slow(false);
  return byDepth < byFree || (byDepth == byFree && operand.isDepthLast());
}

void ContractionEpilogue::store(Value sums, const PointIndex &row, const PointIndex &column,
                                int64_t lanes) {
  PointEmitter points = kernel.points(lanes);
  const PointIndex position = row * product.columns + column;
  SmallVector<PointIndex> indices = points.split(position, contract.getType().getShape());
  Type element = getElementTypeOrSelf(contract.getType()), type = element;
  if (auto vector = dyn_cast<VectorType>(sums.getType()))
    type = vector.clone(element);
  Value result = element == product.sumType
                     ? sums
                     : kernel.code.create<arith::TruncFOp>(type, sums).getResult();
  points.bind(contract.getResult(), [&](PointEmitter::Indices at, Value) {
    // `shareEpilogue` has refused other elements.
    broken |= at != PointEmitter::Indices(indices);
    return result;
  });
  SmallVector<Value> values;
  for (unsigned i = 0; i < kernel.results(); ++i)
    values.push_back(
        points.at(kernel.returned(i), points.split(position, kernel.type(i).getShape())));
  for (auto [i, value] : llvm::enumerate(values))
    points.store(value, kernel.resultMemory(i), position, {}, kernel.type(i).getElementType());
  broken |= !points.ok();
}

} // namespace ingot
