#include "runtime/emulator/arithmetic/MatrixMultiply.h"
#include "runtime/emulator/arithmetic/MatrixFragments.h"
#include "runtime/emulator/arithmetic/VectorClones.h"

namespace ingot::emulator {

namespace {

bool isFloat8(MatrixType type) { return type == MatrixType::E4M3 || type == MatrixType::E5M2; }
bool isInteger8(MatrixType type) { return type == MatrixType::S8 || type == MatrixType::U8; }
bool isInteger4(MatrixType type) { return type == MatrixType::S4 || type == MatrixType::U4; }
bool isInteger(MatrixType type) { return isInteger8(type) || isInteger4(type); }

/// All values of an 8-bit format.
template <typename Format> constexpr std::array<float, 256> valuesOf() {
  std::array<float, 256> values{};
  for (uint32_t bits = 0; bits < 256; ++bits)
    values[bits] = Format::decode(bits);
  return values;
}
const std::array<float, 256> valuesOfE4M3 = valuesOf<Float8E4M3FN>();
const std::array<float, 256> valuesOfE5M2 = valuesOf<Float8E5M2>();

template <typename Product, typename Sum, typename Element, int width>
[[gnu::always_inline]] inline void accumulateColumns(Sum *sums, const Element *a, const Element *b,
                                                     int m, int n, int k, int column,
                                                     Product product) {
  for (int row = 0; row < m; ++row) {
    Sum local[width];
    for (int j = 0; j < width; ++j)
      local[j] = sums[row * n + column + j];
    for (int i = 0; i < k; ++i) {
      const Element left = a[row * k + i];
      for (int j = 0; j < width; ++j)
        local[j] = product(left, b[i * n + column + j], local[j]);
    }
    for (int j = 0; j < width; ++j)
      sums[row * n + column + j] = local[j];
  }
}

template <typename Sum, typename Element, typename Product>
[[gnu::always_inline]] inline void accumulateAll(Sum *sums, const Element *a, const Element *b,
                                                 int m, int n, int k, Product product) {
  int column = 0;
  for (; column + 64 <= n; column += 64)
    accumulateColumns<Product, Sum, Element, 64>(sums, a, b, m, n, k, column, product);
  for (; column + 8 <= n; column += 8)
    accumulateColumns<Product, Sum, Element, 8>(sums, a, b, m, n, k, column, product);
}

INGOT_VECTOR_CLONES void accumulateF32(float *sums, const float *a, const float *b, int m, int n,
                                       int k) {
  accumulateAll(sums, a, b, m, n, k,
                [](float left, float right, float sum) { return sum + left * right; });
}

INGOT_VECTOR_CLONES void accumulateF64(double *sums, const double *a, const double *b, int m, int n,
                                       int k) {
  accumulateAll(sums, a, b, m, n, k, [](double left, double right, double sum) {
    return __builtin_fma(left, right, sum);
  });
}

INGOT_VECTOR_CLONES void accumulateIntegers(int64_t *sums, const int32_t *a, const int32_t *b,
                                            int m, int n, int k) {
  accumulateAll(sums, a, b, m, n, k, [](int32_t left, int32_t right, int64_t sum) {
    return sum + static_cast<int64_t>(left) * right;
  });
}

} // namespace

std::optional<Accumulator> accumulatorType(Type type) {
  switch (type) {
  case Type::F16:
    return Accumulator::F16;
  case Type::F32:
    return Accumulator::F32;
  case Type::F64:
    return Accumulator::F64;
  case Type::S32:
    return Accumulator::S32;
  default:
    return std::nullopt;
  }
}

int bitWidth(MatrixType type) {
  switch (type) {
  case MatrixType::F64:
    return 64;
  case MatrixType::TF32:
    return 32;
  case MatrixType::F16:
  case MatrixType::BF16:
    return 16;
  case MatrixType::E4M3:
  case MatrixType::E5M2:
  case MatrixType::S8:
  case MatrixType::U8:
    return 8;
  case MatrixType::S4:
  case MatrixType::U4:
    return 4;
  }
  __builtin_unreachable();
}

bool MatrixMultiply::isSupported() const {
  const bool wide = m == 16 && n == 8, square = m == 8 && n == 8;
  if (saturate && !isInteger(a))
    return false;
  if (isInteger8(a) && isInteger8(b))
    return accumulator == Accumulator::S32 &&
           ((wide && (k == 16 || k == 32)) || (square && k == 16));
  if (isInteger4(a) && isInteger4(b))
    return accumulator == Accumulator::S32 &&
           ((wide && (k == 32 || k == 64)) || (square && k == 32));
  if (isFloat8(a) && isFloat8(b))
    return wide && (k == 16 || k == 32) &&
           (accumulator == Accumulator::F32 || accumulator == Accumulator::F16);
  if (a != b)
    return false;
  switch (a) {
  case MatrixType::F16:
    return wide && (k == 8 || k == 16) &&
           (accumulator == Accumulator::F32 || accumulator == Accumulator::F16);
  case MatrixType::BF16:
    return wide && (k == 8 || k == 16) && accumulator == Accumulator::F32;
  case MatrixType::TF32:
    return wide && (k == 4 || k == 8) && accumulator == Accumulator::F32;
  case MatrixType::F64:
    return accumulator == Accumulator::F64 &&
           ((square && k == 4) || (wide && (k == 4 || k == 8 || k == 16)));
  default:
    return false;
  }
}

int MatrixMultiply::registersOfA() const {
  const int bits = a == MatrixType::F64 ? 64 : 32;
  return m * k * bitWidth(a) / (32 * bits);
}

int MatrixMultiply::registersOfB() const {
  const int bits = b == MatrixType::F64 ? 64 : 32;
  return n * k * bitWidth(b) / (32 * bits);
}

int MatrixMultiply::registersOfC() const {
  return m * n / 32 / (accumulator == Accumulator::F16 ? 2 : 1);
}

void multiply(const MatrixMultiply &shape, Registers d, ConstRegisters a, ConstRegisters b,
              ConstRegisters c) {
  const auto run = [&]<typename Element, typename Sum>() {
    Element left[matrix::maximumElements], right[matrix::maximumElements / 2];
    Sum sums[16 * 8];
    matrix::collect(shape.a, shape.m, shape.k, shape.registersOfA(), a, false, left);
    matrix::collect(shape.b, 8, shape.k, shape.registersOfB(), b, true, right);
    matrix::loadSums(shape, c, sums);
    matrix::accumulate(sums, left, right, shape.m, 8, shape.k);
    matrix::storeSums(shape, d, sums);
  };
  if (shape.accumulator == Accumulator::S32)
    run.template operator()<int32_t, int64_t>();
  else
    run.template operator()<float, float>();
}

void multiply(const MatrixMultiply &shape, double *const *d, const double *const *a,
              const double *const *b, const double *const *c) {
  double left[16 * 16], right[16 * 8], sums[16 * 8];
  for (int lane = 0; lane < 32; ++lane) {
    for (int index = 0; index < shape.registersOfA(); ++index) {
      const FragmentPlace place = placeInFragment(shape.m, 1, lane, index);
      left[place.row * shape.k + place.column] = a[index][lane];
    }
    for (int index = 0; index < shape.registersOfB(); ++index) {
      const FragmentPlace place = placeInFragment(8, 1, lane, index);
      right[place.column * 8 + place.row] = b[index][lane];
    }
  }
  matrix::forAccumulator(shape, [&](int index, int lane, int, int row, int column) {
    sums[row * 8 + column] = c[index][lane];
  });
  matrix::accumulate(sums, left, right, shape.m, 8, shape.k);
  matrix::forAccumulator(shape, [&](int index, int lane, int, int row, int column) {
    d[index][lane] = sums[row * 8 + column];
  });
}

namespace matrix {

void unpack(MatrixType type, const uint32_t *words, int count, float *out) {
  switch (type) {
  case MatrixType::F16:
    for (int i = 0; i < 2 * count; ++i)
      out[i] = Float16::decode(words[i / 2] >> 16 * (i % 2) & 0xffff);
    return;
  case MatrixType::BF16:
    for (int i = 0; i < 2 * count; ++i)
      out[i] = std::bit_cast<float>(i % 2 ? words[i / 2] & 0xffff0000 : words[i / 2] << 16);
    return;
  case MatrixType::E4M3:
    for (int i = 0; i < 4 * count; ++i)
      out[i] = valuesOfE4M3[words[i / 4] >> 8 * (i % 4) & 0xff];
    return;
  case MatrixType::E5M2:
    for (int i = 0; i < 4 * count; ++i)
      out[i] = valuesOfE5M2[words[i / 4] >> 8 * (i % 4) & 0xff];
    return;
  default: // tf32: the lower 13 bits of the register do not count
    for (int i = 0; i < count; ++i)
      out[i] = std::bit_cast<float>(words[i] & 0xffffe000);
    return;
  }
}

void unpack(MatrixType type, const uint32_t *words, int count, int32_t *out) {
  const int width = bitWidth(type), perWord = 32 / width;
  const bool isSigned = type == MatrixType::S8 || type == MatrixType::S4;
  for (int i = 0; i < perWord * count; ++i) {
    const uint32_t top = words[i / perWord] << (32 - width * (i % perWord + 1));
    out[i] = isSigned ? static_cast<int32_t>(top) >> (32 - width)
                      : static_cast<int32_t>(top >> (32 - width));
  }
}

void accumulate(float *sums, const float *a, const float *b, int m, int n, int k) {
  accumulateF32(sums, a, b, m, n, k);
}

void accumulate(double *sums, const double *a, const double *b, int m, int n, int k) {
  accumulateF64(sums, a, b, m, n, k);
}

void accumulate(int64_t *sums, const int32_t *a, const int32_t *b, int m, int n, int k) {
  accumulateIntegers(sums, a, b, m, n, k);
}

uint32_t accumulatorBits(Accumulator type, float sum) {
  if (type == Accumulator::F16)
    return std::isnan(sum) ? 0x7fff : Float16::encode(sum);
  return std::isnan(sum) ? 0x7fffffff : std::bit_cast<uint32_t>(sum);
}

uint32_t accumulatorBits(int64_t sum, bool saturate) {
  if (saturate)
    sum = std::clamp<int64_t>(sum, INT32_MIN, INT32_MAX);
  return static_cast<uint32_t>(sum);
}

} // namespace matrix

} // namespace ingot::emulator
