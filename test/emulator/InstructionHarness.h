/// Runs one instruction over many operands and compares it with a function of the host.
#pragma once
#include "Support.h"
#include <functional>

namespace ingot::emulator::test {

/// Operands are 64 bits of random or boundary values; the instruction sees their lower parts as
/// a16, a32, a64, b16, …; it writes d16, d32, d64, or the predicate p.
struct InstructionCase {
  std::string text; ///< "add.s32 d32, a32, b32"
  std::function<uint64_t(uint64_t a, uint64_t b, uint64_t c)> expected;
  uint64_t cMask = ~uint64_t(0); ///< c (and b, if `limitB`) is drawn below this mask
  uint64_t bMask = ~uint64_t(0);
};

/// Every case on 2000 fresh operands (boundary values in all combinations first), with a guard that
/// leaves out some lanes, which must keep what their register held.
void checkInstructions(const std::vector<InstructionCase> &cases);

} // namespace ingot::emulator::test
