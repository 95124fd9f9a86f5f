/// Row kernels: grains are runs of rows; inside a row, reductions level by level, then the results.
#include "codegen/cpu/Code.h"
#include "codegen/cpu/Emitters.h"
#include "codegen/cpu/KernelScheduler.h"
#include "codegen/cpu/Lanes.h"
#include "codegen/cpu/RowWalk.h"
#include "codegen/kernel/RowPlan.h"
#include "codegen/kernel/Sharing.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ingot {
namespace {

/// By stage (`RowStages`), but for the first four and the kept values.
struct RowSizes {
  int64_t rows = 1, rowsPerGrain = 1;
  int64_t across = 0;     ///< 1: lanes are neighbouring rows
  int64_t rowsAtOnce = 1; ///< neighbours that read much in common
  SmallVector<int64_t>
      unroll;                ///< blocks of lanes that are written out by stages that store results
  SmallVector<int64_t> line; ///< elements of the lines in which stages that reduce walk a row
  SmallVector<int64_t> kept,
      keptIn; ///< values that a stage keeps in scratch, by number in the body

  template <typename Field> void fields(Field field) {
    field("rows", rows);
    field("rows_per_grain", rowsPerGrain);
    field("across", across);
    field("rows_at_once", rowsAtOnce);
    field("unroll", unroll);
    field("line", line);
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
  const bool across = goesAcross(kernel.kernel, plan);
  std::vector<RowBuffer> buffers;
  if (!across)
    buffers = planRowBuffers(plan.stages, rows, costs);
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
  for (RowStage &stage : plan.stages)
    sizes.line.push_back(across ? stage.size : chooseLine(kernel.kernel, plan, stage));
  sizes.across = across;
  if (!across && buffers.empty())
    sizes.rowsAtOnce = chooseRowsAtOnce(kernel.kernel, plan, sizes.line);
  sizes.rowsPerGrain = llvm::alignTo(sizes.rowsPerGrain, across ? Code::lanes : sizes.rowsAtOnce);
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

/// Accumulators of rows that are computed side by side; those of a row take blocks in turns. Loops
/// carry them all.
class Turns {
public:
  Turns(int64_t rows, int64_t turns, const Accumulators &start)
      : turns(turns), each(rows * turns, start) {}

  int64_t count() const { return turns; }
  Accumulators &at(int64_t row, int64_t block) { return each[row * turns + block % turns]; }
  SmallVector<Value> carried() {
    SmallVector<Value> all;
    visit([&](Value &value) { all.push_back(value); });
    return all;
  }
  void assign(ValueRange all) {
    size_t next = 0;
    visit([&](Value &value) { value = all[next++]; });
  }

private:
  void visit(llvm::function_ref<void(Value &)> apply);
  int64_t turns;
  std::vector<Accumulators> each;
};

void Turns::visit(llvm::function_ref<void(Value &)> apply) {
  for (Accumulators &accumulators : each)
    for (auto &values : accumulators)
      llvm::for_each(values, apply);
}

class RowEmitter {
public:
  RowEmitter(KernelBuilder &kernel, std::vector<Reduction> found)
      : kernel(kernel), builder(kernel.builder), location(kernel.location()),
        points(kernel.points()), plan(kernel.kernel, std::move(found)), stages(plan.stages),
        rows(plan.rows) {}

  LogicalResult emit();

private:
  LogicalResult readPlan();

  /// Some rows side by side, or those of all lanes; `mask`: the lanes that have one.
  void emitRows(const PointIndex &first, Value mask);
  /// Elements of a row in a block of lanes.
  int64_t lanesAlong() { return sizes.across ? 1 : points.lanes(); }
  void reduce(int stage);
  void reduceLine(int stage, Turns &turns, int64_t firstBlock, const PointIndex &before);
  void step(int stage, Turns &turns, int64_t block, const PointIndex &along, Value mask);
  void loop(Turns &turns, int64_t end, int64_t by, llvm::function_ref<void(Value)> body);
  void finish(Reduction &reduction, const PointIndex &own, ArrayRef<SmallVector<Value>> partials);
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
  Value rowMask;                 ///< null: every lane has a row
  SmallVector<PointIndex> group; ///< rows that are computed side by side: `row` and those after it
  /// Of the group: the results of reductions, by row.
  llvm::DenseMap<Value, SmallVector<std::pair<PointIndex, Value>>> totals;
};

LogicalResult RowEmitter::readPlan() {
  if (failed(readSizes(kernel.kernel, kernel.launch, sizes)))
    return failure();
  bool fits =
      sizes.rows == rows && sizes.rowsPerGrain > 0 && sizes.rowsAtOnce > 0 &&
      rows % sizes.rowsAtOnce == 0 && sizes.rowsPerGrain % sizes.rowsAtOnce == 0 &&
      kernel.launch.getGrains() == llvm::divideCeilSigned(rows, sizes.rowsPerGrain) &&
      sizes.unroll.size() == stages.size() && sizes.line.size() == stages.size() &&
      sizes.kept.size() == sizes.keptIn.size() && (sizes.rowsAtOnce == 1 || sizes.kept.empty()) &&
      (sizes.across == 0 || (sizes.across == 1 && rows >= Code::lanes && sizes.kept.empty() &&
                             sizes.rowsPerGrain % Code::lanes == 0 && sizes.rowsAtOnce == 1));
  for (size_t stage = 0; fits && stage < stages.size(); ++stage)
    fits =
        sizes.unroll[stage] > 0 && sizes.unroll[stage] <= 16 &&
        (sizes.rowsAtOnce == 1 || stages[stage].size <= 1 || !stages[stage].reductions.empty()) &&
        (stages[stage].size == 0 ||
         (sizes.line[stage] > 0 && stages[stage].size % sizes.line[stage] == 0));
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

void RowEmitter::step(int stage, Turns &turns, int64_t block, const PointIndex &along, Value mask) {
  PointEmitter::Scope scope(points);
  fillBuffers(stage, along, mask);
  for (auto [number, own] : llvm::enumerate(group))
    for (auto [reduction, values] : llvm::zip(stages[stage].reductions, turns.at(number, block))) {
      SmallVector<PointIndex> iteration = iterationOf(points, *reduction, own, along);
      SmallVector<Value> next =
          accumulate(points, *reduction, iteration, values, mask ? mask : rowMask);
      for (auto [value, after] : llvm::zip(values, next))
        value = mask ? arith::SelectOp::create(builder, location, mask, after, value).getResult()
                     : after;
    }
}

/// A loop that carries the turns' accumulators.
void RowEmitter::loop(Turns &turns, int64_t end, int64_t by, llvm::function_ref<void(Value)> body) {
  auto nest = scf::ForOp::create(builder, location, kernel.index(0), kernel.index(end),
                                 kernel.index(by), turns.carried());
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(nest.getBody());
  turns.assign(nest.getRegionIterArgs());
  body(nest.getInductionVar());
  scf::YieldOp::create(builder, location, turns.carried());
  turns.assign(nest.getResults());
}

/// The blocks of the line from element `before` of the row on, of which `firstBlock` takes
/// its turn first.
void RowEmitter::reduceLine(int stage, Turns &turns, int64_t firstBlock, const PointIndex &before) {
  const int64_t lanes = lanesAlong(), length = sizes.line[stage], full = length / lanes,
                count = turns.count();
  auto block = [&](int64_t number, Value start, Value mask) {
    // The lanes after a row's only element are not in other rows.
    const PointIndex within = length == 1    ? PointIndex::constant(0)
                              : sizes.across ? PointIndex::uniform(start, length)
                                             : PointIndex::consecutive(start, length, true);
    step(stage, turns, firstBlock + number, before + within, mask);
  };
  int64_t done = 0;
  if (const int64_t trips = full / count; trips > 1) {
    done = trips * count;
    loop(turns, done * lanes, count * lanes, [&](Value first) {
      for (int64_t turn = 0; turn < count; ++turn)
        block(turn, arith::AddIOp::create(builder, location, first, kernel.index(turn * lanes)),
              {});
    });
  }
  for (int64_t number = done; number < full; ++number)
    block(number, kernel.index(number * lanes), {});
  if (length % lanes)
    block(full, kernel.index(full * lanes), tailMask(points, location, length % lanes));
}

/// Up to four accumulators side by side take the blocks in turns and are combined in a fixed order
/// at the end: the order of additions depends on shapes alone.
void RowEmitter::reduce(int stage) {
  ArrayRef<Reduction *> members = stages[stage].reductions;
  const int64_t size = stages[stage].size, length = sizes.line[stage], lanes = lanesAlong();
  const int64_t lines = length ? size / length : 1;
  // A row that is one line has its tail added to one of the turns of its whole blocks.
  const int64_t whole = length / lanes;
  const int64_t blocks =
      std::max<int64_t>(1, lines == 1 ? whole : llvm::divideCeilSigned(length, lanes));
  Accumulators start;
  for (Reduction *reduction : members)
    start.push_back(llvm::map_to_vector(neutral(points, *reduction),
                                        [&](Value value) { return points.vectorised(value); }));
  constexpr int64_t mostTurns = 4, mostSums = 16;
  const int64_t side = std::min(mostTurns, std::max<int64_t>(1, mostSums / sizes.rowsAtOnce));
  Turns turns(sizes.rowsAtOnce, std::clamp<int64_t>(lines * blocks, 1, side), start);

  // Neighbouring lines are those of one dimension, so that no line's number is divided. So many are
  // written out that every turn has a block.
  const int64_t near = lines == 1 ? 1 : extentBefore(stages[stage], length),
                atOnce = std::min(near, llvm::divideCeilSigned(turns.count(), blocks)),
                inLoop = near / atOnce > 1 ? near / atOnce * atOnce : 0;
  auto reduceNear = [&](const PointIndex &before) {
    auto reduceAt = [&](int64_t turn, Value line) {
      reduceLine(stage, turns, turn * blocks, before + PointIndex::uniform(line, near) * length);
    };
    if (inLoop)
      loop(turns, inLoop, atOnce, [&](Value first) {
        for (int64_t line = 0; line < atOnce; ++line)
          reduceAt(line, arith::AddIOp::create(builder, location, first, kernel.index(line)));
      });
    for (int64_t line = inLoop; line < near; ++line)
      reduceAt(line, kernel.index(line));
  };
  const int64_t groups = lines / near;
  if (groups == 1)
    reduceNear({});
  else
    loop(turns, groups, 1,
         [&](Value group) { reduceNear(PointIndex::uniform(group, groups) * (near * length)); });

  for (auto [number, own] : llvm::enumerate(group))
    for (auto [member, reduction] : llvm::enumerate(members)) {
      SmallVector<SmallVector<Value>> partials;
      for (int64_t turn = 0; turn < turns.count(); ++turn)
        partials.push_back(turns.at(number, turn)[member]);
      finish(*reduction, own, partials);
    }
}

/// Combines the turns pairwise, then the lanes of a row, then the initial values; from here on the
/// reduction's results are these values wherever this row's elements are read.
void RowEmitter::finish(Reduction &reduction, const PointIndex &own,
                        ArrayRef<SmallVector<Value>> partials) {
  SmallVector<SmallVector<Value>> values(partials);
  while (values.size() > 1) {
    SmallVector<SmallVector<Value>> pairs;
    for (size_t index = 0; index < values.size(); index += 2)
      pairs.push_back(index + 1 < values.size()
                          ? combine(points, reduction, values[index], values[index + 1])
                          : values[index]);
    values = pairs;
  }
  SmallVector<PointIndex> iteration = iterationOf(points, reduction, own, PointIndex::constant(0));
  SmallVector<Value> sums =
      sizes.across ? values.front() : combineLanes(points, reduction, values.front());
  SmallVector<Value> results = withInitial(points, reduction, iteration, sums, rowMask);
  for (auto [tensor, total] : llvm::zip_equal(reduction.op->getResults(), results)) {
    totals[tensor].push_back({own, total});
    ArrayRef<int64_t> shape = cast<RankedTensorType>(tensor.getType()).getShape();
    points.bind(tensor,
                [this, tensor = Value(tensor), shape](PointEmitter::Indices indices, Value) {
                  const PointIndex asked = linearise(indices, shape);
                  for (const auto &[own, value] : totals[tensor])
                    if (asked == own)
                      return value;
                  return Value();
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

void RowEmitter::emitRows(const PointIndex &first, Value mask) {
  totals.clear();
  group.clear();
  for (int64_t place = 0; place < sizes.rowsAtOnce; ++place)
    group.push_back(first + PointIndex::constant(place));
  row = first;
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
      for (const PointIndex &own : group)
        store(index, own, rowMask);
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
  const int64_t atOnce = sizes.rowsAtOnce, groups = rows / atOnce;
  auto bound = [&](Value grain) -> Value {
    Value start =
        arith::MulIOp::create(builder, location, grain, kernel.index(sizes.rowsPerGrain / atOnce));
    return arith::MinUIOp::create(builder, location, start, kernel.index(groups));
  };
  if (groups == 1) {
    emitRows(PointIndex::constant(0), {});
  } else if (sizes.across) {
    forEachBlock(points, location, bound(kernel.lo()), bound(kernel.hi()), rows, /*unroll=*/1,
                 [&](const PointIndex &block, Value mask) { emitRows(block, mask); });
  } else {
    auto loop = scf::ForOp::create(builder, location, bound(kernel.lo()), bound(kernel.hi()),
                                   kernel.index(1));
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    emitRows(PointIndex::uniform(loop.getInductionVar(), groups) * atOnce, {});
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
