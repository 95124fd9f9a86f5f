/// Host conversions of the narrow float types, shared by the runtime, the reference interpreter and
/// the PTX emulator.
///
/// Rounding is to nearest, ties to even, unless asked otherwise, and straight from the double:
/// nothing is rounded twice. NaN stays NaN (its payload does not); f16, bf16 and f8E5M2 overflow to
/// infinity, f8E4M3FN, which has none, to NaN, as MLIR and PyTorch do.
#pragma once
#include "runtime/program/Tensor.h"
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace ingot {

/// What happens to a value between two representable ones.
enum class Rounding : uint8_t { NearestEven, NearestAway, Zero, Down, Up };

/// Whether a magnitude that ends in `odd` moves up by one unit: `rest` of it was dropped, where
/// `half` is half a unit.
constexpr bool roundsUp(Rounding rounding, bool negative, bool odd, uint64_t rest, uint64_t half) {
  switch (rounding) {
  case Rounding::NearestEven:
    return rest > half || (rest == half && odd);
  case Rounding::NearestAway:
    return rest >= half;
  case Rounding::Zero:
    return false;
  case Rounding::Down:
    return rest && negative;
  case Rounding::Up:
    return rest && !negative;
  }
  __builtin_unreachable();
}

/// Whether what exceeds the largest value stays at it instead of becoming infinite.
constexpr bool staysFinite(Rounding rounding, bool negative) {
  return rounding == Rounding::Zero || (rounding == Rounding::Down && !negative) ||
         (rounding == Rounding::Up && negative);
}

/// A binary float format of sign, exponent and mantissa that fits into 32 bits.
template <int exponentBits, int mantissaBits, bool hasInfinity> struct NarrowFloat {
  static constexpr int bias = (1 << (exponentBits - 1)) - 1;
  static constexpr int minimumExponent = 1 - bias;
  static constexpr uint32_t signBit = 1u << (exponentBits + mantissaBits);
  static constexpr uint32_t exponentMask = ((1u << exponentBits) - 1) << mantissaBits;
  static constexpr uint32_t mantissaMask = (1u << mantissaBits) - 1;
  /// The quiet NaN that conversions produce; without infinities all-ones is the only NaN.
  static constexpr uint32_t nan =
      exponentMask | (hasInfinity ? 1u << (mantissaBits - 1) : mantissaMask);
  static constexpr uint32_t largest = hasInfinity ? exponentMask - 1 : nan - 1;

  static constexpr uint32_t encode(double value, Rounding rounding = Rounding::NearestEven) {
    const uint64_t bits = std::bit_cast<uint64_t>(value);
    const bool negative = bits >> 63;
    const uint32_t sign = negative ? signBit : 0;
    const int field = static_cast<int>(bits >> 52 & 0x7ff);
    const uint64_t fraction = bits & ((uint64_t(1) << 52) - 1);
    if (field == 0x7ff)
      return sign | (fraction || !hasInfinity ? nan : exponentMask);
    if (field == 0) // zero, or far below half of the smallest subnormal
      return sign | roundsUp(rounding, negative, false, fraction, ~uint64_t(0));
    const int exponent = field - 1023;
    const int below =
        std::max(0, minimumExponent - exponent); // subnormals lose this many more bits
    // Beyond 54 dropped bits only "less than half a unit, but not zero" is left.
    const int dropped = std::min(52 - mantissaBits + below, 54);
    const uint64_t significand = fraction | uint64_t(1) << 52;
    const uint64_t half = uint64_t(1) << (dropped - 1);
    const uint64_t rest = significand & (2 * half - 1);
    uint64_t rounded = significand >> dropped;
    rounded += roundsUp(rounding, negative, rounded & 1, rest, half);
    // The implicit bit adds one to the exponent field, and so does a carry out of the mantissa.
    const uint64_t magnitude =
        below ? rounded : (uint64_t(exponent - minimumExponent) << mantissaBits) + rounded;
    if (magnitude > largest && staysFinite(rounding, negative))
      return sign | largest;
    if (magnitude > largest)
      return sign | (hasInfinity ? exponentMask : nan);
    return sign | static_cast<uint32_t>(magnitude);
  }

  static constexpr float decode(uint32_t bits) {
    const uint32_t magnitude = bits & (signBit - 1);
    // Read as an f32 of the same fields the value is off by the difference of the biases; the
    // product is exact, for subnormals too.
    constexpr float rebias = std::bit_cast<float>(uint32_t(254 - bias) << 23);
    float value = std::bit_cast<float>(magnitude << (23 - mantissaBits)) * rebias;
    if (hasInfinity && magnitude >= exponentMask)
      value = magnitude > exponentMask ? std::numeric_limits<float>::quiet_NaN()
                                       : std::numeric_limits<float>::infinity();
    if (!hasInfinity && magnitude == nan)
      value = std::numeric_limits<float>::quiet_NaN();
    return bits & signBit ? -value : value;
  }
};

using Float16 = NarrowFloat<5, 10, true>;
using BFloat16 = NarrowFloat<8, 7, true>;
using Float8E4M3FN = NarrowFloat<4, 3, false>;
using Float8E5M2 = NarrowFloat<5, 2, true>;
using TensorFloat32 =
    NarrowFloat<8, 10, true>; ///< tensor cores read it from the upper bits of an f32
using Float32 = NarrowFloat<8, 23, true>;

/// Element `index` of a buffer as a double: exact for every type but 64-bit integers beyond 2^53.
double loadElement(ElementType type, const void *data, int64_t index);
/// Stores a double as element `index`. Floats round to nearest even; integers truncate towards zero
/// and saturate at their type's limits (NaN becomes 0); i1 is "not zero".
void storeElement(ElementType type, void *data, int64_t index, double value);

} // namespace ingot
