#include "codegen/kernel/Nests.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/MathExtras.h"
#include <limits>

using namespace mlir;

namespace ingot {

SmallVector<Nest> nestsOf(ArrayRef<Type> results) {
  llvm::MapVector<int64_t, Nest> byCount;
  for (auto [result, type] : llvm::enumerate(results))
    byCount[cast<RankedTensorType>(type).getNumElements()].results.push_back(result);
  SmallVector<Nest> nests;
  for (auto &[count, nest] : byCount)
    if (count) {
      nest.count = nest.inner = count;
      nests.push_back(nest);
    }
  return nests;
}

PointIndex accessBlock(func::FuncOp kernel, PointAccess &points, const Nest &nest) {
  PointIndex row = points.uniform(nest.outer);
  PointIndex position = row * nest.inner + points.consecutive(nest.inner);
  auto returned = kernel.getBody().front().getTerminator()->getOperands();
  for (unsigned result : nest.results)
    points.at(
        returned[result],
        points.split(position, cast<RankedTensorType>(returned[result].getType()).getShape()));
  return position;
}

double costOfLoads(ArrayRef<PointIndex> places, int64_t slow, int64_t extent, int64_t lanes) {
  double divisions = 0;
  for (const PointIndex &place : places)
    for (const PointIndex::Digit &digit : place.digits())
      divisions += (digit.divisor != 1) + !digit.full();
  const double cost = 2 + double(places.size()) + 16 * double(slow) + divisions;
  return cost * double(llvm::alignTo(extent, lanes)) / double(extent);
}

/// None after an error.
static std::optional<double> costOfLoops(func::FuncOp kernel, const Nest &nest, int64_t lanes) {
  PointAccess points(kernel, lanes);
  accessBlock(kernel, points, nest);
  if (!points.ok())
    return std::nullopt;
  const auto places = llvm::map_to_vector(
      points.loads(), [](const PointAccess::Load &load) { return load.position; });
  return costOfLoads(places, points.slowAccesses(), nest.inner, lanes);
}

/// Fewer, longer loops win ties: the whole space as one line comes first.
LogicalResult chooseLoops(const ScheduleBuilder &kernel, Nest &nest, int64_t lanes) {
  ArrayRef<int64_t> shape = kernel.type(nest.results.front()).getShape();
  double least = std::numeric_limits<double>::infinity();
  Nest candidate = nest;
  candidate.outer = 1;
  for (size_t dim = 0; dim < std::max<size_t>(1, shape.size()); ++dim) {
    candidate.outer *= dim == 0 ? 1 : shape[dim - 1];
    candidate.inner = nest.count / candidate.outer;
    std::optional<double> cost = costOfLoops(kernel.kernel, candidate, lanes);
    if (!cost)
      return failure();
    if (*cost < least) {
      least = *cost;
      nest.outer = candidate.outer, nest.inner = candidate.inner;
    }
  }
  return success();
}

} // namespace ingot
