// Generic LLVM IR through llc's NVPTX back end; scalar.cuh goes through clang in ScalarKernelsTest.
#include "runtime/support/HalfFloat.h"
#include "test/emulator/Gpu.h"
#include <algorithm>
#include <bit>
#include <numeric>

namespace ingot::emulator::test {
namespace {

class LlvmKernels : public GpuTest, public testing::WithParamInterface<Configuration> {
protected:
  void SetUp() override {
    if (const std::string missing = GetParam().missing(); !missing.empty())
      GTEST_SKIP() << missing;
    load("nvptx.ll", GetParam());
  }
  static constexpr int n = 256;
  const Shape shape{.grid = {2}, .block = {128}};
};
INSTANTIATE_TEST_SUITE_P(
    All, LlvmKernels,
    testing::Values(Configuration{"sm80", "sm_80", {"-O2"}, Configuration::Compiler::Llc},
                    Configuration{
                        "sm90a_unoptimised", "sm_90a", {"-O0"}, Configuration::Compiler::Llc}),
    nameOf);

TEST_P(LlvmKernels, vectors) {
  const auto a = randomFloats<float>(4 * n), b = randomFloats<float>(4 * n);
  const auto deviceA = upload(a), deviceB = upload(b), out = empty<float>(4 * n);
  launch("vectors", shape, deviceA, deviceB, out);
  std::vector<float> expected(4 * n);
  for (int i = 0; i < n; ++i) {
    const float *x = a.data() + 4 * i, *y = b.data() + 4 * i;
    auto larger = [&](int k) {
      const float f = std::fma(x[k], y[k], x[k]);
      if (std::isnan(f) || std::isnan(y[k]))
        return std::isnan(f) ? y[k] : f;
      return f > y[k] || (f == y[k] && std::signbit(y[k])) ? f : y[k];
    };
    const float values[4] = {larger(3), x[0], larger(1), x[2]};
    std::copy(values, values + 4, expected.begin() + 4 * i);
  }
  EXPECT_TRUE(same(expected, out.read()));
}

TEST_P(LlvmKernels, packedHalves) {
  std::vector<uint16_t> a(2 * n), b(2 * n);
  for (int i = 0; i < 2 * n; ++i) { // small integers and eighths: a·b + a is exact or rounds once
    a[i] = static_cast<uint16_t>(Float16::encode((int(random() % 2000) - 1000) / 8.0));
    b[i] = static_cast<uint16_t>(Float16::encode((int(random() % 2000) - 1000) / 8.0));
  }
  const auto deviceA = upload(a), deviceB = upload(b), out = empty<uint16_t>(4 * n);
  launch("packed", shape, deviceA, deviceB, out);
  std::vector<uint16_t> expected(4 * n);
  for (int i = 0; i < 2 * n; ++i) {
    const double x = Float16::decode(a[i]), y = Float16::decode(b[i]);
    expected[i] = x < y ? static_cast<uint16_t>(Float16::encode(x * y + x)) : b[i];
    expected[2 * n + i] = static_cast<uint16_t>(BFloat16::encode(x + y));
  }
  EXPECT_TRUE(same(expected, out.read()));
}

TEST_P(LlvmKernels, integers) {
  auto a = randomBits<uint64_t>(n), b = randomBits<uint64_t>(n);
  for (int i = 0; i < n; ++i) {
    a[i] >>= a[i] % 64;
    b[i] >>= b[i] % 64;
  }
  const auto deviceA = upload(a), deviceB = upload(b), out = empty<uint64_t>(8 * n);
  launch("integers", shape, deviceA, deviceB, out);
  __extension__ using Wide = unsigned __int128;
  std::vector<uint64_t> expected(8 * n);
  for (int i = 0; i < n; ++i) {
    const uint64_t x = a[i], y = b[i];
    const auto xs = static_cast<int32_t>(x), ys = static_cast<int32_t>(y);
    const auto xu = static_cast<uint32_t>(x), yu = static_cast<uint32_t>(y);
    uint64_t *o = expected.data() + 8 * i;
    const int64_t sum = std::clamp<int64_t>(int64_t(xs) + ys, INT32_MIN, INT32_MAX);
    o[0] = static_cast<uint64_t>(sum) ^ (xu > yu ? xu - yu : 0);
    o[1] = std::rotl(x, static_cast<int>(y % 64));
    o[2] = static_cast<uint64_t>(static_cast<Wide>(x) * y >> 64);
    o[3] = __builtin_bswap64(x);
    o[4] = static_cast<uint64_t>(std::countl_zero(static_cast<uint16_t>(x))) |
           static_cast<uint64_t>(std::countr_zero(static_cast<uint16_t>(x))) << 8;
    const int five = static_cast<int>(x * y % 32);
    o[5] = static_cast<uint64_t>(static_cast<int64_t>(five >= 16 ? five - 32 : five));
    const int64_t product = int64_t(xs) * ys;
    o[6] = product == static_cast<int32_t>(product) ? static_cast<uint32_t>(product) : 0xffffffffu;
    o[7] = static_cast<uint64_t>(static_cast<Wide>(x) * y >> 37);
  }
  EXPECT_TRUE(same(expected, out.read()));
}

TEST_P(LlvmKernels, floats) {
  auto a = randomFloats<float>(n), b = randomFloats<float>(n);
  for (int i = 0; i < n; i += 2)
    a[i] = static_cast<float>(int(random() % 1000) - 500) / 3;
  const auto deviceA = upload(a), deviceB = upload(b);
  const auto out = empty<uint32_t>(8 * n);
  launch("floats", shape, deviceA, deviceB, out);
  const auto actual = out.read();
  for (int i = 0; i < n; ++i) {
    const float x = a[i], y = b[i];
    const uint32_t *o = actual.data() + 8 * i;
    const double whole = std::trunc(static_cast<double>(x));
    ASSERT_EQ(static_cast<int32_t>(o[0]),
              std::isnan(x) ? 0 : static_cast<int32_t>(std::clamp(whole, -0x1p31, 0x1p31 - 1)));
    ASSERT_EQ(o[1], std::isnan(x) ? 0 : static_cast<uint32_t>(std::clamp(whole, 0.0, 255.0)));
    const float smaller = std::isnan(x) || std::isnan(y)         ? NAN
                          : x < y || (x == y && std::signbit(x)) ? x
                                                                 : y;
    const float expected[5] = {smaller, x / y, std::sqrt(std::abs(x)), std::nearbyint(y),
                               std::copysign(x, y)};
    for (int k = 0; k < 5; ++k) {
      const float got = std::bit_cast<float>(o[2 + k]);
      if (!std::isnan(expected[k]) || !std::isnan(got)) {
        ASSERT_EQ(std::bit_cast<uint32_t>(expected[k]), o[2 + k]) << k << " of " << x << ", " << y;
      }
    }
    ASSERT_EQ(o[7], std::fpclassify(x) == FP_SUBNORMAL || x == 0);
  }
}

TEST_P(LlvmKernels, atomics) {
  const auto in = randomValues<int>(n, -1000, 1000);
  const auto deviceIn = upload(in), sums = zeros<int>(8 + n);
  launch("atomics", shape, deviceIn, sums);
  const auto actual = sums.read();
  std::vector<int> warps(n / 32);
  for (int i = 0; i < n; ++i)
    warps[i / 32] += in[i];
  const int total = std::accumulate(in.begin(), in.end(), 0);
  EXPECT_EQ(std::bit_cast<float>(actual[0]), static_cast<float>(total));
  EXPECT_EQ(actual[1], total);
  unsigned largest = 0;
  for (const int warp : warps)
    largest = std::max(largest, static_cast<unsigned>(warp));
  EXPECT_EQ(static_cast<unsigned>(actual[2]), largest);
  EXPECT_EQ(actual[3], -1);
  EXPECT_EQ(actual[4], n / 32 % 3);
  for (int i = 0; i < n; ++i) {
    const int mirror = i / 128 * 128 + 127 - i % 128;
    const int other = mirror % 32 < 16 ? mirror + 16 : mirror;
    ASSERT_EQ(std::bit_cast<float>(actual[8 + i]), static_cast<float>(in[mirror] + in[other]));
  }
}

TEST_P(LlvmKernels, control) {
  const auto in = randomBits<int>(n);
  const auto deviceIn = upload(in), out = empty<int>(n);
  launch("control", shape, deviceIn, out);
  std::vector<int> expected(n);
  for (int i = 0; i < n; ++i) {
    const auto v = static_cast<uint32_t>(in[i]);
    const uint32_t k = v & 7;
    uint32_t x = 0;
    if (k == 0) {
      x = static_cast<uint32_t>(-5);
    } else if (k == 1 || k == 2) {
      x = v + 100;
    } else if (k == 3) {
      uint32_t rest = static_cast<uint32_t>(in[i] >> 3);
      do {
        rest = rest >> 2 ^ 1;
        ++x;
      } while (rest >= 2);
    } else if (k == 5) {
      const int table[4] = {10, -20, 30, -40};
      x = static_cast<uint32_t>(table[i & 3]);
    } else {
      x = i & 1 ? v << 1 : v * v;
    }
    const uint32_t y = (x & 7) == k ? x : 0x01010101u;
    expected[i] = static_cast<int>(x ^ y);
  }
  EXPECT_TRUE(same(expected, out.read()));
}

} // namespace
} // namespace ingot::emulator::test
