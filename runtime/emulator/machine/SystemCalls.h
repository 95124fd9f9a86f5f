/// Functions that the CUDA driver provides to device code: vprintf and __assertfail.
#pragma once
#include "runtime/emulator/machine/Machine.h"

namespace ingot::emulator {

/// Runs for one lane; arguments and results are where the caller keeps them.
using SystemCall = void (*)(Warp &warp, const Instruction &instruction, int lane,
                            const std::vector<std::byte *> &arguments,
                            const std::vector<std::byte *> &results);

/// Null if there is no such function with so many arguments.
SystemCall findSystemCall(std::string_view name, size_t arguments);

} // namespace ingot::emulator
