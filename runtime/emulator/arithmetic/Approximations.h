/// The approximate functions of PTX (`.approx`, `.full`) on raw register bits.
///
/// Each is computed in double precision and rounded once, so it is within the ISA's bound and often
/// better than a card: at most 0.51 ulp of its format from the true value (the ISA allows 2 ulp to
/// 2^-11 relative). Programs that need more than the ISA promises are not caught by that; special
/// values (zeros, infinities, NaN, subnormals, `div.approx` with a huge divisor) follow the tables.
#pragma once
#include "runtime/emulator/arithmetic/Numbers.h"

namespace ingot::emulator {

enum class Function : uint8_t {
  Reciprocal,        ///< rcp.approx{.ftz}.f32, rcp.approx.ftz.f64
  SquareRoot,        ///< sqrt.approx{.ftz}.f32
  ReciprocalRoot,    ///< rsqrt.approx{.ftz}.f32, rsqrt.approx{.ftz}.f64
  Sine,              ///< sin.approx{.ftz}.f32
  Cosine,            ///< cos.approx{.ftz}.f32
  Logarithm2,        ///< lg2.approx{.ftz}.f32
  Exponential2,      ///< ex2.approx{.ftz}.f32, .f16, .ftz.bf16
  HyperbolicTangent, ///< tanh.approx.f32, .f16, .bf16
};

/// The .ftz forms of f64 keep the upper 32 bits of the result alone, as the ISA's do: the rest is
/// zero. rsqrt.approx.f64, which CUDA's rsqrt(double) is, is within one unit of f64.
uint64_t approximate(Function function, FloatType type, uint64_t bits, bool flush);

/// div.approx{.ftz}.f32: a divisor beyond 2^126 gives 0 (NaN for an infinite dividend).
uint64_t approximateQuotient(uint64_t a, uint64_t b, bool flush);
/// div.full{.ftz}.f32: as above over the whole range of divisors.
uint64_t fullRangeQuotient(uint64_t a, uint64_t b, bool flush);

} // namespace ingot::emulator
