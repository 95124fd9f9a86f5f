/// Which results may lie where an operand lies, from what the points of a kernel read.
#pragma once
#include "codegen/kernel/PointAccess.h"
#include "passes/schedule/KernelDialect.h"

namespace ingot {

/// Rows of `size` elements in row-major order, and the number of one of them.
struct Row {
  PointIndex number;
  int64_t size = 1;
  /// The place inside this row, if the position is there for certain.
  std::optional<PointIndex> inside(const PointIndex &position) const;
};

/// Watches the loads of a kernel whose results are stored in stages.
///
/// A result may overwrite an operand if every load of the operand in the result's stage is at the
/// point that is stored right after, and no other stage loads it: an operand that nothing loads may
/// always be overwritten. Where stages follow each other row by row, earlier stages may load what
/// is in the same row.
class SharingFinder {
public:
  SharingFinder(mlir::func::FuncOp kernel, const PointAccess &points)
      : kernel(kernel), points(points) {}

  /// The loads since the last call belong to `stage` and precede a store at `position`; a null
  /// position: a stage without stores.
  void record(int stage, std::optional<PointIndex> position);
  /// The pairs of `result`, stored in `stage`; `row` if stages go row by row.
  llvm::SmallVector<kernel::PairAttr> pairs(unsigned result, int stage,
                                            std::optional<Row> row = {});

private:
  struct Load {
    PointAccess::Load access;
    int stage;
    bool atStore;
  };
  mlir::func::FuncOp kernel;
  const PointAccess &points;
  size_t seen = 0;
  std::vector<Load> loads;
};

/// True if the memory of both can be one: as many elements of one type.
bool canShare(mlir::Type result, mlir::Type operand);

} // namespace ingot
