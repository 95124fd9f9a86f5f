#include "codegen/kernel/Reductions.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/linalg/Combiner.h"
#include "llvm/ADT/DenseSet.h"

using namespace mlir;

namespace ingot {
namespace {

std::optional<Reduction> analyse(linalg::LinalgOp op) {
  Reduction reduction;
  reduction.op = op;
  for (auto [range, iterator] : llvm::zip(op.getStaticLoopRanges(), op.getIteratorTypesArray()))
    (iterator == utils::IteratorType::parallel ? reduction.kept : reduction.length) *= range;
  AffineMap map = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  for (OpOperand &init : op.getDpsInitsMutable())
    if (op.getMatchingIndexingMap(&init) != map)
      return std::nullopt;
  reduction.combiner = combinerOf(op);
  if (!reduction.combiner || !map.isProjectedPermutation())
    return std::nullopt;
  return reduction;
}

/// Levels of values in the kernel body: the number of reductions on the longest way to them.
class Levels {
public:
  explicit Levels(std::vector<Reduction> &found) : found(found) {}

  int of(Value value) {
    Operation *op = value.getDefiningOp();
    if (!op)
      return 0;
    auto [entry, isNew] = levels.try_emplace(op, 0);
    if (!isNew)
      return entry->second;
    int level = 0;
    for (Value operand : op->getOperands())
      level = std::max(level, of(operand));
    if (auto structured = dyn_cast<linalg::LinalgOp>(op);
        structured && structured.getNumReductionLoops())
      if (auto reduction = analyse(structured)) {
        reduction->level = level++;
        found.push_back(*reduction);
      }
    return levels[op] = level;
  }

private:
  std::vector<Reduction> &found;
  llvm::DenseMap<Operation *, int> levels;
};

} // namespace

std::vector<Reduction> findReductions(func::FuncOp kernel) {
  std::vector<Reduction> found;
  Levels levels(found);
  for (Value result : kernel.getBody().front().getTerminator()->getOperands())
    levels.of(result);
  return found;
}

template <typename Points>
static SmallVector<PointIndex> iterationAt(Points &points, const Reduction &reduction,
                                           const PointIndex &kept, const PointIndex &along) {
  linalg::LinalgOp op = reduction.op;
  SmallVector<int64_t> ranges = op.getStaticLoopRanges(), keptShape, alongShape;
  SmallVector<unsigned> alongDims, keptDims;
  op.getReductionDims(alongDims);
  // Kept dimensions in the order of the result, so that `kept` is a position in it.
  for (AffineExpr expression : op.getMatchingIndexingMap(op.getDpsInitOperand(0)).getResults())
    keptDims.push_back(cast<AffineDimExpr>(expression).getPosition());
  for (unsigned dim : keptDims)
    keptShape.push_back(ranges[dim]);
  for (unsigned dim : alongDims)
    alongShape.push_back(ranges[dim]);
  SmallVector<PointIndex> iteration(ranges.size());
  for (auto [dim, index] : llvm::zip(keptDims, points.split(kept, keptShape)))
    iteration[dim] = index;
  for (auto [dim, index] : llvm::zip(alongDims, points.split(along, alongShape)))
    iteration[dim] = index;
  return iteration;
}

SmallVector<PointIndex> iterationOf(PointEmitter &points, const Reduction &reduction,
                                    const PointIndex &kept, const PointIndex &along) {
  return iterationAt(points, reduction, kept, along);
}

SmallVector<PointIndex> iterationOf(PointAccess &points, const Reduction &reduction,
                                    const PointIndex &kept, const PointIndex &along) {
  return iterationAt(points, reduction, kept, along);
}

SmallVector<Value> neutral(PointEmitter &points, const Reduction &reduction) {
  return llvm::map_to_vector(neutralElements(reduction.combiner), [&](TypedAttr value) -> Value {
    return arith::ConstantOp::create(points.ops(), reduction.combiner->getLoc(), value);
  });
}

SmallVector<Value> accumulate(PointEmitter &points, const Reduction &reduction,
                              ArrayRef<PointIndex> iteration, ArrayRef<Value> accumulators,
                              Value mask) {
  SmallVector<Value> arguments = points.arguments(reduction.op, iteration, mask);
  llvm::copy(accumulators, arguments.end() - accumulators.size());
  return points.inlineRegion(reduction.op, iteration, arguments);
}

SmallVector<Value> combine(PointEmitter &points, const Reduction &reduction, ValueRange left,
                           ValueRange right) {
  return combinePartials(points.ops(), reduction.combiner, left, right);
}

SmallVector<Value> combineLanes(PointEmitter &points, const Reduction &reduction,
                                ValueRange partials) {
  OpBuilder &builder = points.ops();
  SmallVector<Value> values(partials);
  for (int64_t width = points.lanes(); width > 1; width /= 2) {
    auto half = [&](int64_t start) {
      return llvm::map_to_vector(values, [&](Value value) -> Value {
        return vector::ExtractStridedSliceOp::create(builder, value.getLoc(), value, start,
                                                     width / 2, 1);
      });
    };
    SmallVector<Value> low = half(0), high = half(width / 2);
    values = combine(points, reduction, low, high);
  }
  return llvm::map_to_vector(values, [&](Value value) -> Value {
    return vector::ExtractOp::create(builder, value.getLoc(), value, 0);
  });
}

static SmallVector<PointIndex> initialIndices(const Reduction &reduction,
                                              ArrayRef<PointIndex> iteration) {
  linalg::LinalgOp op = reduction.op;
  SmallVector<PointIndex> indices;
  for (AffineExpr expression : op.getMatchingIndexingMap(op.getDpsInitOperand(0)).getResults())
    indices.push_back(iteration[cast<AffineDimExpr>(expression).getPosition()]);
  return indices;
}

void accessInitial(PointAccess &points, const Reduction &reduction,
                   ArrayRef<PointIndex> iteration) {
  linalg::LinalgOp op = reduction.op;
  for (Value init : op.getDpsInits())
    points.at(init, initialIndices(reduction, iteration));
}

SmallVector<Value> withInitial(PointEmitter &points, const Reduction &reduction,
                               ArrayRef<PointIndex> iteration, ValueRange sums, Value mask) {
  linalg::LinalgOp op = reduction.op;
  SmallVector<Value> initials;
  for (auto [init, sum] : llvm::zip_equal(op.getDpsInits(), sums)) {
    Value initial = points.at(init, initialIndices(reduction, iteration), mask);
    initials.push_back(isa<VectorType>(sum.getType()) ? points.vectorised(initial) : initial);
  }
  return combine(points, reduction, initials, sums);
}

} // namespace ingot
