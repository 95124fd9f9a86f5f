/// A warp's fragments as row-major matrices, and back.
#pragma once
#include "runtime/emulator/arithmetic/MatrixMultiply.h"

namespace ingot::emulator::matrix {

/// Elements of A or B of one `mma` at most.
inline constexpr int maximumElements = 16 * 64;

/// Collects a fragment whose registers hold packed elements into a row-major matrix. B is an A of 8
/// rows, `transposed`.
template <typename T>
void collect(MatrixType type, int rows, int columns, int count, ConstRegisters registers,
             bool transposed, T *matrix) {
  const int perRegister = 32 / bitWidth(type);
  T elements[32 * 8];
  for (int index = 0; index < count; ++index) {
    unpack(type, registers[index], 32, elements);
    for (int lane = 0; lane < 32; ++lane) {
      const FragmentPlace place = placeInFragment(rows, perRegister, lane, index);
      for (int i = 0; i < perRegister; ++i) {
        const int column = place.column + i;
        matrix[transposed ? column * rows + place.row : place.row * columns + column] =
            elements[lane * perRegister + i];
      }
    }
  }
}

/// Calls `visit(register, lane, shift, row, column)` for every element of an accumulator.
template <typename Visit> void forAccumulator(const MatrixMultiply &shape, Visit visit) {
  const bool packs = shape.accumulator == Accumulator::F16;
  for (int half = 0; half < shape.m / 8; ++half)
    for (int pair = 0; pair < 2; ++pair)
      for (int lane = 0; lane < 32; ++lane)
        visit(packs ? half : 2 * half + pair, lane, packs ? 16 * pair : 0, (lane >> 2) + 8 * half,
              2 * (lane & 3) + pair);
}

/// The sums that C starts with: [m][8].
inline void loadSums(const MatrixMultiply &shape, ConstRegisters c, float *sums) {
  forAccumulator(shape, [&](int index, int lane, int shift, int row, int column) {
    const uint32_t bits = c[index][lane];
    sums[row * 8 + column] = shape.accumulator == Accumulator::F16
                                 ? Float16::decode(bits >> shift & 0xffff)
                                 : std::bit_cast<float>(bits);
  });
}
inline void loadSums(const MatrixMultiply &shape, ConstRegisters c, int64_t *sums) {
  forAccumulator(shape, [&](int index, int lane, int, int row, int column) {
    sums[row * 8 + column] = static_cast<int32_t>(c[index][lane]);
  });
}

inline void storeSums(const MatrixMultiply &shape, Registers d, const float *sums) {
  forAccumulator(shape, [&](int index, int lane, int shift, int row, int column) {
    const uint32_t bits = accumulatorBits(shape.accumulator, sums[row * 8 + column]);
    d[index][lane] = shift ? d[index][lane] | bits << shift : bits; // the lower half comes first
  });
}
inline void storeSums(const MatrixMultiply &shape, Registers d, const int64_t *sums) {
  forAccumulator(shape, [&](int index, int lane, int, int row, int column) {
    d[index][lane] = accumulatorBits(sums[row * 8 + column], shape.saturate);
  });
}

} // namespace ingot::emulator::matrix
