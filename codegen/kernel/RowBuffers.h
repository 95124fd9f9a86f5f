/// Which values of a row are kept instead of being recomputed by a later pass over the row.
#pragma once
#include "codegen/kernel/Reductions.h"
#include "passes/options/TargetCosts.h"
#include <vector>

namespace ingot {

/// One pass over a row: it reduces, or stores results.
struct RowStage {
  int64_t size = 1; ///< elements of the row that it walks
  llvm::SmallVector<Reduction *> reductions;
  llvm::SmallVector<unsigned> results;
  llvm::SmallVector<mlir::Value> roots; ///< tensors whose values it needs
};

/// A tensor whose row is written to `memory` in stage `stage` and read back by later ones.
struct RowBuffer {
  mlir::Value tensor, memory;
  int stage = 0;
  int64_t size = 1;
};

/// Values that are expensive (exp, tanh, division, random bits) and needed by several stages;
/// `memory` is still null. Rows too long for the cache are recomputed instead.
std::vector<RowBuffer> planRowBuffers(llvm::ArrayRef<RowStage> stages, int64_t rows,
                                      const TargetCosts &costs);

} // namespace ingot
