#include "runtime/emulator/arithmetic/Conversions.h"
#include "test/emulator/Reference.h"
#include <gtest/gtest.h>

namespace ingot::emulator {
namespace {

using namespace test;

constexpr FloatType narrow[] = {FloatType::F16, FloatType::BF16, FloatType::E4M3, FloatType::E5M2};
constexpr Rounding everyRounding[] = {Rounding::NearestEven, Rounding::NearestAway, Rounding::Zero,
                                      Rounding::Down, Rounding::Up};

TEST(Conversions, narrowToNarrowExhaustively) {
  for (FloatType from : narrow)
    for (FloatType to : narrow)
      for (Rounding rounding : everyRounding)
        for (uint64_t bits = 0; bits < uint64_t(1) << bitWidth(from); ++bits) {
          const double value = decode(from, bits);
          const uint64_t result = convertFloat(to, from, bits, {.rounding = rounding});
          if (std::isinf(value) && layout(to).hasInfinity)
            ASSERT_EQ(decode(to, result), value);
          else if (to != FloatType::E4M3 || std::abs(value) < 464) // overflow: see below
            ASSERT_EQ(result, roundByTable(to, value, rounding))
                << int(from) << " to " << int(to) << " of " << value;
        }
}

TEST(Conversions, saturateFiniteStaysAtTheLargest) {
  for (FloatType from : narrow)
    for (FloatType to : narrow)
      for (uint64_t bits = 0; bits < uint64_t(1) << bitWidth(from); ++bits) {
        const double value = decode(from, bits), largest = magnitudes(to).back();
        const uint64_t result = convertFloat(to, from, bits, {.saturateFinite = true});
        const uint64_t relu = convertFloat(to, from, bits, {.relu = true, .saturateFinite = true});
        if (std::isnan(value)) {
          ASSERT_EQ(result, canonicalNan(to));
          ASSERT_EQ(relu, canonicalNan(to));
          continue;
        }
        if (std::abs(value) > largest)
          ASSERT_EQ(decode(to, result), std::copysign(largest, value)) << value;
        else
          ASSERT_EQ(result, roundByTable(to, value, Rounding::NearestEven));
        ASSERT_EQ(relu, value <= 0 ? 0 : result);
      }
}

TEST(Conversions, f8OverflowWithoutSaturation) {
  const uint32_t thousand = 0x447a0000; // 1000.0f
  EXPECT_EQ(convertFloat(FloatType::E4M3, FloatType::F32, thousand, {}), 0x7fu);
  EXPECT_EQ(convertFloat(FloatType::E4M3, FloatType::F32, thousand | 0x80000000, {}), 0x7fu);
  EXPECT_EQ(convertFloat(FloatType::E5M2, FloatType::F32, 0x7f000000, {}), 0x7cu);
  EXPECT_EQ(convertFloat(FloatType::E5M2, FloatType::F32, 0x7fc00000, {.saturateFinite = true}),
            0x7fu);
}

TEST(Conversions, wideToNarrowRoundsOnce) {
  std::mt19937_64 random(freshSeed());
  for (FloatType from : {FloatType::F32, FloatType::F64})
    for (FloatType to :
         {FloatType::F16, FloatType::BF16, FloatType::TF32, FloatType::E4M3, FloatType::E5M2}) {
      std::vector<uint64_t> samples = boundaryValues(from);
      for (int i = 0; i < 40000; ++i)
        samples.push_back(randomValue(from, random));
      const std::vector<double> &table = magnitudes(to);
      for (int i = 0; i < 20000; ++i) { // ties, and what lies just beside them
        const size_t index = random() % (table.size() - 1);
        const double middle = table[index] / 2 + table[index + 1] / 2;
        const double beside = from == FloatType::F64
                                  ? std::nextafter(middle, i % 2 ? 1e300 : 0)
                                  : std::nextafter(float(middle), i % 2 ? 1e38f : 0);
        samples.push_back(encode(from, i % 3 ? beside : middle, {}));
      }
      for (uint64_t bits : samples)
        for (Rounding rounding : everyRounding) {
          const double value = decode(from, bits);
          const double limit = magnitudes(to).back();
          if (to == FloatType::E4M3 && std::abs(value) > limit)
            continue;
          ASSERT_EQ(convertFloat(to, from, bits, {.rounding = rounding}),
                    roundByTable(to, value, rounding))
              << int(to) << " of " << std::hexfloat << value << " rounding " << int(rounding);
        }
    }
}

TEST(Conversions, wideningIsExact) {
  for (FloatType from : narrow)
    for (uint64_t bits = 0; bits < uint64_t(1) << bitWidth(from); ++bits) {
      const double value = decode(from, bits);
      const uint64_t single = convertFloat(FloatType::F32, from, bits, {});
      const uint64_t twice = convertFloat(FloatType::F64, from, bits, {});
      if (std::isnan(value)) {
        ASSERT_EQ(single, 0x7fffffffu);
        ASSERT_TRUE(std::isnan(decode(FloatType::F64, twice)));
      } else {
        ASSERT_EQ(single, std::bit_cast<uint32_t>(static_cast<float>(value)));
        ASSERT_EQ(twice, std::bit_cast<uint64_t>(value));
      }
    }
}

TEST(Conversions, f64ToF32InEveryMode) {
  std::mt19937_64 random(freshSeed());
  for (int i = 0; i < 200000; ++i) {
    const uint64_t bits =
        i % 2
            ? randomValue(FloatType::F64, random)
            : std::bit_cast<uint64_t>(decode(FloatType::F32, randomValue(FloatType::F32, random))) +
                  (random() >> (random() % 64)) % 0x40000000;
    for (Rounding rounding : hostRoundings) {
      volatile float expected;
      {
        const HostRounding mode(rounding);
        volatile double value = std::bit_cast<double>(bits);
        expected = static_cast<float>(value);
      }
      if (!std::isnan(expected))
        ASSERT_EQ(convertFloat(FloatType::F32, FloatType::F64, bits, {.rounding = rounding}),
                  std::bit_cast<uint32_t>(float(expected)));
    }
  }
}

TEST(Conversions, flushLooksAtF32Alone) {
  // The smallest f16 is normal as an f32; an f16 subnormal result is kept.
  EXPECT_EQ(convertFloat(FloatType::F32, FloatType::F16, 1, {.flush = true}), 0x33800000u);
  EXPECT_EQ(convertFloat(FloatType::F16, FloatType::F32, 0x33800000, {.flush = true}), 1u);
  EXPECT_EQ(convertFloat(FloatType::F64, FloatType::F32, 0x80000001, {.flush = true}), 1ull << 63);
  EXPECT_EQ(
      convertFloat(FloatType::F32, FloatType::F64, std::bit_cast<uint64_t>(1e-40), {.flush = true}),
      0u);
  EXPECT_EQ(convertFloat(FloatType::F32, FloatType::F64, std::bit_cast<uint64_t>(std::nan("")),
                         {.saturate = true}),
            0u);
}

// The reference: the host's nearbyint in its own rounding modes, and comparisons.
TEST(Conversions, floatToInteger) {
  std::mt19937_64 random(freshSeed());
  for (FloatType from : {FloatType::F16, FloatType::BF16, FloatType::F32, FloatType::F64}) {
    std::vector<uint64_t> samples = boundaryValues(from);
    for (int i = 0; i < 20000; ++i)
      samples.push_back(randomValue(from, random));
    for (double power = 0.25; power < 0x1p66; power *= 2)
      for (double near : {power, power * 1.5, power - 1, power + 1, power - 0.5, power + 0.5})
        for (double sign : {1, -1})
          samples.push_back(encode(from, sign * near, {}));
    for (uint64_t bits : samples)
      for (Rounding rounding : hostRoundings)
        for (uint8_t width : {8, 16, 32, 64})
          for (bool isSigned : {false, true}) {
            const double value = decode(from, bits);
            volatile long double integral;
            {
              const HostRounding mode(rounding);
              volatile long double exact = value;
              integral = std::nearbyint(static_cast<long double>(exact));
            }
            const long double low = isSigned ? -std::ldexp(1.0L, width - 1) : 0.0L;
            const long double high = std::ldexp(1.0L, isSigned ? width - 1 : width) - 1;
            const uint64_t mask = ~uint64_t(0) >> (64 - width);
            uint64_t expected;
            if (std::isnan(value))
              expected = from == FloatType::F64 || width == 64 ? uint64_t(1) << (width - 1) : 0;
            else if (integral <= low)
              expected = static_cast<uint64_t>(static_cast<int64_t>(low)) & mask;
            else if (integral >= high)
              expected = static_cast<uint64_t>(high);
            else
              expected = (integral < 0 ? static_cast<uint64_t>(static_cast<int64_t>(integral))
                                       : static_cast<uint64_t>(integral)) &
                         mask;
            ASSERT_EQ(convertToInteger({width, isSigned}, from, bits, {.rounding = rounding}),
                      expected)
                << value << " to " << int(width) << (isSigned ? " signed" : "");
          }
  }
}

TEST(Conversions, integerToFloat) {
  std::mt19937_64 random(freshSeed());
  for (int i = 0; i < 100000; ++i) {
    uint64_t bits = random() >> random() % 64;
    if (i % 3 == 0) // few bits and one far below them: the double-rounding trap
      bits = (uint64_t(random() & 0xffff) << random() % 48) + (random() % 3) - 1;
    for (uint8_t width : {8, 16, 32, 64})
      for (bool isSigned : {false, true})
        for (Rounding rounding : hostRoundings) {
          const IntegerType from{width, isSigned};
          const uint64_t masked = bits & ~uint64_t(0) >> (64 - width);
          const bool negative = isSigned && masked >> (width - 1);
          volatile long double exact =
              negative ? static_cast<long double>(masked) - std::ldexp(1.0L, width)
                       : static_cast<long double>(masked);
          volatile float single;
          volatile double twice;
          {
            const HostRounding mode(rounding);
            single = static_cast<float>(exact);
            twice = static_cast<double>(exact);
          }
          ASSERT_EQ(convertFromInteger(FloatType::F32, from, bits, {.rounding = rounding}),
                    std::bit_cast<uint32_t>(float(single)))
              << masked;
          ASSERT_EQ(convertFromInteger(FloatType::F64, from, bits, {.rounding = rounding}),
                    std::bit_cast<uint64_t>(double(twice)))
              << masked;
          if (width <= 32) // exact as a double
            for (FloatType to : {FloatType::F16, FloatType::BF16})
              ASSERT_EQ(convertFromInteger(to, from, bits, {.rounding = rounding}),
                        roundByTable(to, double(exact), rounding))
                  << masked;
        }
  }
}

// An integer just above a tie of bf16 is lost when it goes through an f64.
TEST(Conversions, largeIntegersRoundOnce) {
  const IntegerType type{64, false};
  const uint64_t tie = 0x8080000000000000, above = tie + 1;
  EXPECT_EQ(convertFromInteger(FloatType::BF16, type, tie, {}), 0x5f00u);
  EXPECT_EQ(convertFromInteger(FloatType::BF16, type, above, {}), 0x5f01u);
}

TEST(Conversions, roundToIntegral) {
  std::mt19937_64 random(freshSeed());
  for (FloatType type : {FloatType::F32, FloatType::F64, FloatType::F16})
    for (int i = 0; i < 20000; ++i) {
      const uint64_t bits = randomValue(type, random);
      for (Rounding rounding : hostRoundings) {
        volatile double expected;
        {
          const HostRounding mode(rounding);
          volatile double value = decode(type, bits);
          expected = std::nearbyint(static_cast<double>(value));
        }
        if (!std::isnan(expected))
          ASSERT_EQ(roundToIntegral(type, bits, {.rounding = rounding}),
                    encode(type, expected, {}));
      }
    }
}

TEST(Conversions, integerToInteger) {
  const IntegerType s8{8, true}, u8{8, false}, s16{16, true}, s32{32, true}, u32{32, false},
      s64{64, true}, u64{64, false};
  EXPECT_EQ(convertInteger(s64, s8, 0x80, false), 0xffffffffffffff80u);
  EXPECT_EQ(convertInteger(u64, u8, 0x1280, false), 0x80u);
  EXPECT_EQ(convertInteger(s8, s32, 300, false), 44u);
  EXPECT_EQ(convertInteger(s8, s32, 300, true), 127u);
  EXPECT_EQ(convertInteger(s8, s32, uint64_t(-300), true), uint64_t(-128));
  EXPECT_EQ(convertInteger(u8, s32, uint64_t(-300), true), 0u);
  EXPECT_EQ(convertInteger(u32, u64, ~uint64_t(0), true), 0xffffffffu);
  EXPECT_EQ(convertInteger(s32, u32, 0xffffffff, true), 0x7fffffffu);
  EXPECT_EQ(convertInteger(s16, s64, uint64_t(INT64_MIN), true), uint64_t(-32768));
}

} // namespace
} // namespace ingot::emulator
