/// Which factor of a contraction is worth being packed before the kernel runs.
#pragma once
#include "codegen/cpu/MachineShape.h"
#include "passes/Backend.h"

namespace ingot {

/// Of a kernel of root `contraction`: see Backend::packedOperand.
std::optional<PackedOperand> packedFactor(mlir::func::FuncOp kernel, const MachineShape &machine,
                                          const TargetCosts &costs);

} // namespace ingot
