/// References for the emulator's arithmetic, written differently from it: tables of all values of a
/// narrow format, and the host's own rounding modes.
#pragma once
#include "runtime/emulator/arithmetic/Numbers.h"
#include <cfenv>
#include <random>
#include <vector>

namespace ingot::emulator::test {

/// Sign, exponent field and mantissa of a format; `largest` is the magnitude of the largest value.
struct Layout {
  int exponentBits, mantissaBits;
  bool hasInfinity;
  bool hasNan = true; ///< without infinities: all ones
  int width() const { return 1 + exponentBits + mantissaBits; }
};
Layout layout(FloatType type);

/// Every finite value of a narrow format by magnitude: the index is the encoding.
const std::vector<double> &magnitudes(FloatType type);

/// Rounds by looking the neighbours up. Overflow rounds as if the exponent range went on.
uint64_t roundByTable(FloatType type, double value, Rounding rounding);

/// Sets the host's rounding mode for a scope. NearestAway has none.
class HostRounding {
public:
  explicit HostRounding(Rounding rounding);
  ~HostRounding();

private:
  int previous;
};

/// The host's arithmetic in its current rounding mode, out of the optimiser's sight.
enum class HostOp { Add, Multiply, Fma, Divide, SquareRoot };
float hostArithmetic(HostOp op, float a, float b, float c);
double hostArithmetic(HostOp op, double a, double b, double c);
/// In double precision with an odd last bit if inexact (by the host's flags).
double hostArithmeticToOdd(HostOp op, double a, double b, double c);

/// Zeros, units, limits, infinities, NaN, subnormals and neighbours, of both signs.
std::vector<uint64_t> boundaryValues(FloatType type);
/// A mixture of random bits, boundary values and values near one another's exponents.
uint64_t randomValue(FloatType type, std::mt19937_64 &random);

inline constexpr Rounding hostRoundings[] = {Rounding::NearestEven, Rounding::Zero, Rounding::Down,
                                             Rounding::Up};

/// The seed of this run: fresh, or INGOT_TEST_SEED to repeat one. Printed once.
uint64_t freshSeed();

} // namespace ingot::emulator::test
