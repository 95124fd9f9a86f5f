#include "codegen/kernel/Sharing.h"

using namespace mlir;

namespace ingot {

std::optional<PointIndex> Row::inside(const PointIndex &position) const {
  PointIndex rest = position + number * -size;
  if (rest.minimum() < 0 || rest.maximum() >= size)
    return std::nullopt;
  return rest;
}

bool canShare(Type result, Type operand) {
  MemRefType left = kernel::memoryType(result), right = kernel::memoryType(operand);
  return left.getNumElements() == right.getNumElements() &&
         left.getElementType() == right.getElementType();
}

void SharingFinder::record(int stage, std::optional<PointIndex> position) {
  for (; seen < points.loads().size(); ++seen) {
    const PointAccess::Load &access = points.loads()[seen];
    loads.push_back({access, stage, position && access.position == *position});
  }
}

SmallVector<kernel::PairAttr> SharingFinder::pairs(unsigned result, int stage,
                                                   std::optional<Row> row) {
  SmallVector<kernel::PairAttr> found;
  for (unsigned operand = 0; operand < kernel.getNumArguments(); ++operand) {
    if (!canShare(kernel.getResultTypes()[result], kernel.getArgumentTypes()[operand]))
      continue;
    bool safe = true, atPoint = true;
    for (const Load &load : loads) {
      if (load.access.operand != operand)
        continue;
      if (load.stage == stage) {
        safe &= load.atStore;
      } else {
        atPoint = false;
        safe &= load.stage < stage && row && row->inside(load.access.position);
      }
    }
    if (safe)
      found.push_back(
          kernel::PairAttr::get(kernel.getContext(), result, operand,
                                atPoint ? kernel::Sharing::SamePoint : kernel::Sharing::SameRow,
                                atPoint ? 1 : row->size));
  }
  return found;
}

} // namespace ingot
