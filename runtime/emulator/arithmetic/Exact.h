/// Exact values of up to 128 bits on their way to a double: the directed rounding modes of f64.
#pragma once
#include "runtime/support/HalfFloat.h"

namespace ingot::emulator {

/// (-1)^negative * significand * 2^exponent. The lowest bit of the significand may stand for any
/// amount that was shifted out ("jammed"); there must be at least 56 bits if it does.
struct Exact {
  using Significand = unsigned __int128;
  bool negative = false;
  int exponent = 0;
  Significand significand = 0;

  /// A finite double.
  static Exact from(double value);
  /// The nearest double in the given direction; overflows to infinity or the largest.
  double round(Rounding rounding) const;
};

/// Finite operands; zero results have no sign yet.
Exact product(const Exact &a, const Exact &b);
Exact sum(Exact a, Exact b);
/// b and a are not zero.
Exact quotient(const Exact &a, const Exact &b);
/// a is positive.
Exact squareRoot(const Exact &a);

} // namespace ingot::emulator
