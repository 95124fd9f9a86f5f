/// The passes over a row that a row kernel makes.
#pragma once
#include "codegen/kernel/RowBuffers.h"
#include "codegen/kernel/ScheduleBuilder.h"

namespace ingot {

/// The reductions of a kernel that keep one and the same number of rows, of which all results are
/// made; none where every point is computed by itself.
std::optional<std::vector<Reduction>> rowReductions(mlir::func::FuncOp kernel);

/// Reductions of one level and length share a pass; then come results of equal row size, and last
/// the results that are one value a row.
struct RowStages {
  const int64_t rows;
  std::vector<Reduction> reductions;
  std::vector<RowStage> stages;

  /// `found` are `rowReductions`.
  RowStages(mlir::func::FuncOp kernel, std::vector<Reduction> found);
  RowStages(const RowStages &) = delete;

private:
  RowStage &stageOf(size_t first, int64_t size);
};

/// Finds which results may overwrite an operand where each row is computed stage by stage, in
/// blocks of so many lanes. A failure has reported a located diagnostic.
llvm::LogicalResult shareRows(ScheduleBuilder &kernel, const RowStages &plan,
                              llvm::ArrayRef<RowBuffer> buffers, int64_t lanes);

} // namespace ingot
