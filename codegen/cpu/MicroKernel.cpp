#include "codegen/cpu/MicroKernel.h"

using namespace mlir;

namespace ingot {

namespace {

/// The products of depths [first, end).
SmallVector<Value> emitProducts(Code &code, Tile tile, const TileLhs &lhs, const TileRhs &rhs,
                                Value first, Value end, ValueRange sums) {
  return code.loop(first, end, 1, sums, [&](Value k, ValueRange carried) {
    Value rhsRow = code.add(rhs.base, code.mul(k, rhs.depthStride));
    SmallVector<Value> columns, places;
    for (int64_t v = 0; v < tile.vectors; ++v) {
      places.push_back(rhs.vectors.empty() ? code.add(rhsRow, v * Code::lanes)
                                           : code.add(rhsRow, rhs.vectors[v]));
      columns.push_back(
          code.loadVector(rhs.buffer, places[v], rhs.masks.empty() ? Value() : rhs.masks[v]));
    }
    // The last element of each line: where vectors straddle lines, the first one is here already.
    if (rhs.prefetchAhead)
      for (Value place : places)
        code.prefetch(rhs.buffer, code.add(place, rhs.prefetchAhead + Code::lanes - 1),
                      rhs.prefetchLevel);
    Value lhsColumn = code.mul(k, lhs.depthStride);
    SmallVector<Value> results;
    for (int64_t r = 0; r < tile.rows; ++r) {
      Value factor = code.splat(code.load(lhs.buffer, code.add(lhs.rows[r], lhsColumn)));
      for (int64_t v = 0; v < tile.vectors; ++v)
        results.push_back(
            code.create<vector::FMAOp>(factor, columns[v], carried[r * tile.vectors + v]));
    }
    return results;
  });
}

} // namespace

SmallVector<Value> emitMicroKernel(Code &code, Tile tile, const TileLhs &lhs, const TileRhs &rhs,
                                   Value depth, ValueRange sums, const Shadow &shadow) {
  if (!shadow.step)
    return emitProducts(code, tile, lhs, rhs, code.index(0), depth, sums);
  return code.loop(code.index(0), depth, shadow.every, sums, [&](Value k, ValueRange carried) {
    Value end = code.min(code.add(k, shadow.every), depth);
    SmallVector<Value> results = emitProducts(code, tile, lhs, rhs, k, end, carried);
    shadow.step(code.div(k, shadow.every));
    return results;
  });
}

SmallVector<Value> loadTile(Code &code, Tile tile, Value buffer, Value base, int64_t rowStride) {
  SmallVector<Value> sums;
  for (int64_t r = 0; r < tile.rows; ++r)
    for (int64_t v = 0; v < tile.vectors; ++v)
      sums.push_back(code.loadVector(buffer, code.add(base, r * rowStride + v * Code::lanes)));
  return sums;
}

void storeTile(Code &code, Tile tile, ValueRange sums, Value buffer, Value base,
               int64_t rowStride) {
  for (int64_t r = 0; r < tile.rows; ++r)
    for (int64_t v = 0; v < tile.vectors; ++v)
      code.storeVector(sums[r * tile.vectors + v], buffer,
                       code.add(base, r * rowStride + v * Code::lanes));
}

SmallVector<Value> zeroTile(Code &code, Tile tile, Type type) {
  return SmallVector<Value>(tile.rows * tile.vectors, code.zero(lanesOf(type)));
}

} // namespace ingot
