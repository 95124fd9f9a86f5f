#include "runtime/emulator/machine/WarpgroupMultiply.h"
#include <cstring>

namespace ingot::emulator {

namespace {

constexpr int rowsOfWarp = 16, maximumColumns = 256, maximumK = 64;

/// k elements of `rows` rows, as chunks, into [row][k] or [k][row].
template <typename T>
void unpackChunks(MatrixType type, bool transposed, int rows, int k, const uint8_t *chunks,
                  bool kFirst, T *out) {
  const int perChunk = 128 / bitWidth(type), perRow = k / perChunk;
  for (int chunk = 0; chunk < perRow * rows; ++chunk) {
    uint32_t words[4];
    T elements[16];
    std::memcpy(words, chunks + 16 * chunk, 16);
    matrix::unpack(type, words, 4, elements);
    const int row = transposed ? chunk % (rows / 8) * 8 : chunk / perRow;
    const int column = transposed ? chunk / (rows / 8) : chunk % perRow * perChunk;
    for (int i = 0; i < perChunk; ++i) {
      const int r = transposed ? row + i : row, c = transposed ? column : column + i;
      out[kFirst ? c * rows + r : r * k + c] = elements[i];
    }
  }
}

/// A from registers: the layout of mma's 16 rows.
template <typename T>
void unpackRegisters(MatrixType type, int k, ConstRegisters registers, T *out) {
  const int perRegister = 32 / bitWidth(type);
  T elements[32 * 4];
  for (int index = 0; index < 4; ++index) {
    matrix::unpack(type, registers[index], 32, elements);
    for (int lane = 0; lane < 32; ++lane) {
      const FragmentPlace place = placeInFragment(rowsOfWarp, perRegister, lane, index);
      for (int i = 0; i < perRegister; ++i)
        out[place.row * k + place.column + i] = elements[lane * perRegister + i];
    }
  }
}

/// Calls `visit(register, lane, shift, index into [16, n])`.
template <typename Visit> void forAccumulator(const WarpgroupMultiply &shape, Visit visit) {
  const bool packs = shape.accumulator == Accumulator::F16;
  for (int block = 0; block < shape.n / 8; ++block)
    for (int half = 0; half < 2; ++half)
      for (int pair = 0; pair < 2; ++pair)
        for (int lane = 0; lane < 32; ++lane)
          visit(packs ? 2 * block + half : 4 * block + 2 * half + pair, lane, packs ? 16 * pair : 0,
                ((lane >> 2) + 8 * half) * shape.n + 8 * block + 2 * (lane & 3) + pair);
}

template <typename T>
void unpackA(const WarpgroupMultiply &shape, const WarpgroupPart &part, T *out) {
  const int k = shape.storedK();
  if (part.aChunks)
    unpackChunks(shape.a, shape.transposeA, rowsOfWarp, k, part.aChunks, false, out);
  else
    unpackRegisters(shape.a, k, part.a, out);
  if (shape.negateA != shape.negateB) // both negations cancel
    for (int i = 0; i < rowsOfWarp * k; ++i)
      out[i] = -out[i];
}

/// sums[16, n] += what A holds times the elements of B [k, n] that the metadata names.
template <typename Element, typename Sum>
bool accumulateSparse(const WarpgroupMultiply &shape, Sum *sums, const Element *a, const Element *b,
                      const uint32_t *metadata) {
  const int perRow = shape.storedK(), n = shape.n;
  uint8_t places[rowsOfWarp * maximumK / 2];
  const bool valid = findPlaces(shape.sparseRows(), metadata, places);
  for (int row = 0; row < rowsOfWarp; ++row)
    for (int i = 0; i < perRow; ++i) {
      const Element left = a[row * perRow + i], *right = b + places[row * perRow + i] * n;
      for (int column = 0; column < n; ++column)
        sums[row * n + column] += Sum(left) * Sum(right[column]);
    }
  return valid;
}

/// `load` and `store` convert between registers and sums: (register, lane, shift, sum).
template <typename Element, typename Sum, typename Load, typename Store>
bool multiplyAll(const WarpgroupMultiply &shape, std::span<const WarpgroupPart> parts,
                 const uint8_t *bChunks, Load load, Store store) {
  const int n = shape.n, k = shape.k();
  Element a[rowsOfWarp * maximumK], b[maximumK * maximumColumns];
  Sum sums[rowsOfWarp * maximumColumns];
  bool valid = true;
  unpackChunks(shape.b, shape.transposeB, n, k, bChunks, true, b);
  for (const WarpgroupPart &part : parts) {
    unpackA(shape, part, a);
    if (shape.addsD)
      forAccumulator(shape, [&](int index, int lane, int shift, int place) {
        sums[place] = load(part.d[index][lane], shift);
      });
    else
      std::fill_n(sums, rowsOfWarp * n, Sum(0));
    if (shape.sparse)
      valid &= accumulateSparse(shape, sums, a, b, part.metadata);
    else
      matrix::accumulate(sums, a, b, rowsOfWarp, n, k);
    forAccumulator(shape, [&](int index, int lane, int shift, int place) {
      const uint32_t bits = store(sums[place]);
      uint32_t &out = part.d[index][lane];
      out = shift ? out | bits << shift : bits; // the lower half comes first
    });
  }
  return valid;
}

} // namespace

MatrixDescriptor MatrixDescriptor::decode(uint64_t bits) {
  MatrixDescriptor descriptor;
  descriptor.start = (bits & 0x3fff) << 4;
  descriptor.leading = (bits >> 16 & 0x3fff) << 4;
  descriptor.stride = (bits >> 32 & 0x3fff) << 4;
  descriptor.baseOffset = bits >> 49 & 7;
  constexpr Swizzle modes[] = {Swizzle::None, Swizzle::Bytes128, Swizzle::Bytes64,
                               Swizzle::Bytes32};
  descriptor.swizzle = modes[bits >> 62];
  return descriptor;
}

uint64_t MatrixDescriptor::encode() const {
  constexpr uint64_t modes[] = {0, 3, 2, 1};
  return uint64_t(start >> 4 & 0x3fff) | uint64_t(leading >> 4 & 0x3fff) << 16 |
         uint64_t(stride >> 4 & 0x3fff) << 32 | uint64_t(baseOffset & 7) << 49 |
         modes[static_cast<int>(swizzle)] << 62;
}

std::vector<uint32_t> MatrixDescriptor::chunks(bool transposed, int first, int rows,
                                               int bytes) const {
  std::vector<uint32_t> addresses;
  addresses.reserve(bytes / 16 * rows);
  const uint32_t span = swizzleSpan(swizzle), perRow = span / 16;
  auto place = [&](uint32_t offset) {
    addresses.push_back(swizzled(swizzle, start + offset, baseOffset));
  };
  if (!transposed) {
    // Patterns of 8 rows follow each other at `stride`, and along k at `leading`; without swizzle
    // their rows hold 16 bytes.
    for (int row = first; row < first + rows; ++row)
      for (uint32_t chunk = 0; chunk < uint32_t(bytes) / 16; ++chunk)
        place(row / 8 * stride + row % 8 * span + chunk / perRow * leading + chunk % perRow * 16);
    return addresses;
  }
  // 8 values of k make a pattern whose rows hold `perRow` blocks of 8 rows of the operand.
  for (uint32_t k = 0; k < uint32_t(bytes) / 2; ++k)
    for (uint32_t block = first / 8; block < uint32_t(first + rows) / 8; ++block) {
      if (swizzle == Swizzle::None)
        place(block * stride + k % 8 * 16 + k / 8 * leading);
      else
        place(block / perRow * leading + block % perRow * 16 + k % 8 * span + k / 8 * stride);
    }
  return addresses;
}

bool WarpgroupMultiply::isSupported() const {
  if (n < 8 || n > 256 || n % 8)
    return false;
  const int width = bitWidth(a);
  const bool integers = a == MatrixType::S8 || a == MatrixType::U8;
  if ((transposeA || transposeB) && width != 16)
    return false;
  if (saturate && !integers)
    return false;
  // All lanes hold the metadata of 8-bit types.
  if (selector < 0 || selector > (sparse && width > 8))
    return false;
  if (integers)
    return (b == MatrixType::S8 || b == MatrixType::U8) && accumulator == Accumulator::S32 &&
           !negateA && !negateB && (n <= 32 || n % 16 == 0);
  const bool float8 = a == MatrixType::E4M3 || a == MatrixType::E5M2;
  if (float8 ? b != MatrixType::E4M3 && b != MatrixType::E5M2 : a != b)
    return false;
  if (float8 || a == MatrixType::F16)
    return accumulator == Accumulator::F32 || accumulator == Accumulator::F16;
  return (a == MatrixType::BF16 || a == MatrixType::TF32) && accumulator == Accumulator::F32;
}

bool multiply(const WarpgroupMultiply &shape, std::span<const WarpgroupPart> parts,
              const uint8_t *bChunks) {
  const auto store = [&](float sum) { return matrix::accumulatorBits(shape.accumulator, sum); };
  switch (shape.accumulator) {
  case Accumulator::S32:
    return multiplyAll<int32_t, int64_t>(
        shape, parts, bChunks, [](uint32_t bits, int) { return static_cast<int32_t>(bits); },
        [&](int64_t sum) { return matrix::accumulatorBits(sum, shape.saturate); });
  case Accumulator::F16:
    return multiplyAll<float, float>(
        shape, parts, bChunks,
        [](uint32_t bits, int shift) { return Float16::decode(bits >> shift & 0xffff); }, store);
  default:
    return multiplyAll<float, float>(
        shape, parts, bChunks, [](uint32_t bits, int) { return std::bit_cast<float>(bits); },
        store);
  }
}

} // namespace ingot::emulator
