/// Column kernels: reductions over leading dimensions, blocks of columns side by side in registers.
/// Sums of several widths are sections of one kernel: each has its own grains, behind each other.
#include "codegen/cpu/Lanes.h"
#include "codegen/kernel/InPlace.h"
#include "codegen/kernel/Reductions.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ingot {
namespace {

/// The reductions of one width and the results that they make.
struct Section {
  std::vector<Reduction> reductions;
  SmallVector<unsigned> results;
  double share = 0; ///< of the kernel's work
};

constexpr int64_t rowsAtOnce = 4;
constexpr int64_t leastPanel = 512, mostSums = 4096; // columns, and elements of their sums

class ColumnEmitter {
public:
  ColumnEmitter(KernelBuilder &kernel, Section section)
      : kernel(kernel), builder(kernel.builder), location(kernel.location()),
        points(kernel.points()), finder(points), reductions(std::move(section.reductions)),
        results(std::move(section.results)), share(section.share),
        columns(reductions.front().kept) {}

  /// Emits the grains from `firstGrain` on; returns how many there are.
  FailureOr<int64_t> emit(int64_t firstGrain);
  /// Finds what the section's results may overwrite.
  void reportInPlace() {
    for (unsigned result : results)
      finder.report(kernel, result, 1);
  }

private:
  /// Lanes of columns that are reduced together; the last one may be a tail.
  struct Strip {
    PointIndex column;
    Value mask;
  };
  void emitStrips(ArrayRef<Strip> strips);
  bool fitsPanels() const;
  void emitPanel(Value first, Value end, int64_t width, int64_t blocks);
  void addRows(ArrayRef<Strip> strips, Value accumulators, Value at, Value row, int64_t count);
  void finish(ArrayRef<Strip> strips, ArrayRef<Reduction *> members, ValueRange sums);
  void reduce(ArrayRef<Strip> strips, ArrayRef<Reduction *> members);
  void bind(ArrayRef<Strip> strips, Reduction &reduction, unsigned output, ArrayRef<Value> totals);
  void store(const Strip &strip);
  SmallVector<Strip> stripsAt(Value start, int64_t count);

  KernelBuilder &kernel;
  OpBuilder &builder;
  Location location;
  PointEmitter points;
  InPlaceFinder finder;
  std::vector<Reduction> reductions;
  SmallVector<unsigned> results;
  double share;
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

/// All rows in order, one accumulator per strip and output.
void ColumnEmitter::reduce(ArrayRef<Strip> strips, ArrayRef<Reduction *> members) {
  int64_t length = members.front()->length;
  SmallVector<Value> start;
  for (size_t strip = 0; strip < strips.size(); ++strip)
    for (Reduction *reduction : members)
      for (Value value : neutral(points, *reduction))
        start.push_back(points.vectorised(value));
  auto loop = scf::ForOp::create(builder, location, kernel.index(0), kernel.index(length),
                                 kernel.index(1), start);
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    PointEmitter::Scope scope(points);
    PointIndex along = PointIndex::uniform(loop.getInductionVar(), length);
    SmallVector<Value> next;
    ValueRange carried = loop.getRegionIterArgs();
    for (const Strip &strip : strips)
      for (Reduction *reduction : members) {
        SmallVector<Value> values(carried.take_front(reduction->combiners.size()));
        carried = carried.drop_front(values.size());
        llvm::append_range(next, accumulate(points, *reduction,
                                            iterationOf(points, *reduction, strip.column, along),
                                            values, strip.mask));
      }
    scf::YieldOp::create(builder, location, next);
  }
  finder.record(0, std::nullopt);

  finish(strips, members, loop.getResults());
}

/// `sums` hold what the rows add up to, by strip, reduction and output.
void ColumnEmitter::finish(ArrayRef<Strip> strips, ArrayRef<Reduction *> members, ValueRange sums) {
  size_t perStrip = sums.size() / strips.size(), first = 0;
  for (Reduction *reduction : members)
    for (unsigned output = 0; output < reduction->combiners.size(); ++output, ++first) {
      SmallVector<Value> totals;
      for (auto [index, strip] : llvm::enumerate(strips)) {
        totals.push_back(
            withInitial(points, *reduction, output,
                        iterationOf(points, *reduction, strip.column, PointIndex::constant(0)),
                        sums[index * perStrip + first], strip.mask));
        finder.record(1, strip.column);
      }
      bind(strips, *reduction, output, totals);
    }
}

void ColumnEmitter::store(const Strip &strip) {
  SmallVector<Value> values;
  auto type = [&](unsigned result) {
    return cast<RankedTensorType>(kernel.returned(result).getType());
  };
  for (unsigned result : results)
    values.push_back(points.at(kernel.returned(result),
                               points.split(strip.column, type(result).getShape()), strip.mask));
  finder.record(1, strip.column);
  for (auto [result, value] : llvm::zip_equal(results, values))
    points.store(value, kernel.resultMemory(result), strip.column, strip.mask,
                 type(result).getElementType());
}

//===--------------------------------------------------------------------------------------------===//
// Panels
//===--------------------------------------------------------------------------------------------===//

/// Whether one walk over the rows serves every reduction, and is long enough to pay for sums that
/// are kept in memory, all of one type.
bool ColumnEmitter::fitsPanels() const {
  auto typeOf = [](const Reduction &reduction) {
    return cast<RankedTensorType>(reduction.op->getResult(0).getType()).getElementType();
  };
  Type type = typeOf(reductions.front());
  return isa<Float32Type, Float64Type>(type) &&
         llvm::all_of(reductions, [&](const Reduction &reduction) {
           return reduction.level == 0 && reduction.length == reductions.front().length &&
                  reduction.length >= 2 * rowsAtOnce && typeOf(reduction) == type;
         });
}

/// Adds `count` rows from `row` on to the strips' sums, which lie behind each other from `at` on.
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

/// Blocks [first, end), `blocks` at most, row by row: memory is read in order, which its
/// prefetchers follow. The order of additions to a column is that of its rows, as in registers.
void ColumnEmitter::emitPanel(Value first, Value end, int64_t width, int64_t blocks) {
  int64_t perBlock = 0, lanes = points.lanes();
  SmallVector<Value> zeros;
  for (int64_t strip = 0; strip < width; strip += lanes)
    for (const Reduction &reduction : reductions)
      for (Value value : neutral(points, reduction)) {
        zeros.push_back(points.vectorised(value));
        perBlock += lanes;
      }
  Type element = cast<VectorType>(zeros.front().getType()).getElementType();
  Value accumulators = kernel.workspace(MemRefType::get({perBlock * blocks}, element));
  auto times = [&](Value value, int64_t factor) -> Value {
    return arith::MulIOp::create(builder, location, value, kernel.index(factor));
  };
  auto forBlocks = [&](llvm::function_ref<void(ArrayRef<Strip>, Value)> body) {
    auto loop = scf::ForOp::create(builder, location, first, end, kernel.index(1));
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Value block = loop.getInductionVar();
    PointEmitter::Scope scope(points);
    body(stripsAt(times(block, width), width),
         times(arith::SubIOp::create(builder, location, block, first), perBlock));
  };
  auto place = [&](Value at, int64_t index) -> Value {
    return arith::AddIOp::create(builder, location, at, kernel.index(index * lanes));
  };
  forBlocks([&](ArrayRef<Strip>, Value at) {
    for (auto [index, zero] : llvm::enumerate(zeros))
      vector::StoreOp::create(builder, location, zero, accumulators, place(at, index));
  });
  int64_t length = reductions.front().length, full = length / rowsAtOnce * rowsAtOnce;
  auto rows = scf::ForOp::create(builder, location, kernel.index(0), kernel.index(full),
                                 kernel.index(rowsAtOnce));
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(rows.getBody());
    forBlocks([&](ArrayRef<Strip> strips, Value at) {
      addRows(strips, accumulators, at, rows.getInductionVar(), rowsAtOnce);
    });
  }
  if (full < length)
    forBlocks([&](ArrayRef<Strip> strips, Value at) {
      addRows(strips, accumulators, at, kernel.index(full), length - full);
    });
  finder.record(0, std::nullopt);
  forBlocks([&](ArrayRef<Strip> strips, Value at) {
    SmallVector<Value> sums;
    for (auto [index, zero] : llvm::enumerate(zeros))
      sums.push_back(vector::LoadOp::create(builder, location, cast<VectorType>(zero.getType()),
                                            accumulators, place(at, index)));
    SmallVector<Reduction *> members;
    for (Reduction &reduction : reductions)
      members.push_back(&reduction);
    finish(strips, members, sums);
    for (const Strip &strip : strips)
      store(strip);
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

FailureOr<int64_t> ColumnEmitter::emit(int64_t firstGrain) {
  // Four strips for one sum: enough independent additions to hide their latency.
  int64_t outputs = 0;
  for (Reduction &reduction : reductions)
    outputs += reduction.combiners.size();
  int64_t width = points.lanes() * std::clamp<int64_t>(8 / outputs, 1, 4);
  int64_t blocks = llvm::divideCeilSigned(columns, width), whole = columns / width;
  int64_t wanted = grainsFor(kernel.estimatedNanoseconds() * share, blocks);
  int64_t perGrain = llvm::divideCeilSigned(blocks, wanted);
  bool panels = fitsPanels() && whole > 1;
  if (panels) { // wide enough to be read in order, narrow enough for sums in the first cache
    int64_t most = std::max<int64_t>(mostSums / (width * outputs), 1);
    int64_t least = std::min(llvm::divideCeilSigned(leastPanel, width), most);
    perGrain = std::clamp(perGrain, least, most);
  }
  int64_t grains = llvm::divideCeilSigned(blocks, perGrain);

  auto block = [&](Value grain) -> Value {
    Value first = kernel.index(firstGrain), end = kernel.index(firstGrain + grains);
    grain = arith::MaxUIOp::create(builder, location, grain, first);
    grain = arith::MinUIOp::create(builder, location, grain, end);
    grain = arith::SubIOp::create(builder, location, grain, first);
    return arith::MulIOp::create(builder, location, grain, kernel.index(perGrain));
  };
  if (whole) {
    Value end = arith::MinUIOp::create(builder, location, block(kernel.hi()), kernel.index(whole));
    int64_t step = panels ? perGrain : 1;
    auto loop = scf::ForOp::create(builder, location, block(kernel.lo()), end, kernel.index(step));
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Value first = loop.getInductionVar();
    if (panels) {
      Value behind = arith::AddIOp::create(builder, location, first, kernel.index(perGrain));
      emitPanel(first, arith::MinUIOp::create(builder, location, behind, end), width, perGrain);
    } else {
      emitStrips(
          stripsAt(arith::MulIOp::create(builder, location, first, kernel.index(width)), width));
    }
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
  if (!points.ok())
    return failure();
  return grains;
}

/// Results and reductions by width; none where some result is not made of sums of its width.
std::optional<std::vector<Section>> sectionsOf(KernelBuilder &kernel) {
  std::map<int64_t, Section> byWidth;
  double work = 0;
  for (Reduction &reduction : findReductions(kernel.kernel)) {
    work += double(reduction.kept) * reduction.length;
    Section &section = byWidth[reduction.kept];
    section.share += double(reduction.kept) * reduction.length;
    section.reductions.push_back(std::move(reduction));
  }
  for (unsigned result = 0; result < kernel.results(); ++result) {
    int64_t width = cast<RankedTensorType>(kernel.returned(result).getType()).getNumElements();
    auto section = byWidth.find(width);
    if (width == 0 || section == byWidth.end())
      return std::nullopt;
    section->second.results.push_back(result);
  }
  std::vector<Section> sections;
  for (auto &[width, section] : byWidth) {
    if (section.results.empty())
      return std::nullopt;
    section.share = section.share / std::max(work, 1.0);
    sections.push_back(std::move(section));
  }
  return sections;
}

} // namespace

LogicalResult emitColumn(KernelBuilder &kernel) {
  std::optional<std::vector<Section>> sections = sectionsOf(kernel);
  // Without one column number for each result, every point is computed by itself.
  if (!sections || sections->empty())
    return emitElementwise(kernel);
  int64_t grains = 0;
  for (Section &section : *sections) {
    ColumnEmitter emitter(kernel, std::move(section));
    FailureOr<int64_t> own = emitter.emit(grains);
    if (failed(own))
      return failure();
    grains += *own;
    if (sections->size() == 1) // what one section overwrites, another may still read
      emitter.reportInPlace();
  }
  kernel.setGrains(grains);
  return success();
}

} // namespace ingot
