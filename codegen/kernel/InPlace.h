/// Finds out which results may share an operand's memory, from the loads that were emitted.
#pragma once
#include "codegen/cpu/Emitters.h"
#include "llvm/ADT/DenseSet.h"

namespace ingot {

/// Rows of `size` elements in row-major order, and the number of one of them.
struct Row {
  PointIndex number;
  int64_t size = 1;
  /// The place inside this row, if the position lies there for certain.
  std::optional<PointIndex> inside(const PointIndex &position) const;
};

/// Watches the loads of a kernel whose results are stored in stages.
///
/// A result may overwrite an operand if every load of the operand in the result's stage is at the
/// point that is stored right after, and no other stage loads it. Where stages follow each other
/// row by row, earlier stages may load what lies in the same row.
class InPlaceFinder {
public:
  explicit InPlaceFinder(PointEmitter &points) : points(points) {}

  /// The loads since the last call belong to `stage` and precede a store at `position`; a null
  /// position: a stage without stores.
  void record(int stage, std::optional<PointIndex> position);
  /// Adds the pairs of `result`, stored in `stage`, to the kernel; `row` if stages go row by row.
  void report(KernelBuilder &kernel, unsigned result, int stage, std::optional<Row> row = {});

private:
  struct Load {
    PointEmitter::Access access;
    int stage;
    bool atStore;
  };
  PointEmitter &points;
  size_t seen = 0;
  std::vector<Load> loads;
};

} // namespace ingot
