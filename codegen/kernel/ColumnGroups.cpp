#include "codegen/kernel/ColumnGroups.h"
#include "codegen/kernel/Sharing.h"
#include <map>

using namespace mlir;

namespace ingot {

int64_t ColumnGroup::sums() const {
  int64_t count = 0;
  for (const Reduction &reduction : reductions)
    count += reduction.outputs();
  return count;
}

Type ColumnGroup::sumType() const { return reductions.front().type(0).getElementType(); }

std::optional<std::vector<ColumnGroup>> columnGroups(func::FuncOp kernel) {
  std::map<int64_t, ColumnGroup> byWidth;
  double work = 0;
  for (Reduction &reduction : findReductions(kernel)) {
    work += double(reduction.kept) * reduction.length;
    ColumnGroup &group = byWidth[reduction.kept];
    group.share += double(reduction.kept) * reduction.length;
    group.columns = reduction.kept;
    group.reductions.push_back(std::move(reduction));
  }
  for (auto [result, type] : llvm::enumerate(kernel.getResultTypes())) {
    int64_t width = cast<RankedTensorType>(type).getNumElements();
    auto group = byWidth.find(width);
    if (width == 0 || group == byWidth.end())
      return std::nullopt;
    group->second.results.push_back(result);
  }
  std::vector<ColumnGroup> groups;
  for (auto &[width, group] : byWidth) {
    if (group.results.empty())
      return std::nullopt;
    group.share = group.share / std::max(work, 1.0);
    groups.push_back(std::move(group));
  }
  if (groups.empty())
    return std::nullopt;
  return groups;
}

LogicalResult shareColumns(ScheduleBuilder &kernel, const ColumnGroup &group, bool isOnly,
                           int64_t lanes) {
  PointAccess points(kernel.kernel, lanes);
  SharingFinder finder(kernel.kernel, points);
  PointIndex column = points.consecutive(group.columns);
  int levels = 0;
  for (const Reduction &reduction : group.reductions)
    levels = std::max(levels, reduction.level + 1);
  for (int level = 0; level < levels; ++level)
    for (const Reduction &reduction : group.reductions) {
      if (reduction.level != level)
        continue;
      points.region(reduction.op,
                    iterationOf(points, reduction, column, points.uniform(reduction.length)));
      finder.record(0, std::nullopt);
      SmallVector<PointIndex> iteration =
          iterationOf(points, reduction, column, PointIndex::constant(0));
      accessInitial(points, reduction, iteration);
      finder.record(1, column);
      for (unsigned output = 0; output < reduction.outputs(); ++output) {
        linalg::LinalgOp op = reduction.op;
        Value tensor = op->getResult(output);
        ArrayRef<int64_t> shape = reduction.type(output).getShape();
        points.bind(tensor, [column, shape](PointAccess::Indices indices) {
          return linearise(indices, shape) == column ? std::optional(true) : std::nullopt;
        });
      }
    }
  for (unsigned result : group.results)
    points.at(kernel.returned(result), points.split(column, kernel.type(result).getShape()));
  finder.record(1, column);
  if (isOnly)
    for (unsigned result : group.results)
      kernel.share(finder.pairs(result, 1));
  return success(points.ok());
}

} // namespace ingot
