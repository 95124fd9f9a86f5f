#include "runtime/emulator/arithmetic/Numbers.h"
#include "runtime/emulator/arithmetic/Exact.h"
#include "runtime/emulator/arithmetic/VectorClones.h"

namespace ingot::emulator {

namespace {

/// A format of finite values alone: all ones is the largest.
template <int exponentBits, int mantissaBits>
struct FiniteFloat : NarrowFloat<exponentBits, mantissaBits, false> {
  using Base = NarrowFloat<exponentBits, mantissaBits, false>;
  static constexpr uint32_t largest = Base::signBit - 1, nan = ~uint32_t(0);
  static constexpr double largestValue =
      ((2 << mantissaBits) - 1) * double(1 << (Base::bias + 1)) / (1 << mantissaBits);

  static uint32_t encode(double value, Rounding rounding) {
    if (std::isnan(value))
      return largest;
    if (std::abs(value) >= largestValue)
      return largest | (std::signbit(value) ? Base::signBit : 0);
    return Base::encode(value, rounding); // what it calls NaN is the largest value
  }
  static float decode(uint32_t bits) {
    if ((bits & largest) != largest)
      return Base::decode(bits);
    return float(bits & Base::signBit ? -largestValue : largestValue);
  }
};

/// Calls `visit` with the format's codec; f64 has none.
template <typename Visit> auto withFormat(FloatType type, Visit visit) {
  switch (type) {
  case FloatType::F16:
    return visit(Float16{});
  case FloatType::BF16:
    return visit(BFloat16{});
  case FloatType::TF32:
    return visit(TensorFloat32{});
  case FloatType::E4M3:
    return visit(Float8E4M3FN{});
  case FloatType::E5M2:
    return visit(Float8E5M2{});
  case FloatType::E2M3:
    return visit(FiniteFloat<2, 3>{});
  case FloatType::E3M2:
    return visit(FiniteFloat<3, 2>{});
  case FloatType::E2M1:
    return visit(FiniteFloat<2, 1>{});
  case FloatType::F32:
  case FloatType::F64:
    break;
  }
  return visit(Float32{});
}

/// A tf32 is the upper bits of an f32.
int storageShift(FloatType type) { return type == FloatType::TF32 ? 13 : 0; }

/// The neighbour with an odd last bit in the direction of `error`, unless `value` is odd or exact.
/// An odd double can be rounded to any narrower format as if it were the exact result.
double toOdd(double value, double error) {
  uint64_t bits = std::bit_cast<uint64_t>(value);
  if (error == 0 || bits & 1)
    return value;
  return std::bit_cast<double>((error > 0) == (value > 0) ? bits + 1 : bits - 1);
}

/// a + b rounded to odd (two-sum gives the error exactly). An exact zero has the mode's sign.
double sumToOdd(double a, double b, Rounding rounding) {
  const double value = a + b;
  if (!std::isfinite(value))
    return value;
  if (value == 0 && std::signbit(a) != std::signbit(b))
    return rounding == Rounding::Down ? -0.0 : 0.0;
  const double other = value - a;
  return toOdd(value, (a - (value - other)) + (b - other));
}

/// Operands of formats up to f32 never overflow or underflow a double.
double quotientToOdd(double a, double b) {
  const double value = a / b;
  if (!std::isfinite(value) || value == 0 || std::isinf(b))
    return value;
  const double rest = std::fma(-value, b, a);
  return toOdd(value, b < 0 ? -rest : rest);
}

double rootToOdd(double a) {
  const double value = std::sqrt(a);
  if (!std::isfinite(value) || value == 0)
    return value;
  return toOdd(value, std::fma(-value, value, a));
}

/// f64 in the directed modes; whatever is not finite is the same in all modes.
double fusedF64(double a, double b, double c, Rounding rounding) {
  const double nearest = std::fma(a, b, c);
  if (rounding == Rounding::NearestEven || !std::isfinite(a) || !std::isfinite(b) ||
      !std::isfinite(c))
    return nearest;
  const Exact exact = sum(product(Exact::from(a), Exact::from(b)), Exact::from(c));
  if (exact.significand)
    return exact.round(rounding);
  // An exact zero: its sign is the operands' where they agree.
  const bool productNegative = std::signbit(a) != std::signbit(b);
  if (productNegative == std::signbit(c))
    return productNegative ? -0.0 : 0.0;
  return rounding == Rounding::Down ? -0.0 : 0.0;
}

double productF64(double a, double b, Rounding rounding) {
  const double nearest = a * b;
  if (rounding == Rounding::NearestEven || !std::isfinite(a) || !std::isfinite(b) || a == 0 ||
      b == 0)
    return nearest;
  return product(Exact::from(a), Exact::from(b)).round(rounding);
}

double quotientF64(double a, double b, Rounding rounding) {
  const double nearest = a / b;
  if (rounding == Rounding::NearestEven || !std::isfinite(a) || !std::isfinite(b) || a == 0 ||
      b == 0)
    return nearest;
  return quotient(Exact::from(a), Exact::from(b)).round(rounding);
}

double rootF64(double a, Rounding rounding) {
  const double nearest = std::sqrt(a);
  if (rounding == Rounding::NearestEven || !std::isfinite(nearest) || a == 0)
    return nearest;
  return squareRoot(Exact::from(a)).round(rounding);
}

double operand(FloatType type, uint64_t bits, bool flush) {
  return decode(type, flush ? flushSubnormal(type, bits) : bits);
}

uint64_t minMax(FloatType type, uint64_t a, uint64_t b, MinMaxMode mode, bool largest) {
  const uint64_t signBit = uint64_t(1) << (bitWidth(type) - 1);
  if (mode.flush) {
    a = flushSubnormal(type, a);
    b = flushSubnormal(type, b);
  }
  const uint64_t sign = (a ^ b) & signBit;
  if (mode.xorSignAbsolute) {
    a &= ~signBit;
    b &= ~signBit;
  }
  const double x = decode(type, a), y = decode(type, b);
  uint64_t result;
  if (std::isnan(x) && std::isnan(y))
    return canonicalNan(type);
  if (std::isnan(x) || std::isnan(y)) {
    if (mode.propagateNan)
      return canonicalNan(type);
    result = std::isnan(x) ? b : a;
  } else {
    const bool aBelow = x < y || (x == y && (a & signBit) >= (b & signBit));
    result = aBelow != largest ? a : b;
  }
  return mode.xorSignAbsolute ? result | sign : result;
}

// The one rounding of these is the host's own; results are the same as those of the scalar code.
template <LaneOp op>
[[gnu::always_inline]] inline void lanes(uint32_t *out, const uint32_t *a, const uint32_t *b,
                                         const uint32_t *c, bool flush, bool saturate) {
  auto flushed = [flush](uint32_t bits) {
    return flush && !(bits & 0x7f800000) ? bits & 0x80000000 : bits;
  };
  for (int lane = 0; lane < 32; ++lane) {
    const float x = std::bit_cast<float>(flushed(a[lane]));
    const float y = std::bit_cast<float>(flushed(b[lane]));
    float value;
    if constexpr (op == LaneOp::Add)
      value = x + y;
    else if constexpr (op == LaneOp::Subtract)
      value = x - y;
    else if constexpr (op == LaneOp::Multiply)
      value = x * y;
    else
      value = __builtin_fmaf(x, y, std::bit_cast<float>(flushed(c[lane])));
    uint32_t bits = value != value ? 0x7fffffff : flushed(std::bit_cast<uint32_t>(value));
    if (saturate) // false for NaN, which becomes 0
      bits = value > 0 ? (value < 1 ? bits : std::bit_cast<uint32_t>(1.0f)) : 0;
    out[lane] = bits;
  }
}

} // namespace

uint64_t canonicalNan(FloatType type) {
  return type == FloatType::F64 ? 0xfff8000000000000 : (uint64_t(1) << (bitWidth(type) - 1)) - 1;
}

uint64_t flushSubnormal(FloatType type, uint64_t bits) {
  if (type == FloatType::F64)
    return bits;
  return withFormat(type, [&](auto format) -> uint64_t {
    const uint64_t sign = uint64_t(format.signBit) << storageShift(type);
    const uint64_t exponent = uint64_t(format.exponentMask) << storageShift(type);
    return bits & exponent ? bits : bits & sign;
  });
}

double decode(FloatType type, uint64_t bits) {
  if (type == FloatType::F64)
    return std::bit_cast<double>(bits);
  if (type == FloatType::F32)
    return std::bit_cast<float>(static_cast<uint32_t>(bits));
  return withFormat(type, [&](auto format) -> double {
    const uint32_t mask = 2 * uint64_t(format.signBit) - 1;
    return format.decode(static_cast<uint32_t>(bits >> storageShift(type)) & mask);
  });
}

uint64_t encode(FloatType type, double value, FloatMode mode) {
  if (mode.saturate)
    value = value > 0 ? std::min(value, 1.0) : 0;
  if (mode.relu && value <= 0)
    value = 0;
  if (type == FloatType::F64)
    return std::bit_cast<uint64_t>(value);
  if (std::isnan(value))
    return canonicalNan(type);
  if (type == FloatType::F32 && mode.rounding == Rounding::NearestEven && !mode.saturateFinite) {
    const auto bits = std::bit_cast<uint32_t>(static_cast<float>(value));
    return mode.flush ? flushSubnormal(type, bits) : bits;
  }
  const uint64_t bits = withFormat(type, [&](auto format) -> uint64_t {
    uint32_t encoded = format.encode(value, mode.rounding);
    const uint32_t magnitude = encoded & (format.signBit - 1);
    if (mode.saturateFinite && magnitude > format.largest)
      encoded = (encoded & format.signBit) | format.largest;
    // What overflows a format without infinities is the canonical NaN.
    else if (magnitude > format.largest && magnitude == format.nan)
      return canonicalNan(type);
    return uint64_t(encoded) << storageShift(type);
  });
  return mode.flush ? flushSubnormal(type, bits) : bits;
}

uint64_t encodeStochastic(FloatType type, double value, FloatMode mode, uint32_t random,
                          int randomBits) {
  if (mode.relu && value <= 0)
    value = 0;
  if (!std::isfinite(value))
    return encode(type, value, mode);
  FloatMode truncates = mode;
  truncates.rounding = Rounding::Zero;
  const uint64_t below = encode(type, value, truncates);
  const double kept = std::abs(decode(type, below)), rest = std::abs(value) - kept;
  // The unit of the kept value; that of the largest one is its distance from the one before.
  const uint64_t magnitude = below & (uint64_t(1) << (bitWidth(type) - 1)) - 1;
  const double next = std::abs(decode(type, magnitude + 1));
  const bool isLargest = !std::isfinite(next) || next <= kept;
  const double unit = isLargest ? kept - decode(type, magnitude - 1) : next - kept;
  if (std::floor(std::ldexp(rest / unit, randomBits)) + random < std::ldexp(1.0, randomBits))
    return below;
  if (isLargest)
    return encode(type, std::copysign(HUGE_VAL, value), mode);
  return below + 1;
}

uint64_t add(FloatType type, uint64_t a, uint64_t b, FloatMode mode) {
  const double x = operand(type, a, mode.flush), y = operand(type, b, mode.flush);
  if (type == FloatType::F64)
    return encode(type,
                  mode.rounding == Rounding::NearestEven ? x + y : fusedF64(x, 1, y, mode.rounding),
                  mode);
  return encode(type, sumToOdd(x, y, mode.rounding), mode);
}

uint64_t subtract(FloatType type, uint64_t a, uint64_t b, FloatMode mode) {
  return add(type, a, b ^ uint64_t(1) << (bitWidth(type) - 1), mode);
}

uint64_t multiply(FloatType type, uint64_t a, uint64_t b, FloatMode mode) {
  const double x = operand(type, a, mode.flush), y = operand(type, b, mode.flush);
  return encode(type, type == FloatType::F64 ? productF64(x, y, mode.rounding) : x * y, mode);
}

uint64_t fusedMultiplyAdd(FloatType type, uint64_t a, uint64_t b, uint64_t c, FloatMode mode) {
  const double x = operand(type, a, mode.flush), y = operand(type, b, mode.flush),
               z = operand(type, c, mode.flush);
  return encode(type,
                type == FloatType::F64 ? fusedF64(x, y, z, mode.rounding)
                                       : sumToOdd(x * y, z, mode.rounding),
                mode);
}

uint64_t divide(FloatType type, uint64_t a, uint64_t b, FloatMode mode) {
  const double x = operand(type, a, mode.flush), y = operand(type, b, mode.flush);
  return encode(
      type, type == FloatType::F64 ? quotientF64(x, y, mode.rounding) : quotientToOdd(x, y), mode);
}

uint64_t squareRoot(FloatType type, uint64_t a, FloatMode mode) {
  const double x = operand(type, a, mode.flush);
  return encode(type, type == FloatType::F64 ? rootF64(x, mode.rounding) : rootToOdd(x), mode);
}

uint64_t negate(FloatType type, uint64_t a, bool flush) {
  if (type != FloatType::F64 && std::isnan(decode(type, a)))
    return canonicalNan(type);
  return (flush ? flushSubnormal(type, a) : a) ^ uint64_t(1) << (bitWidth(type) - 1);
}

uint64_t absolute(FloatType type, uint64_t a, bool flush) {
  if (type != FloatType::F64 && std::isnan(decode(type, a)))
    return canonicalNan(type);
  return (flush ? flushSubnormal(type, a) : a) & ~(uint64_t(1) << (bitWidth(type) - 1));
}

uint64_t minimum(FloatType type, uint64_t a, uint64_t b, MinMaxMode mode) {
  return minMax(type, a, b, mode, false);
}

uint64_t maximum(FloatType type, uint64_t a, uint64_t b, MinMaxMode mode) {
  return minMax(type, a, b, mode, true);
}

namespace {

INGOT_VECTOR_CLONES void nearestLanes(LaneOp op, uint32_t *out, const uint32_t *a,
                                      const uint32_t *b, const uint32_t *c, bool flush,
                                      bool saturate) {
  switch (op) {
  case LaneOp::Add:
    return lanes<LaneOp::Add>(out, a, b, c, flush, saturate);
  case LaneOp::Subtract:
    return lanes<LaneOp::Subtract>(out, a, b, c, flush, saturate);
  case LaneOp::Multiply:
    return lanes<LaneOp::Multiply>(out, a, b, c, flush, saturate);
  case LaneOp::Fma:
    return lanes<LaneOp::Fma>(out, a, b, c, flush, saturate);
  }
}

} // namespace

void lanesF32(LaneOp op, uint32_t *out, const uint32_t *a, const uint32_t *b, const uint32_t *c,
              FloatMode mode) {
  if (mode.rounding == Rounding::NearestEven && !mode.relu)
    return nearestLanes(op, out, a, b, c, mode.flush, mode.saturate);
  for (int lane = 0; lane < 32; ++lane) {
    const FloatType type = FloatType::F32;
    const uint64_t result = op == LaneOp::Add        ? add(type, a[lane], b[lane], mode)
                            : op == LaneOp::Subtract ? subtract(type, a[lane], b[lane], mode)
                            : op == LaneOp::Multiply
                                ? multiply(type, a[lane], b[lane], mode)
                                : fusedMultiplyAdd(type, a[lane], b[lane], c[lane], mode);
    out[lane] = static_cast<uint32_t>(result);
  }
}

int elementsOf(Type type) {
  const std::string_view name = typeName(type);
  return name.ends_with("x2") ? 2 : name.ends_with("x4") ? 4 : 1;
}

std::optional<FloatType> floatType(Type type) {
  switch (type) {
  case Type::F64:
    return FloatType::F64;
  case Type::F32:
    return FloatType::F32;
  case Type::TF32:
    return FloatType::TF32;
  case Type::F16:
  case Type::F16x2:
    return FloatType::F16;
  case Type::BF16:
  case Type::BF16x2:
    return FloatType::BF16;
  case Type::E4M3:
  case Type::E4M3x2:
  case Type::E4M3x4:
    return FloatType::E4M3;
  case Type::E5M2:
  case Type::E5M2x2:
  case Type::E5M2x4:
    return FloatType::E5M2;
  case Type::E2M3:
  case Type::E2M3x2:
  case Type::E2M3x4:
    return FloatType::E2M3;
  case Type::E3M2:
  case Type::E3M2x2:
  case Type::E3M2x4:
    return FloatType::E3M2;
  case Type::E2M1:
  case Type::E2M1x2:
  case Type::E2M1x4:
    return FloatType::E2M1;
  default:
    return std::nullopt;
  }
}

} // namespace ingot::emulator
