/// Row kernels: grains are runs of rows; inside a row, reductions level by level, then the results.
/// Lanes go along a row, or across rows that lie side by side.
#include "codegen/cpu/Code.h"
#include "codegen/cpu/Emitters.h"
#include "codegen/cpu/KernelScheduler.h"
#include "codegen/cpu/Lanes.h"
#include "codegen/kernel/RowPlan.h"
#include "codegen/kernel/Sharing.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ingot {
namespace {

/// By stage (`RowStages`), but for the first two and the kept values.
struct RowSizes {
  int64_t rows = 1, rowsPerGrain = 1;
  int64_t across = 0; ///< 1: lanes are neighbouring rows
  SmallVector<int64_t>
      unroll; ///< blocks of lanes that are written out by stages that store results
  SmallVector<int64_t> kept,
      keptIn; ///< values that a stage keeps in scratch, by number in the body

  template <typename Field> void fields(Field field) {
    field("rows", rows);
    field("rows_per_grain", rowsPerGrain);
    field("across", across);
    field("unroll", unroll);
    field("kept", kept);
    field("kept_in", keptIn);
  }
};

/// The tensors that a body's ops make, in order: by these numbers a schedule names them.
SmallVector<Value> valuesOf(func::FuncOp kernel) {
  SmallVector<Value> values;
  for (Operation &op : kernel.getBody().front().without_terminator())
    llvm::append_range(values, op.getResults());
  return values;
}

int64_t bufferBytes(const RowBuffer &buffer) {
  Type element = cast<RankedTensorType>(buffer.tensor.getType()).getElementType();
  return kernel::memoryBytes(RankedTensorType::get({buffer.size}, element));
}

//===--------------------------------------------------------------------------------------------===//
// Schedule
//===--------------------------------------------------------------------------------------------===//

/// How many accesses of the reductions are out of order with lanes along rows, or across them.
int64_t slowAccesses(func::FuncOp kernel, const RowStages &plan, bool across) {
  PointAccess points(kernel, Code::lanes);
  PointIndex row = across ? points.consecutive(plan.rows) : points.uniform(plan.rows);
  for (const RowStage &stage : plan.stages) {
    PointIndex along = across ? points.uniform(stage.size) : points.consecutive(stage.size);
    for (Reduction *reduction : stage.reductions)
      points.region(reduction->op, iterationOf(points, *reduction, row, along));
    for (Reduction *reduction : stage.reductions)
      for (Value tensor : reduction->op->getResults())
        points.bind(tensor, [across](PointAccess::Indices) { return across; });
  }
  return points.slowAccesses();
}

/// Whether lanes go across rows: sums over a dimension that is not the last, whose results alone
/// the kernel stores.
bool goesAcross(func::FuncOp kernel, const RowStages &plan) {
  const bool storesRows = llvm::any_of(plan.stages, [](const RowStage &stage) {
    return stage.reductions.empty() && stage.size > 1;
  });
  return !storesRows && plan.rows >= Code::lanes &&
         slowAccesses(kernel, plan, /*across=*/false) > 0 &&
         slowAccesses(kernel, plan, /*across=*/true) == 0;
}

/// `rowsPerGrain` 0: by cost.
LogicalResult scheduleRows(KernelScheduler &kernel, std::vector<Reduction> found,
                           int64_t rowsPerGrain) {
  const TargetCosts &costs = kernel.costs;
  RowStages plan(kernel.kernel, std::move(found));
  const int64_t rows = plan.rows;
  RowSizes sizes;
  sizes.rows = rows;
  sizes.rowsPerGrain = rowsPerGrain
                           ? rowsPerGrain
                           : llvm::divideCeilSigned(rows, costs.grains(kernel.nanoseconds(), rows));
  std::vector<RowBuffer> buffers;
  if (goesAcross(kernel.kernel, plan)) {
    sizes.across = 1;
    sizes.rowsPerGrain = llvm::alignTo(sizes.rowsPerGrain, Code::lanes);
  } else {
    buffers = planRowBuffers(plan.stages, rows, costs);
  }
  SmallVector<Value> values = valuesOf(kernel.kernel);
  for (const RowBuffer &buffer : buffers) {
    kernel.addScratch(bufferBytes(buffer));
    sizes.kept.push_back(llvm::find(values, buffer.tensor) - values.begin());
    sizes.keptIn.push_back(buffer.stage);
  }
  double total = double(rows);
  for (RowStage &stage : plan.stages)
    total += double(rows) * double(stage.size);
  for (RowStage &stage : plan.stages)
    sizes.unroll.push_back(unrollFor(kernel.operations() / total, stage.size, Code::lanes));
  if (failed(shareRows(kernel, plan, buffers, Code::lanes)))
    return failure();
  kernel.launch("rows", llvm::divideCeilSigned(rows, sizes.rowsPerGrain), sizes);
  return success();
}

//===--------------------------------------------------------------------------------------------===//
// Emission
//===--------------------------------------------------------------------------------------------===//

/// Accumulators of one turn: per reduction, per output.
using Accumulators = SmallVector<SmallVector<Value>>;

class RowEmitter {
public:
  RowEmitter(KernelBuilder &kernel, std::vector<Reduction> found)
      : kernel(kernel), builder(kernel.builder), location(kernel.location()),
        points(kernel.points()), plan(kernel.kernel, std::move(found)), stages(plan.stages),
        rows(plan.rows) {}

  LogicalResult emit();

private:
  LogicalResult readPlan();

  /// A row, or the rows of all lanes; `mask`: the lanes that have one.
  void emitRow(const PointIndex &number, Value mask);
  void reduce(int stage);
  void step(int stage, Accumulators &accumulators, Value start, Value mask);
  void finish(Reduction &reduction, ArrayRef<SmallVector<Value>> partials);
  void store(int stage, const PointIndex &position, Value mask);
  void prefetchNextRow(int64_t size, const PointIndex &position);
  void fillBuffers(int stage, const PointIndex &along, Value mask);
  void bindBuffers(int stage);

  KernelBuilder &kernel;
  OpBuilder &builder;
  Location location;
  PointEmitter points;
  RowStages plan;
  std::vector<RowStage> &stages;
  const int64_t rows;
  std::vector<RowBuffer> buffers;
  RowSizes sizes;
  PointIndex row;
  Value rowMask; ///< null: every lane has a row
};

LogicalResult RowEmitter::readPlan() {
  if (failed(readSizes(kernel.kernel, kernel.launch, sizes)))
    return failure();
  bool fits = sizes.rows == rows && sizes.rowsPerGrain > 0 &&
              kernel.launch.getGrains() == llvm::divideCeilSigned(rows, sizes.rowsPerGrain) &&
              sizes.unroll.size() == stages.size() && sizes.kept.size() == sizes.keptIn.size() &&
              (!sizes.across || (sizes.rowsPerGrain % Code::lanes == 0 && sizes.kept.empty()));
  for (size_t stage = 0; fits && stage < stages.size(); ++stage)
    fits = sizes.unroll[stage] > 0 && sizes.unroll[stage] <= 16;
  SmallVector<Value> values = valuesOf(kernel.kernel);
  for (size_t index = 0; fits && index < sizes.kept.size(); ++index) {
    const int64_t number = sizes.kept[index], stage = sizes.keptIn[index];
    fits = number >= 0 && number < int64_t(values.size()) && stage >= 0 &&
           stage < int64_t(stages.size());
    auto type = fits ? dyn_cast<RankedTensorType>(values[number].getType()) : RankedTensorType();
    fits = type && type.getNumElements() == rows * stages[stage].size;
    if (fits)
      buffers.push_back({values[number], {}, int(stage), stages[stage].size});
  }
  if (!fits)
    return kernel.kernel.emitError(
        "kernel.schedule: these passes over rows do not make its results");
  for (RowBuffer &buffer : buffers)
    buffer.memory = kernel.workspace(kernel::memoryType(RankedTensorType::get(
        {buffer.size}, cast<RankedTensorType>(buffer.tensor.getType()).getElementType())));
  return success();
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
  const int64_t size = stages[stage].size;
  // The lanes after a row's only element are not in other rows.
  PointIndex along = size == 1      ? PointIndex::constant(0)
                     : sizes.across ? PointIndex::uniform(start, size)
                                    : PointIndex::consecutive(start, size, /*aligned=*/true);
  fillBuffers(stage, along, mask);
  for (auto [reduction, values] : llvm::zip(stages[stage].reductions, accumulators)) {
    SmallVector<PointIndex> iteration = iterationOf(points, *reduction, row, along);
    SmallVector<Value> next =
        accumulate(points, *reduction, iteration, values, mask ? mask : rowMask);
    for (auto [value, after] : llvm::zip(values, next))
      value =
          mask ? arith::SelectOp::create(builder, location, mask, after, value).getResult() : after;
  }
}

/// Up to four accumulators side by side take the blocks in turns and are combined in a fixed order
/// at the end: the order of additions depends on shapes alone.
void RowEmitter::reduce(int stage) {
  ArrayRef<Reduction *> members = stages[stage].reductions;
  int64_t lanes = sizes.across ? 1 : points.lanes();
  int64_t length = stages[stage].size, full = length / lanes;
  const int64_t count = std::clamp<int64_t>(full, 1, 4);

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

  for (auto [member, reduction] : llvm::enumerate(members)) {
    SmallVector<SmallVector<Value>> partials;
    for (Accumulators &accumulators : turns)
      partials.push_back(accumulators[member]);
    finish(*reduction, partials);
  }
}

/// Combines the turns pairwise, then the lanes of a row, then the initial values; from here on the
/// reduction's results are these values wherever this row's elements are asked.
void RowEmitter::finish(Reduction &reduction, ArrayRef<SmallVector<Value>> partials) {
  SmallVector<SmallVector<Value>> values(partials);
  while (values.size() > 1) {
    SmallVector<SmallVector<Value>> pairs;
    for (size_t index = 0; index < values.size(); index += 2)
      pairs.push_back(index + 1 < values.size()
                          ? combine(points, reduction, values[index], values[index + 1])
                          : values[index]);
    values = pairs;
  }
  SmallVector<PointIndex> iteration = iterationOf(points, reduction, row, PointIndex::constant(0));
  SmallVector<Value> sums =
      sizes.across ? values.front() : combineLanes(points, reduction, values.front());
  SmallVector<Value> totals = withInitial(points, reduction, iteration, sums, rowMask);
  for (auto [tensor, total] : llvm::zip_equal(reduction.op->getResults(), totals)) {
    ArrayRef<int64_t> shape = cast<RankedTensorType>(tensor.getType()).getShape();
    points.bind(tensor,
                [total = Value(total), shape, own = row](PointEmitter::Indices indices, Value) {
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
    values.push_back(points.at(kernel.returned(result),
                               points.split(position, kernel.type(result).getShape()), mask));
  for (auto [result, value] : llvm::zip(stages[stage].results, values))
    points.store(value, kernel.resultMemory(result), position, mask,
                 kernel.type(result).getElementType());
}

/// Operands that have such rows are prefetched a row ahead by the last pass: it computes most and
/// reads what is near, while the first pass of the next row would wait for memory.
void RowEmitter::prefetchNextRow(int64_t size, const PointIndex &position) {
  Code code{builder, location};
  Value next = code.add(position.scalar(builder, location, builder.getIndexType()), size);
  for (unsigned operand = 0; operand < kernel.operands(); ++operand)
    if (auto type = cast<RankedTensorType>(kernel.tensor(operand).getType());
        type.getNumElements() == rows * size && rows > 1)
      code.prefetch(code.flat(kernel.operandMemory(operand)), next, /*level=*/2);
}

void RowEmitter::emitRow(const PointIndex &number, Value mask) {
  row = number;
  rowMask = mask;
  PointEmitter::Scope scope(points);
  int last = -1; // pass that walks rows and stores them
  for (auto [index, stage] : llvm::enumerate(stages))
    if (stage.reductions.empty() && stage.size > 1)
      last = index;
  for (auto [index, stage] : llvm::enumerate(stages)) {
    if (!stage.reductions.empty())
      reduce(index);
    else if (stage.size == 1)
      store(index, row, rowMask);
    else
      forEachBlock(points, location, {}, {}, stage.size, sizes.unroll[index],
                   [&](const PointIndex &along, Value mask) {
                     fillBuffers(index, along, mask);
                     const PointIndex position = row * stage.size + along;
                     store(index, position, mask);
                     if (int(index) == last && !mask)
                       prefetchNextRow(stage.size, position);
                   });
    bindBuffers(index);
  }
}

LogicalResult RowEmitter::emit() {
  if (failed(readPlan()))
    return failure();
  auto bound = [&](Value grain) -> Value {
    Value start = arith::MulIOp::create(builder, location, grain, kernel.index(sizes.rowsPerGrain));
    return arith::MinUIOp::create(builder, location, start, kernel.index(rows));
  };
  if (rows == 1) {
    emitRow(PointIndex::constant(0), {});
  } else if (sizes.across) {
    forEachBlock(points, location, bound(kernel.lo()), bound(kernel.hi()), rows, /*unroll=*/1,
                 [&](const PointIndex &block, Value mask) { emitRow(block, mask); });
  } else {
    auto loop = scf::ForOp::create(builder, location, bound(kernel.lo()), bound(kernel.hi()),
                                   kernel.index(1));
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    emitRow(PointIndex::uniform(loop.getInductionVar(), rows), {});
  }
  return success(points.ok());
}

} // namespace

/// Without one row number for all of it, every point is computed by itself.
LogicalResult scheduleRow(KernelScheduler &kernel) {
  std::optional<std::vector<Reduction>> found = rowReductions(kernel.kernel);
  if (!found)
    return scheduleElementwise(kernel);
  return scheduleRows(kernel, std::move(*found), /*rowsPerGrain=*/0);
}

/// The optimizer walks flat buckets: its grains are as large as its streams want them. One that
/// watches its gradients goes over a row of them before it updates the row.
LogicalResult scheduleUpdate(KernelScheduler &kernel) {
  constexpr int64_t bucketGrain = 64 * 1024;
  std::optional<std::vector<Reduction>> found = rowReductions(kernel.kernel);
  if (!found)
    return schedulePointwise(kernel, bucketGrain);
  const int64_t length = kernel.type(0).getNumElements() / found->front().kept;
  return scheduleRows(kernel, std::move(*found), std::max<int64_t>(1, bucketGrain / length));
}

LogicalResult emitRows(KernelBuilder &kernel) {
  std::optional<std::vector<Reduction>> found = rowReductions(kernel.kernel);
  if (!found)
    return kernel.kernel.emitError("kernel.schedule: the kernel has no rows");
  return RowEmitter(kernel, std::move(*found)).emit();
}

} // namespace ingot
