#include "codegen/cpu/RightPanels.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ingot {

namespace {

constexpr int64_t lanes = Code::lanes;

Value select(Code &code, Value condition, Value yes, Value no) {
  return code.create<arith::SelectOp>(condition, yes, no);
}

} // namespace

//===--------------------------------------------------------------------------------------------===//
// Columns
//===--------------------------------------------------------------------------------------------===//

/// Code for narrower panels is more code, so they must save a percent of the work. Tiles of few
/// vectors share the lack among several panels, since those of one vector run at half the rate.
int64_t ColumnCut::chooseNarrow(int64_t columns, Tile tile) {
  constexpr int64_t fewVectors = 4;
  const int64_t needed = llvm::divideCeil(columns, lanes);
  const int64_t padding = llvm::alignTo(needed, tile.vectors) - needed;
  if (padding * 100 < needed || tile.vectors == 1 || padding == 0)
    return tile.vectors;
  return tile.vectors > fewVectors || needed < tile.vectors ? tile.vectors - padding
                                                            : tile.vectors - 1;
}

ColumnCut::ColumnCut(Code &code, Tile tile, int64_t narrowVectors, Value begin, Value columns)
    : tile(tile), narrowVectors(narrowVectors), begin(begin),
      count(code.ceilDiv(columns, tile.columns())) {
  if (narrowVectors == tile.vectors)
    return;
  Value lacking =
      code.sub(code.mul(count, tile.vectors), code.ceilDiv(columns, lanes)); // vectors of padding
  narrowCount = code.min(code.ceilDiv(lacking, tile.vectors - narrowVectors), count);
}

Value ColumnCut::start(Code &code, Value panel) const {
  Value column = code.add(begin, code.mul(panel, tile.columns()));
  if (!narrowCount)
    return column;
  Value narrower = code.subClamped(panel, code.sub(count, narrowCount));
  return code.sub(column, code.mul(narrower, (tile.vectors - narrowVectors) * lanes));
}

//===--------------------------------------------------------------------------------------------===//
// Places
//===--------------------------------------------------------------------------------------------===//

RightPanels::RightPanels(Code &code, const ContractionShape &shape, const ContractionBlocks &blocks,
                         const MatrixSource &source, const Panels &panels, const ColumnCut &cut)
    : code(code), shape(shape), blocks(blocks), source(source), panels(panels), cut(cut) {}

Value RightPanels::stackEnd(const PanelPlace &place) const {
  return code.min(code.add(place.stack, blocks.stackDepth), code.index(shape.depth));
}

Value RightPanels::depthOf(const PanelPlace &place) const {
  if (blocks.oneDepthBlock(shape))
    return code.index(shape.depth);
  return code.min(code.index(blocks.depth), code.sub(code.index(shape.depth), place.k));
}

/// Deeper in the stack, else the next columns, else the first ones of the next stack.
std::pair<PanelPlace, Value> RightPanels::next(const PanelPlace &place) const {
  Value panel = code.add(place.panel, 1);
  if (blocks.oneDepthBlock(shape))
    return {{panel, place.stack, place.k}, code.isBelow(panel, cut.count)};
  Value k = code.add(place.k, blocks.depth), end = stackEnd(place);
  Value isDeeper = code.isBelow(k, end);
  panel = select(code, isDeeper, place.panel, panel);
  k = select(code, isDeeper, k, place.stack);
  Value inStack = code.isBelow(panel, cut.count);
  if (blocks.oneStack(shape))
    return {{panel, place.stack, k}, inStack};
  PanelPlace next{select(code, inStack, panel, code.index(0)),
                  select(code, inStack, place.stack, end), select(code, inStack, k, end)};
  return {next, code.isBelow(next.stack, shape.depth)};
}

Value RightPanels::isNarrow(const PanelPlace &place) const {
  return code.create<arith::CmpIOp>(arith::CmpIPredicate::sge, place.panel,
                                    code.sub(cut.count, cut.narrowCount));
}

/// Panels that are made ahead alternate between two buffers in the order of their use.
Value RightPanels::baseOf(const PanelPlace &place) const {
  if (!blocks.packAhead)
    return code.index(0);
  Value number = place.panel;
  if (!blocks.oneDepthBlock(shape)) {
    Value inStack = code.ceilDiv(code.sub(stackEnd(place), place.stack), blocks.depth);
    number = code.add(code.mul(place.panel, inStack),
                      code.div(code.sub(place.k, place.stack), blocks.depth));
    const int64_t perStack = llvm::divideCeil(blocks.stackDepth, blocks.depth);
    Value before = code.mul(code.div(place.stack, blocks.stackDepth), cut.count);
    number = code.add(number, code.mul(before, perStack));
  }
  return code.mul(code.remainder(number, 2), panels.stride);
}

Value RightPanels::startOf(const PanelPlace &place) const {
  return code.add(source.rowOffset(cut.start(code, place.panel)), source.depthOffset(place.k));
}

void RightPanels::pack(const PanelPlace &place) const {
  Panels target = panels;
  target.base = baseOf(place);
  emitPack(code, source, target, cut.start(code, place.panel), code.index(panels.width), place.k,
           depthOf(place));
}

TileRhs RightPanels::rhs(const PanelPlace &place) const {
  // L2 delivers the panel as fast as it is used if it is asked early.
  constexpr int64_t depthsAhead = 6;
  TileRhs rhs;
  rhs.buffer = panels.buffer;
  rhs.base = baseOf(place);
  rhs.depthStride = panels.depthStride;
  rhs.prefetchAhead = depthsAhead * panels.depthStride;
  rhs.prefetchLevel = 1;
  return rhs;
}

//===--------------------------------------------------------------------------------------------===//
// The next panel
//===--------------------------------------------------------------------------------------------===//

RightPanels::Ahead::Ahead(const RightPanels &panels, const PanelPlace &place, Value tiles)
    : panels(panels), code(panels.code), tiles(tiles) {
  std::tie(target, exists) = panels.next(place);
  column = panels.cut.start(code, target.panel);
  depth = panels.depthOf(target);
  base = panels.baseOf(target);
  start = panels.startOf(target);
  if (!copiesLines())
    return;
  Value existsAfter;
  std::tie(afterTarget, existsAfter) = panels.next(target);
  startAfter = select(code, existsAfter, panels.startOf(afterTarget), start);
  const ColumnCut &cut = panels.cut;
  lineVectors = code.index(cut.tile.vectors);
  if (cut.narrowCount)
    lineVectors = select(code, panels.isNarrow(target), code.index(cut.narrowVectors), lineVectors);
  lines = select(code, exists, code.mul(depth, lineVectors), code.index(0));
  Value steps = code.ceilDiv(panels.depthOf(place), panels.blocks.shadowEvery);
  linesPerTile = code.mul(steps, panels.blocks.shadowLines);
}

/// Copies one line of the panel, and asks for the one that is `prefetchDepths` deeper.
void RightPanels::Ahead::copyLine(Value line) const {
  const ColumnCut &cut = panels.cut;
  Value row = code.div(line, cut.tile.vectors);
  if (cut.narrowCount)
    row = select(code, panels.isNarrow(target), code.div(line, cut.narrowVectors), row);
  Value within = code.mul(code.sub(line, code.mul(row, lineVectors)), lanes);
  Value mask;
  if (panels.shape.columns % cut.tile.columns())
    mask = code.maskBelow(code.sub(code.index(panels.shape.columns), code.add(column, within)));
  const int64_t depthStride = *panels.source.depthStride;
  Value from = code.add(code.add(start, code.mul(row, depthStride)), within);
  Value copied = code.loadVector(panels.source.buffer, from, mask);
  Value to = code.add(code.add(base, code.mul(row, panels.panels.depthStride)), within);
  code.storeVector(copied, panels.panels.buffer, to);
  Value ahead = code.add(row, panels.blocks.prefetchDepths);
  Value isInPanel = code.isBelow(ahead, depth);
  Value asked = select(code, isInPanel, code.add(start, code.mul(ahead, depthStride)),
                       code.add(startAfter, code.mul(code.subClamped(ahead, depth), depthStride)));
  code.prefetch(panels.source.buffer, code.add(code.add(asked, within), lanes - 1));
}

/// The depths that are packed after a tile, in blocks of `lanes`.
std::pair<Value, Value> RightPanels::Ahead::shareOf(Value tile) const {
  Value blocks = code.ceilDiv(depth, lanes);
  auto at = [&](Value number) -> Value {
    Value share = code.create<arith::DivUIOp>(code.mul(blocks, number), tiles);
    return code.min(code.mul(share, lanes), depth);
  };
  return {at(tile), at(code.add(tile, 1))};
}

/// Asks for one line of what is packed after the tile: of one row each where memory runs along the
/// depth.
void RightPanels::Ahead::prefetchLine(Value tile, Value number) const {
  const MatrixSource &source = panels.source;
  if (source.depthStride != 1)
    return;
  auto [first, end] = shareOf(tile);
  const int64_t width = panels.panels.width, perStep = panels.blocks.shadowLines;
  for (int64_t i = 0; i < perStep; ++i) {
    Value line = code.add(code.mul(number, perStep), i);
    Value at = code.add(first, code.mul(code.div(line, width), lanes));
    Value row = code.add(column, code.remainder(line, width));
    Value place = code.add(source.rowOffset(row), source.depthOffset(code.add(target.k, at)));
    code.when(code.isBelow(at, end), [&] { code.prefetch(source.buffer, place, /*level=*/2); });
  }
}

void RightPanels::Ahead::step(Value tile, Value number) const {
  if (!copiesLines())
    return prefetchLine(tile, number);
  const int64_t perStep = panels.blocks.shadowLines;
  Value first = code.add(code.mul(tile, linesPerTile), code.mul(number, perStep));
  for (int64_t i = 0; i < perStep; ++i) {
    Value line = code.add(first, i);
    code.when(code.isBelow(line, lines), [&] { copyLine(line); });
  }
}

void RightPanels::Ahead::finishTile(Value tile) const {
  if (copiesLines())
    return;
  auto [first, end] = shareOf(tile);
  code.when(exists, [&] {
    Panels share = panels.panels;
    share.base = code.add(base, code.mul(first, share.depthStride));
    emitPack(code, panels.source, share, column, code.index(share.width), code.add(target.k, first),
             code.sub(end, first));
  });
}

void RightPanels::Ahead::finish() const {
  if (copiesLines())
    code.loop(code.mul(tiles, linesPerTile), lines, 1, [&](Value line) { copyLine(line); });
}

//===--------------------------------------------------------------------------------------------===//
// Panels that lie in memory
//===--------------------------------------------------------------------------------------------===//

Value PackedPanels::startOf(Value column, Value k) const {
  Value panel = code.mul(code.div(column, Layout::panelRows), layout.panelStride());
  return code.add(code.mul(matrix, layout.matrixStride()),
                  code.add(panel, code.mul(k, Layout::panelRows)));
}

TileRhs PackedPanels::rhs(Tile tile, Value column, Value k) const {
  constexpr int64_t depthsAhead = 8;
  TileRhs rhs;
  rhs.buffer = buffer;
  rhs.depthStride = Layout::panelRows;
  rhs.prefetchAhead = depthsAhead * rhs.depthStride;
  rhs.prefetchLevel = 1;
  rhs.base = startOf(column, k);
  // Columns beyond the last panel repeat it.
  const bool mayExceed = layout.rows % tileColumns != 0;
  Value left =
      code.sub(code.index(layout.panelsOfMatrix() - 1), code.div(column, Layout::panelRows));
  for (int64_t v = 0; v < tile.vectors; ++v) {
    Value number = mayExceed && v > 0 ? code.min(code.index(v), left) : code.index(v);
    rhs.vectors.push_back(code.mul(number, layout.panelStride()));
  }
  return rhs;
}

PackedPanels::Ahead::Ahead(const PackedPanels &panels, const RightPanels &order,
                           const PanelPlace &place, Value tiles)
    : panels(panels), vectors(order.sizes().tile.vectors), perStep(order.sizes().shadowLines) {
  Code &code = panels.code;
  auto [next, exists] = order.next(place);
  start = panels.startOf(order.columnOf(next), next.k);
  lines = select(code, exists, code.mul(order.depthOf(next), vectors), code.index(0));
  linesPerTile =
      code.create<arith::DivUIOp>(code.add(lines, code.sub(tiles, code.index(1))), tiles);
}

void PackedPanels::Ahead::step(Value tile, Value number) const {
  Code &code = panels.code;
  Value first = code.add(code.mul(tile, linesPerTile), code.mul(number, perStep));
  for (int64_t i = 0; i < perStep; ++i) {
    Value line = code.add(first, i);
    Value at = code.add(code.mul(code.remainder(line, vectors), panels.layout.panelStride()),
                        code.mul(code.div(line, vectors), Layout::panelRows));
    code.when(code.isBelow(line, lines),
              [&] { code.prefetch(panels.buffer, code.add(start, at), /*level=*/2); });
  }
}

} // namespace ingot
