/// The forms of `mma` that share no layout with the others: single bits, and the four products of
/// 8 x 8 x 4 that pairs of quads of lanes have (m8n8k4 of f16).
#pragma once
#include "runtime/emulator/arithmetic/MatrixMultiply.h"

namespace ingot::emulator {

/// D[m, n] = C[m, n] + how many bits of A's row m and B's column n are both set (.and.popc), or
/// differ (.xor.popc).
struct BitMultiply {
  int m = 8, k = 128;
  bool isXor = false;
  bool isSupported() const { return (m == 8 && k == 128) || (m == 16 && (k == 128 || k == 256)); }
  int registersOfA() const { return m * k / 1024; }
  int registersOfB() const { return k / 128; }
  int registersOfC() const { return m / 4; }
};
void multiply(const BitMultiply &shape, Registers d, ConstRegisters a, ConstRegisters b,
              ConstRegisters c);

/// Lanes 4 q to 4 q + 3 and 16 + 4 q to 16 + 4 q + 3 hold the q-th product; its sums follow the
/// rule of MatrixMultiply.h.
struct QuadPairMultiply {
  bool rowMajorA = true, rowMajorB = false;
  Accumulator result = Accumulator::F32, addend = Accumulator::F32; ///< F16 or F32
  static int registersOf(Accumulator type) { return type == Accumulator::F16 ? 4 : 8; }
};
void multiply(const QuadPairMultiply &shape, Registers d, ConstRegisters a, ConstRegisters b,
              ConstRegisters c);

} // namespace ingot::emulator
