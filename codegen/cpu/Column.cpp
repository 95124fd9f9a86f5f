/// Column kernels: reductions over leading dimensions, blocks of columns side by side in registers.
/// Sums of several widths are sections of one kernel: each has its own grains, one after the other.
#include "codegen/cpu/ColumnSections.h"
#include "codegen/cpu/Emitters.h"
#include "codegen/cpu/Lanes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace ingot {
namespace {

//===--------------------------------------------------------------------------------------------===//
// Emission
//===--------------------------------------------------------------------------------------------===//

class ColumnEmitter {
public:
  ColumnEmitter(KernelBuilder &kernel, ColumnSection &section)
      : kernel(kernel), builder(kernel.builder), location(kernel.location()),
        points(kernel.points()), section(section), reductions(section.reductions),
        columns(section.columns) {}

  /// Emits the grains from `firstGrain` on: sums, the sums of chunks, or what these add up to.
  LogicalResult emit(int64_t firstGrain);
  LogicalResult emitChunks(int64_t firstGrain);
  LogicalResult emitOfChunks(int64_t firstGrain);

private:
  /// Lanes of columns that are reduced together; the last one may be a tail.
  struct Strip {
    PointIndex column;
    Value mask;
  };
  /// Sums of blocks in memory: those of block b are the vectors from place(b) on.
  struct Accumulators {
    Value memory;
    llvm::function_ref<Value(Value block)> place;
  };
  using BlockBody = llvm::function_ref<void(ArrayRef<Strip> strips, Value at)>;

  LogicalResult emitBlocks(int64_t firstGrain, bool inPanels,
                           llvm::function_ref<void(Value first, Value end)> emitRun);
  void emitStrips(ArrayRef<Strip> strips);
  void emitPanel(Value first, Value end);
  void forBlocks(Value first, Value end, const Accumulators &sums, BlockBody body);
  void sumRows(Value first, Value end, const Accumulators &sums, Value rowBegin, Value rowEnd);
  void finishBlock(ArrayRef<Strip> strips, ValueRange totals);
  void addRows(ArrayRef<Strip> strips, Value accumulators, Value at, Value row, int64_t count);
  SmallVector<Value> neutralSums(size_t strips, ArrayRef<Reduction *> members);
  SmallVector<Value> combineAll(ArrayRef<Value> totals, ValueRange partials, size_t strips,
                                ArrayRef<Reduction *> members);
  SmallVector<Reduction *> allMembers();
  Value chunkSums();
  Value chunkPlace(Value chunk, Value block);
  Value times(Value value, int64_t factor);
  Value plus(Value a, Value b);
  int64_t vectorsOfBlock() { return section.width / points.lanes() * section.sums(); }
  void finish(ArrayRef<Strip> strips, ArrayRef<Reduction *> members, ValueRange sums);
  void reduce(ArrayRef<Strip> strips, ArrayRef<Reduction *> members);
  void bind(ArrayRef<Strip> strips, Reduction &reduction, unsigned output, ArrayRef<Value> totals);
  void store(const Strip &strip);
  SmallVector<Strip> stripsAt(Value start, int64_t count);

  KernelBuilder &kernel;
  OpBuilder &builder;
  Location location;
  PointEmitter points;
  ColumnSection &section;
  std::vector<Reduction> &reductions;
  int64_t columns;
};

void ColumnEmitter::bind(ArrayRef<Strip> strips, Reduction &reduction, unsigned output,
                         ArrayRef<Value> totals) {
  Value tensor = reduction.op->getResult(output);
  ArrayRef<int64_t> shape = cast<RankedTensorType>(tensor.getType()).getShape();
  SmallVector<std::pair<PointIndex, Value>> own;
  for (auto [strip, total] : llvm::zip(strips, totals))
    own.emplace_back(strip.column, total);
  points.bind(tensor, [own, shape](PointEmitter::Indices indices, Value) {
    PointIndex position = linearise(indices, shape);
    for (auto &[column, total] : own)
      if (column == position)
        return total;
    return Value();
  });
}

SmallVector<Reduction *> ColumnEmitter::allMembers() {
  return llvm::map_to_vector(reductions, [](Reduction &reduction) { return &reduction; });
}

/// By strip, reduction and output, as all sums here.
SmallVector<Value> ColumnEmitter::neutralSums(size_t strips, ArrayRef<Reduction *> members) {
  SmallVector<Value> sums;
  for (size_t strip = 0; strip < strips; ++strip)
    for (Reduction *reduction : members)
      for (Value value : neutral(points, *reduction))
        sums.push_back(points.vectorised(value));
  return sums;
}

SmallVector<Value> ColumnEmitter::combineAll(ArrayRef<Value> totals, ValueRange partials,
                                             size_t strips, ArrayRef<Reduction *> members) {
  SmallVector<Value> sums;
  for (size_t strip = 0; strip < strips; ++strip)
    for (Reduction *reduction : members)
      llvm::append_range(sums, combine(points, *reduction,
                                       totals.slice(sums.size(), reduction->outputs()),
                                       partials.slice(sums.size(), reduction->outputs())));
  return sums;
}

/// All rows in order of chunks, one accumulator per strip and output.
void ColumnEmitter::reduce(ArrayRef<Strip> strips, ArrayRef<Reduction *> members) {
  const int64_t length = members.front()->length, chunk = rowsOfChunk(length);
  SmallVector<Value> start = neutralSums(strips.size(), members);
  auto addUp = [&](Value from, Value to) {
    auto loop = scf::ForOp::create(builder, location, from, to, kernel.index(1), start);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    PointEmitter::Scope scope(points);
    PointIndex along = PointIndex::uniform(loop.getInductionVar(), length);
    SmallVector<Value> next;
    ValueRange carried = loop.getRegionIterArgs();
    for (const Strip &strip : strips)
      for (Reduction *reduction : members) {
        SmallVector<Value> values(carried.take_front(reduction->outputs()));
        carried = carried.drop_front(values.size());
        llvm::append_range(next, accumulate(points, *reduction,
                                            iterationOf(points, *reduction, strip.column, along),
                                            values, strip.mask));
      }
    scf::YieldOp::create(builder, location, next);
    return loop.getResults();
  };
  if (chunk >= length)
    return finish(strips, members, addUp(kernel.index(0), kernel.index(length)));
  auto chunks = scf::ForOp::create(builder, location, kernel.index(0), kernel.index(length),
                                   kernel.index(chunk), start);
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(chunks.getBody());
    Value from = chunks.getInductionVar();
    Value to = arith::MinUIOp::create(builder, location, plus(from, kernel.index(chunk)),
                                      kernel.index(length));
    SmallVector<Value> totals(chunks.getRegionIterArgs());
    scf::YieldOp::create(builder, location,
                         combineAll(totals, addUp(from, to), strips.size(), members));
  }
  finish(strips, members, chunks.getResults());
}

/// `sums` hold what the rows add up to, by strip, reduction and output.
void ColumnEmitter::finish(ArrayRef<Strip> strips, ArrayRef<Reduction *> members, ValueRange sums) {
  size_t perStrip = sums.size() / strips.size(), first = 0;
  for (Reduction *reduction : members) {
    SmallVector<SmallVector<Value>> totals(reduction->outputs()); // by output, then strip
    for (auto [index, strip] : llvm::enumerate(strips)) {
      SmallVector<Value> ofStrip =
          withInitial(points, *reduction,
                      iterationOf(points, *reduction, strip.column, PointIndex::constant(0)),
                      sums.slice(index * perStrip + first, reduction->outputs()), strip.mask);
      for (auto [output, total] : llvm::enumerate(ofStrip))
        totals[output].push_back(total);
    }
    for (auto [output, ofOutput] : llvm::enumerate(totals))
      bind(strips, *reduction, output, ofOutput);
    first += reduction->outputs();
  }
}

void ColumnEmitter::store(const Strip &strip) {
  SmallVector<Value> values;
  for (unsigned result : section.results)
    values.push_back(points.at(kernel.returned(result),
                               points.split(strip.column, kernel.type(result).getShape()),
                               strip.mask));
  for (auto [result, value] : llvm::zip_equal(section.results, values))
    points.store(value, kernel.resultMemory(result), strip.column, strip.mask,
                 kernel.type(result).getElementType());
}

//===--------------------------------------------------------------------------------------------===//
// Panels
//===--------------------------------------------------------------------------------------------===//

/// Adds `count` rows from `row` on to the strips' sums, which follow each other from `at` on.
void ColumnEmitter::addRows(ArrayRef<Strip> strips, Value accumulators, Value at, Value row,
                            int64_t count) {
  int64_t length = reductions.front().length, lanes = points.lanes(), place = 0;
  PointEmitter::Scope scope(points);
  for (const Strip &strip : strips)
    for (const Reduction &reduction : reductions) {
      SmallVector<Value> values, places;
      for (Value value : neutral(points, reduction)) {
        auto type = VectorType::get({lanes}, value.getType());
        places.push_back(
            arith::AddIOp::create(builder, location, at, kernel.index(lanes * place++)));
        values.push_back(
            vector::LoadOp::create(builder, location, type, accumulators, places.back()));
      }
      for (int64_t next = 0; next < count; ++next) {
        Value number = arith::AddIOp::create(builder, location, row, kernel.index(next));
        values = accumulate(
            points, reduction,
            iterationOf(points, reduction, strip.column, PointIndex::uniform(number, length)),
            values, strip.mask);
      }
      for (auto [value, to] : llvm::zip_equal(values, places))
        vector::StoreOp::create(builder, location, value, accumulators, to);
    }
}

Value ColumnEmitter::times(Value value, int64_t factor) {
  return arith::MulIOp::create(builder, location, value, kernel.index(factor));
}

Value ColumnEmitter::plus(Value a, Value b) {
  return arith::AddIOp::create(builder, location, a, b);
}

void ColumnEmitter::forBlocks(Value first, Value end, const Accumulators &sums, BlockBody body) {
  auto loop = scf::ForOp::create(builder, location, first, end, kernel.index(1));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value block = loop.getInductionVar();
  PointEmitter::Scope scope(points);
  body(stripsAt(times(block, section.width), section.width), sums.place(block));
}

/// Sums of the rows [rowBegin, rowEnd) of blocks [first, end), row by row: memory is read in order,
/// which its prefetchers follow. The order of additions to a column is that of its rows, as in
/// registers. `rowBegin` is a multiple of the rows at once, and so is `rowEnd` but at the end.
void ColumnEmitter::sumRows(Value first, Value end, const Accumulators &sums, Value rowBegin,
                            Value rowEnd) {
  SmallVector<Value> zeros = neutralSums(section.width / points.lanes(), allMembers());
  forBlocks(first, end, sums, [&](ArrayRef<Strip>, Value at) {
    for (auto [index, zero] : llvm::enumerate(zeros))
      vector::StoreOp::create(builder, location, zero, sums.memory,
                              plus(at, kernel.index(index * points.lanes())));
  });
  const int64_t rest = section.rows() % rowsAtOnce, full = section.rows() - rest;
  Value fullEnd = arith::MinUIOp::create(builder, location, rowEnd, kernel.index(full));
  auto rows = scf::ForOp::create(builder, location, rowBegin, fullEnd, kernel.index(rowsAtOnce));
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(rows.getBody());
    forBlocks(first, end, sums, [&](ArrayRef<Strip> strips, Value at) {
      addRows(strips, sums.memory, at, rows.getInductionVar(), rowsAtOnce);
    });
  }
  if (!rest)
    return;
  Value isLast = arith::CmpIOp::create(builder, location, arith::CmpIPredicate::ugt, rowEnd,
                                       kernel.index(full));
  auto branch = scf::IfOp::create(builder, location, isLast, /*else=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  forBlocks(first, end, sums, [&](ArrayRef<Strip> strips, Value at) {
    addRows(strips, sums.memory, at, kernel.index(full), rest);
  });
}

void ColumnEmitter::finishBlock(ArrayRef<Strip> strips, ValueRange totals) {
  finish(strips, allMembers(), totals);
  for (const Strip &strip : strips)
    store(strip);
}

/// Blocks [first, end) of a grain.
void ColumnEmitter::emitPanel(Value first, Value end) {
  const int64_t lanes = points.lanes(), perBlock = vectorsOfBlock() * lanes;
  Value memory =
      kernel.workspace(MemRefType::get({perBlock * section.blocksPerGrain}, section.sumType()));
  auto place = [&](Value block) -> Value {
    return times(arith::SubIOp::create(builder, location, block, first), perBlock);
  };
  const Accumulators sums{memory, place};
  sumRows(first, end, sums, kernel.index(0), kernel.index(section.rows()));
  forBlocks(first, end, sums, [&](ArrayRef<Strip> strips, Value at) {
    SmallVector<Value> totals;
    for (int64_t index = 0; index < vectorsOfBlock(); ++index)
      totals.push_back(vector::LoadOp::create(builder, location,
                                              VectorType::get({lanes}, section.sumType()), memory,
                                              plus(at, kernel.index(index * lanes))));
    finishBlock(strips, totals);
  });
}

//===--------------------------------------------------------------------------------------------===//
// Chunks of rows, in two launches
//===--------------------------------------------------------------------------------------------===//

/// The launches' common memory: by chunk, block, then as in a panel.
Value ColumnEmitter::chunkSums() {
  return kernel.launchScratch(MemRefType::get(
      {section.chunks() * section.wholeBlocks() * vectorsOfBlock() * points.lanes()},
      section.sumType()));
}

Value ColumnEmitter::chunkPlace(Value chunk, Value block) {
  return times(plus(times(chunk, section.wholeBlocks()), block), vectorsOfBlock() * points.lanes());
}

/// The first launch: each grain sums a run of blocks over one chunk of the rows.
LogicalResult ColumnEmitter::emitChunks(int64_t firstGrain) {
  const int64_t runs = section.runs(), chunkRows = rowsOfChunk(section.rows());
  Value memory = chunkSums();
  Value begin = kernel.index(firstGrain), end = kernel.index(firstGrain + section.firstGrains());
  auto loop = scf::ForOp::create(
      builder, location, arith::MaxUIOp::create(builder, location, kernel.lo(), begin),
      arith::MinUIOp::create(builder, location, kernel.hi(), end), kernel.index(1));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value grain = arith::SubIOp::create(builder, location, loop.getInductionVar(), begin);
  Value chunk = arith::DivUIOp::create(builder, location, grain, kernel.index(runs));
  Value run = arith::RemUIOp::create(builder, location, grain, kernel.index(runs));
  Value first = times(run, section.blocksPerGrain), row = times(chunk, chunkRows);
  auto upTo = [&](Value from, int64_t count, int64_t most) -> Value {
    return arith::MinUIOp::create(builder, location, plus(from, kernel.index(count)),
                                  kernel.index(most));
  };
  auto place = [&](Value block) { return chunkPlace(chunk, block); };
  sumRows(first, upTo(first, section.blocksPerGrain, section.wholeBlocks()), {memory, place}, row,
          upTo(row, chunkRows, section.rows()));
  return success(points.ok());
}

/// The second launch adds the chunks up, and sums what is no whole block.
LogicalResult ColumnEmitter::emitOfChunks(int64_t firstGrain) {
  Value memory = chunkSums();
  return emitBlocks(firstGrain, /*inPanels=*/false, [&](Value block, Value) {
    SmallVector<Strip> strips = stripsAt(times(block, section.width), section.width);
    const int64_t lanes = points.lanes();
    auto chunks =
        scf::ForOp::create(builder, location, kernel.index(0), kernel.index(section.chunks()),
                           kernel.index(1), neutralSums(strips.size(), allMembers()));
    {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(chunks.getBody());
      Value at = chunkPlace(chunks.getInductionVar(), block);
      SmallVector<Value> partials, totals(chunks.getRegionIterArgs());
      for (int64_t index = 0; index < vectorsOfBlock(); ++index)
        partials.push_back(vector::LoadOp::create(builder, location,
                                                  VectorType::get({lanes}, section.sumType()),
                                                  memory, plus(at, kernel.index(index * lanes))));
      scf::YieldOp::create(builder, location,
                           combineAll(totals, partials, strips.size(), allMembers()));
    }
    PointEmitter::Scope scope(points);
    finishBlock(strips, chunks.getResults());
  });
}

void ColumnEmitter::emitStrips(ArrayRef<Strip> strips) {
  PointEmitter::Scope scope(points);
  int levels = 0;
  for (Reduction &reduction : reductions)
    levels = std::max(levels, reduction.level + 1);
  for (int level = 0; level < levels; ++level) {
    std::map<int64_t, SmallVector<Reduction *>> byLength;
    for (Reduction &reduction : reductions)
      if (reduction.level == level)
        byLength[reduction.length].push_back(&reduction);
    for (auto &[length, members] : byLength)
      reduce(strips, members);
  }
  for (const Strip &strip : strips)
    store(strip);
}

SmallVector<ColumnEmitter::Strip> ColumnEmitter::stripsAt(Value start, int64_t count) {
  SmallVector<Strip> strips;
  int64_t lanes = points.lanes();
  for (int64_t first = 0; first < count; first += lanes) {
    Value column =
        first ? arith::AddIOp::create(builder, location, start, kernel.index(first)).getResult()
              : start;
    strips.push_back({PointIndex::consecutive(column, columns, /*aligned=*/true),
                      count - first < lanes ? tailMask(points, location, count - first) : Value()});
  }
  return strips;
}

LogicalResult ColumnEmitter::emit(int64_t firstGrain) {
  return emitBlocks(firstGrain, section.panels, [&](Value first, Value end) {
    if (section.panels)
      return emitPanel(first, end);
    emitStrips(stripsAt(times(first, section.width), section.width));
  });
}

/// The grains' whole blocks, one by one or in runs, and the columns after them.
LogicalResult ColumnEmitter::emitBlocks(int64_t firstGrain, bool inPanels,
                                        llvm::function_ref<void(Value, Value)> emitRun) {
  const int64_t width = section.width, blocks = section.blocks(), whole = section.wholeBlocks();
  const int64_t perGrain = section.blocksPerGrain, grains = section.grains();

  auto block = [&](Value grain) -> Value {
    Value first = kernel.index(firstGrain), end = kernel.index(firstGrain + grains);
    grain = arith::MaxUIOp::create(builder, location, grain, first);
    grain = arith::MinUIOp::create(builder, location, grain, end);
    grain = arith::SubIOp::create(builder, location, grain, first);
    return times(grain, perGrain);
  };
  if (whole) {
    Value end = arith::MinUIOp::create(builder, location, block(kernel.hi()), kernel.index(whole));
    const int64_t step = inPanels ? perGrain : 1;
    auto loop = scf::ForOp::create(builder, location, block(kernel.lo()), end, kernel.index(step));
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Value first = loop.getInductionVar();
    emitRun(first, arith::MinUIOp::create(builder, location, plus(first, kernel.index(step)), end));
  }
  if (columns % width) {
    // The tail belongs to the last grain: to whoever ends behind the whole blocks and starts
    // before.
    auto compare = [&](arith::CmpIPredicate predicate, Value grain) -> Value {
      return arith::CmpIOp::create(
          builder, location, predicate, block(grain),
          kernel.index(predicate == arith::CmpIPredicate::ugt ? whole : blocks));
    };
    Value mine =
        arith::AndIOp::create(builder, location, compare(arith::CmpIPredicate::ugt, kernel.hi()),
                              compare(arith::CmpIPredicate::ult, kernel.lo()));
    auto branch = scf::IfOp::create(builder, location, mine, /*else=*/false);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    emitStrips(stripsAt(kernel.index(whole * width), columns % width));
  }
  return success(points.ok());
}

} // namespace

/// Without one column number for each result, every point is computed by itself.
LogicalResult scheduleColumn(KernelScheduler &kernel) {
  std::optional<std::vector<ColumnSection>> sections = columnSections(kernel.kernel);
  if (!sections)
    return scheduleElementwise(kernel);
  ColumnSizes sizes;
  int64_t first = 0, second = 0, added = 0, chunkBytes = 0;
  for (ColumnSection &section : *sections) {
    if (failed(shareColumns(kernel, section, sections->size() == 1, Code::lanes)))
      return failure();
    section.chooseSizes(kernel);
    first += section.firstGrains();
    second += section.secondGrains();
    if (section.inTwoLaunches()) {
      added += section.chunks() * section.wholeBlocks() * section.width * section.sums();
      chunkBytes += section.chunkBytes();
    }
    sizes.width.push_back(section.width);
    sizes.blocksPerGrain.push_back(section.blocksPerGrain);
    sizes.panels.push_back(section.panels);
  }
  kernel.launch("columns", first, sizes);
  if (second)
    kernel.launch("columns_of_chunks", second, sizes, added, chunkBytes);
  return success();
}

LogicalResult emitColumns(KernelBuilder &kernel) {
  const bool isSecond = kernel.launch.getKind() == "columns_of_chunks";
  std::vector<ColumnSection> sections;
  if (failed(readSections(kernel.kernel, kernel.launch, sections)))
    return failure();
  int64_t grains = 0;
  for (ColumnSection &section : sections) {
    if (isSecond && !section.inTwoLaunches())
      continue;
    ColumnEmitter emitter(kernel, section);
    if (failed(isSecond                  ? emitter.emitOfChunks(grains)
               : section.inTwoLaunches() ? emitter.emitChunks(grains)
                                         : emitter.emit(grains)))
      return failure();
    grains += isSecond ? section.secondGrains() : section.firstGrains();
  }
  return success();
}

} // namespace ingot
