#pragma once
#include "runtime/emulator/machine/Code.h"

namespace ingot::emulator {

/// Instruction::mode of a branch back over instructions that poll memory.
inline constexpr uint8_t pollingBranch = 1;

/// `ret`: also what ends every function's code.
void runReturn(Warp &warp, const Instruction &instruction, uint32_t mask);

} // namespace ingot::emulator
