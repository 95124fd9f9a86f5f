/// Integer types as the tests' references see them.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace ingot::emulator::test {

using Wide = __int128;

struct IntegerKind {
  std::string name; ///< "s32"
  int bits;
  bool isSigned;
  /// The value of a register.
  Wide value(uint64_t x) const {
    Wide v = bits == 64 ? Wide(x) : Wide(x & ((uint64_t(1) << bits) - 1));
    if (isSigned && v >> (bits - 1) & 1)
      v -= Wide(1) << bits;
    return v;
  }
  Wide largest() const { return (Wide(1) << (bits - isSigned)) - 1; }
  Wide smallest() const { return isSigned ? -(Wide(1) << (bits - 1)) : 0; }
};
inline const std::vector<IntegerKind> integerKinds = {{"u16", 16, false}, {"s16", 16, true},
                                                      {"u32", 32, false}, {"s32", 32, true},
                                                      {"u64", 64, false}, {"s64", 64, true}};

} // namespace ingot::emulator::test
