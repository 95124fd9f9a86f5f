/// Products of blocks that fit the caches, tile by tile: what attention is made of.
#pragma once
#include "codegen/cpu/MicroKernel.h"

namespace ingot {

/// Element (row, k) is `buffer[rowOffset(row) + k * depthStride]`. Rows up to the next multiple of
/// the tile's are prefetched and must be readable.
struct BlockLhs {
  mlir::Value buffer;
  std::function<mlir::Value(mlir::Value row)> rowOffset;
  int64_t depthStride = 0;
};

/// Element (k, column + c) is `buffer[columnOffset(column) + k * depthStride + c]` inside a tile
/// that starts at `column`. Columns from `columns` on are neither read nor counted.
struct BlockRhs {
  mlir::Value buffer;
  std::function<mlir::Value(mlir::Value column)> columnOffset;
  int64_t depthStride = 0;
  int64_t columns = 0;
};

/// A row-major block of sums in scratch memory, padded to whole tiles of any product written to it.
struct SumBlock {
  mlir::Value buffer;
  mlir::Value base; ///< where row 0 starts
  int64_t rowStride = 0;
};

/// What of a product is computed, tile by tile.
struct BlockExtent {
  /// The rows below this, for the tiles that start at a column.
  std::function<mlir::Value(mlir::Value column)> rows;
  /// The depths [first, second), for the tiles that start at a row.
  std::function<std::pair<mlir::Value, mlir::Value>(mlir::Value row)> depth;
  /// Of these, the depths that count for all rows of the tile; null: all do. Of the others,
  /// `counts` tells by an i1 which count for a row. Those that do not are left out: a factor of 0
  /// would make NaN of infinity and NaN.
  std::function<std::pair<mlir::Value, mlir::Value>(mlir::Value row)> whole;
  std::function<mlir::Value(mlir::Value row, mlir::Value depth)> counts;

  /// Everything.
  BlockExtent(Code &code, mlir::Value rowCount, mlir::Value depthCount)
      : rows([=](mlir::Value) { return rowCount; }),
        depth([&code, depthCount](mlir::Value) { return std::pair(code.index(0), depthCount); }) {}
};

/// result[rows, columns] = initial + lhs · rhs. `initial` gives the sums that the tile at (row,
/// column) starts with; none starts at zero.
using InitialSums =
    std::function<llvm::SmallVector<mlir::Value>(mlir::Value row, mlir::Value column)>;
/// What else is emitted before the multiply-adds of the tile at (row, column).
using BesideTile = std::function<void(mlir::Value row, mlir::Value column)>;
void emitBlockProduct(Code &code, Tile tile, const BlockExtent &extent, const BlockLhs &lhs,
                      const BlockRhs &rhs, const SumBlock &result, const InitialSums &initial = {},
                      const BesideTile &beside = {});

/// Sums that continue those of the result block.
InitialSums accumulateIn(Code &code, Tile tile, const SumBlock &result);

} // namespace ingot
