#include "codegen/cpu/AttentionBlocks.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>

using namespace mlir;

namespace ingot {

constexpr int64_t lanes = Code::lanes;

namespace {

/// Values of so many keys stay in L1 beside their scores while tiles of queries pass.
constexpr int64_t keysAtOnce = 64;
constexpr int64_t storedAhead = 8; ///< rows of results that are prefetched
constexpr int64_t maskedQueries = 64;
constexpr int64_t queryStep = 32, shortSequence = 256;
constexpr int64_t cacheLine = 64;

/// Elements of a padded block of sums.
int64_t sumBlockStride(Tile tile, int64_t columns) {
  return llvm::alignTo(columns, tile.columns());
}

int64_t sumBlockSize(int64_t rows, Tile tile, int64_t columns) {
  // One tile's rows more, for tiles that start inside the block at any row, and for reading past
  // it.
  return (llvm::alignTo(rows, tile.rows) + tile.rows) * sumBlockStride(tile, columns);
}

/// The matrix where it lies, if its rows are contiguous there and in the type of sums.
std::optional<KernelView> matrixView(Value tensor, Type sumType) {
  auto type = cast<RankedTensorType>(tensor.getType());
  std::optional<KernelView> view = viewOfOperand(tensor);
  const bool rowsAreContiguous = view && (type.getDimSize(3) <= 1 || view->strides[3] == 1);
  return rowsAreContiguous && type.getElementType() == sumType ? view : std::nullopt;
}

/// A copy of a [rows, columns] matrix is one panel: its rows are the columns of the matrix, and its
/// depth is the sequence.
Panels copyPanels(RankedTensorType type) {
  const int64_t stride = llvm::alignTo(std::max<int64_t>(type.getDimSize(3), 1), lanes);
  return Panels::interleaved(stride, type.getDimSize(2));
}

/// Whether blocks of a matrix's rows are copied before several tiles read them: rows that are far
/// apart (those of heads that lie side by side) share a few sets of L1, so that even a small block
/// does not stay there, and each is on a page of its own.
bool copiesBlocks(const std::optional<KernelView> &view, const AttentionShape &shape) {
  return view && view->strides[2] != view->sizes[3] && shape.queries > lanes;
}

Panels rowPanels(int64_t columns, int64_t rows) {
  return Panels::interleaved(llvm::alignTo(std::max<int64_t>(columns, 1), lanes), rows);
}

Panels queryPanelsOf(const AttentionShape &shape, int64_t depth) {
  return Panels::interleaved(shape.scoreTile.columns(), depth);
}

int64_t queryPanelsSize(const AttentionShape &shape, const Panels &panels) {
  return panels.size(llvm::divideCeil(shape.queries, panels.width));
}

} // namespace

//===--------------------------------------------------------------------------------------------===//
// Schedule
//===--------------------------------------------------------------------------------------------===//

AttentionShape chooseBlocks(const AttentionForm &form, const graph::AttentionRule &rule,
                            int64_t mostQueries, const MachineShape &machine,
                            const BlockChoice &choice) {
  AttentionShape shape(form.extents);
  // A narrow tile of queries wastes less beyond the diagonal, a wide one loads less.
  const bool isNarrow = rule.isBanded() && shape.queryCount <= shortSequence;
  const int64_t tileQueries = isNarrow || shape.queryCount <= lanes ? lanes : queryStep;
  // Blocks of about equal size: what the last one lacks is computed all the same.
  const int64_t count = std::max<int64_t>(shape.queryCount, 1);
  if (rule.mask && differsByQuery(rule)) // whose block stays in L1 beside the scores
    mostQueries = std::min(mostQueries, maskedQueries);
  shape.queries =
      llvm::alignTo(llvm::divideCeil(count, llvm::divideCeil(count, mostQueries)), tileQueries);
  shape.keys = std::clamp<int64_t>(shape.keyCount, 1, keysAtOnce);
  auto tile = [&](int64_t rows, int64_t columns) {
    // No tile may reach into the next block, whose sums follow this one's.
    return chooseTile(rows, std::max<int64_t>(columns, 1), form.sumBytes(), machine, keysAtOnce);
  };
  shape.scoreTile = tile(shape.keys, tileQueries);
  shape.queryTile = tile(shape.queries, shape.head);
  shape.queryValueTile = tile(shape.queries, shape.valueHead);
  shape.keyTile = tile(shape.keys, shape.head);
  shape.keyValueTile = tile(shape.keys, shape.valueHead);
  // Behind the tiles, because those decide which scores beyond the diagonal take part: a choice
  // moves the borders of blocks alone.
  if (choice.queries)
    shape.queries = std::min<int64_t>(llvm::alignTo(*choice.queries, queryStep),
                                      llvm::alignTo(count, queryStep));
  return shape;
}

void AttentionScratch::elements(int64_t count) {
  kernel.addScratch(std::max<int64_t>(count, 1) * form.sumBytes());
}

void AttentionScratch::matrix(Value tensor) {
  if (!matrixView(tensor, form.sumType))
    elements(copyPanels(cast<RankedTensorType>(tensor.getType())).size(1));
}

void AttentionScratch::rowBlock(Value tensor, int64_t rows) {
  if (copiesBlocks(matrixView(tensor, form.sumType), shape))
    elements(rowPanels(cast<RankedTensorType>(tensor.getType()).getDimSize(3), rows).size(1));
}

void AttentionScratch::queryPanels(int64_t depth) {
  elements(queryPanelsSize(shape, queryPanelsOf(shape, depth)));
}

void AttentionScratch::mask(const graph::AttentionRule &rule) {
  if (rule.mask)
    elements(maskBlockSize(rule, shape));
}

void AttentionScratch::sumBlock(int64_t rows, Tile tile, int64_t columns) {
  elements(sumBlockSize(rows, tile, columns));
}

void launchAttention(KernelScheduler &kernel, StringRef kind, const AttentionShape &shape,
                     int64_t units, double flops, bool prefetch) {
  const double grainFlops = kernel.costs.contractionsPerNanosecond * kernel.costs.grainNanoseconds;
  AttentionSizes sizes{shape.queries, shape.keys,           shape.scoreTile,   shape.queryTile,
                       shape.keyTile, shape.queryValueTile, shape.keyValueTile};
  sizes.unitsPerGrain =
      std::max<int64_t>({1, int64_t(grainFlops / std::max(flops, 1.0)),
                         int64_t(llvm::divideCeil(units, kernel.costs.mostGrains))});
  sizes.prefetch = prefetch;
  kernel.launch(kind, llvm::divideCeil(units, sizes.unitsPerGrain), sizes, flops * units);
}

bool fitsNextPair(KernelScheduler &kernel, const AttentionForm &form, const AttentionShape &shape,
                  ValueRange tensors) {
  int64_t elements = 0;
  for (Value tensor : tensors) {
    auto type = cast<RankedTensorType>(tensor.getType());
    elements += type.getDimSize(2) * type.getDimSize(3);
  }
  return shape.pairs > 1 && elements * form.sumBytes() <= kernel.machine.l2Bytes / 4;
}

//===--------------------------------------------------------------------------------------------===//
// Emission
//===--------------------------------------------------------------------------------------------===//

AttentionEmitter::AttentionEmitter(KernelBuilder &kernel, const AttentionForm &form,
                                   const graph::AttentionRule &rule)
    : kernel(kernel), code{kernel.builder, kernel.location()}, sumType(form.sumType),
      shape(form.extents), sight(code, form, rule) {}

LogicalResult AttentionEmitter::readPlan(int64_t (*units)(const AttentionShape &)) {
  AttentionSizes sizes;
  if (failed(readSizes(kernel.kernel, kernel.launch, sizes)))
    return failure();
  shape.queries = sizes.queries, shape.keys = sizes.keys;
  shape.scoreTile = sizes.scoreTile, shape.queryTile = sizes.queryTile;
  shape.keyTile = sizes.keyTile, shape.queryValueTile = sizes.queryValueTile;
  shape.keyValueTile = sizes.keyValueTile;
  unitsPerGrain = sizes.unitsPerGrain;
  prefetch = sizes.prefetch;
  bool fits =
      shape.queries > 0 && shape.queries % lanes == 0 && shape.keys > 0 && unitsPerGrain > 0;
  for (Tile tile :
       {shape.scoreTile, shape.queryTile, shape.keyTile, shape.queryValueTile, shape.keyValueTile})
    fits &= tile.rows > 0 && tile.rows <= 16 && tile.vectors > 0 && tile.vectors <= 16;
  if (fits && kernel.launch.getGrains() == int64_t(llvm::divideCeil(units(shape), unitsPerGrain)))
    return success();
  return kernel.kernel.emitError("kernel.schedule: these blocks do not make its results");
}

//===--------------------------------------------------------------------------------------------===//
// Memory
//===--------------------------------------------------------------------------------------------===//

Value AttentionEmitter::scratch(int64_t count) {
  return kernel.workspace(MemRefType::get({std::max<int64_t>(count, 1)}, sumType));
}

AttentionEmitter::Matrix AttentionEmitter::matrix(Value tensor, int64_t group) {
  auto type = cast<RankedTensorType>(tensor.getType());
  Matrix matrix;
  matrix.tensor = tensor;
  matrix.group = group;
  matrix.rows = type.getDimSize(2);
  matrix.columns = type.getDimSize(3);
  matrix.view = matrixView(tensor, sumType);
  if (matrix.view) {
    matrix.buffer = code.flat(kernel.operandMemory(matrix.view->memory));
    matrix.rowStride = matrix.view->strides[2];
    return matrix;
  }
  const Panels panels = copyPanels(type);
  matrix.rowStride = panels.width;
  matrix.buffer = scratch(panels.size(1));
  return matrix;
}

void AttentionEmitter::enter(Matrix &matrix, Value pair) {
  if (matrix.group > 1)
    pair = code.div(pair, matrix.group);
  if (matrix.view) {
    matrix.base = code.add(matrix.view->group({0, 1}).offset(code, pair), matrix.view->offset);
    return;
  }
  matrix.base = code.index(0);
  MatrixSource source;
  source.rows = matrix.columns;
  source.depth = matrix.rows;
  std::optional<KernelView> view = viewOfOperand(matrix.tensor);
  if (view && view->strides[3] == 1) { // narrower than the sums
    Value start = code.add(view->group({0, 1}).offset(code, pair), view->offset);
    source.buffer = code.flat(kernel.operandMemory(view->memory));
    source.rowOffset = [start, this](Value column) { return code.add(start, column); };
    source.depthOffset = [stride = view->strides[2], this](Value row) {
      return code.mul(row, stride);
    };
    source.rowStride = 1;
    source.depthStride = view->strides[2];
  }
  source.element = [&](Value column, Value row) {
    PointEmitter points = kernel.points(1);
    auto type = cast<RankedTensorType>(matrix.tensor.getType());
    SmallVector<PointIndex> indices = points.split(
        PointIndex::uniform(pair, shape.pairs / matrix.group), type.getShape().take_front(2));
    indices.push_back(PointIndex::uniform(row, matrix.rows));
    indices.push_back(PointIndex::uniform(column, matrix.columns));
    return points.at(matrix.tensor, ArrayRef<PointIndex>(indices));
  };
  Panels panels = copyPanels(cast<RankedTensorType>(matrix.tensor.getType()));
  panels.buffer = matrix.buffer;
  emitPack(code, source, panels, code.index(0), code.index(matrix.columns), code.index(0),
           code.index(matrix.rows));
}

AttentionEmitter::Ahead AttentionEmitter::nextOf(const Matrix &matrix, Value pair) {
  if (!prefetch || !matrix.view)
    return {};
  Value next = code.min(code.add(pair, 1), code.index(shape.pairs - 1));
  Value own = matrix.group > 1 ? code.div(next, matrix.group) : next;
  Value base = code.add(matrix.view->group({0, 1}).offset(code, own), matrix.view->offset);
  return {matrix.buffer, base, matrix.rowStride, matrix.columns};
}

AttentionEmitter::Ahead AttentionEmitter::resultOf(const SmallVector<KernelView> &views, Value pair,
                                                   int64_t columns) {
  if (!prefetch || views.size() != 1 || views[0].strides[3] != 1)
    return {};
  Value base = code.add(views[0].group({0, 1}).offset(code, pair), views[0].offset);
  return {code.flat(kernel.resultMemory(views[0].memory)), base, views[0].strides[2], columns,
          /*isWrite=*/true};
}

void AttentionEmitter::prefetchRow(const Ahead &rows, Value row) {
  Type element = cast<MemRefType>(rows.buffer.getType()).getElementType();
  const int64_t step = cacheLine * 8 / element.getIntOrFloatBitWidth();
  Value start = code.add(rows.base, code.mul(row, rows.rowStride));
  for (int64_t column = 0; column < rows.columns; column += step)
    code.create<memref::PrefetchOp>(rows.buffer, ValueRange{code.add(start, column)}, rows.isWrite,
                                    /*localityHint=*/rows.isWrite ? 3 : 2, /*isDataCache=*/true);
}

BesideTile AttentionEmitter::prefetchBeside(ArrayRef<Ahead> ahead, Tile tile, Value first,
                                            int64_t columns) {
  SmallVector<Ahead> all;
  llvm::copy_if(ahead, std::back_inserter(all), [](const Ahead &rows) { return rows.buffer; });
  if (all.empty())
    return {};
  return [this, all, tile, first, columns](Value row, Value column) {
    auto prefetchAll = [&] {
      for (const Ahead &rows : all)
        code.loop(code.index(0), code.index(tile.rows), 1,
                  [&](Value r) { prefetchRow(rows, code.add(code.add(first, row), r)); });
    };
    if (columns <= tile.columns())
      return prefetchAll();
    Value isLast = code.isBelow(code.index(columns - 1), code.add(column, tile.columns()));
    code.when(isLast, prefetchAll);
  };
}

Value AttentionEmitter::rowBlock(const Matrix &matrix, int64_t rows) {
  return copiesBlocks(matrix.view, shape) ? scratch(rowPanels(matrix.columns, rows).size(1))
                                          : Value();
}

AttentionEmitter::Matrix AttentionEmitter::blockOf(const Matrix &matrix, Value block, Value first,
                                                   int64_t rows) {
  if (!block)
    return matrix;
  MatrixSource source;
  source.rows = matrix.columns;
  source.depth = matrix.rows;
  source.buffer = matrix.buffer;
  source.rowOffset = [&](Value column) { return code.add(matrix.base, column); };
  source.depthOffset = [&](Value row) { return code.mul(row, matrix.rowStride); };
  source.rowStride = 1;
  source.depthStride = matrix.rowStride;
  Panels panels = rowPanels(matrix.columns, rows);
  panels.buffer = block;
  emitPack(code, source, panels, code.index(0), code.index(matrix.columns), first,
           code.min(code.index(rows), code.sub(code.index(matrix.rows), first)));
  Matrix copy = matrix;
  copy.buffer = block;
  copy.rowStride = panels.width;
  copy.base = code.sub(code.index(0), code.mul(first, panels.width));
  return copy;
}

BlockLhs AttentionEmitter::rowsOf(const Matrix &matrix, Value first, Tile tile) {
  if (matrix.rows % tile.rows == 0) { // Rows of a tile are then a constant distance apart.
    Value start = code.add(matrix.base, code.mul(first, matrix.rowStride));
    return {matrix.buffer,
            [this, start, stride = matrix.rowStride](Value row) {
              return code.add(start, code.mul(row, stride));
            },
            1};
  }
  auto offset = [this, matrix, first](Value row) {
    Value clamped = code.min(code.add(first, row), code.index(matrix.rows - 1));
    return code.add(matrix.base, code.mul(clamped, matrix.rowStride));
  };
  return {matrix.buffer, offset, 1};
}

BlockRhs AttentionEmitter::columnsOf(const Matrix &matrix, Value first) {
  Value start = code.add(matrix.base, code.mul(first, matrix.rowStride));
  auto offset = [this, start](Value column) { return code.add(start, column); };
  return {matrix.buffer, offset, matrix.rowStride, matrix.columns};
}

Panels AttentionEmitter::queryPanels(int64_t depth) {
  Panels panels = queryPanelsOf(shape, depth);
  panels.buffer = scratch(queryPanelsSize(shape, panels));
  return panels;
}

BlockRhs AttentionEmitter::packQueries(const Matrix &matrix, const Panels &panels, Value first,
                                       Value count) {
  MatrixSource source;
  source.rows = matrix.rows;
  source.depth = matrix.columns;
  source.buffer = matrix.buffer;
  source.rowOffset = [&](Value row) {
    return code.add(matrix.base, code.mul(row, matrix.rowStride));
  };
  source.depthOffset = [](Value k) { return k; };
  source.rowStride = matrix.rowStride;
  source.depthStride = 1;
  emitPack(code, source, panels, first, count, code.index(0), code.index(matrix.columns));
  auto offset = [this, panels](Value column) {
    return code.mul(code.div(column, panels.width), panels.stride);
  };
  return {panels.buffer, offset, panels.depthStride,
          int64_t(llvm::alignTo(shape.queries, panels.width))};
}

BlockLhs AttentionEmitter::keysOf(const SumBlock &block) const {
  Code &code = const_cast<Code &>(this->code);
  auto offset = [&code, block](Value row) {
    return code.add(block.base, code.mul(row, block.rowStride));
  };
  return {block.buffer, offset, 1};
}

BlockLhs AttentionEmitter::queriesOf(const SumBlock &block) const {
  Code &code = const_cast<Code &>(this->code);
  auto offset = [&code, block](Value row) { return code.add(block.base, row); };
  return {block.buffer, offset, block.rowStride};
}

SumBlock AttentionEmitter::sumBlock(int64_t rows, Tile tile, int64_t columns) {
  Value buffer = scratch(sumBlockSize(rows, tile, columns));
  return {buffer, code.index(0), sumBlockStride(tile, columns)};
}

SumBlock AttentionEmitter::scoreBlock() {
  return sumBlock(shape.keys, shape.scoreTile, shape.queries);
}

void AttentionEmitter::fillZero(const SumBlock &block, int64_t rows) {
  Value zero = code.zero(lanesOf(sumType));
  code.loop(code.index(0), code.index(rows * block.rowStride), lanes,
            [&](Value at) { code.storeVector(zero, block.buffer, at); });
}

//===--------------------------------------------------------------------------------------------===//
// Results
//===--------------------------------------------------------------------------------------------===//

void AttentionEmitter::storeRows(const SmallVector<KernelView> &views, Value pair, Value first,
                                 Value count, const SumBlock &sums, int64_t columns,
                                 RowFactor factor) {
  for (const KernelView &view : views) {
    Value buffer = code.flat(kernel.resultMemory(view.memory));
    Type element = cast<MemRefType>(buffer.getType()).getElementType();
    Value start = code.add(view.group({0, 1}).offset(code, pair), view.offset);
    code.loop(code.index(0), count, 1, [&](Value row) {
      Value source = code.add(sums.base, code.mul(row, sums.rowStride));
      Value target = code.add(start, code.mul(code.add(first, row), view.strides[2]));
      // Rows that nothing has fetched until now: a store waits for its line, a prefetch does not.
      if (!prefetch && view.strides[3] == 1)
        prefetchRow({buffer, target, view.strides[2], columns, /*isWrite=*/true},
                    code.index(storedAhead));
      Value scaling = factor ? factor(row) : Value();
      bool contiguous = columns <= 1 || view.strides[3] == 1;
      code.loop(code.index(0), code.index(columns), contiguous ? lanes : 1, [&](Value column) {
        Value at = code.add(target, code.mul(column, view.strides[3]));
        if (!contiguous) {
          Value value = code.load(sums.buffer, code.add(source, column));
          value = scaling ? multiply(value, scaling) : value;
          return code.store(code.convert(value, element), buffer, at);
        }
        Value value = code.loadVector(sums.buffer, code.add(source, column));
        value = scaling ? multiply(value, code.splat(scaling)) : value;
        Value mask =
            columns % lanes ? code.maskBelow(code.sub(code.index(columns), column)) : Value();
        code.storeVector(code.convert(value, element), buffer, at, mask);
      });
    });
  }
}

Value AttentionEmitter::rowScalar(const KernelView &view, Value pair, Value position) {
  Value offset = code.add(view.group({0, 1}).offset(code, pair), view.offset);
  return code.add(offset, code.mul(position, view.strides[2]));
}

Value AttentionEmitter::exp(Value value) { return code.create<math::ExpOp>(value); }

//===--------------------------------------------------------------------------------------------===//
// Grains
//===--------------------------------------------------------------------------------------------===//

void AttentionEmitter::forUnits(int64_t units, Code::Body body) {
  Value first = code.mul(kernel.lo(), unitsPerGrain);
  Value end = code.min(code.mul(kernel.hi(), unitsPerGrain), code.index(units));
  code.loop(first, end, 1, body);
}

} // namespace ingot
