#include "codegen/cpu/PackedFactor.h"
#include "codegen/cpu/ContractionBlocks.h"
#include "codegen/cpu/ContractionForm.h"

using namespace mlir;

namespace ingot {

/// The right operand is packed once where each run would pack it. Where the right one has few
/// columns, the left one is packed instead and the operands are exchanged: channels fill the
/// vectors, and the columns become rows of tiles.
std::optional<PackedOperand> packedFactor(func::FuncOp kernel, const MachineShape &machine,
                                          const TargetCosts &costs) {
  constexpr int64_t fewColumns = 256;
  graph::ContractOp contract = contractionOf(kernel);
  if (!contract || contract.getType().getNumElements() == 0)
    return {};
  const ContractionForm form(contract);
  const ContractionBlocks blocks = chooseBlocks(form.shape, machine, costs);
  if (blocks.dotProducts || form.shape.joined > 1 || form.shape.rhsPacked)
    return {};
  auto packed = [&](const ContractionOperand &operand) -> std::optional<PackedOperand> {
    kernel::PanelsAttr layout = operand.panels();
    if (!layout || layout.getTensor().getElementType() != form.sumType)
      return {};
    return PackedOperand{*operand.memory(), layout};
  };
  if (blocks.packRhs)
    if (std::optional<PackedOperand> right = packed(form.right))
      return right;
  if (form.shape.columns > 1 && form.shape.columns <= fewColumns &&
      form.shape.rows >= 2 * Code::lanes)
    return packed(form.left);
  return {};
}

} // namespace ingot
