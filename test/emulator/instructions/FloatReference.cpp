#include "test/emulator/instructions/FloatReference.h"
#include <bit>
#include <cmath>

namespace ingot::emulator::test {

uint64_t kindMask(FloatType type) { return 2 * signOf(type) - 1; }
uint64_t signOf(FloatType type) {
  return uint64_t(1) << (type == FloatType::TF32 ? 31 : layout(type).width() - 1);
}
uint64_t infinityOf(FloatType type) {
  const Layout format = layout(type);
  return ((uint64_t(1) << format.exponentBits) - 1)
         << (format.mantissaBits + (type == FloatType::TF32 ? 13 : 0));
}
uint64_t oneOf(FloatType type) {
  const Layout format = layout(type);
  return ((uint64_t(1) << (format.exponentBits - 1)) - 1) << format.mantissaBits;
}
uint64_t nanOf(FloatType type) {
  return type == FloatType::F64 ? 0xfff8000000000000 : signOf(type) - 1;
}

bool isNan(FloatType type, uint64_t bits) {
  const uint64_t magnitude = bits & (signOf(type) - 1);
  return layout(type).hasNan &&
         (layout(type).hasInfinity ? magnitude > infinityOf(type) : magnitude == signOf(type) - 1);
}

double valueOf(FloatType type, uint64_t bits) {
  if (type == FloatType::F64)
    return std::bit_cast<double>(bits);
  if (type == FloatType::F32 || type == FloatType::TF32)
    return std::bit_cast<float>(uint32_t(bits));
  const uint64_t magnitude = bits & (signOf(type) - 1);
  const double value = isNan(type, bits)                     ? std::nan("")
                       : magnitude < magnitudes(type).size() ? magnitudes(type)[magnitude]
                                                             : HUGE_VAL;
  return bits & signOf(type) ? -value : value;
}

uint64_t flushedIf(bool flush, FloatType type, uint64_t bits) {
  return flush && !(bits & infinityOf(type)) ? bits & signOf(type) : bits;
}

Range rangeOf(FloatType type) {
  const Layout format = layout(type);
  const int bias = (1 << (format.exponentBits - 1)) - 1;
  const bool narrow = bitWidth(type) <= 16;
  return {std::ldexp(1, 1 - bias - format.mantissaBits), std::ldexp(1, 1 - bias),
          narrow ? magnitudes(type).back()
                 : std::ldexp(2 - std::ldexp(1, -format.mantissaBits), bias)};
}

uint64_t rounded(FloatType type, double value, Rounding rounding) {
  if (std::isnan(value))
    return nanOf(type);
  if (type == FloatType::F64)
    return std::bit_cast<uint64_t>(value);
  if (type != FloatType::F32)
    return roundByTable(type, value, rounding);
  const HostRounding mode(rounding);
  volatile double wide = value;
  volatile float narrow = static_cast<float>(wide);
  return std::bit_cast<uint32_t>(float(narrow));
}

uint64_t reference(HostOp op, FloatType type, ReferenceMode mode, uint64_t a, uint64_t b,
                   uint64_t c) {
  double x = valueOf(type, flushedIf(mode.flush, type, a & kindMask(type)));
  double y = valueOf(type, flushedIf(mode.flush, type, b & kindMask(type)));
  double z = valueOf(type, flushedIf(mode.flush, type, c & kindMask(type)));
  uint64_t bits;
  if (type == FloatType::F64) {
    const HostRounding rounding(mode.rounding);
    bits = std::bit_cast<uint64_t>(hostArithmetic(op, x, y, z));
  } else if (type == FloatType::F32) {
    const HostRounding rounding(mode.rounding);
    bits = std::bit_cast<uint32_t>(hostArithmetic(op, float(x), float(y), float(z)));
  } else {
    bits = roundByTable(type, hostArithmeticToOdd(op, x, y, z), mode.rounding);
  }
  if (isNan(type, bits))
    return mode.saturate ? 0 : nanOf(type);
  if (mode.saturate)
    return bits & signOf(type) ? 0 : flushedIf(mode.flush, type, std::min(bits, oneOf(type)));
  if (mode.relu && bits & signOf(type))
    return 0;
  return flushedIf(mode.flush, type, bits);
}

uint64_t referenceExtremum(FloatType type, bool largest, bool flush, bool propagateNan,
                           bool xorSignAbsolute, uint64_t a, uint64_t b) {
  const uint64_t sign = signOf(type);
  a = flushedIf(flush, type, a & kindMask(type));
  b = flushedIf(flush, type, b & kindMask(type));
  const uint64_t product = (a ^ b) & sign;
  if (xorSignAbsolute) {
    a &= ~sign;
    b &= ~sign;
  }
  const bool noA = isNan(type, a), noB = isNan(type, b);
  if ((noA && noB) || (propagateNan && (noA || noB)))
    return nanOf(type);
  // The order of sign and magnitude, -0 below +0, is that of these integers.
  const auto rank = [&](uint64_t bits) {
    return bits & sign ? -1 - __int128(bits & ~sign) : __int128(bits);
  };
  const uint64_t result = noA ? b : noB ? a : (rank(a) < rank(b)) != largest ? a : b;
  return xorSignAbsolute ? result | product : result;
}

BitsFunction elementwise(int width, int bits, BitsFunction function) {
  if (width == bits)
    return function;
  return [=](uint64_t a, uint64_t b, uint64_t c) {
    const uint64_t mask = (uint64_t(1) << width) - 1;
    uint64_t result = 0;
    for (int at = 0; at < bits; at += width)
      result |= (function(a >> at & mask, b >> at & mask, c >> at & mask) & mask) << at;
    return result;
  };
}

} // namespace ingot::emulator::test
