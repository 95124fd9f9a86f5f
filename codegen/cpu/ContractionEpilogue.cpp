#include "codegen/cpu/ContractionEpilogue.h"

using namespace mlir;

namespace ingot {

constexpr int64_t lanes = Code::lanes;

/// Computes and stores the kernel's results for the tile at `tileStart`, whose first sum belongs to
/// (row, column).
void ContractionEpilogue::emit(Value tileStart, Value batch, Value row, Value rowEnd,
                               Value column) {
  Value rowsLeft = code.min(code.index(tile.rows), code.sub(rowEnd, row));
  Value columnsLeft = code.sub(code.index(shape.columns), column);
  Value columnCount = code.min(code.index(tile.columns()), columnsLeft);
  code.loop(code.index(0), rowsLeft, 1, [&](Value r) {
    Value rowStart = code.add(tileStart, code.mul(r, tile.columns()));
    if (shape.columns == 1)
      return storeResults(code.load(sums, rowStart), batch, code.add(row, r),
                          PointIndex::constant(0), {});
    code.loop(code.index(0), columnCount, lanes, [&](Value c) {
      if (shape.joined > 1)
        return storeJoined(code.loadVector(sums, code.add(rowStart, c)), code.add(row, r),
                           code.add(column, c));
      Value mask = shape.columns % lanes ? code.maskBelow(code.sub(columnsLeft, c)) : Value();
      Value sum = code.loadVector(sums, code.add(rowStart, c));
      PointIndex at = PointIndex::consecutive(code.add(column, c), shape.columns, /*aligned=*/true);
      storeResults(sum, batch, code.add(row, r), at, mask);
    });
  });
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
  PointIndex position = (PointIndex::uniform(batch, shape.batch * shape.joined) * shape.rows +
                         PointIndex::uniform(row, shape.rows)) *
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

/// The lines come from far, and nothing foresees them. L1 has the panel to keep, and
/// rows of a result may all lie in the same few sets.
void ContractionEpilogue::prefetch(Operation *place, Value batch, Value row, Value column) {
  OpBuilder::InsertionGuard guard(code.builder);
  code.builder.setInsertionPointAfter(place);
  const int64_t columns = shape.matrixColumns();
  if (shape.joined > 1) {
    batch = code.div(column, columns);
    column = code.remainder(column, columns);
  }
  Value start = code.add(code.mul(code.add(code.mul(batch, shape.rows), row), columns), column);
  for (Value memory : touched)
    for (int64_t r = 0; r < tile.rows; ++r)
      for (int64_t c = 0; c < tile.columns(); c += 64 / shape.elementBytes)
        code.prefetch(code.flat(memory), code.add(start, r * columns + c), /*level=*/2);
}

} // namespace ingot
