// CUDA's own idioms beside host functions that know nothing of threads.
#include "test/emulator/Gpu.h"
#include <algorithm>
#include <map>
#include <numeric>

namespace ingot::emulator::test {
namespace {

class Idioms : public GpuTest, public testing::WithParamInterface<Configuration> {
protected:
  void SetUp() override {
    if (const std::string missing = GetParam().missing(); !missing.empty())
      GTEST_SKIP() << missing;
    load("idioms.cu", GetParam());
  }
};
INSTANTIATE_TEST_SUITE_P(All, Idioms, testing::ValuesIn(configurations()), nameOf);

TEST_P(Idioms, reduceShared) {
  const int n = 1500;
  const auto in = randomBits<int>(n);
  const auto deviceIn = upload(in);
  const auto out = empty<long long>(6);
  launch("reduceShared", {.grid = {6}, .block = {256}}, deviceIn, out, n);
  std::vector<long long> expected(6);
  for (int i = 0; i < n; ++i)
    expected[i / 256] += in[i];
  EXPECT_TRUE(same(expected, out.read()));
}

TEST_P(Idioms, reduceShuffle) {
  const int n = 5000;
  const auto in = randomBits<int>(n);
  const auto deviceIn = upload(in);
  const auto sum = zeros<unsigned long long>(1);
  const auto largest = upload(std::vector<int>{std::numeric_limits<int>::min()});
  launch("reduceShuffle", {.grid = {7}, .block = {160}}, deviceIn, sum, largest, n);
  EXPECT_EQ(static_cast<long long>(sum.read()[0]), std::accumulate(in.begin(), in.end(), 0ll));
  EXPECT_EQ(largest.read()[0], *std::max_element(in.begin(), in.end()));
}

TEST_P(Idioms, reduceLastBlock) {
  const int n = 3000;
  const auto in = randomValues<float>(n, -1000, 1000); // sums are exact
  const auto deviceIn = upload(in);
  const auto partial = empty<float>(9), out = empty<float>(1);
  for (int repeat = 0; repeat < 2; ++repeat) { // the counter wraps to zero by itself
    launch("reduceLastBlock", {.grid = {9}, .block = {128}, .shared = 512}, deviceIn, partial, out,
           n);
    EXPECT_EQ(out.read()[0], std::accumulate(in.begin(), in.end(), 0.0f));
  }
}

TEST_P(Idioms, scans) {
  const int blocks = 3;
  const auto in = randomBits<int>(256 * blocks);
  const auto deviceIn = upload(in);
  const auto inclusive = empty<int>(256 * blocks), exclusive = empty<int>(256 * blocks);
  launch("scanHillisSteele", {.grid = {2 * blocks}, .block = {128}}, deviceIn, inclusive);
  launch("scanBlelloch", {.grid = {blocks}, .block = {128}}, deviceIn, exclusive);
  std::vector<int> byHalf(in.size()), byBlock(in.size());
  uint32_t half = 0, whole = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    half = (i % 128 ? half : 0) + static_cast<uint32_t>(in[i]);
    byHalf[i] = static_cast<int>(half);
    whole = i % 256 ? whole : 0;
    byBlock[i] = static_cast<int>(whole);
    whole += static_cast<uint32_t>(in[i]);
  }
  EXPECT_TRUE(same(byHalf, inclusive.read()));
  EXPECT_TRUE(same(byBlock, exclusive.read()));
}

TEST_P(Idioms, scanWithLookBackMakesProgress) {
  const int n = 5000, blocks = (n + 127) / 128;
  const auto in = randomValues<int>(n, -100, 100);
  const auto deviceIn = upload(in), out = empty<int>(n), states = zeros<int>(3 * blocks);
  launch("scanLookBack", {.grid = {blocks}, .block = {128}}, deviceIn, out, states, n);
  std::vector<int> expected(n);
  std::partial_sum(in.begin(), in.end(), expected.begin());
  EXPECT_TRUE(same(expected, out.read()));
}

TEST_P(Idioms, histogram) {
  const int n = 4000;
  auto in = randomBits<unsigned char>(n);
  for (int i = 0; i < n; i += 2)
    in[i] &= 3; // many collisions
  const auto deviceIn = upload(in);
  const auto bins = zeros<unsigned>(256);
  launch("histogram", {.grid = {5}, .block = {96}}, deviceIn, bins, n);
  std::vector<unsigned> expected(256);
  for (const unsigned char value : in)
    ++expected[value];
  EXPECT_TRUE(same(expected, bins.read()));
}

TEST_P(Idioms, matmulTiled) {
  const int m = 75, n = 50, k = 41;
  const auto a = randomValues<float>(m * k, -1000, 1000), b = randomValues<float>(k * n, -999, 999);
  const auto c = randomValues<float>(m * n, -5, 5);
  const auto deviceA = upload(a), deviceB = upload(b), deviceC = upload(c);
  launch("matmulTiled", {.grid = {2, 3}, .block = {16, 16}}, deviceA, deviceB, deviceC, m, n, k);
  std::vector<float> expected = c;
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) {
      float sum = 0;
      for (int l = 0; l < k; ++l)
        sum = std::fma(a[i * k + l], b[l * n + j], sum);
      expected[i * n + j] += sum;
    }
  EXPECT_TRUE(same(expected, deviceC.read()));
}

TEST_P(Idioms, transpose) {
  const int rows = 70, columns = 45;
  const auto in = randomFloats<float>(rows * columns);
  const auto deviceIn = upload(in), out = empty<float>(rows * columns);
  launch("transpose", {.grid = {2, 3}, .block = {32, 8}}, deviceIn, out, rows, columns);
  std::vector<float> expected(in.size());
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < columns; ++j)
      expected[j * rows + i] = in[i * columns + j];
  EXPECT_TRUE(same(expected, out.read()));
}

TEST_P(Idioms, bitonicSort) {
  const int size = 128, blocks = 2;
  std::vector<unsigned> keys(size * blocks);
  for (auto &key : keys)
    key = static_cast<unsigned>(random());
  std::vector<unsigned short> values(keys.size());
  std::iota(values.begin(), values.end(), 0);
  const auto deviceKeys = upload(keys);
  const auto deviceValues = upload(values);
  launch("bitonicSort", {.grid = {blocks}, .block = {size / 2}, .shared = 6 * size}, deviceKeys,
         deviceValues);
  const auto sortedKeys = deviceKeys.read();
  const auto sortedValues = deviceValues.read();
  for (int b = 0; b < blocks; ++b) {
    std::vector<unsigned> expected(keys.begin() + b * size, keys.begin() + (b + 1) * size);
    std::sort(expected.begin(), expected.end());
    for (int i = 0; i < size; ++i) {
      ASSERT_EQ(sortedKeys[b * size + i], expected[i]);
      ASSERT_EQ(keys[sortedValues[b * size + i]], expected[i]);
    }
  }
}

TEST_P(Idioms, stencil) {
  const int width = 50, height = 21;
  const auto in = randomValues<float>(width * height, -1000, 1000);
  const auto deviceIn = upload(in), out = empty<float>(width * height);
  launch("stencil", {.grid = {4, 3}, .block = {16, 8}}, deviceIn, out, width, height);
  std::vector<float> expected(in.size());
  auto at = [&](int x, int y) {
    return in[std::clamp(y, 0, height - 1) * width + std::clamp(x, 0, width - 1)];
  };
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      expected[y * width + x] = 0.5f * at(x, y) + 0.125f * (at(x, y - 1) + at(x, y + 1)) +
                                0.125f * (at(x - 1, y) + at(x + 1, y));
  EXPECT_TRUE(same(expected, out.read()));
}

TEST_P(Idioms, gridBarrier) {
  const int n = 4 * 64, rounds = 5;
  auto first = randomValues<int>(n, -100, 100);
  const auto deviceFirst = upload(first), deviceSecond = zeros<int>(n);
  launch("gridRounds", {.grid = {4}, .block = {64}, .cooperative = true}, deviceFirst, deviceSecond,
         rounds);
  std::vector<int> second(n);
  for (int r = 0; r < rounds; ++r) {
    for (int i = 0; i < n; ++i)
      second[i] = first[(i + 1) % n] + 3 * first[(i + n - 1) % n] + r;
    std::swap(first, second);
  }
  EXPECT_TRUE(same(first, deviceSecond.read())); // an odd number of rounds ends in the second
}

TEST_P(Idioms, namedBarriers) {
  const int rounds = 7;
  const auto in = randomValues<int>(64 * rounds, -1000, 1000);
  const auto deviceIn = upload(in), out = empty<int>(64);
  launch("producerConsumer", {.grid = {1}, .block = {128}}, deviceIn, out, rounds);
  std::vector<int> expected(64);
  for (int t = 0; t < 64; ++t)
    for (int r = 0; r < rounds; ++r)
      expected[t] += in[64 * r + 63 - t] * 2 * (r + 1);
  EXPECT_TRUE(same(expected, out.read()));
}

TEST_P(Idioms, barrierReductions) {
  const int block = 100, blocks = 3;
  auto in = randomValues<int>(block * blocks, -100, 95);
  in[5] = 80;
  const auto deviceIn = upload(in), out = empty<int>(block * blocks);
  launch("barrierReductions", {.grid = {blocks}, .block = {block}}, deviceIn, out);
  std::vector<int> expected(in.size());
  for (int b = 0; b < blocks; ++b) {
    const auto first = in.begin() + b * block, last = first + block;
    const int count = std::count_if(first, last, [](int v) { return v > 0; });
    const bool all = std::all_of(first, last, [](int v) { return v > -100; });
    const bool any = std::any_of(first, last, [](int v) { return v > 90; });
    std::fill_n(expected.begin() + b * block, block, count * 4 + all * 2 + any);
  }
  EXPECT_TRUE(same(expected, out.read()));
}

TEST_P(Idioms, spinLockAmongLanesOfAWarp) {
  const int n = 3 * 48;
  const auto counter = zeros<int>(1), log = empty<int>(n);
  launch("spinLock", {.grid = {3}, .block = {48}}, counter, log);
  EXPECT_EQ(counter.read()[0], n);
  auto order = log.read();
  std::sort(order.begin(), order.end());
  for (int i = 0; i < n; ++i)
    ASSERT_EQ(order[i], i);
}

TEST_P(Idioms, clocksGoForward) {
  const auto out = empty<long long>(40);
  launch("clocks", {.grid = {1}, .block = {40}}, out);
  EXPECT_TRUE(same(std::vector<long long>(40, 1), out.read()));
}

} // namespace
} // namespace ingot::emulator::test
