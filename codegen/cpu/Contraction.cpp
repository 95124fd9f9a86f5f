/// Contraction kernels: packed panels, a micro-kernel on tiles of sums, and the epilogue on the
/// finished tile while it is in L1.
#include "codegen/cpu/ContractionBlocks.h"
#include "codegen/cpu/ContractionEpilogue.h"
#include "codegen/cpu/ContractionForm.h"
#include "codegen/cpu/Emitters.h"
#include "codegen/cpu/Packing.h"
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
  void emitStack(Value column, Value columnCount, Value k);
  void emitColumns(Value column, Value columnInPass, Value stack);
  int64_t edgeVectors() const;
  void emitPanel(Value column, Value columnInPass, Value stack, Value k);
  void emitTile(Value column, Value columnInPass, Value row, Value stack, Value k, Value depth);
  struct DotRows;
  DotRows dotRows(const MatrixSource &source, const Panels *packed, Value first, Value firstPacked,
                  int64_t count);
  void emitDotProducts(Value column, Value columnEnd);
  TileLhs tileLhs(Value row, Value stack, Value k);
  void prefetchNextPanel(Value column, Value row, Value stack, Value k);
  TileRhs tileRhs(Value column, Value k);
  SmallVector<Value> addProducts(Value column, Value row, Value stack, Value k, Value depth,
                                 ValueRange initial);

  Value isEqual(Value a, Value b) {
    return code.create<arith::CmpIOp>(arith::CmpIPredicate::eq, a, b);
  }
  void emitEpilogue(Value tileStart, Value row, Value column) {
    epilogue->emit(tileStart, batch, row, code.add(rowBegin, rowCount), column);
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
  Panels leftPanels, rightPanel;
  Value sums; ///< tiles of unfinished sums, or one tile
  std::optional<ContractionEpilogue> epilogue;

  // Of the block that is being emitted:
  Tile tile; ///< `blocks.tile`, or with fewer vectors at the edge
  Value batch, rowBegin, rowCount;
  MatrixSource leftSource, rightSource;
  bool broken = false;
};

void ContractionEmitter::allocate() {
  for (ContractionOperand *operand : {&left, &right})
    if (operand->view)
      operand->buffer = code.flat(kernel.operandMemory(operand->view->memory));
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
  rightPanel = blocks.dotProducts ? Panels::rows(lanes, shape.depth)
                                  : Panels::interleaved(blocks.tile.columns(), blocks.depth);
  rightPanel.buffer = scratch(needed.rightPanel);
  sums = scratch(needed.sums);
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
  source.vector = [this, &operand, batch, rows = source.rows,
                   wholeVectors](Value row, Value k, MatrixSource::Along along, Value mask) {
    const bool depthWise = along == MatrixSource::Along::Depth;
    auto at = [&](const PointIndex &vector, Value lanesThere) {
      return depthWise ? valueAt(operand, batch, PointIndex::uniform(row, rows), vector, lanes,
                                 lanesThere)
                       : valueAt(operand, batch, vector, PointIndex::uniform(k, shape.depth), lanes,
                                 lanesThere);
    };
    Value start = depthWise ? k : row;
    const int64_t extent = depthWise ? shape.depth : rows;
    if (operand.line && depthWise == operand.alongDepth)
      return emitAlongLines(code, {extent, operand.line}, start, mask, at);
    return at(PointIndex::consecutive(start, extent, depthWise || wholeVectors), mask);
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
  epilogue.emplace(kernel, contract, shape, blocks.tile, sums);
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
  Value columnSpan = code.min(remaining, code.sub(code.index(blocks.columnBlocks), columnBlock));
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
    return emitStack(column, code.sub(columnEnd, column), code.index(0));
  code.loop(column, columnEnd, blocks.passColumns, [&](Value pass) {
    Value columnCount = code.min(code.index(blocks.passColumns), code.sub(columnEnd, pass));
    code.loop(code.index(0), code.index(shape.depth), blocks.stackDepth,
              [&](Value k) { emitStack(pass, columnCount, k); });
  });
}

/// Depth blocks one behind the other for each panel of columns, so that its sums stay in the second
/// cache beside the left operand's block.
void ContractionEmitter::emitStack(Value column, Value columnCount, Value k) {
  Value end = code.min(code.add(k, blocks.stackDepth), code.index(shape.depth));
  if (blocks.packLhs && !oneStack())
    emitPack(code, leftSource, leftPanels, rowBegin, rowCount, k, code.sub(end, k));
  code.loop(code.index(0), columnCount, blocks.tile.columns(), [&](Value columnInPass) {
    tile = blocks.tile;
    const int64_t edge = edgeVectors();
    if (edge == tile.vectors)
      return emitColumns(column, columnInPass, k);
    Value rest = code.sub(code.index(shape.columns), code.add(column, columnInPass));
    Value isEdge =
        code.create<arith::CmpIOp>(arith::CmpIPredicate::slt, rest, code.index(tile.columns()));
    auto emit = [&](int64_t vectors) {
      return [&, vectors](OpBuilder &, Location) {
        tile.vectors = vectors;
        emitColumns(column, columnInPass, k);
        code.create<scf::YieldOp>();
      };
    };
    code.create<scf::IfOp>(isEdge, emit(edge), emit(tile.vectors));
  });
}

/// The vectors that the last panel of columns needs, where fewer than a tile's save a percent of
/// the work: code for them is more code.
int64_t ContractionEmitter::edgeVectors() const {
  const int64_t needed = llvm::divideCeil(shape.columns, lanes);
  const int64_t padding = llvm::alignTo(needed, blocks.tile.vectors) - needed;
  return padding * 100 >= needed ? blocks.tile.vectors - padding : blocks.tile.vectors;
}

/// The stack's depth blocks of one panel of columns.
void ContractionEmitter::emitColumns(Value column, Value columnInPass, Value k) {
  if (oneDepthBlock())
    return emitPanel(column, columnInPass, k, k);
  Value end = code.min(code.add(k, blocks.stackDepth), code.index(shape.depth));
  code.loop(k, end, blocks.depth, [&](Value inner) { emitPanel(column, columnInPass, k, inner); });
}

/// One depth block of a panel of columns, times all rows of the span.
void ContractionEmitter::emitPanel(Value column, Value columnInPass, Value stack, Value k) {
  Value depth = code.min(code.index(blocks.depth), code.sub(code.index(shape.depth), k));
  if (blocks.packRhs && !shape.rhsInPlace)
    emitPack(code, rightSource, rightPanel, code.add(column, columnInPass),
             code.index(rightPanel.width), k, depth);
  code.loop(code.index(0), rowCount, blocks.tile.rows, [&](Value row) {
    if (blocks.spreadPrefetch)
      prefetchNextPanel(code.add(column, columnInPass), row, stack, k);
    emitTile(column, columnInPass, row, stack, k, depth);
  });
}

//===--------------------------------------------------------------------------------------------===//
// The tile
//===--------------------------------------------------------------------------------------------===//

TileLhs ContractionEmitter::tileLhs(Value row, Value stack, Value k) {
  TileLhs lhs;
  if (blocks.packLhs) {
    lhs.buffer = leftPanels.buffer;
    lhs.depthStride = leftPanels.depthStride;
    Value panel = code.add(code.mul(code.div(row, blocks.tile.rows), leftPanels.stride),
                           code.mul(code.sub(k, stack), leftPanels.depthStride));
    for (int64_t r = 0; r < blocks.tile.rows; ++r)
      lhs.rows.push_back(code.add(panel, r * leftPanels.rowStride));
    return lhs;
  }
  lhs.buffer = left.buffer;
  lhs.depthStride = *left.contract.stride();
  Value start = code.mul(k, lhs.depthStride);
  for (int64_t r = 0; r < blocks.tile.rows; ++r) {
    // Rows beyond the matrix repeat the last one.
    Value current = code.min(code.add(code.add(rowBegin, row), r), code.index(shape.rows - 1));
    lhs.rows.push_back(code.add(leftSource.rowOffset(current), start));
  }
  return lhs;
}

/// Prefetches one tile's share of what the panel after that of (column, k) is made of: the next
/// depths, or the first ones of the next columns. The first tile would wait for them if it asked
/// for all at once.
void ContractionEmitter::prefetchNextPanel(Value column, Value row, Value stack, Value k) {
  const bool alongColumns = rightSource.rowStride == 1;
  if (!rightSource.buffer || (!alongColumns && rightSource.depthStride != 1))
    return;
  Value nextK = code.add(k, blocks.depth);
  Value stackEnd = code.min(code.add(stack, blocks.stackDepth), code.index(shape.depth));
  Value deeper = code.create<arith::CmpIOp>(arith::CmpIPredicate::slt, nextK, stackEnd);
  column = code.create<arith::SelectOp>(deeper, column, code.add(column, blocks.tile.columns()));
  k = code.create<arith::SelectOp>(deeper, nextK, stack);
  // Runs of lines, each some stride behind the last one.
  const int64_t runs = alongColumns ? blocks.depth : blocks.tile.columns();
  const int64_t runSize = alongColumns ? blocks.tile.columns() : blocks.depth;
  const int64_t line = 64 * 8 / getElementTypeOrSelf(right.tensor).getIntOrFloatBitWidth();
  Value tiles = code.ceilDiv(rowCount, blocks.tile.rows);
  Value share = code.create<arith::CeilDivUIOp>(code.index(runs), tiles);
  Value first = code.mul(share, code.div(row, blocks.tile.rows));
  code.loop(first, code.min(code.add(first, share), code.index(runs)), 1, [&](Value run) {
    Value runRow = alongColumns ? column : code.add(column, run);
    Value runK = alongColumns ? code.add(k, run) : k;
    Value start = code.add(rightSource.rowOffset(runRow), rightSource.depthOffset(runK));
    for (int64_t at = 0; at < runSize; at += line)
      code.prefetch(right.buffer, code.add(start, at + line - 1), /*level=*/2);
  });
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
  } else if (!blocks.spreadPrefetch && shape.columns > blocks.tile.columns()) {
    rhs.prefetchAhead = blocks.tile.columns();
  }
  if (shape.columns % blocks.tile.columns())
    for (int64_t v = 0; v < tile.vectors; ++v)
      rhs.masks.push_back(code.maskBelow(code.sub(code.index(shape.columns - v * lanes), column)));
  return rhs;
}

/// Adds the products of one depth block to the tile's sums. A right operand that lies in vectors is
/// read where it lies by the first tile of a panel, which packs it in passing for the others.
SmallVector<Value> ContractionEmitter::addProducts(Value column, Value row, Value stack, Value k,
                                                   Value depth, ValueRange initial) {
  TileLhs lhs = tileLhs(row, stack, k);
  auto inPlace = [&](bool pack) {
    TileRhs rhs = tileRhs(column, k);
    if (pack) {
      rhs.copy = rightPanel.buffer;
      rhs.copyStride = rightPanel.depthStride;
    }
    return emitMicroKernel(code, tile, lhs, rhs, depth, initial);
  };
  auto packed = [&] {
    TileRhs rhs;
    rhs.buffer = rightPanel.buffer;
    rhs.base = code.index(0);
    rhs.depthStride = rightPanel.depthStride;
    return emitMicroKernel(code, tile, lhs, rhs, depth, initial);
  };
  if (!blocks.packRhs)
    return inPlace(false);
  if (!shape.rhsInPlace)
    return packed();
  auto either = code.create<scf::IfOp>(
      isEqual(row, code.index(0)),
      [&](OpBuilder &, Location) { code.create<scf::YieldOp>(inPlace(true)); },
      [&](OpBuilder &, Location) { code.create<scf::YieldOp>(packed()); });
  return llvm::to_vector_of<Value>(either.getResults());
}

void ContractionEmitter::emitTile(Value column, Value columnInPass, Value row, Value stack, Value k,
                                  Value depth) {
  // Edge tiles leave out vectors, but their sums lie as those of whole ones.
  const Tile whole = blocks.tile;
  Value absoluteRow = code.add(rowBegin, row), absoluteColumn = code.add(column, columnInPass);
  if (oneDepthBlock()) {
    Value start = code.index(0);
    SmallVector<Value> zeros = zeroTile(code, tile, sumType);
    storeTile(code, tile, addProducts(absoluteColumn, row, stack, k, depth, zeros), sums, start,
              whole.columns());
    emitEpilogue(start, absoluteRow, absoluteColumn);
    return epilogue->prefetch(start.getDefiningOp(), batch, absoluteRow, absoluteColumn);
  }
  Value tileNumber = code.div(row, whole.rows);
  if (!oneStack())
    tileNumber = code.add(tileNumber, code.mul(code.div(columnInPass, whole.columns()),
                                               llvm::divideCeil(blocks.spanRows(), whole.rows)));
  Value start = code.mul(tileNumber, whole.size());
  auto initial = code.create<scf::IfOp>(
      isEqual(k, code.index(0)),
      [&](OpBuilder &, Location) { code.create<scf::YieldOp>(zeroTile(code, tile, sumType)); },
      [&](OpBuilder &, Location) {
        code.create<scf::YieldOp>(loadTile(code, tile, sums, start, whole.columns()));
      });
  for (int64_t at = 0; at < whole.size(); at += 64 / shape.elementBytes)
    code.prefetch(sums, code.add(start, whole.size() + at)); // of the next tile
  Value isLast = isEqual(code.add(k, depth), code.index(shape.depth));
  Operation *ahead = nullptr;
  code.create<scf::IfOp>(isLast, [&](OpBuilder &, Location) {
    ahead = code.index(0).getDefiningOp();
    code.create<scf::YieldOp>();
  });
  storeTile(code, tile, addProducts(absoluteColumn, row, stack, k, depth, initial.getResults()),
            sums, start, whole.columns());
  code.create<scf::IfOp>(isLast, [&](OpBuilder &, Location) {
    emitEpilogue(start, absoluteRow, absoluteColumn);
    code.create<scf::YieldOp>();
  });
  epilogue->prefetch(ahead, batch, absoluteRow, absoluteColumn);
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
    emitPack(code, rightSource, rightPanel, column, code.sub(columnEnd, column), zero, depth);
  auto vectors = [&](const MatrixSource &source, const DotRows &rows, Value k, Value mask) {
    return llvm::map_to_vector(rows.rows, [&](Value row) {
      if (rows.buffer)
        return code.convert(code.loadVector(rows.buffer, code.add(row, k), mask), sumType);
      Value vector = code.convert(source.vector(row, k, MatrixSource::Along::Depth, mask), sumType);
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
        DotRows rightRows = dotRows(rightSource, blocks.packRhs ? &rightPanel : nullptr,
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
      emitEpilogue(code.index(0), absoluteRow, columns);
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
