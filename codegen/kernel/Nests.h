/// Nests of loops over the points of a kernel's results.
#pragma once
#include "codegen/kernel/PointAccess.h"
#include "codegen/kernel/ScheduleBuilder.h"

namespace ingot {

/// Results of one element count share a nest of loops over `outer` rows of `inner` elements, both
/// in row-major order of their own shapes.
struct Nest {
  llvm::SmallVector<unsigned> results;
  int64_t count = 0; ///< elements
  int64_t outer = 1, inner = 1;
};

/// The nests of a kernel whose results have these types, in the order of their first results; each
/// is one line.
llvm::SmallVector<Nest> nestsOf(llvm::ArrayRef<mlir::Type> results);

/// What a lane's work costs in a loop over `extent` elements whose block of lanes reads these
/// places, `slow` times out of order: gathers and index divisions are expensive, and so are lanes
/// that a short loop leaves idle.
double costOfLoads(llvm::ArrayRef<PointIndex> places, int64_t slow, int64_t extent, int64_t lanes);

/// Notes what one block of lanes of a nest needs; returns its position.
PointIndex accessBlock(mlir::func::FuncOp kernel, PointAccess &points, const Nest &nest);

/// Chooses `outer` and `inner` for blocks of so many lanes: those with the fewest gathers, index
/// divisions and idle lanes. A failure has reported a located diagnostic.
llvm::LogicalResult chooseLoops(const ScheduleBuilder &kernel, Nest &nest, int64_t lanes);

} // namespace ingot
