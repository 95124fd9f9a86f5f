#include "test/emulator/instructions/ExactFunctions.h"
#include <array>
#include <cmath>
#include <limits>

namespace ingot::emulator::test {
namespace {

// Fixed point: an integer of 2^-fraction. Products need twice the bits.
constexpr int fraction = 120;
using Fixed = signed _BitInt(256);
constexpr Fixed one = Fixed(1) << fraction;

Fixed times(Fixed a, Fixed b) { return a * b >> fraction; }
Fixed over(Fixed a, Fixed b) { return (a << fraction) / b; }

/// x = significand * 2^exponent.
int64_t split(double x, int &exponent) {
  const auto significand = static_cast<int64_t>(std::ldexp(std::frexp(x, &exponent), 53));
  exponent -= 53;
  return significand;
}

/// Bits below 2^-fraction are cut off.
Fixed fixed(double x) {
  int exponent;
  const int64_t significand = split(x, exponent);
  const int by = exponent + fraction;
  return by >= 0 ? Fixed(significand) << by : by > -64 ? Fixed(significand >> -by) : Fixed(0);
}

/// value * 2^shift, from the upper 64 bits.
long double toFloat(Fixed value, int shift = -fraction) {
  const bool negative = value < 0;
  if (negative)
    value = -value;
  int drop = 0;
  for (; value >> drop >> 64 != 0; ++drop) {
  }
  const long double result =
      std::ldexp(static_cast<long double>(static_cast<uint64_t>(value >> drop)), drop + shift);
  return negative ? -result : result;
}

/// 1 / i.
Fixed inverse(int i) {
  static const auto table = [] {
    std::array<Fixed, 256> values = {};
    for (int i = 1; i < 256; ++i)
      values[i] = one / i;
    return values;
  }();
  return table[i];
}

/// Sum of x^i / i! over every `step`-th i from `first` on; `sign` alternates the terms.
Fixed series(Fixed x, int first, int step, int sign) {
  Fixed term = one, sum = 0;
  for (int i = 0; term != 0 && term != -1; ++i) {
    if (i >= first && (i - first) % step == 0)
      sum += sign < 0 && (i - first) / step % 2 ? -term : term;
    term = times(times(term, x), inverse(i + 1));
  }
  return sum;
}

/// Arc tangent (sign -1) or its hyperbolic twin (sign 1).
Fixed inverseTangent(Fixed x, int sign) {
  const Fixed square = times(x, x);
  Fixed power = x, sum = 0;
  for (int i = 1; power != 0 && power != -1; i += 2, power = times(power, square))
    sum += sign < 0 && i % 4 == 3 ? -times(power, inverse(i)) : times(power, inverse(i));
  return sum;
}

Fixed logarithmOfTwo() {
  static const Fixed value = 2 * inverseTangent(one / 3, 1);
  return value;
}
Fixed inverseLogarithmOfTwo() {
  static const Fixed value = over(one, logarithmOfTwo());
  return value;
}

/// sqrt(x) * 2^-shift, with more than 100 bits.
Fixed rootScaled(double x, int &shift) {
  int exponent;
  const int64_t significand = split(x, exponent);
  const int odd = exponent & 1;
  shift = (exponent - odd) / 2 - 80;
  const Fixed square = Fixed(significand) << (160 + odd);
  Fixed root = 0; // the floor, bit by bit
  for (int bit = 110; bit >= 0; --bit)
    if (const Fixed next = root | Fixed(1) << bit; next * next <= square)
      root = next;
  return root;
}

/// 2^x of a fixed x.
long double exponential2(Fixed x) {
  const Fixed floor = x >> fraction;
  const Fixed rest = x - (floor << fraction);
  return std::ldexp(toFloat(series(times(rest, logarithmOfTwo()), 0, 1, 1)), int(floor));
}

long double logarithm2(double x) {
  int exponent;
  double significand = std::frexp(x, &exponent); // in [1/2, 1)
  if (significand < 0.7071) {
    significand *= 2;
    --exponent;
  }
  const Fixed m = fixed(significand);
  const Fixed natural = 2 * inverseTangent(over(m - one, m + one), 1);
  return toFloat(times(natural, inverseLogarithmOfTwo()) + exponent * one);
}

/// |x| less all whole turns of 2 pi, which is known to 256 bits: enough for 2^128 of them.
Fixed reduced(double x) {
  using Wide = signed _BitInt(512);
  constexpr int more = 256;
  static const Wide turn = [] {
    const auto arc = [](int inverse) { // arc tangent of 1 / inverse
      Wide power = (Wide(1) << more) / inverse, sum = 0;
      for (int i = 1; power != 0; i += 2, power /= inverse * inverse)
        sum += i % 4 == 3 ? -(power / i) : power / i;
      return sum;
    };
    return 2 * (16 * arc(5) - 4 * arc(239)); // Machin's formula
  }();
  int exponent;
  const int64_t significand = split(std::abs(x), exponent);
  return Fixed(((Wide(significand) << (exponent + more)) % turn) >> (more - fraction));
}

/// Sine, or cosine.
long double circular(double x, bool isCosine) {
  const Fixed value =
      series(std::abs(x) < 6 ? fixed(std::abs(x)) : reduced(x), isCosine ? 0 : 1, 2, -1);
  return toFloat(!isCosine && x < 0 ? -value : value);
}

long double hyperbolicTangent(double x) {
  const double magnitude = std::abs(x);
  const auto sign = static_cast<long double>(x);
  if (magnitude < 0x1p-40)
    return sign;
  if (magnitude > 24)
    return std::copysign(1.0L, sign);
  const Fixed a = fixed(magnitude);
  if (magnitude < 0.5)
    return std::copysign(toFloat(over(series(a, 1, 2, 1), series(a, 0, 2, 1))), sign);
  const long double e = exponential2(-2 * times(a, inverseLogarithmOfTwo()));
  return std::copysign((1 - e) / (1 + e), sign);
}

} // namespace

long double exactly(Function function, double x) {
  constexpr long double infinity = std::numeric_limits<long double>::infinity();
  constexpr long double nan = std::numeric_limits<long double>::quiet_NaN();
  if (std::isnan(x))
    return nan;
  switch (function) {
  case Function::Reciprocal: {
    if (x == 0 || std::isinf(x))
      return std::copysign(x == 0 ? infinity : 0.0L, static_cast<long double>(x));
    int exponent;
    const int64_t significand = split(x, exponent);
    return toFloat((Fixed(1) << 200) / significand, -exponent - 200);
  }
  case Function::SquareRoot:
  case Function::ReciprocalRoot: {
    const bool reciprocal = function == Function::ReciprocalRoot;
    if (x == 0)
      return reciprocal ? std::copysign(infinity, static_cast<long double>(x))
                        : static_cast<long double>(x);
    if (x < 0)
      return nan;
    if (std::isinf(x))
      return reciprocal ? 0 : infinity;
    int shift;
    const Fixed root = rootScaled(x, shift);
    return reciprocal ? toFloat((Fixed(1) << 240) / root, -shift - 240) : toFloat(root, shift);
  }
  case Function::Sine:
  case Function::Cosine:
    if (std::isinf(x))
      return nan;
    if (std::abs(x) < 0x1p-40)
      return function == Function::Cosine ? 1 : static_cast<long double>(x);
    return circular(x, function == Function::Cosine);
  case Function::Logarithm2:
    return x == 0 ? -infinity : x < 0 ? nan : std::isinf(x) ? infinity : logarithm2(x);
  case Function::Exponential2:
    return x > 1100 ? infinity : x < -1200 ? 0 : exponential2(fixed(x));
  case Function::HyperbolicTangent:
    return hyperbolicTangent(x);
  }
  __builtin_unreachable();
}

} // namespace ingot::emulator::test
