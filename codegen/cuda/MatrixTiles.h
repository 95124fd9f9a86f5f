/// Tiles of a contraction's result and parts of its depth: which of them a number is.
#pragma once
#include "codegen/cuda/ContractionProduct.h"

namespace ingot {

/// A tile of the result in one split of the depth.
struct TilePlace {
  mlir::Value split, batch, firstRow, firstColumn;
  mlir::Value from, count; ///< along the depth: where the split begins, and its number of steps
};

/// Tiles are numbered by split, batch, group of rows, columns, row in the group: those that are
/// computed at once share tiles of both factors in the L2.
struct MatrixTiles {
  int64_t rows = 0, columns = 0, depth = 0; ///< of a tile; the last of a step
  int64_t splits = 1;                       ///< of the depth

  int64_t count(const ContractionProduct &product) const {
    return product.blocks(rows, columns) * splits;
  }
  /// Steps along the depth, in all and of a split.
  int64_t steps(const ContractionProduct &product) const {
    return llvm::divideCeilSigned(product.depth, depth);
  }
  int64_t stepsOfSplit(const ContractionProduct &product) const {
    return llvm::divideCeilSigned(steps(product), splits);
  }
  /// True if every split has a step.
  bool fillsSplits(const ContractionProduct &product) const {
    return splits == 1 || (splits - 1) * stepsOfSplit(product) < steps(product);
  }
  TilePlace place(IndexCode &code, const ContractionProduct &product, mlir::Value number) const;
};

/// The most splits below `wanted`, one at least, of which none is empty.
int64_t splitsOf(int64_t steps, int64_t wanted);

/// Results of a product that are stored at once: 16 bytes of the widest one.
int64_t storedLanes(mlir::func::FuncOp kernel, const ContractionProduct &product);

} // namespace ingot
