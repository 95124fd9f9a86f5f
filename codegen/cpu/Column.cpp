/// Column kernels: reductions over leading dimensions, blocks of columns side by side in registers.
/// Sums of several widths are sections of one kernel: each has its own grains, behind each other.
#include "codegen/cpu/Code.h"
#include "codegen/cpu/Emitters.h"
#include "codegen/cpu/KernelScheduler.h"
#include "codegen/cpu/Lanes.h"
#include "codegen/kernel/Reductions.h"
#include "codegen/kernel/Sharing.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ingot {
namespace {

/// By section, in order of their widths.
struct ColumnSizes {
  SmallVector<int64_t> width;          ///< columns of a block, whose sums are in registers
  SmallVector<int64_t> blocksPerGrain; ///< blocks
  SmallVector<int64_t> panels; ///< 1: a grain's blocks go row by row, with their sums in scratch

  template <typename Field> void fields(Field field) {
    field("width", width);
    field("blocks_per_grain", blocksPerGrain);
    field("panels", panels);
  }
};

/// The reductions of one width and the results that they make.
struct Section {
  std::vector<Reduction> reductions;
  SmallVector<unsigned> results;
  double share = 0; ///< of the kernel's work
  int64_t columns = 0;
  // Its part of the sizes:
  int64_t width = 0, blocksPerGrain = 0;
  bool panels = false;

  /// Values that one column adds up.
  int64_t sums() const {
    int64_t count = 0;
    for (const Reduction &reduction : reductions)
      count += reduction.combiners.size();
    return count;
  }
  int64_t blocks() const { return llvm::divideCeilSigned(columns, width); }
  int64_t grains() const { return llvm::divideCeilSigned(blocks(), blocksPerGrain); }
  bool mayUsePanels() const;
  int64_t sumBytes() const {
    auto type = cast<RankedTensorType>(reductions.front().op->getResult(0).getType());
    return type.getElementTypeBitWidth() / 8;
  }
};

constexpr int64_t rowsAtOnce = 4;
constexpr int64_t leastPanel = 512, mostSums = 4096; // columns, and elements of their sums

/// Whether one walk over the rows serves every reduction, and is long enough to pay for sums that
/// are kept in memory, all of one type.
bool Section::mayUsePanels() const {
  auto typeOf = [](const Reduction &reduction) {
    linalg::LinalgOp op = reduction.op;
    return cast<RankedTensorType>(op->getResult(0).getType()).getElementType();
  };
  Type type = typeOf(reductions.front());
  return isa<Float32Type, Float64Type>(type) &&
         llvm::all_of(reductions, [&](const Reduction &reduction) {
           return reduction.level == 0 && reduction.length == reductions.front().length &&
                  reduction.length >= 2 * rowsAtOnce && typeOf(reduction) == type;
         });
}

/// Results and reductions by width; none where some result is not made of sums of its width.
std::optional<std::vector<Section>> sectionsOf(func::FuncOp kernel) {
  std::map<int64_t, Section> byWidth;
  double work = 0;
  for (Reduction &reduction : findReductions(kernel)) {
    work += double(reduction.kept) * reduction.length;
    Section &section = byWidth[reduction.kept];
    section.share += double(reduction.kept) * reduction.length;
    section.columns = reduction.kept;
    section.reductions.push_back(std::move(reduction));
  }
  for (auto [result, type] : llvm::enumerate(kernel.getResultTypes())) {
    int64_t width = cast<RankedTensorType>(type).getNumElements();
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
  if (sections.empty())
    return std::nullopt;
  return sections;
}

//===--------------------------------------------------------------------------------------------===//
// Schedule
//===--------------------------------------------------------------------------------------------===//

void chooseSizes(KernelScheduler &kernel, Section &section, int64_t lanes) {
  // Four strips for one sum: enough independent additions to hide their latency.
  section.width = lanes * std::clamp<int64_t>(8 / section.sums(), 1, 4);
  const int64_t wanted =
      kernel.costs.grains(kernel.nanoseconds() * section.share, section.blocks());
  section.blocksPerGrain = llvm::divideCeilSigned(section.blocks(), wanted);
  section.panels = section.mayUsePanels() && section.columns / section.width > 1;
  if (!section.panels)
    return;
  // Wide enough to be read in order, narrow enough for sums in the L1.
  const int64_t most = std::max<int64_t>(mostSums / (section.width * section.sums()), 1);
  const int64_t least = std::min(llvm::divideCeilSigned(leastPanel, section.width), most);
  section.blocksPerGrain = std::clamp(section.blocksPerGrain, least, most);
  kernel.addScratch(section.width * section.sums() * section.blocksPerGrain * section.sumBytes());
}

/// Notes what a section reads; the only one may overwrite operands. What one of several overwrites,
/// another may still read.
LogicalResult shareColumns(KernelScheduler &kernel, Section &section, bool isOnly) {
  PointAccess points(kernel.kernel);
  SharingFinder finder(kernel.kernel, points);
  PointIndex column = points.consecutive(section.columns);
  int levels = 0;
  for (const Reduction &reduction : section.reductions)
    levels = std::max(levels, reduction.level + 1);
  for (int level = 0; level < levels; ++level)
    for (const Reduction &reduction : section.reductions) {
      if (reduction.level != level)
        continue;
      points.region(reduction.op,
                    iterationOf(points, reduction, column, points.uniform(reduction.length)));
      finder.record(0, std::nullopt);
      SmallVector<PointIndex> iteration =
          iterationOf(points, reduction, column, PointIndex::constant(0));
      for (unsigned output = 0; output < reduction.combiners.size(); ++output) {
        accessInitial(points, reduction, output, iteration);
        finder.record(1, column);
        linalg::LinalgOp op = reduction.op;
        Value tensor = op->getResult(output);
        ArrayRef<int64_t> shape = cast<RankedTensorType>(tensor.getType()).getShape();
        points.bind(tensor, [column, shape](PointAccess::Indices indices) {
          return linearise(indices, shape) == column ? std::optional(true) : std::nullopt;
        });
      }
    }
  for (unsigned result : section.results)
    points.at(kernel.returned(result), points.split(column, kernel.type(result).getShape()));
  finder.record(1, column);
  if (isOnly)
    for (unsigned result : section.results)
      kernel.share(finder.pairs(result, 1));
  return success(points.ok());
}

//===--------------------------------------------------------------------------------------------===//
// Emission
//===--------------------------------------------------------------------------------------------===//

class ColumnEmitter {
public:
  ColumnEmitter(KernelBuilder &kernel, Section &section)
      : kernel(kernel), builder(kernel.builder), location(kernel.location()),
        points(kernel.points()), section(section), reductions(section.reductions),
        columns(section.columns) {}

  /// Emits the grains from `firstGrain` on.
  LogicalResult emit(int64_t firstGrain);

private:
  /// Lanes of columns that are reduced together; the last one may be a tail.
  struct Strip {
    PointIndex column;
    Value mask;
  };
  void emitStrips(ArrayRef<Strip> strips);
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
  Section &section;
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
  finish(strips, members, loop.getResults());
}

/// `sums` hold what the rows add up to, by strip, reduction and output.
void ColumnEmitter::finish(ArrayRef<Strip> strips, ArrayRef<Reduction *> members, ValueRange sums) {
  size_t perStrip = sums.size() / strips.size(), first = 0;
  for (Reduction *reduction : members)
    for (unsigned output = 0; output < reduction->combiners.size(); ++output, ++first) {
      SmallVector<Value> totals;
      for (auto [index, strip] : llvm::enumerate(strips))
        totals.push_back(
            withInitial(points, *reduction, output,
                        iterationOf(points, *reduction, strip.column, PointIndex::constant(0)),
                        sums[index * perStrip + first], strip.mask));
      bind(strips, *reduction, output, totals);
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

LogicalResult ColumnEmitter::emit(int64_t firstGrain) {
  const int64_t width = section.width, blocks = section.blocks(), whole = columns / width;
  const int64_t perGrain = section.blocksPerGrain, grains = section.grains();
  const bool panels = section.panels;

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
  return success(points.ok());
}

/// The sections with the sizes of the schedule.
LogicalResult readSections(KernelBuilder &kernel, std::vector<Section> &sections) {
  ColumnSizes sizes;
  std::optional<std::vector<Section>> found = sectionsOf(kernel.kernel);
  if (failed(readSizes(kernel.kernel, kernel.launch, sizes)))
    return failure();
  bool fits = found && sizes.width.size() == found->size() &&
              sizes.blocksPerGrain.size() == found->size() && sizes.panels.size() == found->size();
  int64_t grains = 0;
  for (size_t index = 0; fits && index < found->size(); ++index) {
    Section &section = (*found)[index];
    section.width = sizes.width[index];
    section.blocksPerGrain = sizes.blocksPerGrain[index];
    section.panels = sizes.panels[index];
    fits = section.width > 0 && section.width % Code::lanes == 0 &&
           section.width <= 16 * Code::lanes && section.blocksPerGrain > 0 &&
           (!section.panels || section.mayUsePanels());
    grains += fits ? section.grains() : 0;
  }
  if (!fits || grains != kernel.launch.getGrains())
    return kernel.kernel.emitError("kernel.schedule: these columns do not make its results");
  sections = std::move(*found);
  return success();
}

} // namespace

/// Without one column number for each result, every point is computed by itself.
LogicalResult scheduleColumn(KernelScheduler &kernel) {
  std::optional<std::vector<Section>> sections = sectionsOf(kernel.kernel);
  if (!sections)
    return scheduleElementwise(kernel);
  ColumnSizes sizes;
  int64_t grains = 0;
  for (Section &section : *sections) {
    if (failed(shareColumns(kernel, section, sections->size() == 1)))
      return failure();
    chooseSizes(kernel, section, Code::lanes);
    grains += section.grains();
    sizes.width.push_back(section.width);
    sizes.blocksPerGrain.push_back(section.blocksPerGrain);
    sizes.panels.push_back(section.panels);
  }
  kernel.launch("columns", grains, sizes);
  return success();
}

LogicalResult emitColumns(KernelBuilder &kernel) {
  std::vector<Section> sections;
  if (failed(readSections(kernel, sections)))
    return failure();
  int64_t grains = 0;
  for (Section &section : sections) {
    if (failed(ColumnEmitter(kernel, section).emit(grains)))
      return failure();
    grains += section.grains();
  }
  return success();
}

} // namespace ingot
