// Every atomic operation of CUDA C++; results that any order of threads must give.
#include "runtime/support/HalfFloat.h"
#include "test/emulator/Gpu.h"
#include <algorithm>

namespace ingot::emulator::test {
namespace {

class AtomicKernels : public GpuTest, public testing::WithParamInterface<Configuration> {
protected:
  void SetUp() override {
    if (const std::string missing = GetParam().missing(); !missing.empty())
      GTEST_SKIP() << missing;
    load("atomics.cu", GetParam());
  }
};
INSTANTIATE_TEST_SUITE_P(All, AtomicKernels, testing::ValuesIn(configurations()), nameOf);

/// What the kernels' `commuting` leaves in slots 0 and 2 to 6.
template <typename T> void commute(T *slots, T value) {
  using U = std::make_unsigned_t<T>;
  slots[0] = static_cast<T>(static_cast<U>(slots[0]) + static_cast<U>(value));
  slots[2] = std::min(slots[2], value);
  slots[3] = std::max(slots[3], value);
  slots[4] &= value | T(0x10101);
  slots[5] |= value & T(0xf0f0);
  slots[6] ^= value;
}

TEST_P(AtomicKernels, integers) {
  const int n = 700;
  const Shape shape{.grid = {6}, .block = {128}};
  {
    const auto in = randomBits<int>(n);
    const auto deviceIn = upload(in), slots = upload(std::vector<int>{0, 0, 0, 0, -1, 0, 0});
    launch("atomicsInt", shape, deviceIn, slots, n);
    std::vector<int> expected{0, 0, 0, 0, -1, 0, 0};
    for (const int value : in) {
      commute(expected.data(), value);
      expected[1] =
          static_cast<int>(static_cast<unsigned>(expected[1]) - static_cast<unsigned>(value));
    }
    EXPECT_TRUE(same(expected, slots.read()));
  }
  {
    const auto in = randomBits<unsigned>(n);
    std::vector<unsigned> expected{0, 0, ~0u, 0, ~0u, 0, 0, 0, 3};
    const auto deviceIn = upload(in), slots = upload(expected);
    launch("atomicsUnsigned", shape, deviceIn, slots, n);
    for (const unsigned value : in) {
      commute(expected.data(), value);
      expected[1] -= value;
      expected[7] = expected[7] >= 6 ? 0 : expected[7] + 1;
      expected[8] = expected[8] == 0 || expected[8] > 10 ? 10 : expected[8] - 1;
    }
    EXPECT_TRUE(same(expected, slots.read()));
  }
  {
    const auto in = randomBits<unsigned long long>(n);
    std::vector<unsigned long long> expected{0, 0, ~0ull, 0, ~0ull, 0, 0};
    const auto deviceIn = upload(in), slots = upload(expected);
    launch("atomicsUnsigned64", shape, deviceIn, slots, n);
    for (const auto value : in)
      commute(expected.data(), value);
    EXPECT_TRUE(same(expected, slots.read()));
  }
  {
    const auto in = randomBits<long long>(n);
    std::vector<long long> expected{0, 0, 0, 0, -1, 0, 0};
    const auto deviceIn = upload(in), slots = upload(expected);
    launch("atomicsSigned64", shape, deviceIn, slots, n);
    for (const auto value : in) {
      expected[2] = std::min(expected[2], value);
      expected[3] = std::max(expected[3], value);
      expected[4] &= value;
      expected[5] |= value;
      expected[6] ^= value;
    }
    EXPECT_TRUE(same(expected, slots.read()));
  }
}

TEST_P(AtomicKernels, sharedMemory) {
  const int block = 96, blocks = 3;
  const auto in = randomBits<int>(block * blocks);
  const auto deviceIn = upload(in), out = empty<int>(8 * blocks);
  const auto wide = empty<unsigned long long>(8 * blocks);
  launch("atomicsShared", {.grid = {blocks}, .block = {block}}, deviceIn, out, wide);
  std::vector<int> expected;
  std::vector<unsigned long long> expectedWide;
  for (int b = 0; b < blocks; ++b) {
    int slots[8] = {0, 0, 0, 0, -1};
    unsigned long long slots64[8] = {0, 0, 0, 0, ~0ull};
    for (int t = 0; t < block; ++t) {
      const int value = in[b * block + t];
      commute(slots, value);
      commute(slots64,
              static_cast<unsigned long long>(static_cast<unsigned>(value)) << 16 | unsigned(t));
    }
    expected.insert(expected.end(), slots, slots + 8);
    expectedWide.insert(expectedWide.end(), slots64, slots64 + 8);
  }
  EXPECT_TRUE(same(expected, out.read()));
  EXPECT_TRUE(same(expectedWide, wide.read()));
}

TEST_P(AtomicKernels, returnedValuesArePermutations) {
  const unsigned n = 3 * 70;
  const auto counter = zeros<unsigned>(1), tickets = empty<unsigned>(n), chain = zeros<unsigned>(1);
  const auto received = empty<unsigned>(n);
  const auto chain64 = zeros<unsigned long long>(1), received64 = empty<unsigned long long>(n);
  launch("atomicsReturn", {.grid = {3}, .block = {70}}, counter, tickets, chain, received, chain64,
         received64);
  EXPECT_EQ(counter.read()[0], n);
  auto given = tickets.read(), handed = received.read();
  handed.push_back(chain.read()[0]);
  auto handed64 = received64.read();
  handed64.push_back(chain64.read()[0]);
  std::sort(given.begin(), given.end());
  std::sort(handed.begin(), handed.end());
  std::sort(handed64.begin(), handed64.end());
  for (unsigned i = 0; i < n; ++i)
    ASSERT_EQ(given[i], i);
  for (unsigned i = 0; i <= n; ++i) {
    ASSERT_EQ(handed[i], i);
    ASSERT_EQ(handed64[i], static_cast<unsigned long long>(i) << 32);
  }
}

TEST_P(AtomicKernels, floats) {
  const int n = 200;
  const auto in = randomValues<float>(n, -4, 4); // sums are exact in every format
  float sum = 0;
  int positive = 0;
  for (const float value : in) {
    sum += value;
    positive += value > 0;
  }
  const auto deviceIn = upload(in), sumFloat = zeros<float>(1);
  const auto sumDouble = zeros<double>(1);
  const auto sumHalf = zeros<uint16_t>(1), sumHalf2 = zeros<uint16_t>(2),
             sumBf2 = zeros<uint16_t>(2);
  launch("atomicsFloat", {.grid = {2}, .block = {128}}, deviceIn, sumFloat, sumDouble, sumHalf,
         sumHalf2, sumBf2, n);
  EXPECT_EQ(sumFloat.read()[0], sum);
  EXPECT_EQ(sumDouble.read()[0], sum * 0.5);
  EXPECT_EQ(Float16::decode(sumHalf.read()[0]), sum);
  EXPECT_EQ(Float16::decode(sumHalf2.read()[0]), sum);
  EXPECT_EQ(Float16::decode(sumHalf2.read()[1]), -sum);
  EXPECT_EQ(BFloat16::decode(sumBf2.read()[0]), positive);
  EXPECT_EQ(BFloat16::decode(sumBf2.read()[1]), n);
}

TEST_P(AtomicKernels, compareAndSwapLoops) {
  const int n = 150;
  const auto in = randomValues<unsigned>(n, 0, 1 << 24); // exact as floats
  const auto deviceIn = upload(in), product = upload(std::vector<unsigned>{1});
  const auto largest = zeros<int>(1);
  const auto product64 = upload(std::vector<unsigned long long>{1});
  const auto small = zeros<unsigned short>(4);
  launch("atomicsCas", {.grid = {2}, .block = {80}}, deviceIn, product, largest, product64, small,
         n);
  uint64_t expected = 1, expected64 = 1;
  for (const unsigned value : in) {
    expected = expected * (value % 65520 + 1) % 65521;
    expected64 = expected64 * (value % 65520 + 1) % 4294967291u;
  }
  EXPECT_EQ(product.read()[0], expected);
  EXPECT_EQ(product64.read()[0], expected64);
  EXPECT_EQ(std::bit_cast<float>(largest.read()[0]),
            static_cast<float>(*std::max_element(in.begin(), in.end())));
  EXPECT_EQ(small.read(), (std::vector<unsigned short>{n, 0, 0, 0}));
}

TEST_P(AtomicKernels, scopes) {
  const auto block = zeros<int>(3), system = zeros<int>(1);
  launch("atomicsScopes", {.grid = {3}, .block = {50}}, block, system);
  EXPECT_EQ(block.read(), std::vector<int>(3, 50));
  EXPECT_EQ(system.read()[0], 149);
}

} // namespace
} // namespace ingot::emulator::test
