/// The innermost loop of every block product: a tile of sums kept in registers.
#pragma once
#include "codegen/cpu/Code.h"
#include <functional>

namespace ingot {

/// A tile of sums: `rows` times `vectors` vectors of 16 lanes.
struct Tile {
  int64_t rows = 1, vectors = 1;
  int64_t columns() const { return vectors * Code::lanes; }
  int64_t size() const { return rows * columns(); }
};

/// Element (row r, depth k) of the tile's left operand is `buffer[rows[r] + k * depthStride]`.
struct TileLhs {
  mlir::Value buffer;
  llvm::SmallVector<mlir::Value> rows;
  int64_t depthStride = 0;
};

/// Element (depth k, column c) of the tile's right operand is `buffer[base + k * depthStride + c]`,
/// or with `vectors` `buffer[base + vectors[c / 16] + k * depthStride + c % 16]`.
struct TileRhs {
  mlir::Value buffer;
  mlir::Value base;
  llvm::SmallVector<mlir::Value> vectors; ///< empty: side by side
  int64_t depthStride = 0;
  llvm::SmallVector<mlir::Value> masks; ///< one per vector where columns may be missing, else empty
  /// Elements ahead of what is read that are prefetched, into the cache of this level; 0 for none.
  /// The hardware does not foresee strided rows.
  int64_t prefetchAhead = 0;
  int prefetchLevel = 2;
};

/// Work for the load and store units while the multiply-adds of a tile keep theirs busy: copies and
/// prefetches, a line at a time, since bursts of them wait for each other.
struct Shadow {
  int64_t every = 0; ///< depths between two steps
  /// Emits step `number` of those that one tile has: one every `every` depths, the last one after
  /// what may be fewer.
  std::function<void(mlir::Value number)> step;
};

/// sums[r][v] += Σ_k lhs[r, k] · rhs[k, 16v … 16v+15] as one chain of fused multiply-adds in order
/// of k, so that cutting the depth into blocks changes no bit. Sums are in row-major order.
llvm::SmallVector<mlir::Value> emitMicroKernel(Code &code, Tile tile, const TileLhs &lhs,
                                               const TileRhs &rhs, mlir::Value depth,
                                               mlir::ValueRange sums, const Shadow &shadow = {});

/// Reads or writes a tile of sums; row r starts at `base + r * rowStride`.
llvm::SmallVector<mlir::Value> loadTile(Code &code, Tile tile, mlir::Value buffer, mlir::Value base,
                                        int64_t rowStride);
void storeTile(Code &code, Tile tile, mlir::ValueRange sums, mlir::Value buffer, mlir::Value base,
               int64_t rowStride);
llvm::SmallVector<mlir::Value> zeroTile(Code &code, Tile tile, mlir::Type type);

} // namespace ingot
