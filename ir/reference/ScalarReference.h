/// The words in which Primitives.def says what an op computes: on floats, int64_t or uint64_t.
#pragma once
#include <cmath>
#include <cstdint>
#include <type_traits>

namespace ingot::graph::reference {

template <typename T> constexpr bool isFloat = std::is_floating_point_v<T>;

/// Integer arithmetic wraps, so it is done on unsigned numbers.
template <typename T> auto wide(T x) { return std::conditional_t<isFloat<T>, T, uint64_t>(x); }
template <typename T> T magnitude(T x) {
  if constexpr (isFloat<T>)
    return std::fabs(x);
  else
    return T(x < 0 ? 0 - uint64_t(x) : uint64_t(x));
}
/// NaN stays NaN.
template <typename T> T signOf(T x) {
  if (isFloat<T> && x != x)
    return x;
  return T((x > 0) - (x < 0));
}
template <typename T> T largest(T x, T y) { return x != x || x > y ? x : y; }
template <typename T> T smallest(T x, T y) { return x != x || x < y ? x : y; }

/// The divisor is not 0; the one quotient that overflows wraps.
template <typename T> T quotient(T x, T y) {
  if constexpr (std::is_signed_v<T> && !isFloat<T>)
    if (y == -1)
      return T(-uint64_t(x));
  return x / y;
}
template <typename T> T remainderOf(T x, T y) {
  if constexpr (isFloat<T>)
    return std::fmod(x, y);
  else
    return std::is_signed_v<T> && y == T(-1) ? 0 : x % y;
}
/// Has the sign of the divisor.
template <typename T> T moduloOf(T x, T y) {
  T rest = remainderOf(x, y);
  return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
}

template <typename T> T powerOf(T x, T y) {
  if constexpr (isFloat<T>)
    return std::pow(x, y);
  else {
    if (y < 0)
      return x == 1 || (x == T(-1) && y % 2 == 0) ? 1 : x == T(-1) ? x : 0;
    uint64_t power = 1, square = uint64_t(x);
    for (uint64_t rest = uint64_t(y); rest; rest /= 2, square *= square)
      power *= rest % 2 ? square : 1;
    return T(power);
  }
}

/// By 64 bits or more, or by a negative number, only zeros or the sign are left.
template <typename T> T shiftedLeft(T x, T y) {
  return uint64_t(y) < 64 ? T(uint64_t(x) << uint64_t(y)) : 0;
}
template <typename T> T shiftedRight(T x, T y) {
  return uint64_t(y) < 64 ? T(x >> y) : T(x < 0 ? -1 : 0);
}

} // namespace ingot::graph::reference
