#include "runtime/emulator/arithmetic/Numbers.h"
#include "test/emulator/Reference.h"
#include <gtest/gtest.h>

namespace ingot::emulator {
namespace {

using namespace test;

uint64_t emulated(HostOp op, FloatType type, uint64_t a, uint64_t b, uint64_t c, FloatMode mode) {
  switch (op) {
  case HostOp::Add:
    return add(type, a, b, mode);
  case HostOp::Multiply:
    return multiply(type, a, b, mode);
  case HostOp::Fma:
    return fusedMultiplyAdd(type, a, b, c, mode);
  case HostOp::Divide:
    return divide(type, a, b, mode);
  case HostOp::SquareRoot:
    return squareRoot(type, a, mode);
  }
  __builtin_unreachable();
}

constexpr HostOp operations[] = {HostOp::Add, HostOp::Multiply, HostOp::Fma, HostOp::Divide,
                                 HostOp::SquareRoot};

/// Calls `check(a, b, c)` on all pairs of boundary values and on random triples.
template <typename Check> void forOperands(FloatType type, int samples, Check check) {
  std::mt19937_64 random(freshSeed());
  const std::vector<uint64_t> boundaries = boundaryValues(type);
  for (uint64_t a : boundaries)
    for (uint64_t b : boundaries)
      check(a, b, boundaries[random() % boundaries.size()]);
  for (int i = 0; i < samples; ++i) {
    const uint64_t a = randomValue(type, random), b = randomValue(type, random);
    uint64_t c = randomValue(type, random);
    if (i % 4 == 0) // the addend cancels most of the product, or sits on a tie of it
      c = negate(type, multiply(type, a, b, {}), false) ^ (random() & 3);
    check(a, b, c);
  }
}

template <typename Float, typename Bits> void compareWithHost(FloatType type, int samples) {
  for (HostOp op : operations)
    for (Rounding rounding : hostRoundings)
      forOperands(type, samples, [&](uint64_t a, uint64_t b, uint64_t c) {
        const Float x = std::bit_cast<Float>(Bits(a)), y = std::bit_cast<Float>(Bits(b)),
                    z = std::bit_cast<Float>(Bits(c));
        Float expected;
        {
          const HostRounding mode(rounding);
          expected = hostArithmetic(op, x, y, z);
        }
        const uint64_t bits = emulated(op, type, a, b, c, {.rounding = rounding});
        if (std::isnan(expected))
          ASSERT_TRUE(std::isnan(decode(type, bits)));
        else
          ASSERT_EQ(bits, std::bit_cast<Bits>(expected))
              << "op " << int(op) << " rounding " << int(rounding) << std::hexfloat << " of " << x
              << ", " << y << ", " << z << " gives " << decode(type, bits);
      });
}

TEST(Numbers, f32IsTheHostsInEveryRoundingMode) {
  compareWithHost<float, uint32_t>(FloatType::F32, 50000);
}

TEST(Numbers, f64IsTheHostsInEveryRoundingMode) {
  compareWithHost<double, uint64_t>(FloatType::F64, 50000);
}

TEST(Numbers, narrowArithmeticRoundsOnce) {
  for (FloatType type : {FloatType::F16, FloatType::BF16})
    for (HostOp op : {HostOp::Add, HostOp::Multiply, HostOp::Fma})
      forOperands(type, 100000, [&](uint64_t a, uint64_t b, uint64_t c) {
        const double odd =
            hostArithmeticToOdd(op, decode(type, a), decode(type, b), decode(type, c));
        // Rounding towards zero makes exact zeros of opposite signs positive, as to nearest.
        ASSERT_EQ(emulated(op, type, a, b, c, {}), roundByTable(type, odd, Rounding::NearestEven))
            << "op " << int(op) << std::hex << " of " << a << ", " << b << ", " << c;
      });
}

// bf16: 1.00000001b * 1b is a tie that only the addend decides; rounding to f32 or f64 first loses
// it.
TEST(Numbers, fmaDoesNotRoundTwice) {
  const uint64_t a = 0x3f81; // 1 + 2^-7
  const uint64_t tiny = 0x0080, minusTiny = 0x8080;
  const FloatType type = FloatType::BF16;
  // a * a = 1 + 2^-6 + 2^-14: not a tie; scaled operands make one: (1 + 2^-7) * (1 + 2^-1).
  const uint64_t tie = 0x3fc0; // 1.5: product 1.5 + 1.5 * 2^-7, a tie between 1.5+2^-7 and +2^-6
  EXPECT_EQ(fusedMultiplyAdd(type, a, tie, tiny, {}), 0x3fc2u);
  EXPECT_EQ(fusedMultiplyAdd(type, a, tie, minusTiny, {}), 0x3fc1u);
  EXPECT_EQ(fusedMultiplyAdd(type, a, tie, 0, {}), 0x3fc2u);
}

TEST(Numbers, nanIsCanonical) {
  EXPECT_EQ(add(FloatType::F32, 0x7f800000, 0xff800000, {}), 0x7fffffffu);
  EXPECT_EQ(multiply(FloatType::F16, 0x7c00, 0, {}), 0x7fffu);
  EXPECT_EQ(fusedMultiplyAdd(FloatType::BF16, 0xffc0, 0x3f80, 0, {}), 0x7fffu);
  EXPECT_EQ(squareRoot(FloatType::F32, 0xbf800000, {}), 0x7fffffffu);
}

TEST(Numbers, modifiersApplyToOperandsAndResults) {
  const FloatType type = FloatType::F32;
  const uint32_t one = 0x3f800000, smallest = 0x00800000, half = 0x3f000000, subnormal = 0x80000123;
  EXPECT_EQ(multiply(type, smallest, half, {}), 0x00400000u);
  EXPECT_EQ(multiply(type, smallest, half | 0x80000000, {.flush = true}), 0x80000000u);
  EXPECT_EQ(add(type, subnormal, 0x80000000, {.flush = true}), 0x80000000u);
  EXPECT_EQ(divide(type, one, subnormal, {.flush = true}), 0xff800000u);
  EXPECT_EQ(add(type, one, one, {.saturate = true}), one);
  EXPECT_EQ(add(type, one, 0xc0000000, {.saturate = true}), 0u);
  EXPECT_EQ(add(type, one, 0x7fc00000, {.saturate = true}), 0u);
  EXPECT_EQ(add(type, 0x7fc00000, 0, {.relu = true}), 0x7fffffffu);
  EXPECT_EQ(fusedMultiplyAdd(FloatType::F16, 0xbc00, 0x3c00, 0, {.relu = true}), 0u);
  EXPECT_EQ(add(FloatType::F16, 0x0001, 0x8000, {.flush = true}), 0u);
  // f64 knows no flushing.
  EXPECT_EQ(add(FloatType::F64, 1, 0, {.flush = true}), 1u);
}

TEST(Numbers, signOfExactZeros) {
  const uint32_t one = 0x3f800000, minusOne = 0xbf800000, minusZero = 0x80000000;
  for (Rounding rounding : hostRoundings) {
    const uint64_t expected = rounding == Rounding::Down ? minusZero : 0;
    EXPECT_EQ(add(FloatType::F32, one, minusOne, {.rounding = rounding}), expected);
    EXPECT_EQ(fusedMultiplyAdd(FloatType::F32, one, one, minusOne, {.rounding = rounding}),
              expected);
    EXPECT_EQ(add(FloatType::F32, minusZero, minusZero, {.rounding = rounding}), minusZero);
  }
}

// Every f16, bf16 and f8 value, and in pairs those of f8.
TEST(Numbers, unaryExhaustively) {
  for (FloatType type : {FloatType::F16, FloatType::BF16, FloatType::E4M3, FloatType::E5M2}) {
    const std::vector<double> &table = magnitudes(type);
    const uint64_t sign = uint64_t(1) << (bitWidth(type) - 1);
    for (uint64_t bits = 0; bits < 2 * sign; ++bits) {
      const uint64_t magnitude = bits & (sign - 1);
      const double value = decode(type, bits);
      if (magnitude < table.size()) {
        ASSERT_EQ(value, bits & sign ? -table[magnitude] : table[magnitude]);
        ASSERT_EQ(std::signbit(value), (bits & sign) != 0);
        ASSERT_EQ(encode(type, value, {}), bits);
        ASSERT_EQ(negate(type, bits, false), bits ^ sign);
        ASSERT_EQ(absolute(type, bits, false), magnitude);
      } else if (layout(type).hasInfinity && magnitude == table.size()) {
        ASSERT_TRUE(std::isinf(value));
        ASSERT_EQ(encode(type, value, {}), bits);
      } else {
        ASSERT_TRUE(std::isnan(value));
        ASSERT_EQ(encode(type, value, {}), sign - 1);
        ASSERT_EQ(negate(type, bits, false), sign - 1);
        ASSERT_EQ(absolute(type, bits, false), sign - 1);
      }
      const double least = table[size_t(1) << layout(type).mantissaBits];
      ASSERT_EQ(flushSubnormal(type, bits), std::abs(value) < least ? bits & sign : bits);
    }
  }
}

TEST(Numbers, binaryF8Exhaustively) {
  for (FloatType type : {FloatType::E4M3, FloatType::E5M2})
    for (uint64_t a = 0; a < 256; ++a)
      for (uint64_t b = 0; b < 256; ++b) {
        const double x = decode(type, a), y = decode(type, b); // sums and products are exact
        ASSERT_EQ(add(type, a, b, {}), roundByTable(type, x + y, Rounding::NearestEven)) << a << b;
        ASSERT_EQ(multiply(type, a, b, {}), roundByTable(type, x * y, Rounding::NearestEven));
        const uint64_t low = minimum(type, a, b, {}), high = maximum(type, a, b, {});
        if (std::isnan(x) || std::isnan(y)) {
          const uint64_t other = std::isnan(x) && std::isnan(y) ? 0x7f : std::isnan(x) ? b : a;
          ASSERT_EQ(low, other);
          ASSERT_EQ(high, other);
          ASSERT_EQ(minimum(type, a, b, {.propagateNan = true}), 0x7fu);
        } else {
          ASSERT_EQ(decode(type, low), std::min(x, y));
          ASSERT_EQ(decode(type, high), std::max(x, y));
          ASSERT_TRUE((low == a && high == b) || (low == b && high == a));
        }
      }
}

TEST(Numbers, minimumAndMaximum) {
  const FloatType type = FloatType::F32;
  const uint32_t one = 0x3f800000, minusTwo = 0xc0000000, minusZero = 0x80000000, nan = 0x7fc12345;
  EXPECT_EQ(minimum(type, 0, minusZero, {}), minusZero);
  EXPECT_EQ(maximum(type, minusZero, 0, {}), 0u);
  EXPECT_EQ(maximum(type, nan, one, {}), one);
  EXPECT_EQ(maximum(type, nan, one, {.propagateNan = true}), 0x7fffffffu);
  EXPECT_EQ(minimum(type, nan, nan, {}), 0x7fffffffu);
  EXPECT_EQ(minimum(type, one, minusTwo, {.xorSignAbsolute = true}), 0xbf800000u);
  EXPECT_EQ(maximum(type, minusTwo, 0xbf800000, {.xorSignAbsolute = true}), 0x40000000u);
  EXPECT_EQ(minimum(type, 1, one, {.flush = true}), 0u);
  EXPECT_EQ(packed([](uint64_t a, uint64_t b) { return maximum(FloatType::F16, a, b, {}); },
                   0x3c00c000u, 0x40003c00u),
            0x40003c00u);
}

TEST(Numbers, lanesAreTheScalarCode) {
  std::mt19937_64 random(freshSeed());
  for (int round = 0; round < 2000; ++round) {
    uint32_t a[32], b[32], c[32], out[32];
    for (int lane = 0; lane < 32; ++lane) {
      a[lane] = static_cast<uint32_t>(randomValue(FloatType::F32, random));
      b[lane] = static_cast<uint32_t>(randomValue(FloatType::F32, random));
      c[lane] = static_cast<uint32_t>(randomValue(FloatType::F32, random));
    }
    const FloatMode mode{.rounding = hostRoundings[round % 8 ? 0 : random() % 4],
                         .flush = bool(round & 1),
                         .saturate = bool(round & 2)};
    for (LaneOp op : {LaneOp::Add, LaneOp::Subtract, LaneOp::Multiply, LaneOp::Fma}) {
      lanesF32(op, out, a, b, c, mode);
      for (int lane = 0; lane < 32; ++lane) {
        const uint64_t expected =
            op == LaneOp::Add        ? add(FloatType::F32, a[lane], b[lane], mode)
            : op == LaneOp::Subtract ? subtract(FloatType::F32, a[lane], b[lane], mode)
            : op == LaneOp::Multiply
                ? multiply(FloatType::F32, a[lane], b[lane], mode)
                : fusedMultiplyAdd(FloatType::F32, a[lane], b[lane], c[lane], mode);
        ASSERT_EQ(out[lane], expected)
            << int(op) << std::hex << " " << a[lane] << " " << b[lane] << " " << c[lane];
      }
    }
  }
}

} // namespace
} // namespace ingot::emulator
