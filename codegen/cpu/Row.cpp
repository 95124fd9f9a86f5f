/// Row kernels: grains are runs of rows; inside a row, reductions level by level, then the results.
#include "codegen/cpu/Lanes.h"
#include "codegen/kernel/InPlace.h"
#include "codegen/kernel/RowBuffers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ingot {
namespace {

/// Accumulators of one turn: per reduction, per output.
using Accumulators = SmallVector<SmallVector<Value>>;

class RowEmitter {
public:
  RowEmitter(KernelBuilder &kernel, std::vector<Reduction> found, int64_t rows)
      : kernel(kernel), builder(kernel.builder), location(kernel.location()),
        points(kernel.points()), finder(points), reductions(std::move(found)), rows(rows) {}

  LogicalResult emit();

private:
  RankedTensorType type(unsigned result) {
    return cast<RankedTensorType>(kernel.returned(result).getType());
  }
  void planStages();
  RowStage &stageOf(size_t first, int64_t size);
  void planBuffers();

  void emitRow(Value number);
  void reduce(int stage);
  void step(int stage, Accumulators &accumulators, Value start, Value mask);
  void finish(Reduction &reduction, ArrayRef<SmallVector<Value>> partials);
  void store(int stage, const PointIndex &position, Value mask);
  void fillBuffers(int stage, const PointIndex &along, Value mask);
  void bindBuffers(int stage);

  KernelBuilder &kernel;
  OpBuilder &builder;
  Location location;
  PointEmitter points;
  InPlaceFinder finder;
  std::vector<Reduction> reductions;
  std::vector<RowStage> stages;
  std::vector<RowBuffer> buffers;
  int64_t rows;
  PointIndex row;
};

//===--------------------------------------------------------------------------------------------===//
// Plan
//===--------------------------------------------------------------------------------------------===//

/// The stage from `first` on that walks `size` elements.
RowStage &RowEmitter::stageOf(size_t first, int64_t size) {
  for (size_t stage = first; stage < stages.size(); ++stage)
    if (stages[stage].size == size)
      return stages[stage];
  stages.push_back({.size = size});
  return stages.back();
}

/// Reductions of one level and length share a pass; then come results of equal row size, and last
/// the results that are one value a row.
void RowEmitter::planStages() {
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
  auto add = [&](bool scalars) {
    for (unsigned result = 0; result < kernel.results(); ++result) {
      int64_t size = type(result).getNumElements() / rows;
      if (size == 0 || (size == 1) != scalars)
        continue;
      RowStage &stage = stageOf(first, size);
      stage.results.push_back(result);
      stage.roots.push_back(kernel.returned(result));
    }
  };
  add(/*scalars=*/false);
  add(/*scalars=*/true);
}

void RowEmitter::planBuffers() {
  buffers = planRowBuffers(stages, rows);
  for (RowBuffer &buffer : buffers) {
    Type element = cast<RankedTensorType>(buffer.tensor.getType()).getElementType();
    buffer.memory = kernel.workspace(MemRefType::get({buffer.size}, storageType(element)));
  }
}

//===--------------------------------------------------------------------------------------------===//
// Buffers
//===--------------------------------------------------------------------------------------------===//

void RowEmitter::fillBuffers(int stage, const PointIndex &along, Value mask) {
  for (RowBuffer &buffer : buffers) {
    if (buffer.stage != stage)
      continue;
    auto type = cast<RankedTensorType>(buffer.tensor.getType());
    PointIndex position = row * buffer.size + along;
    Value value = points.at(buffer.tensor, points.split(position, type.getShape()), mask);
    points.store(value, buffer.memory, along, mask, type.getElementType());
  }
}

/// From the next stage on the tensor's values in this row are read back.
void RowEmitter::bindBuffers(int stage) {
  for (RowBuffer &buffer : buffers) {
    if (buffer.stage != stage)
      continue;
    auto type = cast<RankedTensorType>(buffer.tensor.getType());
    Row own{row, buffer.size};
    points.bind(
        buffer.tensor, [this, &buffer, type, own](PointEmitter::Indices indices, Value mask) {
          std::optional<PointIndex> place = own.inside(linearise(indices, type.getShape()));
          return place ? points.load(buffer.memory, type.getElementType(), *place, mask) : Value();
        });
  }
}

//===--------------------------------------------------------------------------------------------===//
// Reductions
//===--------------------------------------------------------------------------------------------===//

void RowEmitter::step(int stage, Accumulators &accumulators, Value start, Value mask) {
  PointEmitter::Scope scope(points);
  PointIndex along = PointIndex::consecutive(start, stages[stage].size, /*aligned=*/true);
  fillBuffers(stage, along, mask);
  for (auto [reduction, values] : llvm::zip(stages[stage].reductions, accumulators)) {
    SmallVector<PointIndex> iteration = iterationOf(points, *reduction, row, along);
    SmallVector<Value> next = accumulate(points, *reduction, iteration, values, mask);
    for (auto [value, after] : llvm::zip(values, next))
      value =
          mask ? arith::SelectOp::create(builder, location, mask, after, value).getResult() : after;
  }
}

/// Up to four accumulators side by side take the blocks in turns and are combined in a fixed order
/// at the end: the order of additions depends on shapes alone.
void RowEmitter::reduce(int stage) {
  ArrayRef<Reduction *> members = stages[stage].reductions;
  int64_t lanes = points.lanes(), length = stages[stage].size, full = length / lanes;
  double work = 0;
  for (Reduction *reduction : members)
    work += flopsPerPoint(reduction->op);
  int64_t count = std::clamp<int64_t>(full, 1, work > 24 ? 2 : 4);

  std::vector<Accumulators> turns(count);
  for (Accumulators &accumulators : turns)
    for (Reduction *reduction : members)
      accumulators.push_back(llvm::map_to_vector(
          neutral(points, *reduction), [&](Value value) { return points.vectorised(value); }));
  auto everyValue = [&](llvm::function_ref<void(Value &)> visit) {
    for (Accumulators &accumulators : turns)
      for (auto &values : accumulators)
        llvm::for_each(values, visit);
  };
  auto carried = [&] {
    SmallVector<Value> all;
    everyValue([&](Value &value) { all.push_back(value); });
    return all;
  };
  auto assign = [&](ValueRange all) {
    size_t next = 0;
    everyValue([&](Value &value) { value = all[next++]; });
  };

  int64_t trips = full / count, done = 0;
  if (trips > 1) {
    done = trips * count;
    auto loop = scf::ForOp::create(builder, location, kernel.index(0), kernel.index(done * lanes),
                                   kernel.index(count * lanes), carried());
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    assign(loop.getRegionIterArgs());
    for (int64_t turn = 0; turn < count; ++turn) {
      Value start = arith::AddIOp::create(builder, location, loop.getInductionVar(),
                                          kernel.index(turn * lanes));
      step(stage, turns[turn], start, {});
    }
    scf::YieldOp::create(builder, location, carried());
    assign(loop.getResults());
  }
  for (int64_t block = done; block < full; ++block)
    step(stage, turns[block % count], kernel.index(block * lanes), {});
  if (length % lanes)
    step(stage, turns[full % count], kernel.index(full * lanes),
         tailMask(points, location, length % lanes));

  finder.record(stage, std::nullopt);
  for (auto [member, reduction] : llvm::enumerate(members)) {
    SmallVector<SmallVector<Value>> partials;
    for (Accumulators &accumulators : turns)
      partials.push_back(accumulators[member]);
    finish(*reduction, partials);
  }
}

/// Combines the turns pairwise, then the lanes, then the initial value; from here on the
/// reduction's result is this scalar wherever this row's element is asked.
void RowEmitter::finish(Reduction &reduction, ArrayRef<SmallVector<Value>> partials) {
  SmallVector<PointIndex> iteration = iterationOf(points, reduction, row, PointIndex::constant(0));
  for (unsigned output = 0; output < reduction.combiners.size(); ++output) {
    SmallVector<Value> values;
    for (ArrayRef<Value> partial : partials)
      values.push_back(partial[output]);
    while (values.size() > 1) {
      SmallVector<Value> pairs;
      for (size_t index = 0; index < values.size(); index += 2)
        pairs.push_back(index + 1 < values.size()
                            ? combine(points, reduction, output, values[index], values[index + 1])
                            : values[index]);
      values = pairs;
    }
    Value total = combineLanes(points, reduction, output, values.front());
    total = withInitial(points, reduction, output, iteration, total, {});
    Value tensor = reduction.op->getResult(output);
    ArrayRef<int64_t> shape = cast<RankedTensorType>(tensor.getType()).getShape();
    points.bind(tensor, [total, shape, own = row](PointEmitter::Indices indices, Value) {
      return linearise(indices, shape) == own ? total : Value();
    });
  }
}

//===--------------------------------------------------------------------------------------------===//
// Results
//===--------------------------------------------------------------------------------------------===//

void RowEmitter::store(int stage, const PointIndex &position, Value mask) {
  SmallVector<Value> values;
  for (unsigned result : stages[stage].results)
    values.push_back(
        points.at(kernel.returned(result), points.split(position, type(result).getShape()), mask));
  finder.record(stage, position);
  for (auto [result, value] : llvm::zip(stages[stage].results, values))
    points.store(value, kernel.resultMemory(result), position, mask, type(result).getElementType());
}

void RowEmitter::emitRow(Value number) {
  row = PointIndex::uniform(number, rows);
  double total = double(rows);
  for (RowStage &stage : stages)
    total += double(rows) * double(stage.size);
  double work = estimateFlops(kernel.kernel) / total;
  PointEmitter::Scope scope(points);
  for (auto [index, stage] : llvm::enumerate(stages)) {
    if (!stage.reductions.empty())
      reduce(index);
    else if (stage.size == 1)
      store(index, row, {});
    else
      forEachBlock(points, location, {}, {}, stage.size,
                   unrollFor(work, stage.size, points.lanes()),
                   [&](const PointIndex &along, Value mask) {
                     fillBuffers(index, along, mask);
                     store(index, row * stage.size + along, mask);
                   });
    bindBuffers(index);
  }
}

LogicalResult RowEmitter::emit() {
  planStages();
  planBuffers();
  int64_t wanted = grainsFor(kernel.estimatedNanoseconds(), rows);
  int64_t rowsPerGrain = llvm::divideCeilSigned(rows, wanted);
  kernel.setGrains(llvm::divideCeilSigned(rows, rowsPerGrain));
  if (rows == 1) {
    emitRow(kernel.index(0));
  } else {
    auto bound = [&](Value grain) -> Value {
      Value start = arith::MulIOp::create(builder, location, grain, kernel.index(rowsPerGrain));
      return arith::MinUIOp::create(builder, location, start, kernel.index(rows));
    };
    auto loop = scf::ForOp::create(builder, location, bound(kernel.lo()), bound(kernel.hi()),
                                   kernel.index(1));
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    emitRow(loop.getInductionVar());
  }
  for (auto [index, stage] : llvm::enumerate(stages))
    for (unsigned result : stage.results)
      finder.report(kernel, result, index, Row{row, stage.size});
  return success(points.ok());
}

} // namespace

LogicalResult emitRow(KernelBuilder &kernel) {
  std::vector<Reduction> found = findReductions(kernel.kernel);
  if (found.empty())
    return emitElementwise(kernel);
  int64_t rows = found.front().kept;
  bool regular = rows > 0;
  for (const Reduction &reduction : found)
    regular &= reduction.kept == rows;
  for (unsigned result = 0; regular && result < kernel.results(); ++result)
    regular &=
        cast<RankedTensorType>(kernel.returned(result).getType()).getNumElements() % rows == 0;
  // Without one row number for all of it, every point is computed by itself.
  return regular ? RowEmitter(kernel, std::move(found), rows).emit() : emitElementwise(kernel);
}

} // namespace ingot
