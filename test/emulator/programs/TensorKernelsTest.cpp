// Tensor cores by mma.h and inline PTX, beside products in f64.
#include "runtime/support/HalfFloat.h"
#include "test/emulator/Gpu.h"

namespace ingot::emulator::test {
namespace {

class TensorKernels : public GpuTest, public testing::WithParamInterface<Configuration> {
protected:
  void SetUp() override {
    if (const std::string missing = GetParam().missing(); !missing.empty())
      GTEST_SKIP() << missing;
    load("tensor.cu", GetParam());
  }

  /// Small integers: every product and sum is exact in every type, so any order gives one result.
  std::vector<double> integers(int size, int low, int high) {
    return randomValues<double>(size, low, high);
  }
};
INSTANTIATE_TEST_SUITE_P(All, TensorKernels, testing::ValuesIn(configurations()), nameOf);

template <typename T>
std::vector<T> encoded(const std::vector<double> &values, T (*encode)(double)) {
  std::vector<T> result;
  for (const double value : values)
    result.push_back(encode(value));
  return result;
}
template <typename T> T plain(double value) { return static_cast<T>(value); }
uint16_t half(double value) { return static_cast<uint16_t>(Float16::encode(value)); }
uint16_t bfloat(double value) { return static_cast<uint16_t>(BFloat16::encode(value)); }

/// C + A·B: A row-major m x k, B column-major k x n.
std::vector<double> product(const std::vector<double> &a, const std::vector<double> &b,
                            std::vector<double> c, int m, int n, int k) {
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j)
      for (int l = 0; l < k; ++l)
        c[i * n + j] += a[i * k + l] * b[j * k + l];
  return c;
}

TEST_P(TensorKernels, warpMatrixFunctions) {
  auto check = [&]<typename In, typename Out>(const char *kernel, int m, int n, int k,
                                              In (*encodeIn)(double), Out (*encodeOut)(double),
                                              int low) {
    const auto a = integers(m * k, low, 8), b = integers(n * k, low, 8),
               c = integers(m * n, low, 9);
    const auto deviceA = upload(encoded(a, encodeIn)), deviceB = upload(encoded(b, encodeIn));
    const auto deviceC = upload(encoded(c, encodeOut)), deviceD = empty<Out>(m * n);
    launch(kernel, {.grid = {1}, .block = {32}}, deviceA, deviceB, deviceC, deviceD, k);
    EXPECT_TRUE(same(encoded(product(a, b, c, m, n, k), encodeOut), deviceD.read())) << kernel;
  };
  check("wmmaHalf", 16, 16, 64, half, plain<float>, -8);
  check("wmmaHalfTall", 32, 8, 32, half, plain<float>, -8);
  check("wmmaHalfWide", 8, 32, 32, half, plain<float>, -8);
  check("wmmaHalfHalf", 16, 16, 16, half, half, -8);
  check("wmmaBfloat", 16, 16, 64, bfloat, plain<float>, -8);
  check("wmmaTf32", 16, 16, 32, plain<float>, plain<float>, -8);
  check("wmmaSigned", 16, 16, 64, plain<int8_t>, plain<int>, -100);
  check("wmmaUnsigned", 16, 16, 64, plain<uint8_t>, plain<int>, 0);
  check("wmmaDouble", 8, 8, 16, plain<double>, plain<double>, -100);
}

TEST_P(TensorKernels, fragmentsCanBeScaled) {
  const auto a = integers(256, -8, 8), b = integers(256, -8, 8);
  const auto deviceA = upload(encoded(a, half)), deviceB = upload(encoded(b, half));
  const auto out = empty<float>(256);
  launch("wmmaScaled", {.grid = {1}, .block = {32}}, deviceA, deviceB, out, -0.5f);
  std::vector<float> expected(256); // A column-major, B row-major, D column-major
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 16; ++j) {
      double sum = 0.25;
      for (int l = 0; l < 16; ++l)
        sum += a[l * 16 + i] * b[l * 16 + j];
      expected[j * 16 + i] = static_cast<float>(-0.5 * sum);
    }
  EXPECT_TRUE(same(expected, out.read()));
}

TEST_P(TensorKernels, matmulByLdmatrixAndMma) {
  const int m = 128, n = 128, k = 96;
  const auto a = integers(m * k, -8, 8), b = integers(n * k, -8, 8);
  std::vector<double> rowMajor(k * n);
  for (int j = 0; j < n; ++j)
    for (int l = 0; l < k; ++l)
      rowMajor[l * n + j] = b[j * k + l];
  const auto deviceA = upload(encoded(a, half)), deviceB = upload(encoded(rowMajor, half));
  const auto out = empty<float>(m * n);
  launch("matmulMma", {.grid = {n / 64, m / 64}, .block = {128}}, deviceA, deviceB, out, n, k);
  EXPECT_TRUE(
      same(encoded(product(a, b, std::vector<double>(m * n), m, n, k), plain<float>), out.read()));
}

TEST_P(TensorKernels, oneProductOfEachType) {
  auto check = [&]<typename A, typename B, typename Out>(const char *kernel, int m, int k,
                                                         A (*encodeA)(double), B (*encodeB)(double),
                                                         Out (*encodeOut)(double), int low) {
    const auto a = integers(m * k, -100, 100), b = integers(8 * k, low, 100);
    const auto deviceA = upload(encoded(a, encodeA));
    const auto deviceB = upload(encoded(b, encodeB));
    const auto out = empty<Out>(m * 8);
    launch(kernel, {.grid = {1}, .block = {32}}, deviceA, deviceB, out);
    const auto expected = product(a, b, std::vector<double>(m * 8), m, 8, k);
    EXPECT_TRUE(same(encoded(expected, encodeOut), out.read())) << kernel;
  };
  check("mmaBfloat", 16, 16, bfloat, bfloat, plain<float>, -100);
  check("mmaTf32", 16, 8, plain<float>, plain<float>, plain<float>, -100);
  check("mmaInteger", 16, 32, plain<int8_t>, plain<uint8_t>, plain<int>, 0);
  check("mmaDouble", 8, 4, plain<double>, plain<double>, plain<double>, -100);
}

TEST_P(TensorKernels, loadMatrices) {
  const auto in = randomBits<uint16_t>(256);
  const auto deviceIn = upload(in);
  const auto plainOut = empty<uint32_t>(128), transposedOut = empty<uint32_t>(128);
  launch("loadMatrices", {.grid = {1}, .block = {32}}, deviceIn, plainOut, transposedOut);
  std::vector<uint32_t> straight(128), transposed(128);
  for (int lane = 0; lane < 32; ++lane)
    for (int matrix = 0; matrix < 4; ++matrix) {
      auto element = [&](int row, int column) { return in[(matrix * 8 + row) * 8 + column]; };
      const int r = lane / 4, c = lane % 4 * 2;
      straight[4 * lane + matrix] = element(r, c) | uint32_t(element(r, c + 1)) << 16;
      transposed[4 * lane + matrix] = element(c, r) | uint32_t(element(c + 1, r)) << 16;
    }
  EXPECT_TRUE(same(straight, plainOut.read()));
  EXPECT_TRUE(same(transposed, transposedOut.read()));
}

} // namespace
} // namespace ingot::emulator::test
