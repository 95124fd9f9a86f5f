/// The families of instructions; each is a table in a file of its own.
#pragma once
#include "runtime/emulator/machine/Decoder.h"

namespace ingot::emulator {

using Family = std::span<const InstructionRow>;

/// The opcodes of all families, in order.
std::vector<std::string_view> opcodes();

Family integerFamily();
Family bitsFamily();
Family compareFamily();
Family moveFamily();
Family floatFamily();
Family convertFamily();
Family convertPackedFamily();
Family memoryFamily();
Family controlFamily();
Family warpFamily();
Family atomicFamily();
Family barrierFamily();
Family matrixFamily();
Family registerFamily();
Family warpMatrixFamily();
Family memoryBarrierFamily();
Family asyncCopyFamily();
Family bulkCopyFamily();
Family asyncStoreFamily();
Family videoFamily();
Family tensorMapFamily();

} // namespace ingot::emulator
