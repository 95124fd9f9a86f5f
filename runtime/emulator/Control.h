#pragma once
#include "runtime/emulator/Code.h"

namespace ingot::emulator {

/// `ret`: also what ends every function's code.
void runReturn(Warp &warp, const Instruction &instruction, uint32_t mask);

} // namespace ingot::emulator
