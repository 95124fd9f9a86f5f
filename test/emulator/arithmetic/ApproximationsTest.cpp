#include "runtime/emulator/arithmetic/Approximations.h"
#include "test/emulator/Reference.h"
#include "test/emulator/instructions/ExactFunctions.h"
#include <gtest/gtest.h>

namespace ingot::emulator {
namespace {

using namespace test;

constexpr Function functions[] = {Function::Reciprocal,     Function::SquareRoot,
                                  Function::ReciprocalRoot, Function::Sine,
                                  Function::Cosine,         Function::Logarithm2,
                                  Function::Exponential2,   Function::HyperbolicTangent};

void check(Function function, FloatType type, uint64_t bits) {
  const long double expected = exactly(function, decode(type, bits));
  const uint64_t result = approximate(function, type, bits, false);
  const double value = decode(type, result);
  if (std::isnan(expected)) {
    ASSERT_EQ(result, canonicalNan(type)) << int(function) << " " << std::hex << bits;
    return;
  }
  // 0.51 units of the last place, which of subnormals is that of the smallest one.
  const int exponentBits = layout(type).exponentBits, mantissaBits = layout(type).mantissaBits;
  const int smallest = 2 - (1 << (exponentBits - 1));
  const int exponent = expected == 0 ? smallest : std::max(std::ilogb(expected), smallest);
  const long double ulp = std::ldexp(1.0L, exponent - mantissaBits);
  const long double largest = std::ldexp(2 - std::ldexp(1.0L, -mantissaBits), -smallest + 1);
  if (std::isinf(expected) || std::abs(expected) > largest + ulp / 4)
    ASSERT_GE(std::abs(value), largest);
  else
    ASSERT_LE(std::abs(value - expected), 0.51L * ulp)
        << int(function) << " of " << decode(type, bits) << " gives " << value;
  ASSERT_EQ(std::signbit(value), std::signbit(expected))
      << int(function) << " " << std::hex << bits;
}

TEST(Approximations, f16AndBf16Exhaustively) {
  // The two that exist in these formats.
  for (Function function : {Function::Exponential2, Function::HyperbolicTangent})
    for (FloatType type : {FloatType::F16, FloatType::BF16})
      for (uint64_t bits = 0; bits < 65536; ++bits)
        check(function, type, bits);
}

TEST(Approximations, f32IsWithinHalfAnUlp) {
  std::mt19937_64 random(freshSeed());
  for (Function function : functions) {
    for (uint64_t bits : boundaryValues(FloatType::F32))
      check(function, FloatType::F32, bits);
    for (int i = 0; i < 20000; ++i)
      check(function, FloatType::F32, randomValue(FloatType::F32, random));
  }
}

TEST(Approximations, specialValues) {
  const FloatType type = FloatType::F32;
  const uint32_t infinity = 0x7f800000, nan = 0x7fffffff, one = 0x3f800000, minusZero = 0x80000000;
  EXPECT_EQ(approximate(Function::Exponential2, type, 0xff800000, false), 0u);
  EXPECT_EQ(approximate(Function::Exponential2, type, 0x80000001, true), one);
  EXPECT_EQ(approximate(Function::Exponential2, type, 0xc2fe0000, true), 0u); // 2^-127
  EXPECT_EQ(approximate(Function::Exponential2, type, 0xc2fe0000, false), 0x00400000u);
  EXPECT_EQ(approximate(Function::Logarithm2, type, minusZero, false), 0xff800000u);
  EXPECT_EQ(approximate(Function::Logarithm2, type, 0xbf800000, false), nan);
  EXPECT_EQ(approximate(Function::Logarithm2, type, 1, true), 0xff800000u);
  EXPECT_EQ(approximate(Function::ReciprocalRoot, type, minusZero, false), 0xff800000u);
  EXPECT_EQ(approximate(Function::Reciprocal, type, minusZero, false), 0xff800000u);
  EXPECT_EQ(approximate(Function::Sine, type, infinity, false), nan);
  EXPECT_EQ(approximate(Function::Sine, type, minusZero, false), minusZero);
  EXPECT_EQ(approximate(Function::Cosine, type, 1, true), one);
  EXPECT_EQ(approximate(Function::HyperbolicTangent, type, infinity, false), one);
}

TEST(Approximations, quotients) {
  const uint32_t huge = 0x7f000000, one = 0x3f800000, three = 0x40400000, infinity = 0x7f800000;
  EXPECT_EQ(approximateQuotient(one, three, false), 0x3eaaaaabu);
  EXPECT_EQ(approximateQuotient(one | 0x80000000, huge, false), 0x80000000u);
  EXPECT_EQ(approximateQuotient(infinity, huge, false), 0x7fffffffu);
  EXPECT_EQ(approximateQuotient(one, infinity, false), 0u);
  EXPECT_EQ(fullRangeQuotient(huge, huge, false), one);
}

TEST(Approximations, f64FormsKeepTheUpperHalf) {
  for (double value : {1.0, 3.0, 1e-300, -7.5, 1e300}) {
    const uint64_t bits =
        approximate(Function::Reciprocal, FloatType::F64, std::bit_cast<uint64_t>(value), true);
    EXPECT_EQ(bits & 0xffffffff, 0u);
    EXPECT_NEAR(std::bit_cast<double>(bits) * value, 1, 0x1p-20);
  }
  EXPECT_EQ(
      approximate(Function::ReciprocalRoot, FloatType::F64, std::bit_cast<uint64_t>(4.0), true),
      std::bit_cast<uint64_t>(0.5));
  const auto root = std::bit_cast<double>(
      approximate(Function::ReciprocalRoot, FloatType::F64, std::bit_cast<uint64_t>(3.0), false));
  EXPECT_NEAR(root, 1 / std::sqrt(3.0), 2e-16); // without .ftz nothing is cut off
  EXPECT_EQ(approximate(Function::Reciprocal, FloatType::F64, 1, true), 0x7ff0000000000000u);
}

} // namespace
} // namespace ingot::emulator
