/// Vectors of neighbouring elements that lie in more than one line of a tensor.
#pragma once
#include "codegen/cpu/Code.h"
#include "codegen/kernel/PointIndex.h"

namespace ingot {

/// Positions in [0, extent) that go through lines of `size` elements each.
struct Lines {
  int64_t extent = 0, size = 0;

  /// Lines that a vector has elements of, at least; it may be one more.
  int64_t fewest() const { return (Code::lanes + size - 1) / size; }
};

/// The elements from `start` to the end of its line, as a run.
PointIndex runInLine(Code &code, Lines lines, mlir::Value start);

/// A vector of what `at` computes for the positions from `start` on; `mask`: the lanes that count,
/// null if all do. Within one line positions are a run, which `at` is given as such: a vector is
/// computed for every line that it has elements of, with the lanes of that line.
mlir::Value
emitAlongLines(Code &code, Lines lines, mlir::Value start, mlir::Value mask,
               llvm::function_ref<mlir::Value(const PointIndex &, mlir::Value mask)> at);

} // namespace ingot
