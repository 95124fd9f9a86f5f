#include "test/emulator/Reference.h"
#include <algorithm>
#include <array>
#include <gtest/gtest.h>

namespace ingot::emulator::test {

Layout layout(FloatType type) {
  switch (type) {
  case FloatType::F64:
    return {11, 52, true};
  case FloatType::F32:
    return {8, 23, true};
  case FloatType::TF32:
    return {8, 10, true};
  case FloatType::F16:
    return {5, 10, true};
  case FloatType::BF16:
    return {8, 7, true};
  case FloatType::E4M3:
    return {4, 3, false};
  case FloatType::E5M2:
    return {5, 2, true};
  case FloatType::E2M3:
    return {2, 3, false, false};
  case FloatType::E3M2:
    return {3, 2, false, false};
  case FloatType::E2M1:
    return {2, 1, false, false};
  }
  __builtin_unreachable();
}

const std::vector<double> &magnitudes(FloatType type) {
  static std::array<std::vector<double>, 10> tables;
  std::vector<double> &table = tables[static_cast<int>(type)];
  if (!table.empty())
    return table;
  const Layout format = layout(type);
  const int bias = (1 << (format.exponentBits - 1)) - 1;
  const int units = 1 << format.mantissaBits;
  for (int exponent = 0; exponent < 1 << format.exponentBits; ++exponent)
    for (int mantissa = 0; mantissa < units; ++mantissa) {
      const bool top = exponent + 1 == 1 << format.exponentBits;
      if (top && (format.hasInfinity || (format.hasNan && mantissa + 1 == units)))
        return table;
      table.push_back(exponent ? std::ldexp(units + mantissa, exponent - bias - format.mantissaBits)
                               : std::ldexp(mantissa, 1 - bias - format.mantissaBits));
    }
  return table;
}

uint64_t roundByTable(FloatType type, double value, Rounding rounding) {
  const Layout format = layout(type);
  const int shift = type == FloatType::TF32 ? 13 : 0;
  if (std::isnan(value))
    return (uint64_t(1) << (format.width() + shift - 1)) - 1;
  const std::vector<double> &table = magnitudes(type);
  const double magnitude = std::abs(value);
  const bool negative = std::signbit(value);
  size_t index = std::upper_bound(table.begin(), table.end(), magnitude) - table.begin() - 1;
  if (magnitude != table[index]) {
    const bool last = index + 1 == table.size();
    const double next = last ? 2 * table[index] - table[index - 1] : table[index + 1];
    // Both differences are exact, or far from one another.
    const double low = magnitude - table[index], high = next - magnitude;
    bool up = false;
    switch (rounding) {
    case Rounding::NearestEven:
      up = low > high || (low == high && index % 2);
      break;
    case Rounding::NearestAway:
      up = low >= high;
      break;
    case Rounding::Zero:
      up = false;
      break;
    case Rounding::Down:
      up = negative;
      break;
    case Rounding::Up:
      up = !negative;
      break;
    }
    index += up || std::isinf(magnitude);
  }
  if (index == table.size() && !format.hasNan) // the largest, whatever comes
    --index;
  if (index == table.size() && !format.hasInfinity)
    return (uint64_t(1) << (format.width() - 1)) - 1; // the only NaN
  return (uint64_t(index) | uint64_t(negative) << (format.width() - 1)) << shift;
}

HostRounding::HostRounding(Rounding rounding) : previous(std::fegetround()) {
  std::fesetround(rounding == Rounding::Zero   ? FE_TOWARDZERO
                  : rounding == Rounding::Down ? FE_DOWNWARD
                  : rounding == Rounding::Up   ? FE_UPWARD
                                               : FE_TONEAREST);
}

HostRounding::~HostRounding() { std::fesetround(previous); }

namespace {

template <typename T> [[gnu::noinline]] T arithmetic(HostOp op, T x, T y, T z) {
  volatile T a = x, b = y, c = z, result = 0;
  switch (op) {
  case HostOp::Add:
    result = a + b;
    break;
  case HostOp::Multiply:
    result = a * b;
    break;
  case HostOp::Fma:
    result = std::fma(T(a), T(b), T(c));
    break;
  case HostOp::Divide:
    result = a / b;
    break;
  case HostOp::SquareRoot:
    result = std::sqrt(T(a));
    break;
  }
  return result;
}

} // namespace

float hostArithmetic(HostOp op, float a, float b, float c) { return arithmetic(op, a, b, c); }
double hostArithmetic(HostOp op, double a, double b, double c) { return arithmetic(op, a, b, c); }

double hostArithmeticToOdd(HostOp op, double a, double b, double c) {
  const HostRounding mode(Rounding::Zero);
  std::feclearexcept(FE_INEXACT);
  const double result = arithmetic(op, a, b, c);
  const bool inexact = std::fetestexcept(FE_INEXACT) && std::isfinite(result);
  return std::bit_cast<double>(std::bit_cast<uint64_t>(result) | inexact);
}

std::vector<uint64_t> boundaryValues(FloatType type) {
  const Layout format = layout(type);
  const int shift = type == FloatType::TF32 ? 13 : 0;
  const uint64_t one = uint64_t((1 << (format.exponentBits - 1)) - 1) << format.mantissaBits;
  const uint64_t minimum = uint64_t(1) << format.mantissaBits;
  const uint64_t top = (uint64_t(1) << (format.width() - 1)) - 1;
  const uint64_t infinity = format.hasInfinity ? top - minimum + 1 : top;
  std::vector<uint64_t> values;
  for (uint64_t magnitude : {uint64_t(0),
                             uint64_t(1),
                             uint64_t(2),
                             minimum - 1,
                             minimum,
                             minimum + 1,
                             one - minimum,
                             one - 1,
                             one,
                             one + 1,
                             one + 2,
                             one + minimum / 2,
                             one + minimum,
                             infinity - 2,
                             infinity - 1,
                             infinity,
                             std::min(infinity + 1, top),
                             top,
                             one + format.mantissaBits * minimum,
                             one - (format.mantissaBits + 1) * minimum,
                             one + (format.mantissaBits / 2 + 1) * minimum + 1})
    for (uint64_t sign : {0, 1})
      values.push_back((magnitude | sign << (format.width() - 1)) << shift);
  return values;
}

uint64_t randomValue(FloatType type, std::mt19937_64 &random) {
  const Layout format = layout(type);
  const int shift = type == FloatType::TF32 ? 13 : 0;
  const uint64_t mask = ~uint64_t(0) >> (64 - format.width());
  const uint64_t bits = random();
  switch (random() % 4) {
  case 0: {
    static thread_local std::array<std::vector<uint64_t>, 10> cached;
    std::vector<uint64_t> &values = cached[static_cast<int>(type)];
    if (values.empty())
      values = boundaryValues(type);
    return values[bits % values.size()];
  }
  case 1: { // near one, so that sums of two cancel or carry
    const uint64_t one = uint64_t((1 << (format.exponentBits - 1)) - 1) << format.mantissaBits;
    const uint64_t near = one + (bits >> 8) % 5 * (uint64_t(1) << format.mantissaBits) +
                          (bits >> 20 & ((uint64_t(1) << format.mantissaBits) - 1) & random());
    return ((near | (bits & 1) << (format.width() - 1)) & mask) << shift;
  }
  default:
    return (bits & mask) << shift;
  }
}

uint64_t freshSeed() {
  static const uint64_t process = [] {
    const char *fixed = std::getenv("INGOT_TEST_SEED");
    const uint64_t seed = fixed ? std::stoull(fixed) : std::random_device{}();
    std::printf("INGOT_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
    std::fflush(stdout); // said even if the test crashes
    return seed;
  }();
  return process;
}

} // namespace ingot::emulator::test
