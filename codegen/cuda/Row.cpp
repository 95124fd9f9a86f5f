/// Row kernels: a warp or a block computes a row; reductions level by level, then the results.
#include "codegen/cuda/BlockReduction.h"
#include "codegen/cuda/Emitters.h"
#include "codegen/kernel/RowPlan.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ingot {
namespace {

struct RowSizes {
  int64_t threads = 0;       ///< of a block
  int64_t threadsPerRow = 0; ///< a warp, or all of a block's
  int64_t rows = 1;
  int64_t lanes = 1; ///< elements of a row that a thread computes at a time

  template <typename Field> void fields(Field field) {
    field("threads", threads);
    field("threads_per_row", threadsPerRow);
    field("rows", rows);
    field("lanes", lanes);
  }
  int64_t rowsPerBlock() const { return threads / threadsPerRow; }
  int64_t blocks() const { return llvm::divideCeilSigned(rows, rowsPerBlock()); }
  int64_t warpsPerRow() const { return threadsPerRow / warpSize; }
};

/// Whether threads may walk a stage in steps of so many lanes; a result a row is one thread's.
bool holdsWhole(const RowStage &stage, int64_t lanes) {
  return (stage.size == 1 && stage.reductions.empty()) || stage.size % lanes == 0;
}

/// A thread should have a few elements of a row, and rows of a few elements leave threads idle.
RowSizes chooseSizes(const RowStages &plan) {
  RowSizes sizes;
  sizes.rows = plan.rows;
  sizes.lanes = 4;
  int64_t longest = 1;
  for (const RowStage &stage : plan.stages) {
    longest = std::max(longest, stage.size);
    if (!holdsWhole(stage, sizes.lanes))
      sizes.lanes = 1;
  }
  constexpr int64_t elementsPerThread = 8, ofWarp = warpSize * 32, most = 1024;
  if (longest <= ofWarp) {
    sizes.threadsPerRow = warpSize;
    sizes.threads = std::min<int64_t>(128, warpSize * llvm::PowerOf2Ceil(plan.rows));
    return sizes;
  }
  sizes.threads = std::clamp<int64_t>(llvm::PowerOf2Ceil(longest / elementsPerThread), 128, most);
  sizes.threadsPerRow = sizes.threads;
  return sizes;
}

class RowEmitter {
public:
  RowEmitter(CudaKernel &kernel, std::vector<Reduction> found, const RowSizes &sizes)
      : kernel(kernel), code(kernel.code), plan(kernel.kernel, std::move(found)), sizes(sizes),
        points(kernel.points(sizes.lanes)) {}

  LogicalResult emit();

private:
  void emitRow();
  void reduce(const RowStage &stage);
  void finish(Reduction &reduction, ValueRange partials);
  void store(const RowStage &stage, const PointIndex &along);
  PointIndex elements(const RowStage &stage, Value start) {
    return sizes.lanes == 1 ? PointIndex::uniform(start, stage.size)
                            : PointIndex::consecutive(start, stage.size, /*aligned=*/true);
  }

  CudaKernel &kernel;
  IndexCode &code;
  RowStages plan;
  const RowSizes sizes;
  PointEmitter points;
  PointIndex row;
  Value place; ///< of this thread among those of its row
};

/// Each thread walks its part of the row; the partial results become one in all of its threads.
void RowEmitter::reduce(const RowStage &stage) {
  SmallVector<Value> start;
  for (Reduction *reduction : stage.reductions)
    for (Value value : neutral(points, *reduction))
      start.push_back(points.vectorised(value));
  SmallVector<Value> sums =
      code.loop(code.mul(place, sizes.lanes), code.index(stage.size),
                sizes.threadsPerRow * sizes.lanes, start, [&](Value along, ValueRange carried) {
                  PointEmitter::Scope scope(points);
                  SmallVector<Value> next;
                  for (Reduction *reduction : stage.reductions) {
                    const size_t outputs = reduction->outputs();
                    SmallVector<Value> values(carried.slice(next.size(), outputs));
                    llvm::append_range(next, accumulate(points, *reduction,
                                                        iterationOf(points, *reduction, row,
                                                                    elements(stage, along)),
                                                        values, {}));
                  }
                  for (Value &value : next)
                    value = points.vectorised(value);
                  return next;
                });
  size_t first = 0;
  for (Reduction *reduction : stage.reductions) {
    const size_t outputs = reduction->outputs();
    finish(*reduction, ArrayRef(sums).slice(first, outputs));
    first += outputs;
  }
  if (sizes.warpsPerRow() == 1)
    kernel.synchroniseWarp();
}

/// From here on the reduction's results are these scalars wherever this row's elements are asked.
void RowEmitter::finish(Reduction &reduction, ValueRange partials) {
  SmallVector<PointIndex> iteration = iterationOf(points, reduction, row, PointIndex::constant(0));
  SmallVector<Value> totals(partials);
  if (sizes.lanes > 1)
    totals = combineLanes(points, reduction, totals);
  totals = combineThreads(kernel, points, reduction, totals, sizes.threadsPerRow);
  totals = withInitial(points, reduction, iteration, totals, {});
  for (auto [output, total] : llvm::enumerate(totals)) {
    ArrayRef<int64_t> shape = reduction.type(output).getShape();
    points.bind(reduction.op->getResult(output),
                [total = Value(total), shape, own = row](PointEmitter::Indices indices, Value) {
                  return linearise(indices, shape) == own ? total : Value();
                });
  }
}

void RowEmitter::store(const RowStage &stage, const PointIndex &along) {
  PointEmitter::Scope scope(points);
  PointIndex position = row * stage.size + along;
  SmallVector<Value> values;
  for (unsigned result : stage.results)
    values.push_back(
        points.at(kernel.returned(result), points.split(position, kernel.type(result).getShape())));
  for (auto [result, value] : llvm::zip(stage.results, values))
    points.store(value, kernel.resultMemory(result), position, {},
                 kernel.type(result).getElementType());
}

void RowEmitter::emitRow() {
  PointEmitter::Scope scope(points);
  bool stored = false;
  for (const RowStage &stage : plan.stages) {
    // A stage of results may overwrite what the one before it reads of the row.
    if (stage.reductions.empty() && std::exchange(stored, true)) {
      if (sizes.warpsPerRow() == 1)
        kernel.synchroniseWarp();
      else
        kernel.synchronise();
    }
    if (!stage.reductions.empty())
      reduce(stage);
    else if (stage.size == 1)
      code.when(code.isEqual(place, code.index(0)), [&] { store(stage, PointIndex::constant(0)); });
    else
      code.loop(code.mul(place, sizes.lanes), code.index(stage.size),
                sizes.threadsPerRow * sizes.lanes,
                [&](Value along) { store(stage, elements(stage, along)); });
  }
}

LogicalResult RowEmitter::emit() {
  for (const RowStage &stage : plan.stages)
    if (!holdsWhole(stage, sizes.lanes))
      return kernel.kernel.emitError("kernel.schedule: rows of ")
             << stage.size << " are not made of " << sizes.lanes << " lanes";
  Value number = kernel.block();
  place = kernel.thread();
  if (sizes.rowsPerBlock() > 1) {
    number = code.add(code.mul(number, sizes.rowsPerBlock()),
                      code.div(kernel.thread(), sizes.threadsPerRow));
    place = code.remainder(kernel.thread(), sizes.threadsPerRow);
  }
  row = plan.rows == 1 ? PointIndex::constant(0) : PointIndex::uniform(number, plan.rows);
  if (plan.rows % sizes.rowsPerBlock())
    code.when(code.isBelow(number, plan.rows), [&] { emitRow(); });
  else
    emitRow();
  return success(points.ok());
}

} // namespace

/// Without one row number for all of it, every point is computed by itself.
LogicalResult scheduleRow(CudaScheduler &kernel) {
  std::optional<std::vector<Reduction>> found = rowReductions(kernel.kernel);
  if (!found)
    return schedulePointwise(kernel);
  RowStages plan(kernel.kernel, std::move(*found));
  const RowSizes sizes = chooseSizes(plan);
  for (const Reduction &reduction : plan.reductions)
    addCombineScratch(kernel, reduction, sizes.threadsPerRow);
  if (failed(shareRows(kernel, plan, {}, sizes.lanes)))
    return failure();
  kernel.launch("rows", sizes.blocks(), sizes);
  return success();
}

LogicalResult emitRows(CudaKernel &kernel) {
  std::optional<std::vector<Reduction>> found = rowReductions(kernel.kernel);
  RowSizes sizes;
  if (failed(readSizes(kernel.kernel, kernel.launch, sizes)))
    return failure();
  const bool fits = found && sizes.rows == found->front().kept && sizes.threads <= 1024 &&
                    sizes.threads >= sizes.threadsPerRow && sizes.threadsPerRow >= warpSize &&
                    llvm::isPowerOf2_64(sizes.threadsPerRow) &&
                    sizes.threads % sizes.threadsPerRow == 0 &&
                    (sizes.threadsPerRow == warpSize || sizes.threads == sizes.threadsPerRow) &&
                    sizes.lanes > 0 && sizes.lanes <= 16 && llvm::isPowerOf2_64(sizes.lanes) &&
                    sizes.blocks() == kernel.launch.getGrains();
  if (!fits)
    return kernel.kernel.emitError(
        "kernel.schedule: these threads on rows do not make its results");
  return RowEmitter(kernel, std::move(*found), sizes).emit();
}

} // namespace ingot
