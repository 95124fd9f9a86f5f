#include "codegen/cpu/ContractionEpilogue.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ingot {

constexpr int64_t lanes = Code::lanes;

bool ContractionEpilogue::storesSums() {
  return kernel.results() == 1 && kernel.returned(0) == contract.getResult() && shape.joined == 1 &&
         shape.columns > 1;
}

void ContractionEpilogue::emit(const TilePlace &place) {
  code.loop(code.index(0), rowsLeft(place), 1, [&](Value r) {
    Value rowStart = code.add(place.start, code.mul(r, tile.columns()));
    Value row = code.add(place.row, r);
    if (shape.columns == 1)
      return storeResults(code.load(sums, rowStart), place.batch, row, PointIndex::constant(0), {});
    code.loop(code.index(0), code.index(place.vectors * lanes), lanes, [&](Value within) {
      storeVector(code.loadVector(sums, code.add(rowStart, within)), place, row, within);
    });
  });
}

void ContractionEpilogue::emitTurned(const TilePlace &place) {
  Value count = rowsLeft(place), mask = code.maskBelow(count);
  Value columns = code.min(code.index(place.vectors * lanes),
                           code.sub(code.index(shape.columns), place.column));
  code.loop(code.index(0), columns, 1, [&](Value c) {
    PointIndex at = PointIndex::consecutive(place.row, shape.rows, /*aligned=*/false);
    storeResults(code.loadVector(sums, code.mul(c, lanes)), place.batch, code.add(place.column, c),
                 at, mask);
  });
}

void ContractionEpilogue::store(ValueRange tileSums, const TilePlace &place) {
  for (int64_t r = 0; r < tile.rows; ++r)
    for (int64_t v = 0; v < place.vectors; ++v)
      storeVector(tileSums[r * place.vectors + v], place, code.add(place.row, r),
                  code.index(v * lanes));
}

Value ContractionEpilogue::rowsLeft(const TilePlace &place) {
  return code.min(code.index(tile.rows), code.sub(place.rowEnd, place.row));
}

/// One vector of a row of the tile, so many columns behind its first.
void ContractionEpilogue::storeVector(Value sum, const TilePlace &place, Value row, Value within) {
  Value column = code.add(place.column, within);
  if (shape.joined > 1)
    return storeJoined(sum, row, column);
  Value mask;
  if (shape.columns % tile.columns())
    mask = code.maskBelow(code.sub(code.index(shape.columns), column));
  PointIndex at = PointIndex::consecutive(column, shape.columns, /*aligned=*/true);
  storeResults(sum, place.batch, row, at, mask);
}

/// A vector of sums from `column` on, which belong to several matrices: each one's by itself.
void ContractionEpilogue::storeJoined(Value vector, Value row, Value column) {
  const int64_t size = shape.matrixColumns();
  Value first = code.div(column, size);
  Value end =
      code.min(code.div(code.add(column, lanes - 1 + size), size), code.index(shape.joined));
  code.loop(first, end, 1, [&](Value matrix) {
    // Lane 0 may lie in front of the matrix, but only lanes inside it count.
    Value begin = code.sub(column, code.mul(matrix, size));
    auto below = [&](int64_t bound) { return code.maskBelow(code.sub(code.index(bound), begin)); };
    Value own = code.create<arith::XOrIOp>(below(0), below(size));
    storeResults(vector, matrix, row, PointIndex::consecutive(begin, size, /*aligned=*/false), own);
  });
}

/// Computes and stores the results for one element of the contraction, or for a vector of them.
void ContractionEpilogue::storeResults(Value sum, Value batch, Value row, const PointIndex &column,
                                       Value mask) {
  PointEmitter points = kernel.points(isa<VectorType>(sum.getType()) ? lanes : 1);
  PointIndex position =
      (PointIndex::uniform(batch, shape.batch * shape.joined) * shape.matrixRows() +
       PointIndex::uniform(row, shape.matrixRows())) *
          shape.matrixColumns() +
      column;
  SmallVector<PointIndex> indices = points.split(position, contract.getType().getShape());

  Value result = code.convert(sum, getElementTypeOrSelf(contract.getType()));
  points.bind(contract.getResult(), [&](ArrayRef<PointIndex> at, Value) {
    if (at != ArrayRef<PointIndex>(indices)) {
      contract.emitError(
          "the kernel uses the contraction's result at another element than it computes");
      broken = true;
    }
    return result;
  });
  SmallVector<Value> values;
  for (unsigned i = 0; i < kernel.results(); ++i) {
    auto type = cast<RankedTensorType>(kernel.returned(i).getType());
    values.push_back(points.at(kernel.returned(i), points.split(position, type.getShape()), mask));
  }
  broken |= !points.ok();
  if (broken)
    return;
  for (auto [i, value] : llvm::enumerate(values))
    points.store(value, kernel.resultMemory(i), position, mask,
                 getElementTypeOrSelf(kernel.returned(i).getType()));
  for (const PointEmitter::Access &access : points.accesses())
    if (access.position == position)
      touched.insert(access.buffer);
  for (unsigned i = 0; i < kernel.results(); ++i)
    touched.insert(kernel.resultMemory(i));
}

/// The lines come from far, and nothing foresees them. Rows of a result may all lie in the same few
/// sets of L1, so L2 takes them.
void ContractionEpilogue::prefetch(Operation *where, Value condition, Value step, int64_t steps,
                                   const TilePlace &place) {
  OpBuilder::InsertionGuard guard(code.builder);
  code.builder.setInsertionPointAfter(where);
  Value batch = place.batch, row = place.row, column = place.column;
  int64_t rows = tile.rows, length = place.vectors * lanes;
  const int64_t columns = shape.matrixColumns();
  if (shape.isTurned) {
    std::swap(row, column);
    std::swap(rows, length);
  }
  if (shape.joined > 1) {
    batch = code.div(column, columns);
    column = code.remainder(column, columns);
  }
  Value start =
      code.add(code.mul(code.add(code.mul(batch, shape.matrixRows()), row), columns), column);
  const int64_t line = 64 / shape.elementBytes, perRow = llvm::divideCeil(length, line);
  auto ask = [&](Value number) {
    Value at = code.add(code.mul(code.div(number, perRow), columns),
                        code.mul(code.remainder(number, perRow), line));
    for (Value memory : touched)
      code.prefetch(code.flat(memory), code.add(start, at), /*level=*/2);
  };
  auto askAll = [&] {
    const int64_t lines = rows * perRow;
    if (!step) {
      for (int64_t i = 0; i < lines; ++i)
        ask(code.index(i));
      return;
    }
    const int64_t perStep = llvm::divideCeil(lines, steps);
    for (int64_t i = 0; i < perStep; ++i) {
      Value number = code.add(code.mul(step, perStep), i);
      code.when(code.isBelow(number, lines), [&] { ask(number); });
    }
  };
  if (condition)
    code.when(condition, askAll);
  else
    askAll();
}

} // namespace ingot
