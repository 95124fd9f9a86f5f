// Shuffles, votes and cooperative groups beside their definitions.
#include "test/emulator/Gpu.h"
#include <algorithm>
#include <bit>
#include <numeric>

namespace ingot::emulator::test {
namespace {

class WarpKernels : public GpuTest, public testing::WithParamInterface<Configuration> {
protected:
  void SetUp() override {
    if (const std::string missing = GetParam().missing(); !missing.empty())
      GTEST_SKIP() << missing;
    load("warp.cu", GetParam());
  }
};
INSTANTIATE_TEST_SUITE_P(All, WarpKernels, testing::ValuesIn(configurations()), nameOf);

TEST_P(WarpKernels, shuffles) {
  const int n = 192;
  const auto in = randomValues<int>(n, -1000000, 1000000);
  const auto deviceIn = upload(in), out = empty<int>(16 * n);
  launch("shuffles", {.grid = {2}, .block = {96}}, deviceIn, out);
  std::vector<int> expected(16 * n);
  for (int i = 0; i < n; ++i) {
    const int lane = i % 32, warp = i - lane, v = in[i];
    auto from = [&](int source) { return in[warp + source]; };
    // The source's lane inside a segment of `width`; the own lane where it would leave it.
    auto indexed = [&](int source, int width) {
      return lane / width * width + (source & (width - 1));
    };
    auto up = [&](int delta, int width) { return lane % width >= delta ? lane - delta : lane; };
    auto down = [&](int delta, int width) {
      return lane % width + delta < width ? lane + delta : lane;
    };
    auto exchange = [&](int mask, int width) {
      // A source beyond the own segment keeps the value; one in an earlier segment is allowed.
      const int source = lane ^ mask;
      return source < (lane / width + 1) * width ? source : lane;
    };
    int *o = expected.data() + 16 * i;
    o[0] = from(5);
    o[1] = from(v & 31);
    o[2] = from(up(1, 32));
    o[3] = from(up(7, 16));
    o[4] = from(down(3, 32));
    o[5] = from(down(2, 8));
    o[6] = from(exchange(9, 32));
    o[7] = from(exchange(6, 4));
    o[8] = from(indexed(3, 8));
    o[9] = from(indexed(v & 63, 16));
    o[10] = from(up(v & 31, 32));
    // The delta counts modulo 32 for the bound, as shfl's operand of 5 bits.
    o[11] = from(down(33 & 31, 32));
    const int partner = lane ^ 16;
    o[12] =
        static_cast<int>(((static_cast<long long>(from(partner)) << 20) ^ (warp + partner)) >> 18);
    o[13] = std::bit_cast<int>(static_cast<float>(from(down(4, 32))));
    o[14] = static_cast<int>(std::bit_cast<long long>(static_cast<double>(from(up(2, 32))) * 1e-3));
    o[15] = static_cast<int>(static_cast<unsigned>(from(exchange(1, 2))) +
                             static_cast<unsigned>(from(31)));
  }
  EXPECT_TRUE(same(expected, out.read()));
}

TEST_P(WarpKernels, votes) {
  const int n = 128;
  auto in = randomBits<int>(n);
  for (int i = 0; i < 32; ++i)
    in[i] &= 0x7ffff; // one warp agrees on its high bits
  in[7] = 3;
  const auto deviceIn = upload(in);
  const auto out = empty<unsigned>(12 * n);
  launch("votes", {.grid = {2}, .block = {64}}, deviceIn, out);
  std::vector<unsigned> expected(12 * n);
  for (int i = 0; i < n; ++i) {
    const int warp = i / 32 * 32, v = in[i];
    auto lanes = [&](auto predicate) {
      unsigned mask = 0;
      for (int l = 0; l < 32; ++l)
        mask |= unsigned(predicate(in[warp + l])) << l;
      return mask;
    };
    auto fold = [&](unsigned start, auto operation) {
      for (int l = 0; l < 32; ++l)
        start = operation(start, static_cast<unsigned>(in[warp + l]));
      return start;
    };
    unsigned *o = expected.data() + 12 * i;
    o[0] = lanes([](int x) { return (x & 1) != 0; });
    o[1] = lanes([](int x) { return x == 3; }) != 0;
    o[2] = lanes([](int x) { return x >= 0; }) == ~0u;
    o[3] = lanes([&](int x) { return (x & 7) == (v & 7); });
    const bool agree = lanes([&](int x) { return x >> 20 == v >> 20; }) == ~0u;
    o[4] = agree ? ~0u : 0;
    o[5] = agree;
    o[6] = fold(0, [](unsigned a, unsigned b) { return a + b; });
    o[7] = fold(0x7fffffff, [](unsigned a, unsigned b) {
      return static_cast<unsigned>(std::min(static_cast<int>(a), static_cast<int>(b)));
    });
    o[8] = fold(0, [](unsigned a, unsigned b) { return std::max(a, b); }) ^
           fold(~0u, [](unsigned a, unsigned b) { return a & (b | 1); }) ^
           fold(0, [](unsigned a, unsigned b) { return a | (b & 0xff); });
    o[9] = fold(0, [](unsigned a, unsigned b) { return a ^ b; });
    o[10] = lanes([&](int x) { return (x & 3) == (v & 3); });
    const unsigned taken = lanes([](int x) { return (x & 2) != 0; });
    if (v & 2) {
      const int first = std::countr_zero(taken);
      o[11] = lanes([](int x) { return (x & 2) && (x & 4); }) ^
              static_cast<unsigned>(in[warp + first]) ^ static_cast<unsigned>(std::popcount(taken));
    } else {
      o[11] = lanes([&](int x) { return !(x & 2) && (x & 5) == (v & 5); });
    }
  }
  EXPECT_TRUE(same(expected, out.read()));
}

TEST_P(WarpKernels, laneRegisters) {
  const int n = 2 * 11 * 7;
  const auto out = empty<unsigned>(2 * n);
  launch("laneRegisters", {.grid = {2}, .block = {11, 7}}, out);
  std::vector<unsigned> expected(2 * n);
  for (int i = 0; i < n; ++i) {
    expected[2 * i] = i % 77 % 32;
    expected[2 * i + 1] = 1;
  }
  EXPECT_TRUE(same(expected, out.read()));
}

TEST_P(WarpKernels, scansAndCompaction) {
  const int n = 256;
  const auto values = randomValues<int>(n, -1000, 1000);
  auto heads = randomValues<unsigned char>(n, 0, 5);
  for (auto &head : heads)
    head = head == 0;
  const auto deviceValues = upload(values), sums = empty<int>(n);
  const auto deviceHeads = upload(heads);
  launch("segmentedScan", {.grid = {2}, .block = {128}}, deviceValues, deviceHeads, sums);
  std::vector<int> expected(n);
  for (int i = 0; i < n; ++i)
    expected[i] = values[i] + (i % 32 && !heads[i] ? expected[i - 1] : 0);
  EXPECT_TRUE(same(expected, sums.read()));

  const int some = 250; // a ragged end
  const auto kept = zeros<int>(n);
  const auto count = zeros<unsigned>(1);
  launch("compact", {.grid = {2}, .block = {128}}, deviceValues, kept, count, some);
  std::vector<int> chosen, compacted = kept.read();
  std::copy_if(values.begin(), values.begin() + some, std::back_inserter(chosen),
               [](int v) { return v % 3 == 0; });
  ASSERT_EQ(count.read()[0], chosen.size());
  compacted.resize(chosen.size()); // blocks come in any order
  std::sort(chosen.begin(), chosen.end());
  std::sort(compacted.begin(), compacted.end());
  EXPECT_TRUE(same(chosen, compacted));
}

TEST_P(WarpKernels, exchangeThroughSharedMemory) {
  const int n = 256;
  const auto in = randomValues<int>(n, -1000, 1000);
  const auto deviceIn = upload(in), out = empty<int>(n);
  launch("warpExchange", {.grid = {2}, .block = {128}}, deviceIn, out);
  std::vector<int> v = in, next(n);
  for (int r = 0; r < 4; ++r) {
    for (int i = 0; i < n; ++i)
      next[i] = v[i] * 3 + v[i / 32 * 32 + (i + 1 + r) % 32];
    v = next;
  }
  EXPECT_TRUE(same(v, out.read()));
}

// One test: the headers take NVRTC seconds.
class Groups : public GpuTest {
protected:
  void SetUp() override {
    if (const std::string missing = Toolkit::instance().missing(); !missing.empty())
      GTEST_SKIP() << missing;
  }
};

TEST_F(Groups, tilesAndCoalescedLanes) {
  load("groups.cu", {"sm80", "compute_80", {}});
  const int n = 256;
  const auto in = randomValues<int>(n, -100, 100);
  const auto deviceIn = upload(in), out = empty<int>(8 * n);
  launch("tileReduce", {.grid = {2}, .block = {128}}, deviceIn, out);
  std::vector<int> expected(8 * n);
  for (int i = 0; i < n; ++i) {
    const auto warp = in.begin() + i / 32 * 32, tile = in.begin() + i / 8 * 8;
    int *o = expected.data() + 8 * i;
    o[0] = std::accumulate(warp, warp + 32, 0);
    o[1] = *std::min_element(tile, tile + 8);
    o[2] = std::accumulate(tile, in.begin() + i + 1, 0);
    o[3] = std::accumulate(warp, in.begin() + i, 0);
    o[4] = tile[3] + i % 8 * 1000 + i / 8 % 4 * 100000;
    for (int l = 0; l < 8; ++l)
      o[5] |= (tile[l] & 1) << l;
    o[6] = std::any_of(tile, tile + 8, [](int v) { return v > 50; }) +
           2 * std::all_of(tile, tile + 8, [](int v) { return v > -50; });
    o[7] = in[i ^ 5];
  }
  EXPECT_TRUE(same(expected, out.read()));

  const int some = 250;
  const auto counters = zeros<unsigned>(4), tickets = empty<unsigned>(some);
  launch("coalescedCount", {.grid = {2}, .block = {128}}, deviceIn, counters, tickets, some);
  std::vector<std::vector<unsigned>> byKey(4);
  const auto given = tickets.read();
  for (int i = 0; i < some; ++i)
    byKey[in[i] & 3].push_back(given[i]);
  for (int k = 0; k < 4; ++k) {
    EXPECT_EQ(counters.read()[k], byKey[k].size());
    std::sort(byKey[k].begin(), byKey[k].end());
    for (size_t j = 0; j < byKey[k].size(); ++j)
      ASSERT_EQ(byKey[k][j], j);
  }

  const auto partitions = empty<int>(2 * n);
  launch("labeledPartition", {.grid = {2}, .block = {128}}, deviceIn, partitions);
  std::vector<int> labels(2 * n);
  for (int i = 0; i < n; ++i) {
    int rank = 0, size = 0;
    for (int l = i / 32 * 32; l < i / 32 * 32 + 32; ++l)
      if ((in[l] & 3) == (in[i] & 3)) {
        labels[2 * i] += in[l];
        ++size;
        rank += l < i;
      }
    labels[2 * i + 1] = rank * 64 + size;
  }
  EXPECT_TRUE(same(labels, partitions.read()));

  const auto wide = empty<int>(n);
  // CUDA's header hands one lane's acquire on to its warp by a shuffle, which orders no memory.
  device.checks.sharedRaces = false;
  launch("wideTiles", {.grid = {2}, .block = {128}}, deviceIn, wide);
  device.checks.sharedRaces = true;
  std::vector<int> sums(n);
  for (int i = 0; i < n; ++i)
    sums[i] = std::accumulate(in.begin() + i / 64 * 64, in.begin() + i / 64 * 64 + 64, 0);
  EXPECT_TRUE(same(sums, wide.read()));

  const auto first = zeros<int>(n), second = zeros<int>(n);
  launch("gridSync", {.grid = {4}, .block = {64}, .cooperative = true}, first, second);
  std::vector<int> rotated(n);
  for (int i = 0; i < n; ++i)
    rotated[i] = (i + 7) % n * 3;
  EXPECT_TRUE(same(rotated, second.read()));
}

} // namespace
} // namespace ingot::emulator::test
