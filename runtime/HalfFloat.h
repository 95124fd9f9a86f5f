/// Host conversions of the narrow float types, shared by the runtime and the reference interpreter.
///
/// Rounding is to nearest, ties to even, straight from the double: nothing is rounded twice.
/// NaN stays NaN (its payload does not); f16, bf16 and f8E5M2 overflow to infinity, f8E4M3FN, which
/// has none, to NaN, as MLIR and PyTorch do.
#pragma once
#include "runtime/Tensor.h"
#include <bit>
#include <cmath>
#include <limits>

namespace ingot {

/// A binary float format of sign, exponent and mantissa that fits into 16 bits.
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

  static constexpr uint32_t encode(double value) {
    const uint64_t bits = std::bit_cast<uint64_t>(value);
    const uint32_t sign = bits >> 63 ? signBit : 0;
    const int field = static_cast<int>(bits >> 52 & 0x7ff);
    const uint64_t fraction = bits & ((uint64_t(1) << 52) - 1);
    if (field == 0x7ff)
      return sign | (fraction || !hasInfinity ? nan : exponentMask);
    if (field == 0) // zero, or far below half of the smallest subnormal
      return sign;
    const int exponent = field - 1023;
    const int below =
        std::max(0, minimumExponent - exponent); // subnormals lose this many more bits
    const int dropped = 52 - mantissaBits + below;
    if (dropped > 53)
      return sign;
    const uint64_t significand = fraction | uint64_t(1) << 52;
    const uint64_t half = uint64_t(1) << (dropped - 1);
    const uint64_t rest = significand & (2 * half - 1);
    uint64_t rounded = significand >> dropped;
    rounded += rest > half || (rest == half && (rounded & 1));
    // The implicit bit adds one to the exponent field, and so does a carry out of the mantissa.
    const uint64_t magnitude =
        below ? rounded : (uint64_t(exponent - minimumExponent) << mantissaBits) + rounded;
    if (magnitude > largest)
      return sign | (hasInfinity ? exponentMask : nan);
    return sign | static_cast<uint32_t>(magnitude);
  }

  static float decode(uint32_t bits) {
    const uint32_t magnitude = bits & (signBit - 1);
    const uint32_t mantissa = bits & mantissaMask;
    const int field = static_cast<int>(magnitude >> mantissaBits);
    float value;
    if (hasInfinity && field == (1 << exponentBits) - 1)
      value = mantissa ? std::numeric_limits<float>::quiet_NaN()
                       : std::numeric_limits<float>::infinity();
    else if (!hasInfinity && magnitude == nan)
      value = std::numeric_limits<float>::quiet_NaN();
    else if (field == 0)
      value = std::ldexp(static_cast<float>(mantissa), minimumExponent - mantissaBits);
    else
      value = std::bit_cast<float>(uint32_t(field - bias + 127) << 23 | mantissa
                                                                            << (23 - mantissaBits));
    return bits & signBit ? -value : value;
  }
};

using Float16 = NarrowFloat<5, 10, true>;
using BFloat16 = NarrowFloat<8, 7, true>;
using Float8E4M3FN = NarrowFloat<4, 3, false>;
using Float8E5M2 = NarrowFloat<5, 2, true>;

/// Element `index` of a buffer as a double: exact for every type but 64-bit integers beyond 2^53.
double loadElement(ElementType type, const void *data, int64_t index);
/// Stores a double as element `index`. Floats round to nearest even; integers truncate towards zero
/// and saturate at their type's limits (NaN becomes 0); i1 is "not zero".
void storeElement(ElementType type, void *data, int64_t index, double value);

} // namespace ingot
