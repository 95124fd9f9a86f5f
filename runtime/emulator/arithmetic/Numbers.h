/// Floating-point arithmetic of PTX on raw register bits, in every format and rounding mode.
///
/// Every result is the exact one rounded once, by integer code: nothing depends on the host's
/// rounding mode, on its fused instructions or on what an optimiser thinks of them. NaN results are
/// the canonical ones of PTX (0x7fffffff for f32, 0x7fff for f16 and bf16); f64 keeps the host's.
/// The formats of 4 and 6 bits have neither infinities nor NaN: what exceeds their largest value
/// becomes that value, and NaN the positive one.
/// Flushing (`.ftz`) looks at operands and at the rounded result.
#pragma once
#include "runtime/emulator/ptx/Type.h"
#include "runtime/support/HalfFloat.h"

namespace ingot::emulator {

enum class FloatType : uint8_t { F64, F32, TF32, F16, BF16, E4M3, E5M2, E2M3, E3M2, E2M1 };

/// What the modifiers of an instruction ask for.
struct FloatMode {
  Rounding rounding = Rounding::NearestEven;
  bool flush = false;          ///< .ftz: subnormal operands and results become zeros of their sign
  bool saturate = false;       ///< .sat: results are clamped to [0, 1], NaN becomes 0
  bool relu = false;           ///< .relu: negative results become 0, NaN the canonical one
  bool saturateFinite = false; ///< .satfinite (conversions): overflow stays at the largest value
};

/// Bits of a register that a value of the type occupies; TF32 lies in an f32.
constexpr int bitWidth(FloatType type) {
  switch (type) {
  case FloatType::F64:
    return 64;
  case FloatType::F32:
  case FloatType::TF32:
    return 32;
  case FloatType::F16:
  case FloatType::BF16:
    return 16;
  case FloatType::E4M3:
  case FloatType::E5M2:
    return 8;
  case FloatType::E2M3:
  case FloatType::E3M2:
    return 6;
  case FloatType::E2M1:
    return 4;
  }
  __builtin_unreachable();
}

/// The NaN that PTX instructions produce.
uint64_t canonicalNan(FloatType type);
/// What tensor maps with NaN fill put out of bounds, 16 bits after 16 whatever the format, and what
/// fma.oob looks for in its factors.
inline constexpr uint16_t outOfBoundsNan = 0x7ff7;
/// A subnormal becomes a zero of its sign; everything else stays.
uint64_t flushSubnormal(FloatType type, uint64_t bits);
/// The value as a double: exact in every format.
double decode(FloatType type, uint64_t bits);
/// The double rounded to the format, with modes applied. For results of arithmetic the double must
/// be exact or rounded to odd.
uint64_t encode(FloatType type, double value, FloatMode mode);

/// Stochastic rounding (cvt.rs): the value is cut off, and grows by one unit where the first
/// `randomBits` bits behind the cut and `random` have a carry. Of `mode` relu and saturateFinite
/// apply.
uint64_t encodeStochastic(FloatType type, double value, FloatMode mode, uint32_t random,
                          int randomBits);

/// a + b, a * b, a * b + c, a / b and the square root, rounded once. `flush`, `saturate` and `relu`
/// apply; f64 ignores `flush`, as PTX does.
uint64_t add(FloatType type, uint64_t a, uint64_t b, FloatMode mode);
uint64_t subtract(FloatType type, uint64_t a, uint64_t b, FloatMode mode);
uint64_t multiply(FloatType type, uint64_t a, uint64_t b, FloatMode mode);
uint64_t fusedMultiplyAdd(FloatType type, uint64_t a, uint64_t b, uint64_t c, FloatMode mode);
uint64_t divide(FloatType type, uint64_t a, uint64_t b, FloatMode mode);
uint64_t squareRoot(FloatType type, uint64_t a, FloatMode mode);

/// `-a` and `|a|`: only the sign changes, but for NaN and with `flush`.
uint64_t negate(FloatType type, uint64_t a, bool flush);
uint64_t absolute(FloatType type, uint64_t a, bool flush);

struct MinMaxMode {
  bool flush = false;
  bool propagateNan = false;    ///< .NaN: one NaN operand is enough; otherwise the other one wins
  bool xorSignAbsolute = false; ///< .xorsign.abs: compares magnitudes; the sign is that of a * b
};
/// -0 is below +0; two NaN give the canonical one.
uint64_t minimum(FloatType type, uint64_t a, uint64_t b, MinMaxMode mode);
uint64_t maximum(FloatType type, uint64_t a, uint64_t b, MinMaxMode mode);

/// Applies `operation` to both halves of packed operands (f16x2, bf16x2).
template <typename Operation, typename... Bits> uint32_t packed(Operation operation, Bits... bits) {
  const uint64_t low = operation(uint64_t(bits & 0xffff)...);
  const uint64_t high = operation(uint64_t(bits >> 16 & 0xffff)...);
  return static_cast<uint32_t>(low | high << 16);
}

/// f32 round-to-nearest arithmetic on a warp: the same results as above, at the speed of the
/// host's vector unit. Arrays of 32; `out` may be an operand.
enum class LaneOp : uint8_t { Add, Subtract, Multiply, Fma };
void lanesF32(LaneOp op, uint32_t *out, const uint32_t *a, const uint32_t *b, const uint32_t *c,
              FloatMode mode);

/// Elements of a float type: 2 of f16x2, 4 of e4m3x4.
int elementsOf(Type type);
/// The format of a type's elements (f16x2 → F16); nothing for integers, bits and ue8m0.
std::optional<FloatType> floatType(Type type);

} // namespace ingot::emulator
