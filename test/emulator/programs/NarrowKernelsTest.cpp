// The toolkit's half, bfloat16 and fp8 headers and its mathematics, beside the host's.
#include "runtime/support/HalfFloat.h"
#include "test/emulator/Gpu.h"

namespace ingot::emulator::test {
namespace {

class NarrowKernels : public GpuTest, public testing::WithParamInterface<Configuration> {
protected:
  void SetUp() override {
    if (const std::string missing = GetParam().missing(); !missing.empty())
      GTEST_SKIP() << missing;
    load("narrow.cu", GetParam());
  }
  static Shape covering(int count) {
    return {.grid = {static_cast<uint32_t>((count + 95) / 96)}, .block = {96}};
  }
};
// sm_80 converts to fp8 in software and rounds bf16 sums through fma, sm_90 has instructions.
INSTANTIATE_TEST_SUITE_P(All, NarrowKernels, testing::ValuesIn(configurations()), nameOf);

uint16_t half(double value) { return static_cast<uint16_t>(Float16::encode(value)); }

/// a·b + c as a double that rounds to the same narrow float as the exact value: to odd.
double fusedToOdd(double a, double b, double c) {
  const double p = a * b; // exact for narrow floats
  const double sum = p + c;
  if (!std::isfinite(sum))
    return sum;
  const double back = sum - p;
  const double error = (p - (sum - back)) + (c - back);
  const auto bits = std::bit_cast<uint64_t>(sum);
  if (error == 0 || bits & 1)
    return sum;
  return std::nextafter(sum, error > 0 ? HUGE_VAL : -HUGE_VAL);
}

template <typename Format> struct Arithmetic {
  static double value(uint16_t bits) { return Format::decode(bits); }
  static uint16_t encode(double value) { return static_cast<uint16_t>(Format::encode(value)); }
  static bool isNan(uint16_t bits) { return std::isnan(value(bits)); }
  /// The number where one is NaN, the canonical NaN where both are; -0 is less than +0.
  static uint16_t smaller(uint16_t x, uint16_t y) {
    if (isNan(x) || isNan(y))
      return isNan(x) && isNan(y) ? canonical : isNan(x) ? y : x;
    return value(x) < value(y) || (value(x) == value(y) && x & 0x8000) ? x : y;
  }
  static uint16_t larger(uint16_t x, uint16_t y) {
    if (isNan(x) || isNan(y))
      return isNan(x) && isNan(y) ? canonical : isNan(x) ? y : x;
    return value(x) > value(y) || (value(x) == value(y) && y & 0x8000) ? x : y;
  }
  static constexpr uint16_t canonical = 0x7fff;
  static void results(uint16_t x, uint16_t y, uint16_t z, uint16_t *o) {
    const double a = value(x), b = value(y), c = value(z);
    o[0] = encode(a + b);
    o[1] = encode(a - b);
    o[2] = encode(a * b);
    o[3] = encode(fusedToOdd(a, b, c));
    o[4] = x ^ 0x8000;
    o[5] = x & 0x7fff;
    o[6] = smaller(x, y);
    o[7] = larger(y, z);
    const bool unordered = isNan(x) || isNan(y);
    o[8] = static_cast<uint16_t>((a == b) | (!unordered && a != b) << 1 | (a < b) << 2 |
                                 (a <= b) << 3 | (a > b) << 4 | (a >= b) << 5 |
                                 (unordered || a == b) << 6 | (unordered || a != b) << 7 |
                                 (unordered || a < b) << 8 | isNan(x) << 9);
    o[9] = isNan(o[3]) ? canonical : value(o[3]) > 0 ? o[3] : 0;
    o[10] = unordered ? canonical : smaller(x, y);
    o[11] = unordered ? canonical : larger(x, y);
    o[14] = encode(std::floor(a));
    o[15] = encode(std::nearbyint(b));
  }
};

/// Equal, or both NaN, but for result 8: comparisons.
template <typename Format>
testing::AssertionResult sameNarrow(const std::vector<uint16_t> &expected,
                                    const std::vector<uint16_t> &actual) {
  for (size_t i = 0; i < expected.size(); ++i) {
    const float e = Format::decode(expected[i]), a = Format::decode(actual[i]);
    if (expected[i] == actual[i] || (i % 16 != 8 && std::isnan(e) && std::isnan(a)))
      continue;
    return testing::AssertionFailure() << fmt::format(
               "result {} of element {}: expected {:#x} ({}), the emulator has {:#x} ({})", i % 16,
               i / 16, expected[i], e, actual[i], a);
  }
  return testing::AssertionSuccess();
}

TEST_P(NarrowKernels, halfArithmetic) {
  const int n = 4000;
  auto a = randomBits<uint16_t>(n), b = randomBits<uint16_t>(n), c = randomBits<uint16_t>(n);
  for (int i = 0; i < n; i += 2) { // of near magnitude
    b[i] = static_cast<uint16_t>(a[i] ^ (b[i] & 0x87ff));
    c[i] = half(Float16::decode(a[i]) * Float16::decode(b[i])) ^ (c[i] & 0x8007);
  }
  const auto deviceA = upload(a), deviceB = upload(b), deviceC = upload(c);
  const auto out = empty<uint16_t>(16 * n);
  launch("halfArithmetic", covering(n), deviceA, deviceB, deviceC, out, n);
  std::vector<uint16_t> expected(16 * n);
  auto saturated = [](double value) { return value > 0 ? std::min(value, 1.0) : 0.0; }; // -0 is +0
  for (int i = 0; i < n; ++i) {
    uint16_t *o = expected.data() + 16 * i;
    Arithmetic<Float16>::results(a[i], b[i], c[i], o);
    o[12] = half(saturated(Float16::decode(o[0])));
    o[13] = half(saturated(Float16::decode(o[3])));
  }
  EXPECT_TRUE(sameNarrow<Float16>(expected, out.read()));
}

TEST_P(NarrowKernels, bfloatArithmetic) {
  const int n = 4000;
  auto a = randomBits<uint16_t>(n), b = randomBits<uint16_t>(n), c = randomBits<uint16_t>(n);
  for (int i = 0; i < n; i += 2)
    b[i] = static_cast<uint16_t>(a[i] ^ (b[i] & 0x80ff));
  const auto deviceA = upload(a), deviceB = upload(b), deviceC = upload(c);
  const auto out = empty<uint16_t>(16 * n);
  launch("bfloatArithmetic", covering(n), deviceA, deviceB, deviceC, out, n);
  std::vector<uint16_t> expected(16 * n);
  for (int i = 0; i < n; ++i)
    Arithmetic<BFloat16>::results(a[i], b[i], c[i], expected.data() + 16 * i);
  EXPECT_TRUE(sameNarrow<BFloat16>(expected, out.read()));
}

TEST_P(NarrowKernels, packedArithmetic) {
  const int n = 2000;
  const auto a = randomBits<uint16_t>(2 * n), b = randomBits<uint16_t>(2 * n);
  const auto c = randomBits<uint16_t>(2 * n), d = randomBits<uint16_t>(2 * n);
  const auto deviceA = upload(a), deviceB = upload(b), deviceC = upload(c), deviceD = upload(d);
  const auto halves = empty<uint16_t>(16 * n), bfloats = empty<uint16_t>(16 * n);
  launch("packedArithmetic", covering(n), deviceA, deviceB, deviceC, deviceD, halves, bfloats, n);
  auto check = [&]<typename Format>(Format, const std::vector<uint16_t> &x,
                                    const std::vector<uint16_t> &y,
                                    const std::vector<uint16_t> &actual) {
    using A = Arithmetic<Format>;
    auto encode = [](double value) { return static_cast<uint16_t>(Format::encode(value)); };
    for (int i = 0; i < 2 * n; ++i) {
      const double p = Format::decode(x[i]), q = Format::decode(y[i]);
      const double low = Format::decode(y[i & ~1]);
      const uint16_t expected[8] = {
          encode(p + q),         encode(p - q),
          encode(p * q),         encode(fusedToOdd(p, q, Format::decode(x[i ^ 1]))),
          A::larger(x[i], y[i]), encode(p == q),
          encode(p < low),       static_cast<uint16_t>(x[i] | 0x8000)};
      for (int k = 0; k < 8; ++k) {
        const uint16_t got = actual[16 * (i / 2) + 2 * k + i % 2];
        if (A::isNan(expected[k]) && A::isNan(got))
          continue;
        ASSERT_EQ(expected[k], got) << "operation " << k << " of " << p << " and " << q;
      }
    }
  };
  check(Float16{}, a, b, halves.read());
  check(BFloat16{}, c, d, bfloats.read());
}

TEST_P(NarrowKernels, halfFunctions) {
  const int n = 65536 / 8;
  std::vector<uint16_t> in(n);
  for (int i = 0; i < n; ++i)
    in[i] = static_cast<uint16_t>(8 * i + random() % 8);
  const auto deviceIn = upload(in), out = empty<uint16_t>(8 * n);
  launch("halfFunctions", covering(n), deviceIn, out, n);
  const auto actual = out.read();
  auto order = [](uint16_t bits) { return bits & 0x8000 ? -int(bits & 0x7fff) : int(bits); };
  for (int i = 0; i < n; ++i) {
    const double x = Float16::decode(in[i]), magnitude = std::abs(x);
    const double expected[8] = {1.5 / x,      std::sqrt(magnitude), 1 / std::sqrt(magnitude),
                                std::exp2(x), std::log2(magnitude), std::exp(x),
                                1 / x,        std::tanh(x)};
    for (int k = 0; k < 8; ++k) {
      const uint16_t e = half(expected[k]), a = actual[8 * i + k];
      if (std::isnan(Float16::decode(e)) && std::isnan(Float16::decode(a)))
        continue;
      // Documented as correctly rounded or within one step; tanh.approx.f16 as 2^-10.987 relative.
      ASSERT_LE(std::abs(order(e) - order(a)), k == 7 ? 2 : 1)
          << "function " << k << " of " << x << ": " << Float16::decode(e) << ", the emulator has "
          << Float16::decode(a);
    }
  }
}

TEST_P(NarrowKernels, conversions) {
  const int n = 6000;
  auto in = randomFloats<float>(n);
  for (int i = 0; i < n; i += 2) { // in the range of the narrow formats, often halfway
    const auto bits =
        static_cast<uint32_t>((127 - 24 + random() % 42) << 23 | (random() & 0x807ff000));
    in[i] = std::bit_cast<float>(bits ^ (random() % 4 ? 0 : static_cast<uint32_t>(random() & 1)));
  }
  const auto deviceIn = upload(in), back = empty<float>(4 * n);
  const auto out = empty<uint16_t>(16 * n);
  launch("narrowConversions", covering(n), deviceIn, out, back, n);
  const auto actual = out.read();
  const auto actualBack = back.read();
  for (int i = 0; i < n; ++i) {
    const float x = in[i];
    auto towards = [&](FloatType type, Rounding rounding) {
      return static_cast<uint16_t>(roundByTable(type, x, rounding));
    };
    const uint16_t *o = actual.data() + 16 * i;
    const float *r = actualBack.data() + 4 * i;
    if (!std::isnan(x)) {
      const Rounding order[4] = {Rounding::NearestEven, Rounding::Zero, Rounding::Up,
                                 Rounding::Down};
      for (int k = 0; k < 4; ++k) {
        ASSERT_EQ(o[k], towards(FloatType::F16, order[k])) << x << " to half, rounding " << k;
        ASSERT_EQ(o[4 + k], towards(FloatType::BF16, order[k])) << x << " to bf16, rounding " << k;
      }
      // Saturated: overflow is the largest finite value.
      auto fp8 = [](auto format, double value, double largest) {
        return decltype(format)::encode(std::clamp(value, -largest, largest));
      };
      const unsigned e4 = fp8(Float8E4M3FN{}, x, 448), e5 = fp8(Float8E5M2{}, x, 57344);
      ASSERT_EQ(o[8], e4) << x;
      ASSERT_EQ(o[9], e5) << x;
      ASSERT_EQ(o[10], e4 | (e4 ^ 0x80) << 8) << x;
      ASSERT_EQ(o[11], (e5 ^ 0x80) | e5 << 8) << x;
      ASSERT_EQ(r[2], Float8E4M3FN::decode(e4));
      ASSERT_EQ(r[3], Float8E5M2::decode(e5));
      const float h = Float16::decode(Float16::encode(x));
      ASSERT_EQ(r[0], h);
      ASSERT_EQ(r[1], BFloat16::decode(BFloat16::encode(x)));
      auto toShort = [](double v) {
        return static_cast<uint16_t>(static_cast<int16_t>(std::clamp(v, -32768.0, 32767.0)));
      };
      ASSERT_EQ(o[12], toShort(std::trunc(h))) << h;
      ASSERT_EQ(o[13], toShort(std::nearbyint(h))) << h;
    } else {
      ASSERT_TRUE(std::isnan(r[0]) && std::isnan(r[1]) && std::isnan(r[2]) && std::isnan(r[3]));
    }
    ASSERT_EQ(o[14], half(i % 96 * 37 - 1000));
    ASSERT_EQ(o[15], static_cast<uint16_t>(BFloat16::encode(i % 96 * 129)));
  }
}

TEST_P(NarrowKernels, floatFunctions) {
  const int n = 3000;
  std::vector<float> in(n);
  std::uniform_real_distribution<float> draw(-10, 10);
  for (float &x : in)
    x = draw(random);
  const auto deviceIn = upload(in), out = empty<float>(16 * n);
  launch("floatFunctions", covering(n), deviceIn, out, n);
  const auto actual = out.read();
  for (int i = 0; i < n; ++i) {
    const double x = in[i], p = std::abs(in[i]) + 1e-3f;
    const double expected[16] = {
        std::exp(x), std::log(p),       std::sin(x),        std::cos(x),
        1 / p,       1 / std::sqrt(p),  std::exp2(x),       std::pow(p, 0.7f),
        std::exp(x), std::log(p),       std::sin(x),        std::tanh(x),
        std::erf(x), std::pow(p, 1.3f), std::fmod(x, 0.75), std::cbrt(x)};
    for (int k = 0; k < 16; ++k) {
      // CUDA's guide: __sinf and __cosf are good to 2^-21 absolutely (near pi); __expf and __powf
      // to a few ulp that grow with the argument; the others to four ulp.
      const bool fast = k == 0 || k == 7, trigonometric = k == 2 || k == 3;
      const double tolerance = trigonometric ? 2e-6
                               : fast        ? 4e-6 * std::abs(expected[k])
                               : k == 1      ? 4e-7 + 2e-7 * std::abs(expected[k])
                               : k == 14     ? 0
                                             : 4.8e-7 * std::abs(expected[k]) + 1e-44;
      ASSERT_LE(std::abs(actual[16 * i + k] - expected[k]), tolerance)
          << "function " << k << " of " << x << ": " << expected[k] << ", the emulator has "
          << actual[16 * i + k];
    }
  }
}

TEST_P(NarrowKernels, doubleFunctions) {
  const int n = 1000;
  std::vector<double> in(n);
  std::uniform_real_distribution<double> draw(-10, 10);
  for (double &x : in)
    x = draw(random);
  const auto deviceIn = upload(in), out = empty<double>(8 * n);
  launch("doubleFunctions", covering(n), deviceIn, out, n);
  const auto actual = out.read();
  for (int i = 0; i < n; ++i) {
    const double x = in[i], p = std::abs(x) + 1e-3;
    const double expected[8] = {std::exp(x),      std::log(p),       std::sin(x),
                                std::tanh(x),     std::erf(x),       std::pow(p, 1.3),
                                1 / std::sqrt(p), std::fmod(x, 0.75)};
    for (int k = 0; k < 8; ++k)
      ASSERT_LE(std::abs(actual[8 * i + k] - expected[k]), 7e-16 * std::abs(expected[k]))
          << "function " << k << " of " << x;
  }
}

} // namespace
} // namespace ingot::emulator::test
