#include "runtime/emulator/arithmetic/SparseMultiply.h"
#include "runtime/emulator/arithmetic/MatrixFragments.h"

namespace ingot::emulator {
namespace {

bool is8(MatrixType type) { return bitWidth(type) == 8; }

template <typename Element, typename Sum>
bool multiplyAll(const SparseMultiply &sparse, Registers d, ConstRegisters a, ConstRegisters b,
                 ConstRegisters c, const uint32_t *metadata) {
  const MatrixMultiply &shape = sparse.shape;
  const int perRow = shape.k / 2;
  Element left[matrix::maximumElements], right[8 * 128];
  Sum sums[16 * 8];
  uint8_t places[matrix::maximumElements];
  matrix::collect(shape.a, shape.m, perRow, sparse.registersOfA(), a, false, left);
  matrix::collect(shape.b, 8, shape.k, shape.registersOfB(), b, true, right);
  matrix::loadSums(shape, c, sums);
  const bool valid = findPlaces(sparse, metadata, places);
  for (int row = 0; row < shape.m; ++row)
    for (int i = 0; i < perRow; ++i)
      for (int column = 0; column < 8; ++column)
        sums[row * 8 + column] +=
            Sum(left[row * perRow + i]) * Sum(right[places[row * perRow + i] * 8 + column]);
  matrix::storeSums(shape, d, sums);
  return valid;
}

} // namespace

bool findPlaces(const SparseMultiply &sparse, const uint32_t *metadata, uint8_t *places) {
  const MatrixMultiply &shape = sparse.shape;
  const int size = sparse.groupSize(), perRow = shape.k / 2;
  bool valid = true;
  for (int row = 0; row < shape.m; ++row)
    for (int group = 0; group < shape.k / size; ++group) {
      const auto [lane, bit] = sparse.placeOfMetadata(row, group);
      const int bits = static_cast<int>(metadata[lane] >> bit & 15), first = bits & 3,
                second = bits >> 2;
      valid &= size == 2 ? bits == 0b0100 || bits == 0b1110 : first != second;
      valid &= !sparse.ordered || first < second;
      uint8_t *out = places + row * perRow + group * size / 2;
      const int k = group * size;
      if (size == 2) {
        out[0] = static_cast<uint8_t>(k + (first >> 1));
      } else if (size == 4) {
        out[0] = static_cast<uint8_t>(k + first);
        out[1] = static_cast<uint8_t>(k + second);
      } else { // pairs
        for (int i = 0; i < 2; ++i) {
          out[i] = static_cast<uint8_t>(k + 2 * first + i);
          out[2 + i] = static_cast<uint8_t>(k + 2 * second + i);
        }
      }
    }
  return valid;
}

int SparseMultiply::groupSize() const {
  switch (bitWidth(shape.a)) {
  case 32:
    return 2;
  case 4:
    return 8;
  default:
    return 4;
  }
}

bool SparseMultiply::isSupported() const {
  // Twice the k of a dense shape whose A has as many registers.
  MatrixMultiply dense = shape;
  dense.k /= 2;
  if (shape.m != 16 || !dense.isSupported() || shape.accumulator == Accumulator::F64)
    return false;
  // f8 has m16n8k64 alone.
  const bool float8 = shape.a == MatrixType::E4M3 || shape.a == MatrixType::E5M2;
  return !float8 || (shape.k == 64 && shape.accumulator == Accumulator::F32);
}

int SparseMultiply::largestSelector() const {
  const int words = shape.k / groupSize() / 4; // of 16 bits, for each row
  return is8(shape.a) || bitWidth(shape.a) == 4 ? (words == 2 ? 1 : 0) : words == 1 ? 3 : 1;
}

SparseMultiply::Place SparseMultiply::placeOfMetadata(int row, int group) const {
  const int quad = row % 8 * 4, lower = row / 8;
  if (bitWidth(shape.a) >= 16) {
    // A word for four groups of rows r and r + 8.
    const int lanes = shape.k / groupSize() / 4;
    return {quad + selector * lanes + group / 4, 16 * lower + 4 * (group % 4)};
  }
  // A word for eight groups of one row.
  return {quad + 2 * selector + 2 * (group / 8) + lower, 4 * (group % 8)};
}

bool multiply(const SparseMultiply &sparse, Registers d, ConstRegisters a, ConstRegisters b,
              ConstRegisters c, const uint32_t *metadata) {
  return sparse.shape.accumulator == Accumulator::S32
             ? multiplyAll<int32_t, int64_t>(sparse, d, a, b, c, metadata)
             : multiplyAll<float, float>(sparse, d, a, b, c, metadata);
}

} // namespace ingot::emulator
