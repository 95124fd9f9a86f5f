/// The sums of a column kernel and what is made of them.
#pragma once
#include "codegen/kernel/Reductions.h"
#include "codegen/kernel/ScheduleBuilder.h"

namespace ingot {

/// The reductions of one width and the results that they make.
struct ColumnGroup {
  std::vector<Reduction> reductions;
  llvm::SmallVector<unsigned> results;
  double share = 0; ///< of the kernel's work
  int64_t columns = 0;

  /// Values that one column adds up.
  int64_t sums() const;
  int64_t rows() const { return reductions.front().length; }
  mlir::Type sumType() const;
};

/// Results and reductions by width; none where some result is not made of sums of its width.
std::optional<std::vector<ColumnGroup>> columnGroups(mlir::func::FuncOp kernel);

/// Notes what a group reads; the only one may overwrite operands. What one of several overwrites,
/// another may still read.
llvm::LogicalResult shareColumns(ScheduleBuilder &kernel, const ColumnGroup &group, bool isOnly,
                                 int64_t lanes);

} // namespace ingot
