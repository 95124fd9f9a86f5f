// CUB's block algorithms: code that people run, with everything that templates make of it.
#include "test/emulator/Gpu.h"
#include <algorithm>
#include <cstdlib>
#include <numeric>

namespace ingot::emulator::test {
namespace {

class Cub : public GpuTest {
protected:
  void SetUp() override {
    if (const std::string missing = Toolkit::instance().missing(); !missing.empty())
      GTEST_SKIP() << missing;
    if (!std::getenv("INGOT_LONG_TESTS"))
      GTEST_SKIP() << "NVRTC needs 10 s for CUB's headers; `dev test all` runs it";
  }
};

TEST_F(Cub, blockAlgorithms) {
  load("cub.cu", {"sm80", "compute_80", {}});
  {
    const auto in = randomValues<float>(3 * 128, -1000, 1000);
    const auto deviceIn = upload(in), out = empty<float>(6);
    launch("cubReduce", {.grid = {3}, .block = {128}}, deviceIn, out);
    std::vector<float> expected(6);
    for (int b = 0; b < 3; ++b)
      expected[2 * b] = expected[2 * b + 1] =
          std::accumulate(in.begin() + 128 * b, in.begin() + 128 * (b + 1), 0.0f);
    EXPECT_TRUE(same(expected, out.read()));
  }
  {
    const int n = 3 * 256;
    const auto in = randomValues<int>(n, -1000, 1000);
    const auto deviceIn = upload(in), inclusive = empty<int>(n), exclusive = empty<int>(n);
    launch("cubScan", {.grid = {3}, .block = {64}}, deviceIn, inclusive, exclusive);
    std::vector<int> sums(n), before(n);
    for (int i = 0; i < n; ++i) {
      before[i] = i % 256 ? sums[i - 1] : 0;
      sums[i] = before[i] + in[i];
    }
    EXPECT_TRUE(same(sums, inclusive.read()));
    EXPECT_TRUE(same(before, exclusive.read()));
  }
  {
    auto keys = randomBits<unsigned>(256);
    for (size_t i = 0; i < keys.size(); i += 3)
      keys[i] %= 16; // equal ones keep their order
    std::vector<int> values(256);
    std::iota(values.begin(), values.end(), 0);
    const auto keysIn = upload(keys), keysOut = empty<unsigned>(256);
    const auto valuesIn = upload(values), valuesOut = empty<int>(256);
    launch("cubSort", {.grid = {1}, .block = {64}}, keysIn, valuesIn, keysOut, valuesOut);
    std::stable_sort(values.begin(), values.end(), [&](int a, int b) { return keys[a] < keys[b]; });
    EXPECT_TRUE(same(values, valuesOut.read()));
    std::sort(keys.begin(), keys.end());
    EXPECT_TRUE(same(keys, keysOut.read()));
  }
  {
    const auto in = randomValues<unsigned char>(256, 0, 15);
    const auto deviceIn = upload(in);
    const auto bins = empty<unsigned>(16);
    launch("cubHistogram", {.grid = {1}, .block = {64}}, deviceIn, bins);
    std::vector<unsigned> expected(16);
    for (const unsigned char value : in)
      ++expected[value];
    EXPECT_TRUE(same(expected, bins.read()));
  }
}

} // namespace
} // namespace ingot::emulator::test
