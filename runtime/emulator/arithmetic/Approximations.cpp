#include "runtime/emulator/arithmetic/Approximations.h"

namespace ingot::emulator {

namespace {

double evaluate(Function function, double x) {
  switch (function) {
  case Function::Reciprocal:
    return 1 / x;
  case Function::SquareRoot:
    return std::sqrt(x);
  case Function::ReciprocalRoot:
    return 1 / std::sqrt(x);
  case Function::Sine:
    return std::sin(x);
  case Function::Cosine:
    return std::cos(x);
  case Function::Logarithm2:
    return std::log2(x);
  case Function::Exponential2:
    return std::exp2(x);
  case Function::HyperbolicTangent:
    return std::tanh(x);
  }
  __builtin_unreachable();
}

/// The .ftz forms of f64 are reduced: subnormal operands and results are zeros, and 20 bits of the
/// significand are kept. Without .ftz (rsqrt alone) the result is as good as f64 goes.
uint64_t approximateF64(Function function, uint64_t bits, bool flush) {
  constexpr uint64_t sign = uint64_t(1) << 63, exponent = uint64_t(0x7ff) << 52;
  auto flushed = [&](uint64_t value) {
    return flush && !(value & exponent) ? value & sign : value;
  };
  const double value = evaluate(function, std::bit_cast<double>(flushed(bits)));
  if (std::isnan(value))
    return canonicalNan(FloatType::F64);
  const auto result = std::bit_cast<uint64_t>(value);
  return flush ? flushed(result) & ~uint64_t(0xffffffff) : result;
}

} // namespace

uint64_t approximate(Function function, FloatType type, uint64_t bits, bool flush) {
  if (type == FloatType::F64)
    return approximateF64(function, bits, flush);
  const double x = decode(type, flush ? flushSubnormal(type, bits) : bits);
  return encode(type, evaluate(function, x), {.flush = flush});
}

uint64_t approximateQuotient(uint64_t a, uint64_t b, bool flush) {
  const double divisor = std::abs(decode(FloatType::F32, b));
  if (divisor > 0x1p126 && !std::isinf(divisor)) {
    const double dividend = decode(FloatType::F32, a);
    if (std::isinf(dividend) || std::isnan(dividend))
      return canonicalNan(FloatType::F32);
    return (a ^ b) & 0x80000000;
  }
  return fullRangeQuotient(a, b, flush);
}

uint64_t fullRangeQuotient(uint64_t a, uint64_t b, bool flush) {
  return divide(FloatType::F32, a, b, {.flush = flush});
}

} // namespace ingot::emulator
