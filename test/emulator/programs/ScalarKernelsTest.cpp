// The same kernels on the emulator and, through CudaShim.h, on the host: bit by bit.
#include "test/emulator/Gpu.h"
#include "test/emulator/programs/CudaShim.h"

namespace ingot::emulator::test {
namespace cuda {
#include "test/emulator/programs/kernels/scalar.cuh"
} // namespace cuda

namespace {

class ScalarKernels : public GpuTest, public testing::WithParamInterface<Configuration> {
protected:
  void SetUp() override {
    if (const std::string missing = GetParam().missing(); !missing.empty())
      GTEST_SKIP() << missing;
    load("scalar.cuh", GetParam());
  }
  /// Blocks of 96 threads that cover `count`, and more.
  static Shape covering(int count) {
    return {.grid = {static_cast<uint32_t>((count + 95) / 96)}, .block = {96}};
  }
  template <typename Kernel> static void onHost(int count, Kernel kernel) {
    const Shape shape = covering(count);
    cuda::forEachThread({shape.grid.x}, {shape.block.x}, kernel);
  }
};
INSTANTIATE_TEST_SUITE_P(All, ScalarKernels, testing::ValuesIn(configurationsWithClang()), nameOf);

TEST_P(ScalarKernels, vectorAdd) {
  const int n = 1000;
  const auto a = randomFloats<float>(n), b = randomFloats<float>(n);
  std::vector<float> c(n);
  const auto deviceA = upload(a), deviceB = upload(b), deviceC = empty<float>(n);
  launch("vectorAdd", covering(n), deviceA, deviceB, deviceC, n);
  onHost(n, [&] { cuda::vectorAdd(a.data(), b.data(), c.data(), n); });
  EXPECT_TRUE(same(c, deviceC.read()));
}

TEST_P(ScalarKernels, saxpyWithStrides) {
  for (const auto [n, xStride, yStride] : {std::array{1000, 1, 1}, {77, -3, 2}, {5000, 2, 1}}) {
    const auto x = randomFloats<float>(size_t(n) * std::abs(xStride));
    auto y = randomFloats<float>(size_t(n) * yStride);
    const auto deviceX = upload(x), deviceY = upload(y);
    const Shape shape{.grid = {5}, .block = {64}};
    launch("saxpyStrided", shape, n, -1.75f, deviceX, xStride, deviceY, yStride);
    cuda::forEachThread({5}, {64}, [&, n = n, xStride = xStride, yStride = yStride] {
      cuda::saxpyStrided(n, -1.75f, x.data(), xStride, y.data(), yStride);
    });
    EXPECT_TRUE(same(y, deviceY.read()));
  }
}

TEST_P(ScalarKernels, vectorTypes) {
  const int n = 300;
  const auto in = randomValues<float>(4 * n, -1000, 1000);
  std::vector<float> out(4 * n);
  std::vector<int> sums(2 * n);
  const auto deviceIn = upload(in), deviceOut = empty<float>(4 * n);
  const auto deviceSums = empty<int>(2 * n);
  launch("vectorTypes", covering(n), deviceIn, deviceOut, deviceSums, n);
  std::vector<cuda::float4> in4(n), out4(n);
  std::vector<cuda::int2> sums2(n);
  std::memcpy(in4.data(), in.data(), 16 * n);
  onHost(n, [&] { cuda::vectorTypes(in4.data(), out4.data(), sums2.data(), n); });
  std::memcpy(out.data(), out4.data(), 16 * n);
  std::memcpy(sums.data(), sums2.data(), 8 * n);
  EXPECT_TRUE(same(out, deviceOut.read()));
  EXPECT_TRUE(same(sums, deviceSums.read()));
}

TEST_P(ScalarKernels, hashMix) {
  const int n = 1000;
  const auto in = randomBits<uint32_t>(n);
  std::vector<uint32_t> out32(n);
  std::vector<unsigned long long> out64(n);
  const auto deviceIn = upload(in), device32 = empty<uint32_t>(n);
  const auto device64 = empty<unsigned long long>(n);
  launch("hashMix", covering(n), deviceIn, device32, device64, n);
  onHost(n, [&] { cuda::hashMix(in.data(), out32.data(), out64.data(), n); });
  EXPECT_TRUE(same(out32, device32.read()));
  EXPECT_TRUE(same(out64, device64.read()));
}

/// Random 64-bit values, many of them small or near a power of two.
std::vector<unsigned long long> mixedWords(std::mt19937_64 &random, int size) {
  std::vector<unsigned long long> values(size);
  for (auto &value : values) {
    value = random() >> random() % 64;
    if (random() % 4 == 0)
      value = (1ull << random() % 64) - random() % 3;
    if (random() % 2)
      value = 0 - value;
  }
  return values;
}

TEST_P(ScalarKernels, wideIntegers) {
  const int n = 2000;
  const auto a = mixedWords(random, n), b = mixedWords(random, n);
  std::vector<unsigned long long> out(16 * n);
  const auto deviceA = upload(a), deviceB = upload(b);
  const auto deviceOut = empty<unsigned long long>(16 * n);
  launch("wideIntegers", covering(n), deviceA, deviceB, deviceOut, n);
  onHost(n, [&] { cuda::wideIntegers(a.data(), b.data(), out.data(), n); });
  EXPECT_TRUE(same(out, deviceOut.read()));
}

TEST_P(ScalarKernels, narrowIntegers) {
  const int n = 2000;
  const auto in = randomBits<uint32_t>(n);
  std::vector<uint32_t> out(4 * n);
  const auto deviceIn = upload(in), deviceOut = empty<uint32_t>(4 * n);
  launch("narrowIntegers", covering(n), deviceIn, deviceOut, n);
  onHost(n, [&] { cuda::narrowIntegers(in.data(), out.data(), n); });
  EXPECT_TRUE(same(out, deviceOut.read()));
}

TEST_P(ScalarKernels, collatz) {
  const int n = 500;
  const auto in = randomValues<uint32_t>(n, 0, 1000000);
  std::vector<int> out(n);
  const auto deviceIn = upload(in);
  const auto deviceOut = empty<int>(n);
  launch("collatz", covering(n), deviceIn, deviceOut, n);
  onHost(n, [&] { cuda::collatz(in.data(), out.data(), n); });
  EXPECT_TRUE(same(out, deviceOut.read()));
}

TEST_P(ScalarKernels, oneInOneOut) {
  const int n = 1000;
  const auto in = randomBits<int>(n);
  using Kernel = void (*)(const int *, int *, int);
  for (const auto &[name, kernel] :
       {std::pair<const char *, Kernel>{"nestedExits", cuda::nestedExits},
        {"switchCases", cuda::switchCases}}) {
    std::vector<int> out(n);
    const auto deviceIn = upload(in), deviceOut = empty<int>(n);
    launch(name, covering(n), deviceIn, deviceOut, n);
    onHost(n, [&, kernel = kernel] { kernel(in.data(), out.data(), n); });
    EXPECT_TRUE(same(out, deviceOut.read())) << name;
  }
}

TEST_P(ScalarKernels, recursion) {
  const int n = 100;
  const auto in = randomBits<int>(n);
  std::vector<int> out(26 * n);
  const auto deviceIn = upload(in), deviceOut = empty<int>(26 * n);
  launch("recursion", covering(n), deviceIn, deviceOut, n);
  onHost(n, [&] { cuda::recursion(in.data(), out.data(), n); });
  EXPECT_TRUE(same(out, deviceOut.read()));
}

TEST_P(ScalarKernels, functionPointers) {
  const int n = 500;
  const auto in = randomValues<int>(n, -10000, 10000);
  std::vector<int> out(n);
  std::vector<double> weights(n);
  cuda::Record first{};
  first.weight = 2.5;
  first.values[2] = 77;
  first.tag = 'x';
  const auto deviceIn = upload(in), deviceOut = empty<int>(n);
  const auto deviceWeights = empty<double>(n);
  launch("functionPointers", covering(n), deviceIn, deviceOut, deviceWeights, first, n);
  onHost(n, [&] { cuda::functionPointers(in.data(), out.data(), weights.data(), first, n); });
  EXPECT_TRUE(same(out, deviceOut.read()));
  EXPECT_TRUE(same(weights, deviceWeights.read()));
}

TEST_P(ScalarKernels, localArrays) {
  const int n = 500;
  const auto in = randomBits<uint32_t>(n);
  std::vector<uint32_t> out(n);
  const auto deviceIn = upload(in), deviceOut = empty<uint32_t>(n);
  launch("localArrays", covering(n), deviceIn, deviceOut, n);
  onHost(n, [&] { cuda::localArrays(in.data(), out.data(), n); });
  EXPECT_TRUE(same(out, deviceOut.read()));
}

TEST_P(ScalarKernels, constantMemory) {
  const int n = 500;
  const auto in = randomValues<int>(n, 0, 1 << 30);
  std::vector<double> out(n);
  const auto deviceIn = upload(in);
  const auto deviceOut = empty<double>(n);
  launch("constantMemory", covering(n), deviceIn, deviceOut, n);
  onHost(n, [&] { cuda::constantMemory(in.data(), out.data(), n); });
  EXPECT_TRUE(same(out, deviceOut.read()));
}

TEST_P(ScalarKernels, integerIntrinsics) {
  const int n = 2000;
  const auto a = randomBits<uint32_t>(n);
  auto b = randomBits<uint32_t>(n);
  for (int i = 0; i < n; i += 3)
    b[i] >>= b[i] & 31;
  std::vector<uint32_t> out(24 * n);
  const auto deviceA = upload(a), deviceB = upload(b), deviceOut = empty<uint32_t>(24 * n);
  launch("integerIntrinsics", covering(n), deviceA, deviceB, deviceOut, n);
  onHost(n, [&] { cuda::integerIntrinsics(a.data(), b.data(), out.data(), n); });
  EXPECT_TRUE(same(out, deviceOut.read()));
}

TEST_P(ScalarKernels, floatRounding) {
  const int n = 3000;
  const auto a = randomFloats<float>(n), b = randomFloats<float>(n), c = randomFloats<float>(n);
  std::vector<float> out(32 * n);
  const auto deviceA = upload(a), deviceB = upload(b), deviceC = upload(c);
  const auto deviceOut = empty<float>(32 * n);
  launch("floatRounding", covering(n), deviceA, deviceB, deviceC, deviceOut, n);
  onHost(n, [&] { cuda::floatRounding(a.data(), b.data(), c.data(), out.data(), n); });
  EXPECT_TRUE(same(out, deviceOut.read()));
}

TEST_P(ScalarKernels, doubleRounding) {
  const int n = 3000;
  const auto a = randomFloats<double>(n), b = randomFloats<double>(n), c = randomFloats<double>(n);
  std::vector<double> out(24 * n);
  const auto deviceA = upload(a), deviceB = upload(b), deviceC = upload(c);
  const auto deviceOut = empty<double>(24 * n);
  launch("doubleRounding", covering(n), deviceA, deviceB, deviceC, deviceOut, n);
  onHost(n, [&] { cuda::doubleRounding(a.data(), b.data(), c.data(), out.data(), n); });
  EXPECT_TRUE(same(out, deviceOut.read()));
}

TEST_P(ScalarKernels, conversions) {
  const int n = 3000;
  auto a = randomFloats<float>(n);
  auto b = randomFloats<double>(n);
  for (int i = 0; i < n; i += 2) { // mostly around what integers hold
    a[i] = std::ldexp(static_cast<float>(static_cast<int>(random())), -int(random() % 40));
    b[i] = std::ldexp(static_cast<double>(static_cast<int64_t>(random())), -int(random() % 70));
  }
  const auto words = mixedWords(random, n);
  const std::vector<long long> c(words.begin(), words.end());
  std::vector<unsigned long long> out(40 * n);
  const auto deviceA = upload(a);
  const auto deviceB = upload(b);
  const auto deviceC = upload(c);
  const auto deviceOut = empty<unsigned long long>(40 * n);
  launch("conversions", covering(n), deviceA, deviceB, deviceC, deviceOut, n);
  onHost(n, [&] { cuda::conversions(a.data(), b.data(), c.data(), out.data(), n); });
  const auto actual = deviceOut.read();
  // Bits of floats among integers: NaN as the card writes it.
  for (size_t i = 0; i < out.size(); ++i) {
    const int which = i % 40;
    if (which >= 28 && which < 32 && std::isnan(a[i / 40]))
      out[i] = actual[i];
    if (which >= 32 && which < 36 && std::isnan(b[i / 40]))
      out[i] = actual[i];
  }
  EXPECT_TRUE(same(out, actual));
}

} // namespace
} // namespace ingot::emulator::test
