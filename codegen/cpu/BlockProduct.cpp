#include "codegen/cpu/BlockProduct.h"

using namespace mlir;

namespace ingot {
namespace {

Value placeIn(Code &code, const SumBlock &block, Value row, Value column) {
  return code.add(code.add(block.base, code.mul(row, block.rowStride)), column);
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
      auto [first, end] = extent.depth(row);
      TileLhs tileLhs{lhs.buffer, {}, lhs.depthStride};
      for (int64_t r = 0; r < tile.rows; ++r)
        tileLhs.rows.push_back(
            code.add(lhs.rowOffset(code.add(row, r)), code.mul(first, lhs.depthStride)));
      TileRhs deepRhs = tileRhs;
      deepRhs.base = code.add(tileRhs.base, code.mul(first, rhs.depthStride));
      SmallVector<Value> sums = initial ? initial(row, column) : zeroTile(code, tile, type);
      sums = emitMicroKernel(code, tile, tileLhs, deepRhs, code.sub(end, first), sums);
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
