#include "codegen/cpu/BlockProduct.h"

using namespace mlir;

namespace ingot {
namespace {

Value placeIn(Code &code, const SumBlock &block, Value row, Value column) {
  return code.add(code.add(block.base, code.mul(row, block.rowStride)), column);
}

/// The operands from a depth on.
TileLhs deeper(Code &code, TileLhs lhs, Value depth) {
  for (Value &row : lhs.rows)
    row = code.add(row, code.mul(depth, lhs.depthStride));
  return lhs;
}
TileRhs deeper(Code &code, TileRhs rhs, Value depth) {
  rhs.base = code.add(rhs.base, code.mul(depth, rhs.depthStride));
  return rhs;
}

/// Adds the products of depths [from, to), each to the rows that it counts for.
SmallVector<Value> emitPartly(Code &code, Tile tile, const TileLhs &lhs, const TileRhs &rhs,
                              Value from, Value to, ValueRange sums,
                              llvm::function_ref<Value(int64_t row, Value depth)> counts) {
  auto mask = VectorType::get({Code::lanes}, code.builder.getI1Type());
  return code.loop(from, to, 1, sums, [&](Value k, ValueRange carried) {
    SmallVector<Value> next = emitMicroKernel(code, tile, deeper(code, lhs, k),
                                              deeper(code, rhs, k), code.index(1), carried);
    for (int64_t r = 0; r < tile.rows; ++r) {
      Value isAdded = code.create<vector::BroadcastOp>(mask, counts(r, k));
      for (int64_t at = r * tile.vectors; at < (r + 1) * tile.vectors; ++at)
        next[at] = code.create<arith::SelectOp>(isAdded, next[at], carried[at]);
    }
    return next;
  });
}

} // namespace

void emitBlockProduct(Code &code, Tile tile, const BlockExtent &extent, const BlockLhs &lhs,
                      const BlockRhs &rhs, const SumBlock &result, const InitialSums &initial,
                      const BesideTile &beside) {
  Type type = cast<MemRefType>(result.buffer.getType()).getElementType();
  code.loop(code.index(0), code.index(rhs.columns), tile.columns(), [&](Value column) {
    TileRhs tileRhs;
    tileRhs.buffer = rhs.buffer;
    tileRhs.base = rhs.columnOffset(column);
    tileRhs.depthStride = rhs.depthStride;
    if (rhs.columns % tile.columns())
      for (int64_t v = 0; v < tile.vectors; ++v)
        tileRhs.masks.push_back(
            code.maskBelow(code.sub(code.index(rhs.columns - v * Code::lanes), column)));
    code.loop(code.index(0), extent.rows(column), tile.rows, [&](Value row) {
      if (beside)
        beside(row, column);
      TileLhs tileLhs{lhs.buffer, {}, lhs.depthStride};
      for (int64_t r = 0; r < tile.rows; ++r)
        tileLhs.rows.push_back(lhs.rowOffset(code.add(row, r)));
      auto [first, end] = extent.depth(row);
      auto [wholeFirst, wholeEnd] = extent.whole ? extent.whole(row) : std::pair(first, end);
      SmallVector<Value> sums = initial ? initial(row, column) : zeroTile(code, tile, type);
      auto addPartly = [&](Value from, Value to) {
        if (extent.whole)
          sums = emitPartly(code, tile, tileLhs, tileRhs, from, to, sums,
                            [&](int64_t r, Value k) { return extent.counts(code.add(row, r), k); });
      };
      addPartly(first, wholeFirst);
      sums =
          emitMicroKernel(code, tile, deeper(code, tileLhs, wholeFirst),
                          deeper(code, tileRhs, wholeFirst), code.sub(wholeEnd, wholeFirst), sums);
      addPartly(wholeEnd, end);
      storeTile(code, tile, sums, result.buffer, placeIn(code, result, row, column),
                result.rowStride);
    });
  });
}

InitialSums accumulateIn(Code &code, Tile tile, const SumBlock &result) {
  return [&code, tile, result](Value row, Value column) {
    return loadTile(code, tile, result.buffer, placeIn(code, result, row, column),
                    result.rowStride);
  };
}

} // namespace ingot
