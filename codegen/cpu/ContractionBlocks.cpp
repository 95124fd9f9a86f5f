#include "codegen/cpu/ContractionBlocks.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <cmath>

namespace ingot {
namespace {

using llvm::alignTo;
using llvm::divideCeil;

constexpr int64_t mostGrains = 64;
constexpr int64_t fewRows = 8, fewColumns = 2;
/// As many rows repay the packing of a panel of columns.
constexpr int64_t repaidRows = 256;
/// Depths beyond which unfinished sums may leave the registers.
constexpr int64_t deepestWhole = 1024;
/// Rows of memory that the smallest first-level TLB of today's cores holds a page each for.
constexpr int64_t pagesAtOnce = 64;
/// Depths of a right operand that are swept at once by a single row of sums.
constexpr int64_t sweptDepths = 16;

int64_t roundedDiv(int64_t total, int64_t parts, int64_t multiple) {
  return alignTo(divideCeil(total, parts), multiple);
}

/// The tile of dot products: always 16 sums, laid out by the shape.
Tile dotTile(const ContractionShape &shape) {
  if (shape.rows <= 2)
    return {shape.rows, 1};
  return {shape.columns == 1 ? 16 : shape.columns == 2 ? 8 : 4, 1};
}

/// Whether the rows of a tile can be read side by side: not if their distance maps them all to the
/// same few lines of a cache. A line is needed for a vector of depths alone, so it is enough if
/// those of all rows fit in the ways of one set.
bool rowsKeepApart(const ContractionShape &shape, Tile tile, const MachineShape &machine) {
  const int64_t period = machine.l1Bytes / machine.l1Ways;
  if (tile.rows == 1)
    return true;
  if (shape.lhsRowStride == 0)
    return false;
  int64_t places = period / std::gcd(period, shape.lhsRowStride * shape.elementBytes);
  return int64_t(divideCeil(tile.rows, places)) < machine.l1Ways;
}

/// A core's share of L3.
int64_t l3Share(const MachineShape &machine) { return 4 * machine.l2Bytes; }

bool staysInL3(const ContractionShape &shape, const MachineShape &machine) {
  return shape.columns * shape.depth * shape.elementBytes <= l3Share(machine);
}

/// Elements of the left operand's block, which takes most of L2. Where panels of the whole depth
/// are made ahead, the block is foreseen by the hardware and may come from L3 instead: rows that
/// are read where they lie cost nothing more; packed ones, which are written once more, are as many
/// as repay the next copies of the panels.
int64_t leftBlockSize(const ContractionShape &shape, const ContractionBlocks &blocks,
                      const MachineShape &machine) {
  if (!blocks.foreseesPanels(shape) || !blocks.oneDepthBlock(shape))
    return machine.l2Bytes * 3 / 4 / shape.elementBytes;
  return blocks.packLhs ? 2 * repaidRows * blocks.depth : l3Share(machine) / 2 / shape.elementBytes;
}

/// How deep a panel of the right operand may be.
int64_t deepestPanel(const ContractionShape &shape, const ContractionBlocks &blocks,
                     const MachineShape &machine) {
  const int64_t wholeDepth = alignTo(std::max<int64_t>(shape.depth, 1), Panels::depthStep);
  const int64_t depthBytes = blocks.tile.columns() * shape.elementBytes;
  // Read in place from far away, a few depths at a time are swept over all columns, so that each
  // page is left but once; what L2 holds needs no such care.
  const bool isInPlace = !blocks.readsPanels(shape);
  if (isInPlace && shape.columns * shape.depth * shape.elementBytes > machine.l2Bytes / 2)
    return shape.rows == 1 ? sweptDepths : pagesAtOnce;
  if (isInPlace)
    return machine.l2Bytes / 4 / depthBytes;
  // Sums of the whole depth never leave the registers, which is worth more than a panel in L1: L2
  // streams it as fast as it is used, beside the next one that is being made. Deeper ones leave L2
  // to the rows that repay a panel. None is made ahead of a computed operand; its panel is not
  // worth computing for few rows.
  if (blocks.foreseesPanels(shape)) {
    if (wholeDepth <= deepestWhole && wholeDepth * depthBytes <= machine.l2Bytes * 3 / 16)
      return wholeDepth;
    return machine.l2Bytes * 3 / 8 / (repaidRows * shape.elementBytes);
  }
  const bool enoughRows = leftBlockSize(shape, blocks, machine) / wholeDepth >= repaidRows;
  if (wholeDepth * depthBytes <= machine.l1Bytes || (enoughRows && staysInL3(shape, machine)))
    return wholeDepth;
  // Else half of L1 holds a panel while all rows of a span pass it.
  return machine.l1Bytes / 2 / depthBytes;
}

void chooseGrains(ContractionBlocks &blocks, const ContractionShape &shape, int64_t mostRows,
                  const TargetCosts &costs, const BlockChoice &choice) {
  double operandBytes =
      double(shape.elementBytes) * shape.batch * shape.depth * (shape.rows + shape.columns);
  const double grainFlops = costs.contractionsPerNanosecond * costs.grainNanoseconds,
               grainBytes = costs.cachedBytesPerNanosecond * costs.grainNanoseconds;
  double wanted = std::clamp(std::max(shape.flops() / grainFlops, operandBytes / grainBytes), 1.0,
                             double(mostGrains));
  int64_t perBatch = std::max<int64_t>(1, int64_t(wanted / shape.batch));
  int64_t quantum = blocks.dotProducts ? Code::lanes : blocks.tile.columns();
  const int64_t mostColumns = divideCeil(shape.columns, quantum);
  const int64_t rowTiles = divideCeil(shape.rows, blocks.tile.rows);
  // Square units pack least. Rows are not cut below what repays the packing of columns, unless
  // columns alone do not feed a handful of threads.
  int64_t square = int64_t(std::sqrt(double(perBatch) * shape.rows / shape.columns));
  blocks.rowBlocks = std::clamp<int64_t>(square, 1, std::max<int64_t>(1, shape.rows / repaidRows));
  const int64_t few = std::min<int64_t>(perBatch, 8);
  if (blocks.rowBlocks * mostColumns < few)
    blocks.rowBlocks = std::min<int64_t>(divideCeil(few, mostColumns), rowTiles);
  blocks.rowBlocks = std::max<int64_t>(blocks.rowBlocks, divideCeil(shape.rows, mostRows));
  blocks.blockRows = roundedDiv(shape.rows, blocks.rowBlocks, blocks.tile.rows);
  if (choice.rows)
    blocks.blockRows = alignTo(std::min(*choice.rows, shape.rows), blocks.tile.rows);
  blocks.rowBlocks = divideCeil(shape.rows, blocks.blockRows);
  blocks.columnBlocks = std::clamp<int64_t>(perBatch / blocks.rowBlocks, 1, mostColumns);
  blocks.blockColumns = roundedDiv(shape.columns, blocks.columnBlocks, quantum);
  if (choice.columns)
    blocks.blockColumns = alignTo(std::min(*choice.columns, shape.columns), quantum);
  blocks.columnBlocks = divideCeil(shape.columns, blocks.blockColumns);
  int64_t units = shape.batch * blocks.rowBlocks * blocks.columnBlocks;
  blocks.unitsPerGrain = divideCeil(units, int64_t(wanted));
  blocks.grains = divideCeil(units, blocks.unitsPerGrain);
}

} // namespace

Tile chooseTile(int64_t rows, int64_t columns, int64_t elementBytes, const MachineShape &machine,
                int64_t rowsDivide) {
  int64_t perVector = divideCeil(Code::lanes * elementBytes, machine.vectorBytes);
  Tile best;
  double bestScore = 0;
  for (int64_t vectors = 1; vectors <= std::max<int64_t>(1, 16 / perVector); ++vectors)
    for (int64_t tileRows = 1; tileRows <= 16; ++tileRows) {
      if (rowsDivide % tileRows)
        continue;
      // Sums, one row of the right operand, and a factor must fit in registers; a single row of
      // sums takes the right operand from memory.
      int64_t sums = tileRows * vectors * perVector;
      int64_t row = tileRows > 1 ? vectors * perVector : 0;
      if (sums + row + 1 > machine.registers() && (vectors > 1 || tileRows > 1))
        continue;
      int64_t width = vectors * Code::lanes;
      double used =
          double(rows * columns) / double(alignTo(rows, tileRows) * alignTo(columns, width));
      // Many sums hide the latency of the multiply-adds, few loads for each leave room for what
      // misses L1.
      double loads = double(tileRows + vectors * perVector) / double(sums);
      double busy =
          std::sqrt(std::min(1.0, double(sums) / 24)) / (1 + 0.25 * std::max(0.0, loads - 0.46));
      // Wide tiles leave only short panels in L1.
      double score = used * busy * (vectors * perVector > 3 ? 0.97 : 1);
      if (score > bestScore) {
        best = {tileRows, vectors};
        bestScore = score;
      }
    }
  return best;
}

bool ContractionBlocks::complete(const ContractionShape &shape) {
  const int64_t quantum = dotProducts ? Code::lanes : tile.columns();
  const bool fits = tile.rows > 0 && tile.rows <= 16 && tile.vectors > 0 && tile.vectors <= 16 &&
                    (!dotProducts || (shape.depthLast && Code::lanes % tile.rows == 0)) &&
                    (packLhs || shape.lhsInPlace || dotProducts) &&
                    (packRhs || shape.rhsInPlace || dotProducts) && !(packRhs && shape.rhsPacked) &&
                    (!packAhead || (packRhs && shape.rhsInMemory && !dotProducts)) && depth > 0 &&
                    depth % (oneDepthBlock(shape) ? depthAlignment() : depthStep(shape)) == 0 &&
                    stackDepth > 0 && stackDepth % depth == 0 && blockRows > 0 &&
                    blockRows % tile.rows == 0 && blockColumns > 0 && blockColumns % quantum == 0 &&
                    passColumns > 0 && passColumns % tile.columns() == 0 && spanRowBlocks > 0 &&
                    unitsPerGrain > 0;
  if (!fits)
    return false;
  rowBlocks = divideCeil(shape.rows, blockRows);
  columnBlocks = divideCeil(shape.columns, blockColumns);
  grains = divideCeil(shape.batch * rowBlocks * columnBlocks, unitsPerGrain);
  planShadow(shape);
  return true;
}

/// Lines are spread evenly over the tiles, but at least as densely as the result's own.
void ContractionBlocks::planShadow(const ContractionShape &shape) {
  const int64_t deep = std::max<int64_t>(1, std::min(depth, shape.depth));
  const int64_t tiles = divideCeil(std::min(spanRows(), shape.rows), tile.rows);
  const int64_t lines =
      foreseesPanels(shape) ? divideCeil(deep * tile.vectors, std::max<int64_t>(1, tiles)) : 0;
  shadowEvery = std::clamp<int64_t>(deep / std::max(lines, tile.rows * tile.vectors), 4, 16);
  shadowLines = std::max<int64_t>(1, divideCeil(lines * shadowEvery, deep));
}

ContractionScratch::ContractionScratch(const ContractionShape &shape,
                                       const ContractionBlocks &blocks, bool keepRows) {
  int64_t tiles = 1;
  const int64_t rowTiles = divideCeil(blocks.spanRows(), blocks.tile.rows);
  if (blocks.dotProducts) {
    if (blocks.packLhs)
      leftPanels = Panels::rows(blocks.tile.rows, shape.depth).size(rowTiles);
    if (blocks.packRhs)
      rightPanels = Panels::rows(Code::lanes, shape.depth).size(1);
  } else {
    if (blocks.packLhs)
      leftPanels = Panels::left(blocks.tile.rows, blocks.stackDepth, keepRows).size(rowTiles);
    if (blocks.packRhs)
      rightPanels =
          Panels::interleaved(blocks.tile.columns(), blocks.depth).size(blocks.packAhead ? 2 : 1);
    if (!blocks.oneDepthBlock(shape))
      tiles = rowTiles;
    if (!blocks.oneStack(shape))
      tiles *= divideCeil(blocks.passColumns, blocks.tile.columns());
  }
  sums = tiles * blocks.tile.size();
  if (shape.isTurned)
    turned = blocks.tile.columns() * Code::lanes;
}

BlockChoice ContractionBlocks::taken() const {
  if (dotProducts)
    return {};
  return {.tileRows = tile.rows,
          .tileColumns = tile.columns(),
          .depth = depth,
          .rows = blockRows,
          .columns = blockColumns,
          .packLhs = packLhs,
          .packRhs = packRhs};
}

ContractionBlocks chooseBlocks(const ContractionShape &shape, const MachineShape &machine,
                               const TargetCosts &costs, const BlockChoice &given) {
  ContractionBlocks blocks;
  blocks.dotProducts = shape.depthLast && (shape.rows <= fewRows || shape.columns <= fewColumns);
  const BlockChoice choice = blocks.dotProducts ? BlockChoice() : given;
  blocks.tile = blocks.dotProducts
                    ? dotTile(shape)
                    : chooseTile(shape.rows, shape.columns, shape.elementBytes, machine);
  blocks.tile.rows = choice.tileRows.value_or(blocks.tile.rows);
  if (choice.tileColumns)
    blocks.tile.vectors = divideCeil(*choice.tileColumns, Code::lanes);
  // Packing is repaid by reuse: the left operand's by columns, the right one's by rows.
  blocks.packLhs = !shape.lhsInPlace || (shape.columns > 2 * blocks.tile.columns() &&
                                         (!rowsKeepApart(shape, blocks.tile, machine) ||
                                          (!shape.rhsInPlace && !shape.rhsRunsAlongDepth)));
  blocks.packRhs = !shape.rhsInPlace ||
                   (shape.rows > 8 * blocks.tile.rows && shape.columns > 2 * blocks.tile.columns());
  if (blocks.dotProducts) { // all of the other operand passes each of a few rows or columns
    blocks.packLhs = shape.rows <= fewRows && !shape.lhsRunsAlongDepth;
    blocks.packRhs = shape.columns <= fewColumns && !shape.rhsRunsAlongDepth;
  }
  if (shape.lhsInPlace)
    blocks.packLhs = choice.packLhs.value_or(blocks.packLhs);
  if (shape.rhsInPlace)
    blocks.packRhs = choice.packRhs.value_or(blocks.packRhs);
  if (shape.rhsPacked)
    blocks.packRhs = false;
  if (shape.rows == 1)
    blocks.prefetchDepths = sweptDepths / 2;
  blocks.packAhead = !blocks.dotProducts && blocks.packRhs && shape.rhsInMemory;
  if (blocks.packAhead)
    blocks.prefetchDepths = std::clamp<int64_t>(machine.l1Ways - 4, 4, 8);
  const int64_t panelDepth = choice.depth.value_or(deepestPanel(shape, blocks, machine));
  const int64_t step = blocks.depthStep(shape);
  int64_t deepest = std::max(step, panelDepth / step * step);
  int64_t depthBlocks = std::max<int64_t>(1, divideCeil(shape.depth, deepest));
  blocks.depth = roundedDiv(std::max<int64_t>(shape.depth, 1), depthBlocks,
                            depthBlocks == 1 ? blocks.depthAlignment() : step);
  // A square block of the left operand is best: the deeper it is, the less often unfinished sums
  // come and go; the more rows it has, the more often a packed panel is read.
  const int64_t blockSize = leftBlockSize(shape, blocks, machine);
  const int64_t square = std::max<int64_t>(1, int64_t(std::sqrt(double(blockSize))) / blocks.depth);
  const int64_t stackBlocks = std::min(square, depthBlocks);
  const int64_t mostRows = std::max(blockSize / (blocks.depth * stackBlocks), blocks.tile.rows);
  chooseGrains(blocks, shape, mostRows, costs, choice);
  blocks.spanRowBlocks = std::clamp<int64_t>(mostRows / blocks.blockRows, 1, blocks.rowBlocks);
  int64_t stacked = blocks.readsPanels(shape)
                        ? blockSize / (blocks.depth * std::min(blocks.spanRows(), shape.rows))
                        : 1;
  stacked = std::clamp<int64_t>(stacked, 1, depthBlocks);
  blocks.stackDepth = blocks.depth * divideCeil(depthBlocks, divideCeil(depthBlocks, stacked));
  // Where there are several stacks, unfinished sums of all columns stay in L3.
  int64_t mostColumns = shape.columns;
  if (blocks.stackDepth < shape.depth)
    mostColumns = std::max(l3Share(machine) / (blocks.spanRows() * shape.elementBytes),
                           blocks.tile.columns());
  blocks.passColumns =
      roundedDiv(shape.columns, divideCeil(shape.columns, mostColumns), blocks.tile.columns());
  return blocks;
}

} // namespace ingot
