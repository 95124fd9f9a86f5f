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
  for (int64_t output = 0; output < op.getNumDpsInits(); ++output) {
    AffineMap map = op.getMatchingIndexingMap(op.getDpsInitOperand(output));
    Operation *combiner = combinerOf(op, output);
    if (!combiner || !map.isProjectedPermutation() ||
        map != op.getMatchingIndexingMap(op.getDpsInitOperand(0)))
      return std::nullopt;
    reduction.combiners.push_back(combiner);
  }
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
  return llvm::map_to_vector(reduction.combiners, [&](Operation *combiner) -> Value {
    return arith::ConstantOp::create(points.ops(), combiner->getLoc(), neutralElement(combiner));
  });
}

SmallVector<Value> accumulate(PointEmitter &points, const Reduction &reduction,
                              ArrayRef<PointIndex> iteration, ArrayRef<Value> accumulators,
                              Value mask) {
  SmallVector<Value> arguments = points.arguments(reduction.op, iteration, mask);
  llvm::copy(accumulators, arguments.end() - accumulators.size());
  return points.inlineRegion(reduction.op, iteration, arguments);
}

Value combine(PointEmitter &points, const Reduction &reduction, unsigned output, Value left,
              Value right) {
  return combinePartials(points.ops(), reduction.combiners[output], left, right);
}

Value combineLanes(PointEmitter &points, const Reduction &reduction, unsigned output,
                   Value partial) {
  OpBuilder &builder = points.ops();
  Location location = partial.getLoc();
  for (int64_t width = points.lanes(); width > 1; width /= 2) {
    auto half = [&](int64_t start) -> Value {
      return vector::ExtractStridedSliceOp::create(builder, location, partial, start, width / 2, 1);
    };
    Value low = half(0), high = half(width / 2);
    partial = combine(points, reduction, output, low, high);
  }
  return vector::ExtractOp::create(builder, location, partial, 0);
}

static SmallVector<PointIndex> initialIndices(const Reduction &reduction, unsigned output,
                                              ArrayRef<PointIndex> iteration) {
  linalg::LinalgOp op = reduction.op;
  SmallVector<PointIndex> indices;
  for (AffineExpr expression : op.getMatchingIndexingMap(op.getDpsInitOperand(output)).getResults())
    indices.push_back(iteration[cast<AffineDimExpr>(expression).getPosition()]);
  return indices;
}

void accessInitial(PointAccess &points, const Reduction &reduction, unsigned output,
                   ArrayRef<PointIndex> iteration) {
  linalg::LinalgOp op = reduction.op;
  points.at(op.getDpsInitOperand(output)->get(), initialIndices(reduction, output, iteration));
}

Value withInitial(PointEmitter &points, const Reduction &reduction, unsigned output,
                  ArrayRef<PointIndex> iteration, Value sum, Value mask) {
  linalg::LinalgOp op = reduction.op;
  Value initial = points.at(op.getDpsInitOperand(output)->get(),
                            initialIndices(reduction, output, iteration), mask);
  if (isa<VectorType>(sum.getType()))
    initial = points.vectorised(initial);
  return combine(points, reduction, output, initial, sum);
}

} // namespace ingot
