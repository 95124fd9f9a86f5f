// Copies beside the threads (sm_80), clusters (sm_90) and what sm_90a adds.
#include "runtime/support/HalfFloat.h"
#include "test/emulator/Gpu.h"
#include <numeric>

namespace ingot::emulator::test {
namespace {

class AsyncKernels : public GpuTest {
protected:
  void SetUp() override {
    if (const std::string missing = Toolkit::instance().missing(); !missing.empty())
      GTEST_SKIP() << missing;
  }
};

// One test: libcu++'s headers take NVRTC seconds.
TEST_F(AsyncKernels, pipelinesAndBarriersOfSm80) {
  load("async.cu", {"sm80", "compute_80", {}});
  const int tiles = 9;
  {
    const auto in = randomValues<float>(256 * tiles, -100, 100);
    const auto deviceIn = upload(in), out = empty<float>(64);
    launch("pipelinedSum", {.grid = {1}, .block = {64}}, deviceIn, out, tiles);
    std::vector<float> expected(64);
    for (int t = 0; t < 64; ++t)
      for (int k = 0; k < tiles; ++k)
        for (int j = 0; j < 4; ++j)
          expected[t] += in[256 * k + (4 * t + 37 * j) % 256] * static_cast<float>(j + 1);
    EXPECT_TRUE(same(expected, out.read()));
  }
  {
    const int n = 141;
    const auto in = randomValues<int>(256, -1000, 1000);
    const auto deviceIn = upload(in), out = empty<int>(256);
    launch("zeroFill", {.grid = {1}, .block = {64}}, deviceIn, out, n);
    std::vector<int> expected(256);
    for (int t = 0; t < 64; ++t)
      for (int k = 0; k < 4; ++k) {
        const int from = 4 * (63 - t) + k;
        expected[4 * t + k] = (from < n ? in[from] : 0) + in[(2 * t + k) % 128];
      }
    EXPECT_TRUE(same(expected, out.read()));
  }
  {
    const auto in = randomValues<int>(128 * tiles, -1000, 1000);
    const auto deviceIn = upload(in), out = empty<int>(32), out2 = empty<int>(64);
    launch("barrierCopy", {.grid = {1}, .block = {32}}, deviceIn, out, tiles);
    launch("pipelineCopy", {.grid = {1}, .block = {64}}, deviceIn, out2, tiles);
    std::vector<int> expected(32), expected2(64);
    for (int t = 0; t < 32; ++t)
      for (int k = 0; k < tiles; ++k)
        for (int j = 0; j < 4; ++j)
          expected[t] = static_cast<int>(static_cast<unsigned>(expected[t]) * 3u) +
                        in[128 * k + (t + 31 * j) % 128];
    for (int t = 0; t < 64; ++t) {
      unsigned sum = 0;
      for (int k = 0; k < tiles; ++k)
        for (int j = 0; j < 4; ++j)
          sum = sum * 5 + static_cast<unsigned>(in[128 * k + (t * 3 + j) % 128]);
      expected2[t] = static_cast<int>(sum);
    }
    EXPECT_TRUE(same(expected, out.read()));
    EXPECT_TRUE(same(expected2, out2.read()));
  }
  {
    const int rounds = 6;
    const auto in = randomValues<int>(96, -1000, 1000);
    const auto deviceIn = upload(in), out = empty<int>(96);
    launch("splitBarrier", {.grid = {1}, .block = {96}}, deviceIn, out, rounds);
    std::vector<int> v = in, before(96);
    for (int r = 0; r < rounds; ++r) {
      before = v;
      for (int t = 0; t < 96; ++t)
        v[t] = static_cast<int>(static_cast<unsigned>(before[t]) * 7u) + r + before[(t + 33) % 96];
    }
    EXPECT_TRUE(same(v, out.read()));
  }
}

TEST_F(AsyncKernels, clusters) {
  load("cluster.cu", {"sm90", "compute_90", {}});
  const int blocks = 8, block = 64, n = blocks * block;
  {
    const auto in = randomValues<int>(n, -1000, 1000);
    const auto deviceIn = upload(in), out = empty<int>(n);
    launch("clusterSum", {.grid = {blocks}, .block = {block}}, deviceIn, out);
    std::vector<int> expected(n);
    for (int c = 0; c < 2; ++c) {
      int total = 0;
      for (int i = 0; i < 4 * block; ++i)
        total += in[c * 4 * block + i] * (i / block + 1);
      std::fill_n(expected.begin() + c * 4 * block, 4 * block, total);
    }
    EXPECT_TRUE(same(expected, out.read()));
  }
  {
    const int perBlock = 40, clusterSize = 2;
    const auto in = randomValues<int>(3000, 0, perBlock * clusterSize - 1);
    const auto deviceIn = upload(in);
    const auto bins = zeros<unsigned>(perBlock * clusterSize);
    launch("clusterHistogram",
           {.grid = {4}, .block = {block}, .shared = 4 * perBlock, .cluster = {clusterSize}},
           deviceIn, bins, 3000, perBlock);
    std::vector<unsigned> expected(perBlock * clusterSize);
    for (const int value : in)
      ++expected[value];
    EXPECT_TRUE(same(expected, bins.read()));
  }
  {
    const auto in = randomBits<int>(n);
    const auto deviceIn = upload(in), out = empty<int>(n);
    const auto places = empty<unsigned>(4 * blocks);
    launch("clusterRing", {.grid = {blocks}, .block = {block}, .cluster = {4}}, deviceIn, out,
           places);
    std::vector<int> expected(n);
    std::vector<unsigned> expectedPlaces;
    for (int b = 0; b < blocks; ++b) {
      const int before = b / 4 * 4 + (b + 3) % 4;
      for (int t = 0; t < block; ++t)
        expected[b * block + t] = in[before * block + 63 - t];
      for (const int place : {b / 4, 2, b % 4, (b + 1) % 4})
        expectedPlaces.push_back(place);
    }
    EXPECT_TRUE(same(expected, out.read()));
    EXPECT_TRUE(same(expectedPlaces, places.read()));
  }
}

class HopperKernels : public AsyncKernels {
protected:
  void SetUp() override {
    AsyncKernels::SetUp();
    if (!IsSkipped())
      load("hopper.cu", {"sm90a", "compute_90a", {}});
  }
};

TEST_F(HopperKernels, bulkCopies) {
  const int tiles = 7;
  const auto in = randomValues<float>(256 * tiles, -1000, 1000);
  const auto deviceIn = upload(in), out = empty<float>(256 * tiles);
  launch("bulkCopies", {.grid = {1}, .block = {128}}, deviceIn, out, tiles);
  std::vector<float> expected(in.size());
  for (size_t i = 0; i < in.size(); ++i)
    expected[i] = i % 256 < 128 ? in[i] * 2 + 1 : in[i] * 3 - static_cast<float>(i / 256);
  EXPECT_TRUE(same(expected, out.read()));
}

TEST_F(HopperKernels, ringOfBarriers) {
  const int tiles = 11;
  const auto in = randomBits<int>(64 * tiles);
  const auto deviceIn = upload(in), out = empty<int>(64);
  launch("barrierRing", {.grid = {1}, .block = {96}}, deviceIn, out, tiles);
  std::vector<int> expected(64);
  for (int t = 0; t < 64; ++t) {
    unsigned sum = 0;
    for (int k = 0; k < tiles; ++k)
      sum = sum * 3 + static_cast<unsigned>(in[64 * k + (t + 37) % 64]);
    expected[t] = static_cast<int>(sum);
  }
  EXPECT_TRUE(same(expected, out.read()));
}

TEST_F(HopperKernels, tensorCopies) {
  const int columns = 150, rows = 100, pitch = 152; // ragged tiles
  const auto in = randomBits<uint16_t>(rows * pitch);
  for (const bool swizzled : {false, true}) {
    const auto deviceIn = upload(in), out = zeros<uint16_t>(rows * pitch);
    const Map from =
        tensorMap(deviceIn.address, columns, rows, 2 * pitch, 64, 64, swizzled ? 3 : 0);
    const Map to = tensorMap(out.address, columns, rows, 2 * pitch, 64, 64, 0);
    launch("tensorCopy", {.grid = {3, 2}, .block = {128}}, from, to, int(swizzled));
    std::vector<uint16_t> expected(in.size());
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < columns; ++c)
        expected[r * pitch + c] = static_cast<uint16_t>(in[r * pitch + c] + 1);
    EXPECT_TRUE(same(expected, out.read())) << (swizzled ? "swizzled" : "plain");
  }
}

TEST_F(HopperKernels, warpgroupProducts) {
  const int k = 192;
  const auto a = randomValues<double>(64 * k, -8, 8), b = randomValues<double>(64 * k, -8, 8);
  std::vector<float> expected(64 * 64);
  for (int i = 0; i < 64; ++i)
    for (int j = 0; j < 64; ++j)
      for (int l = 0; l < k; ++l)
        expected[i * 64 + j] += static_cast<float>(a[i * k + l] * b[j * k + l]);
  for (const bool isBfloat : {false, true}) {
    auto encode = [&](const std::vector<double> &values) {
      std::vector<uint16_t> bits;
      for (const double value : values)
        bits.push_back(
            static_cast<uint16_t>(isBfloat ? BFloat16::encode(value) : Float16::encode(value)));
      return bits;
    };
    const auto deviceA = upload(encode(a)), deviceB = upload(encode(b));
    const auto out = empty<float>(64 * 64);
    const char *kernel = isBfloat ? "wgmmaBfloat" : "wgmmaHalf";
    launch(kernel, {.grid = {1}, .block = {128}}, deviceA, deviceB, out, k);
    EXPECT_TRUE(same(expected, out.read())) << kernel;
  }
}

TEST_F(HopperKernels, storeMatricesAndElect) {
  const auto in = randomBits<uint32_t>(128);
  const auto deviceIn = upload(in);
  const auto plain = empty<uint16_t>(256), transposed = empty<uint16_t>(256);
  const auto leaders = empty<int>(32);
  launch("storeMatrices", {.grid = {1}, .block = {32}}, deviceIn, plain, transposed, leaders);
  std::vector<uint16_t> straight(256), turned(256);
  for (int lane = 0; lane < 32; ++lane)
    for (int matrix = 0; matrix < 4; ++matrix)
      for (int j = 0; j < 2; ++j) {
        const auto value = static_cast<uint16_t>(in[4 * lane + matrix] >> 16 * j);
        const int row = lane / 4, column = lane % 4 * 2 + j;
        straight[(matrix * 8 + row) * 8 + column] = value;
        turned[(matrix * 8 + column) * 8 + row] = value;
      }
  EXPECT_TRUE(same(straight, plain.read()));
  EXPECT_TRUE(same(turned, transposed.read()));
  const auto elected = leaders.read(); // any one lane, but all agree
  int leader = -1, count = 0;
  for (int lane = 0; lane < 32; ++lane)
    if (elected[lane] >= 100) {
      leader = lane;
      ++count;
    }
  ASSERT_EQ(count, 1);
  for (int lane = 0; lane < 32; ++lane)
    EXPECT_EQ(elected[lane], lane == leader ? 100 + leader : leader);
}

TEST_F(HopperKernels, multicastAndRemoteBarriers) {
  const auto in = randomValues<int>(256, -1000, 1000);
  const auto deviceIn = upload(in), out = empty<int>(512), swapped = empty<int>(64);
  launch("multicast", {.grid = {2}, .block = {128}}, deviceIn, out);
  launch("remoteArrive", {.grid = {2}, .block = {32}}, deviceIn, swapped);
  std::vector<int> expected(512), expectedSwapped(64);
  for (int i = 0; i < 512; ++i)
    expected[i] = in[255 - i % 256] + i / 256;
  for (int i = 0; i < 64; ++i)
    expectedSwapped[i] = in[(1 - i / 32) * 32 + 31 - i % 32];
  EXPECT_TRUE(same(expected, out.read()));
  EXPECT_TRUE(same(expectedSwapped, swapped.read()));
}

TEST_F(HopperKernels, registerBudgets) {
  const auto in = randomValues<int>(128, -1000, 1000);
  const auto deviceIn = upload(in), out = empty<int>(128);
  launch("registerBudget", {.grid = {1}, .block = {256}}, deviceIn, out);
  std::vector<int> expected(128);
  for (int t = 0; t < 128; ++t)
    expected[t] = 3 * in[127 - t];
  EXPECT_TRUE(same(expected, out.read()));
}

} // namespace
} // namespace ingot::emulator::test
