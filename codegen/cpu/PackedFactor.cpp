#include "codegen/cpu/PackedFactor.h"
#include "codegen/cpu/ContractionBlocks.h"
#include "codegen/cpu/ContractionForm.h"

using namespace mlir;

namespace ingot {

/// The right operand is packed once where each run would pack it. The left one is where the right
/// one has few columns: the operands are exchanged then, channels fill the vectors, and the columns
/// become rows of tiles.
kernel::PanelsAttr packedFactor(func::FuncOp kernel, unsigned argument, const MachineShape &machine,
                                const TargetCosts &costs) {
  constexpr int64_t fewColumns = 256;
  graph::ContractOp contract = contractionOf(kernel);
  if (!contract || contract.getType().getNumElements() == 0)
    return {};
  const ContractionForm form(contract);
  const ContractionBlocks blocks = chooseBlocks(form.shape, machine, costs);
  if (blocks.dotProducts || form.shape.joined > 1 || form.shape.rhsPacked)
    return {};
  auto packed = [&](const ContractionOperand &operand) -> kernel::PanelsAttr {
    kernel::PanelsAttr layout = operand.memory() == argument ? operand.panels() : nullptr;
    if (layout && layout.getTensor().getElementType() == form.sumType)
      return layout;
    return {};
  };
  if (blocks.packRhs)
    if (kernel::PanelsAttr right = packed(form.right))
      return right;
  if (form.shape.columns > 1 && form.shape.columns <= fewColumns &&
      form.shape.rows >= 2 * Code::lanes)
    return packed(form.left);
  return {};
}

} // namespace ingot
