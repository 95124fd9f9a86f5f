/// How a contraction kernel is launched: its blocks, its scratch, and which of its results may
/// overwrite an operand.
#include "codegen/cpu/ContractionBlocks.h"
#include "codegen/cpu/ContractionForm.h"
#include "codegen/cpu/KernelScheduler.h"

using namespace mlir;

namespace ingot {
LogicalResult scheduleContraction(KernelScheduler &kernel) {
  graph::ContractOp contract = contractionOf(kernel.kernel);
  if (!contract)
    return failure();
  const ContractionForm form(contract);
  const double flops = form.shape.flops() + kernel.operations();
  ContractionBlocks blocks;
  if (contract.getType().getNumElements() == 0) {
    kernel.launch("contraction", 0, blocks, flops);
    return success();
  }
  if (kernel::UnpackOp packed = form.right.packed) {
    const Layout layout = packed.getLayout().layout();
    if (layout.matrices != form.shape.batch || layout.rows != form.shape.columns ||
        layout.depth != form.shape.depth)
      return packed.emitError("is not packed as the contraction reads it");
  }
  if (failed(shareEpilogue(kernel, contract, form.shape.batch * form.shape.joined,
                           form.shape.matrixRows(), form.shape.matrixColumns(), Code::lanes)))
    return failure();
  blocks = chooseBlocks(form.shape, kernel.machine, kernel.costs, kernel.choice);
  const ContractionScratch scratch(form.shape, blocks, form.keepRows);
  for (int64_t count : {scratch.leftPanels, scratch.rightPanels, scratch.sums, scratch.turned})
    kernel.addScratch(count * form.shape.elementBytes);
  kernel.launch("contraction", blocks.grains, blocks, flops);
  return success();
}

} // namespace ingot
