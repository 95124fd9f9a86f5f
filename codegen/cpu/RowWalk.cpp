#include "codegen/cpu/RowWalk.h"
#include "codegen/cpu/Code.h"
#include "codegen/kernel/Nests.h"
#include <limits>

using namespace mlir;

namespace ingot {
namespace {

/// What the reductions of a row kernel read at some places, as if every operand lay in memory,
/// whatever is fused.
struct ReductionReads {
  explicit ReductionReads(func::FuncOp kernel, const RowStages &plan)
      : points(kernel, Code::lanes), plan(plan) {
    for (const Reduction &reduction : plan.reductions)
      for (Value tensor : linalg::LinalgOp(reduction.op).getDpsInputs())
        points.bind(tensor, [this, tensor](PointAccess::Indices indices) {
          ArrayRef<int64_t> shape = cast<RankedTensorType>(tensor.getType()).getShape();
          return std::optional(note(tensor, linearise(indices, shape)));
        });
  }
  ReductionReads(const ReductionReads &) = delete;

  void at(const RowStage &stage, const PointIndex &row, const PointIndex &along) {
    for (Reduction *reduction : stage.reductions)
      points.region(reduction->op, iterationOf(points, *reduction, row, along));
  }
  /// What a lane's work costs in a loop over `extent` elements.
  double cost(int64_t extent) const { return costOfLoads(places, slow, extent, points.lanes()); }

  PointAccess points;
  const RowStages &plan;
  std::vector<PointIndex> places;
  std::vector<std::pair<Value, PointIndex>> different;
  int64_t slow = 0; ///< accesses out of order

private:
  /// Whether the value differs from lane to lane.
  bool note(Value tensor, const PointIndex &place) {
    const std::pair<Value, PointIndex> read(tensor, place);
    if (!llvm::is_contained(different, read))
      different.push_back(read);
    places.push_back(place);
    slow += !place.isInOrder(points.lanes());
    const PointIndex::Lanes over = place.overLanes(points.lanes());
    return !over.affine || over.step != 0;
  }
};

/// Whether the kernel stores whole rows.
bool storesRows(const RowStages &plan) {
  return llvm::any_of(plan.stages, [](const RowStage &stage) {
    return stage.reductions.empty() && stage.size > 1;
  });
}

/// Accesses of the reductions that are gathers with lanes along rows, or across them.
int64_t slowAccesses(func::FuncOp kernel, const RowStages &plan, bool across) {
  ReductionReads reads(kernel, plan);
  const PointIndex row =
      across ? reads.points.consecutive(plan.rows) : reads.points.uniform(plan.rows);
  for (const RowStage &stage : plan.stages)
    reads.at(stage, row,
             across ? reads.points.uniform(stage.size) : reads.points.consecutive(stage.size));
  return reads.slow;
}

} // namespace

bool goesAcross(func::FuncOp kernel, const RowStages &plan) {
  return !storesRows(plan) && plan.rows >= Code::lanes &&
         slowAccesses(kernel, plan, /*across=*/false) > 0 &&
         slowAccesses(kernel, plan, /*across=*/true) == 0;
}

int64_t chooseLine(func::FuncOp kernel, const RowStages &plan, const RowStage &stage) {
  if (stage.reductions.empty() || stage.size <= 1)
    return stage.size;
  linalg::LinalgOp op = stage.reductions.front()->op;
  SmallVector<unsigned> dims;
  op.getReductionDims(dims);
  int64_t best = stage.size, line = stage.size;
  double least = std::numeric_limits<double>::infinity();
  for (unsigned dim : dims) {
    ReductionReads reads(kernel, plan);
    PointAccess &points = reads.points;
    reads.at(stage, points.uniform(plan.rows),
             points.uniform(stage.size / line) * line + points.consecutive(line));
    if (const double cost = reads.cost(line); cost < least)
      best = line, least = cost;
    line /= op.getStaticLoopRanges()[dim];
  }
  return best;
}

int64_t chooseRowsAtOnce(func::FuncOp kernel, const RowStages &plan, ArrayRef<int64_t> lines) {
  constexpr int64_t most = 16;
  ArrayRef<int64_t> shape = plan.reductions.front().type(0).getShape();
  auto isOfShape = [&](Type type) { return cast<RankedTensorType>(type).getShape() == shape; };
  if (storesRows(plan) || !llvm::all_of(kernel.getResultTypes(), isOfShape) ||
      llvm::any_of(plan.reductions,
                   [&](const Reduction &reduction) { return !isOfShape(reduction.type(0)); }))
    return 1;
  int64_t count = 1;
  for (int64_t extent : llvm::reverse(shape)) {
    if (count * extent > most)
      break;
    count *= extent;
  }
  auto loads = [&](int64_t atOnce) {
    ReductionReads reads(kernel, plan);
    PointAccess &points = reads.points;
    const PointIndex group = points.uniform(plan.rows / atOnce) * atOnce;
    for (auto [stage, line] : llvm::zip(plan.stages, lines)) {
      if (stage.reductions.empty() || stage.size == 0)
        continue;
      const PointIndex along = points.uniform(stage.size / line) * line + points.consecutive(line);
      for (int64_t row = 0; row < atOnce; ++row)
        reads.at(stage, group + PointIndex::constant(row), along);
    }
    return int64_t(reads.different.size());
  };
  return count > 1 && 4 * loads(count) <= 3 * count * loads(1) ? count : 1;
}

int64_t extentBefore(const RowStage &stage, int64_t length) {
  linalg::LinalgOp op = stage.reductions.front()->op;
  SmallVector<unsigned> dims;
  op.getReductionDims(dims);
  int64_t inner = 1;
  for (unsigned dim : llvm::reverse(dims)) {
    const int64_t extent = op.getStaticLoopRanges()[dim];
    if (inner == length && extent > 1)
      return extent;
    inner *= extent;
  }
  return 1;
}

} // namespace ingot
