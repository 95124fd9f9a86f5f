#include "runtime/emulator/arithmetic/Exact.h"

namespace ingot::emulator {

namespace {

using Significand = Exact::Significand;

int bitLength(Significand value) {
  const uint64_t high = static_cast<uint64_t>(value >> 64);
  return high ? 128 - std::countl_zero(high) : 64 - std::countl_zero(static_cast<uint64_t>(value));
}

/// What falls out on the right sticks to the lowest bit.
Significand shiftRightJamming(Significand value, int count) {
  if (count <= 0)
    return value;
  if (count >= 128)
    return value != 0;
  const Significand dropped = value & ((Significand(1) << count) - 1);
  return value >> count | (dropped != 0);
}

/// Moves the highest bit to position 125, which leaves room for a carry.
void normalise(Exact &value) {
  const int shift = 126 - bitLength(value.significand);
  value.significand =
      shift >= 0 ? value.significand << shift : shiftRightJamming(value.significand, -shift);
  value.exponent -= shift;
}

} // namespace

Exact Exact::from(double value) {
  const uint64_t bits = std::bit_cast<uint64_t>(value);
  const int field = static_cast<int>(bits >> 52 & 0x7ff);
  const uint64_t fraction = bits & ((uint64_t(1) << 52) - 1);
  Exact exact;
  exact.negative = bits >> 63;
  exact.exponent = std::max(field, 1) - 1075;
  exact.significand = field ? fraction | uint64_t(1) << 52 : fraction;
  return exact;
}

double Exact::round(Rounding rounding) const {
  const uint64_t sign = uint64_t(negative) << 63;
  if (!significand)
    return std::bit_cast<double>(sign);
  // The unit of the result: 53 bits below the highest one, but never below the subnormals'.
  const int unit = std::max(exponent + bitLength(significand) - 53, -1074);
  uint64_t kept, rest = 0, half = 2;
  if (unit <= exponent) {
    kept = static_cast<uint64_t>(significand << (exponent - unit));
  } else {
    // Two bits and a jammed one below the unit tell less than, equal to and more than a half.
    const Significand scaled = unit - exponent >= 2
                                   ? shiftRightJamming(significand, unit - exponent - 2)
                                   : significand << 1;
    kept = static_cast<uint64_t>(scaled >> 2);
    rest = static_cast<uint64_t>(scaled & 3);
  }
  kept += roundsUp(rounding, negative, kept & 1, rest, half);
  // The implicit bit adds one to the exponent field, and so does a carry out of the significand.
  const uint64_t field = static_cast<uint64_t>(unit + 1074);
  if (field >= 2046 || (field << 52) + kept >= uint64_t(0x7ff) << 52)
    return std::bit_cast<double>(
        sign |
        (staysFinite(rounding, negative) ? (uint64_t(0x7ff) << 52) - 1 : uint64_t(0x7ff) << 52));
  return std::bit_cast<double>(sign | ((field << 52) + kept));
}

Exact product(const Exact &a, const Exact &b) {
  return {a.negative != b.negative, a.exponent + b.exponent, a.significand * b.significand};
}

Exact sum(Exact a, Exact b) {
  if (!a.significand)
    return b;
  if (!b.significand)
    return a;
  normalise(a);
  normalise(b);
  if (a.exponent < b.exponent || (a.exponent == b.exponent && a.significand < b.significand))
    std::swap(a, b);
  const Significand smaller = shiftRightJamming(b.significand, a.exponent - b.exponent);
  // A jammed bit may be subtracted as if it were one: it stays an inexact lowest bit, because an
  // operand of at most 106 bits that loses some is too far away for much of `a` to cancel.
  if (a.negative == b.negative)
    a.significand += smaller;
  else
    a.significand -= smaller;
  return a;
}

Exact quotient(const Exact &a, const Exact &b) {
  // 53 bits over 53 bits: normalised the dividend has 126, so the quotient has at least 73.
  Exact result = a;
  normalise(result);
  const Significand dividend = result.significand;
  result.negative = a.negative != b.negative;
  result.exponent -= b.exponent;
  result.significand = dividend / b.significand;
  result.significand |= dividend % b.significand != 0;
  return result;
}

Exact squareRoot(const Exact &a) {
  Exact radicand = a;
  normalise(radicand);
  if (radicand.exponent & 1) {
    radicand.significand <<= 1;
    --radicand.exponent;
  }
  // Digit by digit: the root of 126 or 127 bits has 63 or 64.
  Significand root = 0, rest = radicand.significand;
  for (Significand bit = Significand(1) << 126; bit; bit >>= 2) {
    if (rest >= root + bit) {
      rest -= root + bit;
      root = (root >> 1) + bit;
    } else {
      root >>= 1;
    }
  }
  // One more bit keeps the jammed one apart from the root's own.
  return {false, radicand.exponent / 2 - 1, root << 1 | (rest != 0)};
}

} // namespace ingot::emulator
