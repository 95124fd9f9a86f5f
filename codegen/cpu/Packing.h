/// Copies blocks of a contraction's operands into panels that the micro-kernel reads in order.
#pragma once
#include "codegen/cpu/Code.h"
#include "codegen/kernel/PointIndex.h"
#include <functional>

namespace ingot {

/// One operand of a contraction as a matrix: `rows` are those of the result's dimension that it
/// contributes (for the right operand: the result's columns), depth is the summed dimension.
struct MatrixSource {
  enum class Along { Rows, Depth };

  int64_t rows = 0, depth = 0;
  /// Flat memory, if element (row, k) is buffer[rowOffset(row) + depthOffset(k)]; else the matrix
  /// is computed.
  mlir::Value buffer;
  std::function<mlir::Value(mlir::Value)> rowOffset, depthOffset;
  /// The distance of neighbours in memory, where there is a single one; 1 where neighbours are
  /// computed at once.
  std::optional<int64_t> rowStride, depthStride;
  std::function<mlir::Value(mlir::Value row, mlir::Value k)> element;
  /// A vector of elements along one direction from `start` on, at `other` in the other direction;
  /// lanes that the mask leaves out may lie outside.
  std::function<mlir::Value(mlir::Value start, const PointIndex &other, Along along,
                            mlir::Value mask)>
      vector;
  /// Prefetches what that vector along the rows reads.
  std::function<void(mlir::Value start, const PointIndex &other)> prefetch;
  /// Computed: depths that are packed together, as code of their own each; blocks of the depth
  /// start at multiples of it.
  int64_t depthGroup = 1;
};

/// Panels of `width` rows each: element (row w, depth k) of panel p is
/// `buffer[base + p * stride + w * rowStride + k * depthStride]`. Rows beyond the matrix are there,
/// with any finite or repeated values: what is computed from them is never stored.
struct Panels {
  /// Depths are packed in blocks of a multiple of this, but for the last.
  static constexpr int64_t depthStep = 32;

  mlir::Value buffer;
  int64_t width = 0, stride = 0, rowStride = 1, depthStride = 0;
  mlir::Value base = {}; ///< null: 0

  /// Panels of up to `depth` in which the rows of one depth lie side by side: the right operand's
  /// vectors.
  static Panels interleaved(int64_t width, int64_t depth);
  /// Panels of rows that stay whole, for a left operand whose elements are read one by one.
  static Panels rows(int64_t width, int64_t depth);
  /// Panels of a left operand, as rows where it is contiguous along the depth.
  static Panels left(int64_t width, int64_t depth, bool keepRows) {
    return keepRows ? rows(width, depth) : interleaved(width, depth);
  }
  /// The elements that `count` panels take.
  int64_t size(int64_t count) const;
};

/// Packs rows [row, row + rows) and depths [k, k + depth) of the matrix; `row` is a multiple of the
/// width. Elements are widened to the panels' type.
void emitPack(Code &code, const MatrixSource &source, const Panels &panels, mlir::Value row,
              mlir::Value rows, mlir::Value k, mlir::Value depth);

/// Transposes 16 vectors of 16 lanes.
llvm::SmallVector<mlir::Value> transpose16(Code &code, llvm::ArrayRef<mlir::Value> rows);

} // namespace ingot
