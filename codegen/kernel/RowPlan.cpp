#include "codegen/kernel/RowPlan.h"
#include "codegen/kernel/Sharing.h"

using namespace mlir;

namespace ingot {

/// The stage from `first` on that walks `size` elements.
RowStage &RowStages::stageOf(size_t first, int64_t size) {
  for (size_t stage = first; stage < stages.size(); ++stage)
    if (stages[stage].size == size)
      return stages[stage];
  stages.emplace_back().size = size;
  return stages.back();
}

RowStages::RowStages(func::FuncOp kernel, std::vector<Reduction> found)
    : rows(found.front().kept), reductions(std::move(found)) {
  int levels = 0;
  for (Reduction &reduction : reductions)
    levels = std::max(levels, reduction.level + 1);
  for (int level = 0; level < levels; ++level) {
    size_t first = stages.size();
    for (Reduction &reduction : reductions)
      if (reduction.level == level) {
        RowStage &stage = stageOf(first, reduction.length);
        stage.reductions.push_back(&reduction);
        llvm::append_range(stage.roots, reduction.op.getDpsInputs());
      }
  }
  size_t first = stages.size();
  auto returned = kernel.getBody().front().getTerminator()->getOperands();
  for (bool scalars : {false, true})
    for (auto [result, tensor] : llvm::enumerate(returned)) {
      int64_t size = cast<RankedTensorType>(tensor.getType()).getNumElements() / rows;
      if (size == 0 || (size == 1) != scalars)
        continue;
      RowStage &stage = stageOf(first, size);
      stage.results.push_back(result);
      stage.roots.push_back(tensor);
    }
}

std::optional<std::vector<Reduction>> rowReductions(func::FuncOp kernel) {
  std::vector<Reduction> found = findReductions(kernel);
  if (found.empty() || found.front().kept == 0)
    return std::nullopt;
  const int64_t rows = found.front().kept;
  for (const Reduction &reduction : found)
    if (reduction.kept != rows)
      return std::nullopt;
  for (Type type : kernel.getResultTypes())
    if (cast<RankedTensorType>(type).getNumElements() % rows != 0)
      return std::nullopt;
  return found;
}

namespace {

/// Walks a row as emitters do.
class RowAccess {
public:
  RowAccess(ScheduleBuilder &kernel, const RowStages &plan, ArrayRef<RowBuffer> buffers,
            int64_t lanes)
      : kernel(kernel), plan(plan), buffers(buffers), points(kernel.kernel, lanes),
        finder(kernel.kernel, points), row(points.uniform(plan.rows)) {}

  LogicalResult share();

private:
  void access(int stage);
  void bindBuffers(int stage);

  ScheduleBuilder &kernel;
  const RowStages &plan;
  ArrayRef<RowBuffer> buffers;
  PointAccess points;
  SharingFinder finder;
  PointIndex row;
};

/// Notes what a stage reads, as emitters walk it.
void RowAccess::access(int number) {
  const RowStage &stage = plan.stages[number];
  if (!stage.reductions.empty()) {
    PointIndex along = points.consecutive(stage.size);
    for (const RowBuffer &buffer : buffers)
      if (buffer.stage == number)
        points.at(buffer.tensor,
                  points.split(row * buffer.size + along,
                               cast<RankedTensorType>(buffer.tensor.getType()).getShape()));
    for (Reduction *reduction : stage.reductions)
      points.region(reduction->op, iterationOf(points, *reduction, row, along));
    finder.record(number, std::nullopt);
    for (Reduction *reduction : stage.reductions) {
      SmallVector<PointIndex> iteration =
          iterationOf(points, *reduction, row, PointIndex::constant(0));
      accessInitial(points, *reduction, iteration);
      for (Value tensor : reduction->op->getResults()) {
        ArrayRef<int64_t> shape = cast<RankedTensorType>(tensor.getType()).getShape();
        points.bind(tensor, [shape, own = row](PointAccess::Indices indices) {
          return linearise(indices, shape) == own ? std::optional(false) : std::nullopt;
        });
      }
    }
    return;
  }
  PointIndex along = stage.size == 1 ? PointIndex::constant(0) : points.consecutive(stage.size);
  PointIndex position = row * stage.size + along;
  if (stage.size > 1)
    for (const RowBuffer &buffer : buffers)
      if (buffer.stage == number)
        points.at(
            buffer.tensor,
            points.split(position, cast<RankedTensorType>(buffer.tensor.getType()).getShape()));
  for (unsigned result : stage.results)
    points.at(kernel.returned(result), points.split(position, kernel.type(result).getShape()));
  finder.record(number, position);
}

void RowAccess::bindBuffers(int stage) {
  for (const RowBuffer &buffer : buffers) {
    if (buffer.stage != stage)
      continue;
    ArrayRef<int64_t> shape = cast<RankedTensorType>(buffer.tensor.getType()).getShape();
    points.bind(buffer.tensor,
                [this, shape,
                 own = Row{row, buffer.size}](PointAccess::Indices indices) -> std::optional<bool> {
                  std::optional<PointIndex> place = own.inside(linearise(indices, shape));
                  if (!place)
                    return std::nullopt;
                  PointIndex::Lanes over = place->overLanes(points.lanes());
                  return !over.affine || over.step != 0;
                });
  }
}

LogicalResult RowAccess::share() {
  for (size_t index = 0; index < plan.stages.size(); ++index) {
    access(index);
    bindBuffers(index);
  }
  for (auto [index, stage] : llvm::enumerate(plan.stages))
    for (unsigned result : stage.results)
      kernel.share(finder.pairs(result, index, Row{row, stage.size}));
  return success(points.ok());
}

} // namespace

LogicalResult shareRows(ScheduleBuilder &kernel, const RowStages &plan, ArrayRef<RowBuffer> buffers,
                        int64_t lanes) {
  return RowAccess(kernel, plan, buffers, lanes).share();
}

} // namespace ingot
