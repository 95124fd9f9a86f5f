/// Whether a factor of a contraction is worth being packed before the kernel runs.
#pragma once
#include "codegen/cpu/MachineShape.h"
#include "passes/Backend.h"

namespace ingot {

/// Of a kernel of root `contraction`: see Backend::packedLayout.
kernel::PanelsAttr packedFactor(mlir::func::FuncOp kernel, unsigned argument,
                                const MachineShape &machine, const TargetCosts &costs);

} // namespace ingot
