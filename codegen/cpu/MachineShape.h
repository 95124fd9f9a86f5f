/// What sizes of blocks depend on of the machine that code is for.
#pragma once
#include <cstdint>

namespace ingot {

/// No block size changes a bit of a result, so the defaults, a small AVX-512 core, are right
/// everywhere and best where they fit.
struct MachineShape {
  int64_t vectorBytes = 64;                      ///< of the widest register
  int64_t l1Bytes = 48 << 10, l2Bytes = 1 << 20; ///< of a core's data caches
  int64_t l1Ways = 8;                            ///< lines that a set of L1 holds

  /// Vector registers of x86-64.
  int64_t registers() const { return vectorBytes == 64 ? 32 : 16; }
};

} // namespace ingot
