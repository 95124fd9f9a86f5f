#include "runtime/emulator/arithmetic/MatrixForms.h"
#include <bit>

namespace ingot::emulator {

void multiply(const BitMultiply &shape, Registers d, ConstRegisters a, ConstRegisters b,
              ConstRegisters c) {
  const int halves = shape.m / 8;
  uint32_t sums[32][4];
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < shape.registersOfC(); ++i) {
      const int row = (lane >> 2) + 8 * (i >> 1), column = 2 * (lane & 3) + (i & 1);
      uint32_t sum = c[i][lane];
      for (int word = 0; word < shape.k / 32; ++word) {
        const uint32_t x = a[word / 4 * halves + row / 8][row % 8 * 4 + word % 4];
        const uint32_t y = b[word / 4][column * 4 + word % 4];
        sum += static_cast<uint32_t>(std::popcount(shape.isXor ? x ^ y : x & y));
      }
      sums[lane][i] = sum;
    }
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < shape.registersOfC(); ++i)
      d[i][lane] = sums[lane][i];
}

namespace {

/// Row and column, in its product, of accumulator `i` of a lane.
std::pair<int, int> quadPairPlace(Accumulator type, int lane, int i) {
  const int upper = lane < 16 ? 0 : 4;
  if (type == Accumulator::F16)
    return {lane % 4 + upper, i};
  return {(lane & 1) + (i & 2) + upper, (i & 4) + (lane & 2) + (i & 1)};
}

} // namespace

void multiply(const QuadPairMultiply &shape, Registers d, ConstRegisters a, ConstRegisters b,
              ConstRegisters c) {
  float left[4][8][4], right[4][4][8], sums[4][8][8];
  for (int lane = 0; lane < 32; ++lane) {
    const int q = lane / 4 % 4, upper = lane < 16 ? 0 : 4, own = lane % 4;
    for (int i = 0; i < 4; ++i) {
      const auto element = [&](ConstRegisters from) {
        return Float16::decode(from[i / 2][lane] >> 16 * (i % 2) & 0xffff);
      };
      (shape.rowMajorA ? left[q][own + upper][i] : left[q][i + upper][own]) = element(a);
      (shape.rowMajorB ? right[q][own][i + upper] : right[q][i][own + upper]) = element(b);
    }
    for (int i = 0; i < 8; ++i) {
      const auto [row, column] = quadPairPlace(shape.addend, lane, i);
      sums[q][row][column] = shape.addend == Accumulator::F16
                                 ? Float16::decode(c[i / 2][lane] >> 16 * (i % 2) & 0xffff)
                                 : std::bit_cast<float>(c[i][lane]);
    }
  }
  for (int q = 0; q < 4; ++q)
    matrix::accumulate(&sums[q][0][0], &left[q][0][0], &right[q][0][0], 8, 8, 4);
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 8; ++i) {
      const auto [row, column] = quadPairPlace(shape.result, lane, i);
      const uint32_t bits = matrix::accumulatorBits(shape.result, sums[lane / 4 % 4][row][column]);
      if (shape.result == Accumulator::F16) // the lower half comes first
        d[i / 2][lane] = i % 2 ? d[i / 2][lane] | bits << 16 : bits;
      else
        d[i][lane] = bits;
    }
}

} // namespace ingot::emulator
