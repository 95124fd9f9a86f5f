/// Runs one instruction over many operands and compares it with a function of the host.
#pragma once
#include "test/emulator/Support.h"
#include <array>
#include <functional>

namespace ingot::emulator::test {

/// Operands are 64 bits of random or boundary values; the instruction sees their lower parts as
/// a8, a16, a32, a64, b16, …; it writes d8, d16, d32, d64, or the predicate p. q is (c < 0) and r
/// (b < 0), as s32. [ra] is a global cell of 8 bytes that holds a, [sa] one in shared memory ([rs]
/// by a generic address), [rw] a global one of 16 bytes that holds a and b. v16_0 … and o16_0 … are
/// free, v32_0, o32_0 too. Statements after the first name their guard: ";\n @k …".
struct InstructionCase {
  std::string text; ///< "add.s32 d32, a32, b32"
  std::function<uint64_t(uint64_t a, uint64_t b, uint64_t c)> expected;
  uint64_t cMask = ~uint64_t(0); ///< c and b are drawn below these masks
  uint64_t bMask = ~uint64_t(0);
  /// Formats of a, b and c, whose values fill the 64 bits side by side; else any bits. A unary
  /// instruction of a format of 16 bits or fewer sees all of its encodings (but for .sat and .ftz).
  std::array<std::optional<FloatType>, 3> formats = {};
  /// Where not one result is right, but several: instead of `expected`.
  std::function<bool(uint64_t a, uint64_t b, uint64_t c, uint64_t result)> accepts = {};
  std::string_view target = "sm_90a";
};

/// Every case on boundary values in all combinations and 1000 fresh operands, with a guard that
/// leaves out some lanes, which must keep what their register held.
void checkInstructions(const std::vector<InstructionCase> &cases);

/// The values of 32 lanes.
using Lanes = std::array<uint64_t, 32>;

/// An instruction of a whole warp. Lanes are split into groups at random; each lane names its group
/// in the register m, and lanes of no group do not execute.
struct WarpCase {
  std::string
      text; ///< "redux.sync.add.u32 d32, a32, m"; registers as above; e32: the group's lowest lane
  /// What `lane` gets, where `members` is its group.
  std::function<uint64_t(const Lanes &a, const Lanes &b, const Lanes &c, uint32_t members,
                         int lane)>
      expected;
  uint64_t aMask = ~uint64_t(0), bMask = ~uint64_t(0), cMask = ~uint64_t(0);
  std::optional<FloatType> format = {}; ///< of a
  bool wholeWarps = false;              ///< all lanes are one group
  bool fewC = false;                    ///< often the same sign of c, which is q, in a whole group
  std::string_view target = "sm_90a";
};
void checkWarpInstructions(const std::vector<WarpCase> &cases);

/// Whether the machine takes the statement; registers as above.
bool decodes(std::string_view statement, std::string_view target = "sm_90a");

/// A kernel that holds these statements, with all the registers that cases may name.
std::string kernelAround(std::string_view name, std::string_view statements,
                         std::string_view parameters = "");

} // namespace ingot::emulator::test
