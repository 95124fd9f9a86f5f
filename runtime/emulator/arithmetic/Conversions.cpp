#include "runtime/emulator/arithmetic/Conversions.h"
#include "runtime/emulator/arithmetic/Exact.h"

namespace ingot::emulator {

namespace {

/// The integral double in the direction of `rounding`; independent of the host's mode.
double integral(double value, Rounding rounding) {
  if (!std::isfinite(value) || std::abs(value) >= 0x1p52)
    return value;
  const double magnitude = std::abs(value), floor = std::floor(magnitude);
  const double rest = magnitude - floor; // exact; in quarters it decides everything
  const uint64_t quarters = rest == 0 ? 0 : rest < 0.5 ? 1 : rest == 0.5 ? 2 : 3;
  const bool up = roundsUp(rounding, value < 0, static_cast<uint64_t>(floor) & 1, quarters, 2);
  return std::copysign(floor + up, value);
}

double source(FloatType type, uint64_t bits, bool flush) {
  return decode(type, flush && type == FloatType::F32 ? flushSubnormal(type, bits) : bits);
}

} // namespace

int64_t extend(IntegerType type, uint64_t bits) {
  const int unused = 64 - type.bits;
  return type.isSigned ? static_cast<int64_t>(bits << unused) >> unused
                       : static_cast<int64_t>(bits << unused >> unused);
}

uint64_t convertFloat(FloatType to, FloatType from, uint64_t bits, FloatMode mode) {
  const double value = source(from, bits, mode.flush);
  mode.flush &= to == FloatType::F32;
  if (std::isnan(value) && !mode.saturate)
    return to == FloatType::F64 && from == FloatType::F64 ? bits : canonicalNan(to);
  return encode(to, value, mode);
}

uint64_t roundToIntegral(FloatType type, uint64_t bits, FloatMode mode) {
  const double value = source(type, bits, mode.flush);
  mode.flush &= type == FloatType::F32;
  return encode(type, integral(value, mode.rounding), mode);
}

uint64_t convertToInteger(IntegerType to, FloatType from, uint64_t bits, FloatMode mode) {
  const double value = integral(source(from, bits, mode.flush), mode.rounding);
  if (std::isnan(value))
    return from == FloatType::F64 || to.bits == 64 ? uint64_t(1) << (to.bits - 1) : 0;
  const int valueBits = to.isSigned ? to.bits - 1 : to.bits;
  const double limit = std::ldexp(1.0, valueBits); // one above the largest value
  const uint64_t mask = ~uint64_t(0) >> (64 - to.bits);
  if (value >= limit)
    return mask >> (to.isSigned ? 1 : 0);
  if (value < (to.isSigned ? -limit : 0.0))
    return to.isSigned ? uint64_t(1) << (to.bits - 1) : 0;
  return (value < 0 ? static_cast<uint64_t>(static_cast<int64_t>(value))
                    : static_cast<uint64_t>(value)) &
         mask;
}

uint64_t convertFromInteger(FloatType to, IntegerType from, uint64_t bits, FloatMode mode) {
  const int64_t value = extend(from, bits);
  Exact exact;
  exact.negative = from.isSigned && value < 0;
  exact.significand = exact.negative ? -static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  if (to == FloatType::F64)
    return encode(to, exact.round(mode.rounding), mode);
  // Narrower formats: a double that was rounded to odd rounds as the integer itself.
  const double down = exact.round(Rounding::Zero);
  const bool inexact = static_cast<uint64_t>(std::abs(down)) != exact.significand;
  return encode(to, std::bit_cast<double>(std::bit_cast<uint64_t>(down) | inexact), mode);
}

uint64_t convertInteger(IntegerType to, IntegerType from, uint64_t bits, bool saturate) {
  const int64_t value = extend(from, bits);
  if (!saturate)
    return static_cast<uint64_t>(extend(to, static_cast<uint64_t>(value)));
  const bool negative = from.isSigned && value < 0;
  const uint64_t largest = ~uint64_t(0) >> (64 - to.bits) >> (to.isSigned ? 1 : 0);
  if (!negative)
    return std::min(static_cast<uint64_t>(value), largest);
  if (!to.isSigned)
    return 0;
  return static_cast<uint64_t>(std::max(value, -static_cast<int64_t>(largest) - 1));
}

} // namespace ingot::emulator
