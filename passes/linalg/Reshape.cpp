#include "passes/linalg/Reshape.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace ingot {
namespace {

/// Runs of source and target dimensions that hold the same elements.
struct Correspondence {
  SmallVector<ReassociationIndices> source, target;
  SmallVector<int64_t> sizes; ///< elements of each run
};

/// The finest correspondence, or none where the shapes do not fall apart into runs.
Correspondence correspond(ArrayRef<int64_t> from, ArrayRef<int64_t> to) {
  Correspondence runs;
  size_t i = 0, j = 0;
  while (i < from.size() && j < to.size()) {
    ReassociationIndices source{int64_t(i)}, target{int64_t(j)};
    int64_t left = from[i++], right = to[j++];
    while (left != right) {
      if (left < right) {
        source.push_back(i);
        left *= from[i++];
      } else {
        target.push_back(j);
        right *= to[j++];
      }
    }
    runs.source.push_back(source);
    runs.target.push_back(target);
    runs.sizes.push_back(left);
  }
  // What is left over has size 1.
  for (; i < from.size(); ++i)
    runs.source.back().push_back(i);
  for (; j < to.size(); ++j)
    runs.target.back().push_back(j);
  return runs;
}

} // namespace

Value reshapeSource(Value value) {
  while (auto *op = value.getDefiningOp())
    if (isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op))
      value = op->getOperand(0);
    else
      break;
  return value;
}

Value reshapeTensor(OpBuilder &builder, Location location, Value value, ArrayRef<int64_t> shape) {
  value = reshapeSource(value);
  auto from = cast<RankedTensorType>(value.getType());
  if (from.getShape() == shape)
    return value;
  auto to = RankedTensorType::get(shape, from.getElementType());
  Correspondence runs;
  if (from.getRank() == 0)
    return tensor::ExpandShapeOp::create(builder, location, to, value,
                                         ArrayRef<ReassociationIndices>());
  if (to.getRank() == 0)
    return tensor::CollapseShapeOp::create(builder, location, to, value,
                                           ArrayRef<ReassociationIndices>());
  if (from.getNumElements() == 0) { // any run is as long as any other: join all dimensions
    auto all = [](int64_t rank) {
      return ReassociationIndices(llvm::to_vector<2>(llvm::seq<int64_t>(0, rank)));
    };
    runs = {{all(from.getRank())}, {all(to.getRank())}, {0}};
  } else {
    runs = correspond(from.getShape(), shape);
  }
  auto middle = RankedTensorType::get(runs.sizes, from.getElementType());
  if (middle != from)
    value = tensor::CollapseShapeOp::create(builder, location, middle, value, runs.source);
  if (middle != to)
    value = tensor::ExpandShapeOp::create(builder, location, to, value, runs.target);
  return value;
}

} // namespace ingot
