#include "passes/kernels/BlockKernels.h"

using namespace mlir;

namespace ingot {

LogicalResult BlockKernels::form(Block &block) {
  if (failed(groups.form(block)))
    return failure();
  values.emplace(groups, block);
  for (Operation &op : block)
    if (roleOf(&op) == OpRole::Region)
      for (Region &region : op.getRegions()) {
        auto kernels = std::make_unique<BlockKernels>(groups.targetCosts(), groups.areFused());
        if (failed(kernels->form(region.front())))
          return failure();
        inner[&region.front()] = std::move(kernels);
      }
  return success();
}

} // namespace ingot
