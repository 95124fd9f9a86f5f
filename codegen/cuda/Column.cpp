/// Column kernels: the threads of a block are 32 columns by groups of rows; rows in chunks where a
/// block for each 32 columns would not fill the chip.
#include "codegen/cuda/BlockReduction.h"
#include "codegen/kernel/ColumnGroups.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/Support/MathExtras.h"
#include <map>

using namespace mlir;

namespace ingot {
namespace {

struct ColumnSizes {
  int64_t threads = 256;
  SmallVector<int64_t> chunks; ///< of the rows, by group in order of their widths

  template <typename Field> void fields(Field field) {
    field("threads", threads);
    field("chunks", chunks);
  }
};

/// A group and how it is cut. Chunks follow from shape and target alone.
struct CudaColumns : ColumnGroup {
  int64_t chunks = 1;

  int64_t rowsOfChunk() const { return llvm::divideCeilSigned(rows(), chunks); }
  int64_t strips() const { return llvm::divideCeilSigned(columns, warpSize); }
  /// Whether a first launch sums chunks of the rows into launch scratch, and a second one these.
  bool inTwoLaunches() const { return chunks > 1; }
  int64_t firstBlocks() const { return strips() * chunks; }
  int64_t secondBlocks(int64_t threads) const {
    return inTwoLaunches() ? llvm::divideCeilSigned(columns, threads) : 0;
  }
  /// One walk over the rows serves every reduction.
  bool mayBeChunked() const {
    return llvm::all_of(reductions, [&](const Reduction &reduction) {
      return reduction.level == 0 && reduction.length == rows();
    });
  }
};

std::optional<SmallVector<CudaColumns>> cudaColumnsOf(func::FuncOp kernel) {
  std::optional<std::vector<ColumnGroup>> groups = columnGroups(kernel);
  if (!groups)
    return std::nullopt;
  SmallVector<CudaColumns> columns;
  for (ColumnGroup &group : *groups)
    columns.push_back({std::move(group)});
  return columns;
}

int64_t chunksFor(const CudaColumns &group, const TargetCosts &costs) {
  constexpr int64_t leastRows = 64;
  if (!group.mayBeChunked())
    return 1;
  const int64_t wanted = std::min(costs.mostGrains / 2 / group.strips(), group.rows() / leastRows);
  if (wanted <= 1)
    return 1;
  // None is empty.
  return llvm::divideCeilSigned(group.rows(), llvm::divideCeilSigned(group.rows(), wanted));
}

/// Calls `visit` for each value that a column adds up: reduction and output.
void forSums(ArrayRef<Reduction> reductions,
             llvm::function_ref<void(const Reduction &, unsigned, Type)> visit) {
  for (const Reduction &reduction : reductions)
    for (unsigned output = 0; output < reduction.outputs(); ++output)
      visit(reduction, output, reduction.type(output).getElementType());
}

MemRefType memoryOf(int64_t count, Type element) {
  return MemRefType::get({count}, storageType(valueType(element)));
}

int64_t bytesOf(MemRefType type) {
  return type.getNumElements() * type.getElementTypeBitWidth() / 8;
}

class ColumnEmitter {
public:
  ColumnEmitter(CudaKernel &kernel, const CudaColumns &group)
      : kernel(kernel), code(kernel.code), group(group), points(kernel.points(1)),
        lane(code.remainder(kernel.thread(), warpSize)),
        rowGroup(code.div(kernel.thread(), warpSize)), rowGroups(kernel.threads / warpSize) {}

  /// Sums of all rows and the results, or the sums of a chunk.
  LogicalResult emit(Value block);
  /// Sums of the chunks' sums and the results.
  LogicalResult emitOfChunks(Value block);

private:
  using Sums = SmallVector<Value>; ///< by reduction and output
  Sums neutralSums(ArrayRef<const Reduction *> members);
  Sums sumRows(ArrayRef<const Reduction *> members, Value from, Value to);
  Sums combineGroups(ArrayRef<const Reduction *> members, ValueRange sums);
  void finish(ArrayRef<const Reduction *> members, ValueRange sums);
  void storeChunk(ValueRange sums, Value chunk);
  void storeResults();
  SmallVector<Value> chunkMemories();

  CudaKernel &kernel;
  IndexCode &code;
  const CudaColumns &group;
  PointEmitter points;
  Value lane, rowGroup;
  const int64_t rowGroups;
  Value number;      ///< of this thread's column, which may lie beyond the last
  PointIndex column; ///< the same, or the last
};

ColumnEmitter::Sums ColumnEmitter::neutralSums(ArrayRef<const Reduction *> members) {
  Sums sums;
  for (const Reduction *reduction : members)
    llvm::append_range(sums, neutral(points, *reduction));
  return sums;
}

/// Each group of rows takes every `rowGroups`-th one.
ColumnEmitter::Sums ColumnEmitter::sumRows(ArrayRef<const Reduction *> members, Value from,
                                           Value to) {
  const int64_t length = members.front()->length;
  return code.loop(code.add(from, rowGroup), to, rowGroups, neutralSums(members),
                   [&](Value row, ValueRange carried) {
                     PointEmitter::Scope scope(points);
                     PointIndex along = PointIndex::uniform(row, length);
                     Sums next;
                     for (const Reduction *reduction : members) {
                       Sums values(carried.slice(next.size(), reduction->outputs()));
                       llvm::append_range(next,
                                          accumulate(points, *reduction,
                                                     iterationOf(points, *reduction, column, along),
                                                     values, {}));
                     }
                     return next;
                   });
}

/// The groups' sums through shared memory, combined by a fixed tree; every thread of a column gets
/// the total.
ColumnEmitter::Sums ColumnEmitter::combineGroups(ArrayRef<const Reduction *> members,
                                                 ValueRange sums) {
  SmallVector<Value> memories;
  size_t next = 0;
  const int64_t count = rowGroups * warpSize;
  for (const Reduction *reduction : members)
    forSums(*reduction, [&](const Reduction &, unsigned, Type element) {
      memories.push_back(kernel.workspace(memoryOf(count, element)));
      points.store(sums[next++], memories.back(), PointIndex::uniform(kernel.thread(), count), {},
                   element);
    });
  kernel.synchronise();
  Sums totals;
  for (const Reduction *reduction : members) {
    SmallVector<SmallVector<Value>> ofGroups(rowGroups);
    for (int64_t each = 0; each < rowGroups; ++each)
      forSums(*reduction, [&](const Reduction &, unsigned output, Type element) {
        ofGroups[each].push_back(points.load(
            memories[totals.size() + output], element,
            PointIndex::uniform(lane, warpSize) + PointIndex::constant(each * warpSize), {}));
      });
    llvm::append_range(totals, combineHalves(points, *reduction, std::move(ofGroups)));
  }
  return totals;
}

/// From here on the reductions' results are these where this column's element is asked.
void ColumnEmitter::finish(ArrayRef<const Reduction *> members, ValueRange sums) {
  for (const Reduction *reduction : members) {
    SmallVector<Value> totals = withInitial(
        points, *reduction, iterationOf(points, *reduction, column, PointIndex::constant(0)),
        sums.take_front(reduction->outputs()), {});
    sums = sums.drop_front(reduction->outputs());
    for (auto [output, total] : llvm::enumerate(totals)) {
      linalg::LinalgOp op = reduction->op;
      ArrayRef<int64_t> shape = reduction->type(output).getShape();
      points.bind(op->getResult(output), [total = Value(total), shape,
                                          own = column](PointEmitter::Indices indices, Value) {
        return linearise(indices, shape) == own ? total : Value();
      });
    }
  }
}

void ColumnEmitter::storeResults() {
  SmallVector<Value> values;
  for (unsigned result : group.results)
    values.push_back(
        points.at(kernel.returned(result), points.split(column, kernel.type(result).getShape())));
  for (auto [result, value] : llvm::zip_equal(group.results, values))
    points.store(value, kernel.resultMemory(result), column, {},
                 kernel.type(result).getElementType());
}

/// The launches' common memory, by chunk and column.
SmallVector<Value> ColumnEmitter::chunkMemories() {
  SmallVector<Value> memories;
  forSums(group.reductions, [&](const Reduction &, unsigned, Type element) {
    memories.push_back(kernel.launchScratch(memoryOf(group.chunks * group.columns, element)));
  });
  return memories;
}

void ColumnEmitter::storeChunk(ValueRange sums, Value chunk) {
  SmallVector<Value> memories = chunkMemories();
  PointIndex position = PointIndex::uniform(chunk, group.chunks) * group.columns + column;
  size_t next = 0;
  forSums(group.reductions, [&](const Reduction &, unsigned, Type element) {
    points.store(sums[next], memories[next], position, {}, element);
    ++next;
  });
}

LogicalResult ColumnEmitter::emit(Value block) {
  Value chunk = code.div(block, group.strips()), strip = code.remainder(block, group.strips());
  number = code.add(code.mul(strip, warpSize), lane);
  column = PointIndex::uniform(code.min(number, code.index(group.columns - 1)), group.columns);
  PointEmitter::Scope scope(points);
  Value from = code.index(0), to;
  if (group.inTwoLaunches()) {
    from = code.mul(chunk, group.rowsOfChunk());
    to = code.min(code.add(from, group.rowsOfChunk()), code.index(group.rows()));
  }
  Value stores = code.create<arith::AndIOp>(code.isBelow(number, group.columns),
                                            code.isEqual(rowGroup, code.index(0)));
  // By level, and in a level by length.
  std::map<std::pair<int, int64_t>, SmallVector<const Reduction *>> passes;
  for (const Reduction &reduction : group.reductions)
    passes[{reduction.level, reduction.length}].push_back(&reduction);
  for (auto &[key, members] : passes) {
    Sums sums = sumRows(members, from, to ? to : code.index(key.second));
    sums = combineGroups(members, sums);
    if (group.inTwoLaunches())
      code.when(stores, [&] { storeChunk(sums, chunk); });
    else
      finish(members, sums);
  }
  if (!group.inTwoLaunches())
    code.when(stores, [&] { storeResults(); });
  return success(points.ok());
}

LogicalResult ColumnEmitter::emitOfChunks(Value block) {
  SmallVector<Value> memories = chunkMemories();
  number = code.add(code.mul(block, kernel.threads), kernel.thread());
  SmallVector<const Reduction *> members;
  for (const Reduction &reduction : group.reductions)
    members.push_back(&reduction);
  code.when(code.isBelow(number, group.columns), [&] {
    column = PointIndex::uniform(number, group.columns);
    PointEmitter::Scope scope(points);
    Sums sums = code.loop(
        code.index(0), code.index(group.chunks), 1, neutralSums(members),
        [&](Value chunk, ValueRange carried) {
          Sums next;
          PointIndex position = PointIndex::uniform(chunk, group.chunks) * group.columns + column;
          for (const Reduction &reduction : group.reductions) {
            SmallVector<Value> ofChunk;
            for (unsigned output = 0; output < reduction.outputs(); ++output)
              ofChunk.push_back(points.load(memories[next.size() + output],
                                            reduction.type(output).getElementType(), position, {}));
            llvm::append_range(next,
                               combine(points, reduction,
                                       carried.slice(next.size(), reduction.outputs()), ofChunk));
          }
          return next;
        });
    finish(members, sums);
    storeResults();
  });
  return success(points.ok());
}

} // namespace

/// Without one column number for each result, every point is computed by itself.
LogicalResult scheduleColumn(CudaScheduler &kernel) {
  std::optional<SmallVector<CudaColumns>> groups = cudaColumnsOf(kernel.kernel);
  if (!groups)
    return schedulePointwise(kernel);
  ColumnSizes sizes;
  int64_t first = 0, second = 0, chunkBytes = 0;
  for (CudaColumns &group : *groups) {
    group.chunks = chunksFor(group, kernel.costs);
    sizes.chunks.push_back(group.chunks);
    first += group.firstBlocks();
    second += group.secondBlocks(sizes.threads);
    forSums(group.reductions, [&](const Reduction &, unsigned, Type element) {
      kernel.addScratch(bytesOf(memoryOf(sizes.threads, element)));
      if (!group.inTwoLaunches())
        return;
      const int64_t bytes = bytesOf(memoryOf(group.chunks * group.columns, element));
      kernel.addLaunchScratch(bytes);
      chunkBytes += bytes;
    });
  }
  kernel.launch("columns", first, sizes);
  if (second)
    kernel.launch("columns_of_chunks", second, sizes, double(chunkBytes) / 4, double(chunkBytes));
  return success();
}

LogicalResult emitColumns(CudaKernel &kernel) {
  const bool isSecond = kernel.launch.getKind() == "columns_of_chunks";
  std::optional<SmallVector<CudaColumns>> groups = cudaColumnsOf(kernel.kernel);
  ColumnSizes sizes;
  if (failed(readSizes(kernel.kernel, kernel.launch, sizes)))
    return failure();
  bool fits = groups && sizes.chunks.size() == groups->size() && sizes.threads >= warpSize &&
              sizes.threads <= 1024 && llvm::isPowerOf2_64(sizes.threads);
  int64_t blocks = 0;
  for (size_t index = 0; fits && index < groups->size(); ++index) {
    CudaColumns &group = (*groups)[index];
    group.chunks = sizes.chunks[index];
    fits = group.chunks > 0 && (!group.inTwoLaunches() || group.mayBeChunked());
    blocks += isSecond ? group.secondBlocks(sizes.threads) : group.firstBlocks();
  }
  if (!fits || blocks != kernel.launch.getGrains())
    return kernel.kernel.emitError("kernel.schedule: these columns do not make its results");
  IndexCode &code = kernel.code;
  int64_t first = 0;
  LogicalResult outcome = success();
  for (const CudaColumns &group : *groups) {
    const int64_t own = isSecond ? group.secondBlocks(sizes.threads) : group.firstBlocks();
    if (!own)
      continue;
    Value block = code.sub(kernel.block(), code.index(first));
    auto emit = [&] {
      ColumnEmitter emitter(kernel, group);
      if (failed(isSecond ? emitter.emitOfChunks(block) : emitter.emit(block)))
        outcome = failure();
    };
    if (own == blocks)
      emit();
    else
      code.when(code.create<arith::CmpIOp>(arith::CmpIPredicate::ult, block, code.index(own)),
                emit);
    first += own;
  }
  return outcome;
}

} // namespace ingot
