#include "codegen/kernel/InPlace.h"

using namespace mlir;

namespace ingot {

std::optional<PointIndex> Row::inside(const PointIndex &position) const {
  PointIndex rest = position + number * -size;
  if (rest.minimum() < 0 || rest.maximum() >= size)
    return std::nullopt;
  return rest;
}

void InPlaceFinder::record(int stage, std::optional<PointIndex> position) {
  for (; seen < points.accesses().size(); ++seen) {
    const PointEmitter::Access &access = points.accesses()[seen];
    loads.push_back({access, stage, position && access.position == *position});
  }
}

void InPlaceFinder::report(KernelBuilder &kernel, unsigned result, int stage,
                           std::optional<Row> row) {
  auto type = cast<MemRefType>(kernel.resultMemory(result).getType());
  for (unsigned operand = 0; operand < kernel.operands(); ++operand) {
    Value memory = kernel.operandMemory(operand);
    auto other = cast<MemRefType>(memory.getType());
    if (other.getNumElements() != type.getNumElements() ||
        other.getElementType() != type.getElementType())
      continue;
    bool used = false, safe = true;
    for (const Load &load : loads) {
      if (load.access.memref != memory)
        continue;
      used = true;
      if (load.stage == stage)
        safe &= load.atStore;
      else
        safe &= load.stage < stage && row && row->inside(load.access.position);
    }
    if (used && safe)
      kernel.addInPlace(result, operand);
  }
}

} // namespace ingot
