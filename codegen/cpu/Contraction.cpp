/// Contraction kernels: packed panels, a micro-kernel on tiles of sums, and the epilogue on the
/// finished tile while it is in L1.
#include "codegen/cpu/ContractionBlocks.h"
#include "codegen/cpu/ContractionEpilogue.h"
#include "codegen/cpu/ContractionForm.h"
#include "codegen/cpu/Emitters.h"
#include "codegen/cpu/RightPanels.h"
#include "codegen/cpu/Runs.h"
#include "codegen/kernel/PointAccess.h"
#include "ir/dialect/Graph.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ingot {
namespace {

constexpr int64_t lanes = Code::lanes;

class ContractionEmitter {
public:
  ContractionEmitter(KernelBuilder &kernel, graph::ContractOp contract,
                     const ContractionBlocks &blocks)
      : kernel(kernel), contract(contract), code{kernel.builder, kernel.location()}, form(contract),
        left(form.left), right(form.right), shape(form.shape), blocks(blocks),
        sumType(form.sumType) {}

  LogicalResult emit();

private:
  MatrixSource source(const ContractionOperand &operand, Value batch);
  Value valueAt(const ContractionOperand &operand, Value batch, const PointIndex &row,
                const PointIndex &k, int64_t count, Value mask);
  void allocate();

  void emitUnits();
  Value emitUnit(Value unit, Value end);
  void emitSpan(Value column, Value columnEnd);
  void emitPass(Value column, Value columnEnd);
  void emitStack(const ColumnCut &cut, Value k);
  void emitColumns(const ColumnCut &cut, Value panel, Value stack);
  void emitPanel(const ColumnCut &cut, const PanelPlace &place);
  void emitTile(const ColumnCut &cut, const PanelPlace &place, Value row, Value depth,
                const RightPanels::Ahead *ahead, const PackedPanels::Ahead *next);
  /// Where the last step of a shadow ends, and its number.
  struct ShadowMark {
    Operation *place = nullptr;
    Value step;
  };
  Shadow shadowOf(const PanelPlace &place, Value row, Value nextSums,
                  const RightPanels::Ahead *ahead, const PackedPanels::Ahead *next,
                  ShadowMark &mark);
  void prefetchNextRows(const PanelPlace &place, Value row, Value number);
  void emitFinished(ValueRange products, const TilePlace &at, Value isLast);
  void turnAround(ValueRange products);
  struct DotRows;
  DotRows dotRows(const MatrixSource &source, const Panels *packed, Value first, Value firstPacked,
                  int64_t count);
  void emitDotProducts(Value column, Value columnEnd);
  TileLhs tileLhs(const PanelPlace &place, Value row);
  TileRhs tileRhs(Value column, Value k);
  RightPanels rightPanelsOf(const ColumnCut &cut) {
    return {code, shape, blocks, rightSource, rightPanels, cut};
  }
  /// Of a right operand that lies in panels.
  PackedPanels packedPanels() {
    return {code, right.packed.getLayout().layout(), right.buffer, batch, blocks.tile.columns()};
  }

  bool oneDepthBlock() const { return blocks.oneDepthBlock(shape); }
  bool oneStack() const { return blocks.oneStack(shape); }

  KernelBuilder &kernel;
  graph::ContractOp contract;
  Code code;
  ContractionForm form;
  ContractionOperand &left, &right;
  const ContractionShape &shape;
  const ContractionBlocks blocks;
  const Type sumType;
  Panels leftPanels, rightPanels;
  Value sums;   ///< tiles of unfinished sums, or one tile
  Value turned; ///< a finished tile, turned around
  std::optional<ContractionEpilogue> epilogue;

  // Of the block that is being emitted:
  Tile tile; ///< `blocks.tile`, or with fewer vectors at the edge
  Value batch, rowBegin, rowCount;
  MatrixSource leftSource, rightSource;
  bool broken = false;
};

void ContractionEmitter::allocate() {
  for (ContractionOperand *operand : {&left, &right})
    if (std::optional<unsigned> memory = operand->memory())
      operand->buffer = code.flat(kernel.operandMemory(*memory));
  const ContractionScratch needed(shape, blocks, form.keepRows);
  auto scratch = [&](int64_t count) -> Value {
    if (!count)
      return {};
    int64_t size = llvm::alignTo(count * shape.elementBytes, 64);
    Value memory = kernel.workspace(MemRefType::get({size}, code.builder.getI8Type()));
    return code.view(memory, 0, count, sumType);
  };
  leftPanels = blocks.dotProducts
                   ? Panels::rows(blocks.tile.rows, shape.depth)
                   : Panels::left(blocks.tile.rows, blocks.stackDepth, form.keepRows);
  leftPanels.buffer = scratch(needed.leftPanels);
  rightPanels = blocks.dotProducts ? Panels::rows(lanes, shape.depth)
                                   : Panels::interleaved(blocks.tile.columns(), blocks.depth);
  rightPanels.buffer = scratch(needed.rightPanels);
  sums = scratch(needed.sums);
  turned = scratch(needed.turned);
}

MatrixSource ContractionEmitter::source(const ContractionOperand &operand, Value batch) {
  MatrixSource source;
  source.rows = product(operand.sizes(operand.freeDims));
  source.depth = shape.depth;
  source.rowStride = operand.freeStride();
  source.depthStride = operand.depthStride();
  source.element = [this, &operand, batch, rows = source.rows](Value row, Value k) {
    return valueAt(operand, batch, PointIndex::uniform(row, rows),
                   PointIndex::uniform(k, shape.depth), 1, {});
  };
  // Blocks of the depth start at whole vectors; so do panels of whole vectors.
  const bool wholeVectors =
      (&operand == &left ? blocks.tile.rows : blocks.tile.columns()) % lanes == 0;
  source.depthGroup = shape.depthGroup;
  source.vector = [this, &operand, batch, rows = source.rows, wholeVectors](
                      Value start, const PointIndex &other, MatrixSource::Along along, Value mask) {
    const bool depthWise = along == MatrixSource::Along::Depth;
    auto at = [&](const PointIndex &vector, Value lanesThere) {
      return depthWise ? valueAt(operand, batch, other, vector, lanes, lanesThere)
                       : valueAt(operand, batch, vector, other, lanes, lanesThere);
    };
    const int64_t extent = depthWise ? shape.depth : rows;
    if (operand.line && depthWise == operand.alongDepth)
      return emitAlongLines(code, {extent, operand.line}, start, mask, at);
    return at(PointIndex::consecutive(start, extent, depthWise || wholeVectors), mask);
  };
  source.prefetch = [this, &operand, batch, rows = source.rows](Value start,
                                                                const PointIndex &other) {
    PointEmitter points = kernel.pointsAhead();
    operand.at(points, PointIndex::uniform(batch, shape.batch),
               operand.line ? runInLine(code, {rows, operand.line}, start)
                            : PointIndex::consecutive(start, rows, /*aligned=*/false),
               other);
  };
  if (!operand.view)
    return source;
  source.buffer = operand.buffer;
  Value start = code.add(operand.batch.offset(code, batch), operand.view->offset);
  source.rowOffset = [this, &operand, start](Value row) {
    return code.add(start, operand.free.offset(code, row));
  };
  source.depthOffset = [this, &operand](Value k) { return operand.contract.offset(code, k); };
  return source;
}

/// Elements of an operand as the kernel's body says: a prologue, or memory that no single stride
/// describes.
Value ContractionEmitter::valueAt(const ContractionOperand &operand, Value batch,
                                  const PointIndex &row, const PointIndex &k, int64_t count,
                                  Value mask) {
  PointEmitter points = kernel.points(count);
  Value value = operand.at(points, PointIndex::uniform(batch, shape.batch), row, k, mask);
  broken |= !points.ok();
  if (!value)
    value = code.zero(sumType);
  return count == 1 ? value : points.vectorised(value);
}

LogicalResult ContractionEmitter::emit() {
  allocate();
  epilogue.emplace(kernel, contract, shape, blocks.tile, shape.isTurned ? turned : sums);
  emitUnits();
  return failure(broken || !epilogue->ok());
}

//===--------------------------------------------------------------------------------------------===//
// Loops around the tile
//===--------------------------------------------------------------------------------------------===//

/// Walks the units of the grains in spans: some columns of one block of rows, or all columns of
/// several, so that neighbouring blocks share what is packed.
void ContractionEmitter::emitUnits() {
  const int64_t units = shape.batch * blocks.rowBlocks * blocks.columnBlocks;
  if (units == 1) { // a loop would seem to store the same points again
    emitUnit(code.index(0), code.index(1));
    return;
  }
  Value first = code.mul(kernel.lo(), blocks.unitsPerGrain);
  Value end = code.min(code.mul(kernel.hi(), blocks.unitsPerGrain), code.index(units));
  code.whileBelow(first, end, [&](Value unit) { return emitUnit(unit, end); });
}

/// Computes a unit, and those behind it that are computed with it; returns the next one.
Value ContractionEmitter::emitUnit(Value unit, Value end) {
  Value rowBlock = code.div(unit, blocks.columnBlocks);
  Value columnBlock = code.remainder(unit, blocks.columnBlocks);
  Value remaining = code.sub(end, unit);
  // The one block of all columns is whole: a loop over part of it would seem to store the point of
  // a single column again.
  Value columnSpan =
      blocks.columnBlocks == 1
          ? code.index(1)
          : code.min(remaining, code.sub(code.index(blocks.columnBlocks), columnBlock));
  batch = code.div(rowBlock, blocks.rowBlocks);
  Value rowBlockInBatch = code.remainder(rowBlock, blocks.rowBlocks);
  Value rowSpan = code.index(1);
  if (blocks.spanRowBlocks > 1) {
    Value most = code.min(code.div(remaining, blocks.columnBlocks),
                          code.sub(code.index(blocks.rowBlocks), rowBlockInBatch));
    most = code.max(code.min(most, code.index(blocks.spanRowBlocks)), rowSpan);
    Value whole = code.create<arith::CmpIOp>(arith::CmpIPredicate::eq, columnBlock, code.index(0));
    rowSpan = code.create<arith::SelectOp>(whole, most, rowSpan);
  }
  rowBegin = code.mul(rowBlockInBatch, blocks.blockRows);
  rowCount =
      code.min(code.mul(rowSpan, blocks.blockRows), code.sub(code.index(shape.rows), rowBegin));
  leftSource = source(left, batch);
  rightSource = source(right, batch);
  Value column = code.mul(columnBlock, blocks.blockColumns);
  Value columnEnd = code.min(code.add(column, code.mul(columnSpan, blocks.blockColumns)),
                             code.index(shape.columns));
  if (blocks.dotProducts)
    emitDotProducts(column, columnEnd);
  else
    emitSpan(column, columnEnd);
  // Several blocks of rows are spanned only with all of their columns.
  Value more = code.mul(code.sub(rowSpan, code.index(1)), blocks.columnBlocks);
  return code.add(unit, code.add(more, columnSpan));
}

void ContractionEmitter::emitSpan(Value column, Value columnEnd) {
  if (blocks.packLhs && oneStack())
    emitPack(code, leftSource, leftPanels, rowBegin, rowCount, code.index(0),
             code.index(shape.depth));
  if (oneStack())
    return emitPass(column, columnEnd);
  code.loop(column, columnEnd, blocks.passColumns, [&](Value pass) {
    emitPass(pass, code.min(code.add(pass, blocks.passColumns), columnEnd));
  });
}

/// The columns whose unfinished sums are kept at once.
void ContractionEmitter::emitPass(Value column, Value columnEnd) {
  const int64_t narrow = ColumnCut::chooseNarrow(shape.columns, blocks.tile);
  const ColumnCut cut(code, blocks.tile, narrow, column, code.sub(columnEnd, column));
  Value zero = code.index(0);
  if (blocks.packAhead)
    rightPanelsOf(cut).pack({zero, zero, zero});
  if (oneStack())
    return emitStack(cut, zero);
  code.loop(zero, code.index(shape.depth), blocks.stackDepth, [&](Value k) { emitStack(cut, k); });
}

/// Depth blocks one behind the other for each panel of columns, so that its sums stay in the second
/// cache beside the left operand's block.
void ContractionEmitter::emitStack(const ColumnCut &cut, Value k) {
  Value end = code.min(code.add(k, blocks.stackDepth), code.index(shape.depth));
  if (blocks.packLhs && !oneStack())
    emitPack(code, leftSource, leftPanels, rowBegin, rowCount, k, code.sub(end, k));
  code.loop(code.index(0), cut.count, 1, [&](Value panel) {
    tile = blocks.tile;
    if (!cut.narrowCount)
      return emitColumns(cut, panel, k);
    auto emit = [&](int64_t vectors) {
      return [&, vectors](OpBuilder &, Location) {
        tile.vectors = vectors;
        emitColumns(cut, panel, k);
        code.create<scf::YieldOp>();
      };
    };
    Value isWide = code.isBelow(panel, code.sub(cut.count, cut.narrowCount));
    code.create<scf::IfOp>(isWide, emit(tile.vectors), emit(cut.narrowVectors));
  });
}

/// The stack's depth blocks of one panel of columns.
void ContractionEmitter::emitColumns(const ColumnCut &cut, Value panel, Value stack) {
  if (oneDepthBlock())
    return emitPanel(cut, {panel, stack, stack});
  Value end = code.min(code.add(stack, blocks.stackDepth), code.index(shape.depth));
  code.loop(stack, end, blocks.depth, [&](Value k) { emitPanel(cut, {panel, stack, k}); });
}

/// One depth block of a panel of columns, times all rows of the span.
void ContractionEmitter::emitPanel(const ColumnCut &cut, const PanelPlace &place) {
  Value depth = code.min(code.index(blocks.depth), code.sub(code.index(shape.depth), place.k));
  Value tiles = code.ceilDiv(rowCount, blocks.tile.rows);
  const RightPanels panels = rightPanelsOf(cut);
  std::optional<RightPanels::Ahead> ahead;
  if (blocks.packAhead)
    ahead.emplace(panels, place, tiles);
  else if (blocks.packRhs)
    panels.pack(place);
  std::optional<PackedPanels::Ahead> next;
  if (shape.rhsPacked)
    next.emplace(packedPanels(), panels, place, tiles);
  code.loop(code.index(0), rowCount, blocks.tile.rows, [&](Value row) {
    emitTile(cut, place, row, depth, ahead ? &*ahead : nullptr, next ? &*next : nullptr);
    if (ahead)
      ahead->finishTile(code.div(row, blocks.tile.rows));
  });
  if (ahead)
    ahead->finish();
}

//===--------------------------------------------------------------------------------------------===//
// The tile
//===--------------------------------------------------------------------------------------------===//

TileLhs ContractionEmitter::tileLhs(const PanelPlace &place, Value row) {
  TileLhs lhs;
  if (blocks.packLhs) {
    lhs.buffer = leftPanels.buffer;
    lhs.depthStride = leftPanels.depthStride;
    Value panel = code.add(code.mul(code.div(row, blocks.tile.rows), leftPanels.stride),
                           code.mul(code.sub(place.k, place.stack), leftPanels.depthStride));
    for (int64_t r = 0; r < blocks.tile.rows; ++r)
      lhs.rows.push_back(code.add(panel, r * leftPanels.rowStride));
    return lhs;
  }
  lhs.buffer = left.buffer;
  lhs.depthStride = *left.contract.stride();
  Value start = code.mul(place.k, lhs.depthStride);
  for (int64_t r = 0; r < blocks.tile.rows; ++r) {
    // Rows beyond the matrix repeat the last one.
    Value current = code.min(code.add(code.add(rowBegin, row), r), code.index(shape.rows - 1));
    lhs.rows.push_back(code.add(leftSource.rowOffset(current), start));
  }
  return lhs;
}

/// The right operand where it lies.
TileRhs ContractionEmitter::tileRhs(Value column, Value k) {
  TileRhs rhs;
  rhs.buffer = right.buffer;
  rhs.depthStride = *right.contract.stride();
  rhs.base = code.add(rightSource.rowOffset(column), code.mul(k, rhs.depthStride));
  if (blocks.prefetchDepths) {
    rhs.prefetchAhead = blocks.prefetchDepths * rhs.depthStride;
    rhs.prefetchLevel = 1;
  } else if (shape.columns > blocks.tile.columns()) {
    rhs.prefetchAhead = blocks.tile.columns();
  }
  if (shape.columns % blocks.tile.columns())
    for (int64_t v = 0; v < tile.vectors; ++v)
      rhs.masks.push_back(code.maskBelow(code.sub(code.index(shape.columns - v * lanes), column)));
  return rhs;
}

/// What a tile's shadow does: its share of the next panel, and prefetches of what is far away.
Shadow ContractionEmitter::shadowOf(const PanelPlace &place, Value row, Value nextSums,
                                    const RightPanels::Ahead *ahead,
                                    const PackedPanels::Ahead *next, ShadowMark &mark) {
  Value tileNumber = code.div(row, blocks.tile.rows);
  return {blocks.shadowEvery, [=, this, &mark](Value number) {
            if (ahead)
              ahead->step(tileNumber, number);
            if (next)
              next->step(tileNumber, number);
            if (!blocks.packLhs)
              prefetchNextRows(place, row, number);
            if (nextSums)
              code.prefetch(sums, code.add(nextSums, code.mul(number, 64 / shape.elementBytes)));
            mark = {code.index(0).getDefiningOp(), number};
          }};
}

/// Prefetches the line `number` of the next tile's part of the left operand, row after row: the
/// hardware foresees the rest of a row once it has begun.
void ContractionEmitter::prefetchNextRows(const PanelPlace &place, Value row, Value number) {
  if (leftSource.depthStride != 1)
    return;
  const int64_t rows = blocks.tile.rows, line = 64 / shape.elementBytes;
  Value next = code.add(code.add(code.add(rowBegin, row), rows), code.remainder(number, rows));
  next = code.min(next, code.index(shape.rows - 1));
  Value k = code.add(place.k, code.mul(code.div(number, rows), line));
  code.prefetch(left.buffer, code.add(leftSource.rowOffset(next), leftSource.depthOffset(k)));
}

/// The tile's products of one depth block.
void ContractionEmitter::emitTile(const ColumnCut &cut, const PanelPlace &place, Value row,
                                  Value depth, const RightPanels::Ahead *ahead,
                                  const PackedPanels::Ahead *next) {
  // Narrower tiles leave out vectors, but their sums lie as those of whole ones.
  const Tile whole = blocks.tile;
  TilePlace at{code.index(0),
               tile.vectors,
               batch,
               code.add(rowBegin, row),
               cut.start(code, place.panel),
               code.add(rowBegin, rowCount)};
  SmallVector<Value> initial;
  Value isLast, nextSums;
  if (oneDepthBlock()) {
    initial = zeroTile(code, tile, sumType);
  } else {
    Value number = code.div(row, whole.rows);
    if (!oneStack())
      number =
          code.add(number, code.mul(place.panel, llvm::divideCeil(blocks.spanRows(), whole.rows)));
    at.start = code.mul(number, whole.size());
    nextSums = code.add(at.start, whole.size());
    auto either = code.create<scf::IfOp>(
        code.isEqual(place.k, code.index(0)),
        [&](OpBuilder &, Location) { code.create<scf::YieldOp>(zeroTile(code, tile, sumType)); },
        [&](OpBuilder &, Location) {
          code.create<scf::YieldOp>(loadTile(code, tile, sums, at.start, whole.columns()));
        });
    llvm::append_range(initial, either.getResults());
    isLast = code.isEqual(code.add(place.k, depth), code.index(shape.depth));
  }

  ShadowMark mark;
  Shadow shadow;
  if (blocks.readsPanels(shape))
    shadow = shadowOf(place, row, nextSums, ahead, next, mark);
  else
    mark.place = code.index(0).getDefiningOp();
  TileRhs rhs = blocks.packRhs    ? rightPanelsOf(cut).rhs(place)
                : shape.rhsPacked ? packedPanels().rhs(tile, at.column, place.k)
                                  : tileRhs(at.column, place.k);
  SmallVector<Value> products =
      emitMicroKernel(code, tile, tileLhs(place, row), rhs, depth, initial, shadow);
  emitFinished(products, at, isLast);
  const int64_t depths = std::clamp<int64_t>(shape.depth, 1, blocks.depth);
  const int64_t steps = llvm::divideCeil(depths, blocks.shadowEvery);
  epilogue->prefetch(mark.place, isLast, mark.step, steps, at);
}

/// Sums of the whole depth become results, others are kept for the next depth block.
void ContractionEmitter::emitFinished(ValueRange products, const TilePlace &at, Value isLast) {
  auto keep = [&] { storeTile(code, tile, products, sums, at.start, blocks.tile.columns()); };
  const bool inRegisters =
      shape.isTurned || (epilogue->storesSums() && shape.rows % blocks.tile.rows == 0);
  auto finish = [&] {
    if (shape.isTurned) {
      turnAround(products);
      epilogue->emitTurned(at);
    } else {
      inRegisters ? epilogue->store(products, at) : epilogue->emit(at);
    }
  };
  if (!inRegisters)
    keep();
  if (!isLast)
    return finish();
  if (!inRegisters)
    return code.when(isLast, finish);
  auto branch = [&](auto emit) {
    return [&code = code, emit](OpBuilder &, Location) {
      emit();
      code.create<scf::YieldOp>();
    };
  };
  code.create<scf::IfOp>(isLast, branch(finish), branch(keep));
}

/// Leaves the tile's columns as vectors, one for each lane of its vectors.
void ContractionEmitter::turnAround(ValueRange products) {
  for (int64_t v = 0; v < tile.vectors; ++v) {
    SmallVector<Value> rows;
    for (int64_t r = 0; r < tile.rows; ++r)
      rows.push_back(products[r * tile.vectors + v]);
    rows.resize(lanes, code.zero(lanesOf(sumType)));
    for (auto [lane, column] : llvm::enumerate(transpose16(code, rows)))
      code.storeVector(column, turned, code.index((v * lanes + int64_t(lane)) * lanes));
  }
}

//===--------------------------------------------------------------------------------------------===//
// Dot products
//===--------------------------------------------------------------------------------------------===//

/// The rows of an operand that some dot products read: packed, in memory, or computed.
struct ContractionEmitter::DotRows {
  Value buffer;
  SmallVector<Value> rows; ///< where each starts in the buffer; its number if there is none
};

ContractionEmitter::DotRows ContractionEmitter::dotRows(const MatrixSource &source,
                                                        const Panels *packed, Value first,
                                                        Value firstPacked, int64_t count) {
  DotRows rows;
  if (packed) {
    rows.buffer = packed->buffer;
    Value panel = code.mul(code.div(firstPacked, packed->width), packed->stride);
    Value within = code.mul(code.remainder(firstPacked, packed->width), packed->rowStride);
    for (int64_t i = 0; i < count; ++i)
      rows.rows.push_back(code.add(code.add(panel, within), i * packed->rowStride));
    return rows;
  }
  const bool inMemory = source.buffer && source.depthStride == 1;
  rows.buffer = inMemory ? source.buffer : Value();
  for (int64_t i = 0; i < count; ++i) {
    Value row = code.min(code.add(first, i), code.index(source.rows - 1));
    rows.rows.push_back(inMemory ? source.rowOffset(row) : row);
  }
  return rows;
}

/// Sixteen sums at a time, each in all lanes of a vector; a transposition adds the lanes up.
void ContractionEmitter::emitDotProducts(Value column, Value columnEnd) {
  const int64_t tileRows = blocks.tile.rows, tileColumns = lanes / tileRows;
  Value zero = code.index(0), depth = code.index(shape.depth);
  if (blocks.packLhs)
    emitPack(code, leftSource, leftPanels, rowBegin, rowCount, zero, depth);
  if (blocks.packRhs)
    emitPack(code, rightSource, rightPanels, column, code.sub(columnEnd, column), zero, depth);
  auto vectors = [&](const MatrixSource &source, const DotRows &rows, Value k, Value mask) {
    return llvm::map_to_vector(rows.rows, [&](Value row) {
      if (rows.buffer)
        return code.convert(code.loadVector(rows.buffer, code.add(row, k), mask), sumType);
      Value vector = code.convert(
          source.vector(k, PointIndex::uniform(row, source.rows), MatrixSource::Along::Depth, mask),
          sumType);
      if (!mask) // else what is computed outside is added up too
        return vector;
      return code.create<arith::SelectOp>(mask, vector, code.zero(lanesOf(sumType))).getResult();
    });
  };
  code.loop(column, columnEnd, lanes, [&](Value columns) {
    code.loop(zero, rowCount, tileRows, [&](Value row) {
      Value absoluteRow = code.add(rowBegin, row);
      DotRows leftRows =
          dotRows(leftSource, blocks.packLhs ? &leftPanels : nullptr, absoluteRow, row, tileRows);
      code.loop(zero, code.index(lanes), tileColumns, [&](Value inner) {
        DotRows rightRows = dotRows(rightSource, blocks.packRhs ? &rightPanels : nullptr,
                                    code.add(columns, inner), inner, tileColumns);
        SmallVector<Value> zeros(lanes, code.zero(lanesOf(sumType)));
        SmallVector<Value> products =
            code.loop(zero, depth, lanes, zeros, [&](Value k, ValueRange carried) {
              Value mask = shape.depth % lanes ? code.maskBelow(code.sub(depth, k)) : Value();
              SmallVector<Value> rightVectors = vectors(rightSource, rightRows, k, mask), results;
              for (auto [r, leftVector] : llvm::enumerate(vectors(leftSource, leftRows, k, mask)))
                for (auto [c, rightVector] : llvm::enumerate(rightVectors))
                  results.push_back(code.create<vector::FMAOp>(leftVector, rightVector,
                                                               carried[r * tileColumns + c]));
              return results;
            });
        SmallVector<Value> parts = transpose16(code, products);
        for (int64_t distance = lanes / 2; distance > 0; distance /= 2)
          for (int64_t i = 0; i < distance; ++i)
            parts[i] = code.create<arith::AddFOp>(parts[i], parts[i + distance]);
        for (int64_t r = 0; r < tileRows; ++r) {
          Value part = code.create<vector::ExtractStridedSliceOp>(
              parts[0], ArrayRef<int64_t>{r * tileColumns}, ArrayRef<int64_t>{tileColumns},
              ArrayRef<int64_t>{1});
          code.storeVector(part, sums, code.add(inner, r * lanes));
        }
      });
      epilogue->emit({zero, 1, batch, absoluteRow, columns, code.add(rowBegin, rowCount)});
    });
  });
}

} // namespace

LogicalResult emitContraction(KernelBuilder &kernel) {
  graph::ContractOp contract = contractionOf(kernel.kernel);
  ContractionBlocks blocks;
  if (!contract || failed(readSizes(kernel.kernel, kernel.launch, blocks)))
    return failure();
  if (contract.getType().getNumElements() == 0)
    return success();
  if (!blocks.complete(ContractionForm(contract).shape) ||
      blocks.grains != kernel.launch.getGrains())
    return kernel.kernel.emitError("kernel.schedule: these blocks do not make its results");
  return ContractionEmitter(kernel, contract, blocks).emit();
}

} // namespace ingot
