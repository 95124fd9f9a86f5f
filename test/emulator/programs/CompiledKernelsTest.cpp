// Matrix multiplications and attention that MLIR and LLVM made (kernels/README.md), against f64.
#include "runtime/emulator/machine/TensorMap.h"
#include "test/emulator/Reference.h"
#include "test/emulator/Support.h"
#include <cmath>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

namespace ingot::emulator {
namespace {

using namespace test;

std::string readKernel(const std::string &name) {
  std::ifstream file(std::string(INGOT_SOURCE_DIR "/test/emulator/programs/kernels/") + name);
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_FALSE(text.str().empty()) << name;
  return text.str();
}

struct Matrix {
  int rows, columns;
  std::vector<uint16_t> bits; ///< bf16
  std::vector<double> values;

  Matrix(int rows, int columns, double scale, std::mt19937_64 &random)
      : rows(rows), columns(columns) {
    std::normal_distribution<double> normal(0, scale);
    for (int i = 0; i < rows * columns; ++i) {
      bits.push_back(static_cast<uint16_t>(encode(FloatType::BF16, normal(random), {})));
      values.push_back(decode(FloatType::BF16, bits.back()));
    }
  }
  double at(int row, int column) const { return values[size_t(row) * columns + column]; }
};

double gelu(double x) {
  return 0.5 * x * (1 + std::tanh(0.7978845608 * (x + 0.044715 * x * x * x)));
}

/// Tiles of `rows` by 64 columns, with 128-byte swizzle.
std::array<uint8_t, 128> mapOf(uint64_t address, const Matrix &matrix, uint32_t rows) {
  const uint64_t dimensions[] = {uint64_t(matrix.columns), uint64_t(matrix.rows)};
  const uint64_t strides[] = {uint64_t(matrix.columns) * 2};
  const uint32_t box[] = {64, rows}, steps[] = {1, 1};
  const Result<TensorMap> map = TensorMap::make({.dataType = uint32_t(TensorElement::BF16),
                                                 .rank = 2,
                                                 .address = address,
                                                 .dimensions = dimensions,
                                                 .strides = strides,
                                                 .box = box,
                                                 .elementStrides = steps,
                                                 .swizzle = 3});
  EXPECT_TRUE(map) << map.error().text();
  std::array<uint8_t, 128> bytes;
  map->encode(bytes.data());
  return bytes;
}

/// A problem of gelu(A B^T + bias) and how far a kernel's result is from it.
struct Gemm {
  Matrix a, b;
  std::vector<float> bias;

  Gemm(int m, int n, int k, std::mt19937_64 &random)
      : a(m, k, 1, random), b(n, k, 0.1, random), bias(n) {
    std::normal_distribution<float> normal;
    for (float &value : bias)
      value = normal(random);
  }

  /// Elements that are off by more than bf16's rounding and tanh.approx explain.
  int wrong(const std::vector<uint16_t> &c) const {
    int count = 0;
    for (int row = 0; row < a.rows; ++row)
      for (int column = 0; column < b.rows; ++column) {
        double sum = bias[column];
        for (int k = 0; k < a.columns; ++k)
          sum += a.at(row, k) * b.at(column, k);
        const double expected = gelu(sum);
        const double value = decode(FloatType::BF16, c[size_t(row) * b.rows + column]);
        count += !(std::abs(value - expected) <= 0x1p-8 * std::abs(expected) + 2e-3);
      }
    return count;
  }

  int runSm80(const std::string &text, uint64_t seed,
              std::vector<Finding> *findings = nullptr) const {
    Device device(text, "gemm-sm80.ptx");
    device.expectFindings = findings;
    device.options.seed = seed;
    const uint64_t c = device.upload(std::vector<uint16_t>(128 * 128));
    LaunchResult result = device.launch("gemm", {2, 2}, {128}, device.upload(a.bits),
                                        device.upload(b.bits), c, device.upload(bias));
    if (findings)
      *findings = std::move(result.findings);
    return wrong(device.download<uint16_t>(c, 128 * 128));
  }

  int runSm90(const std::string &text, uint64_t seed,
              std::vector<Finding> *findings = nullptr) const {
    Device device(text, "gemm-sm90.ptx");
    device.options.seed = seed;
    device.cluster = {2};
    device.dynamicSharedBytes = 131072 + 64;
    device.expectFindings = findings;
    const size_t size = size_t(a.rows) * b.rows;
    const uint64_t c = device.upload(std::vector<uint16_t>(size));
    LaunchResult result =
        device.launch("gemm_h100", {2}, {384}, mapOf(device.upload(a.bits), a, 128),
                      mapOf(device.upload(b.bits), b, 128), c, device.upload(bias), int32_t(a.rows),
                      int32_t(b.rows), int32_t(a.columns));
    if (findings)
      *findings = std::move(result.findings);
    return wrong(device.download<uint16_t>(c, size));
  }
};

/// The text with one place changed.
std::string planted(std::string text, std::string_view from, std::string_view to) {
  const size_t place = text.find(from);
  EXPECT_NE(place, std::string::npos) << from;
  return place == std::string::npos ? text : text.replace(place, from.size(), to);
}

TEST(CompiledKernels, gemmOfSm80) {
  std::mt19937_64 random(freshSeed());
  const Gemm gemm(128, 128, 256, random);
  const std::string text = readKernel("gemm-sm80.ptx");
  for (uint64_t seed = 0; seed < 3; ++seed)
    EXPECT_EQ(gemm.runSm80(text, random()), 0);
  // Waits for one group too few: some seed shows it.
  const std::string bug = planted(text, "cp.async.wait_group \t1;", "cp.async.wait_group \t2;");
  int wrong = 0;
  std::vector<Finding> findings;
  for (uint64_t seed = 0; seed < 8 && !wrong; ++seed) {
    wrong = gemm.runSm80(bug, seed, &findings);
    // The check finds it whatever the seed.
    ASSERT_FALSE(findings.empty());
    EXPECT_EQ(findings[0].check, "async");
    EXPECT_NE(findings[0].text.find("ldmatrix"), std::string::npos) << findings[0].str();
  }
  EXPECT_GT(wrong, 0);
}

TEST(CompiledKernels, warpSpecialisedGemmOfSm90) {
  std::mt19937_64 random(freshSeed());
  const Gemm gemm(256, 256, 320, random);
  const std::string text = readKernel("gemm-sm90.ptx");
  for (uint64_t seed = 0; seed < 3; ++seed)
    EXPECT_EQ(gemm.runSm90(text, random()), 0);
}

TEST(CompiledKernels, plantedBugsSpoilTheGemmOfSm90) {
  std::mt19937_64 random(freshSeed());
  const Gemm gemm(256, 256, 320, random);
  const std::string text = readKernel("gemm-sm90.ptx");
  // The products are not waited for before their tile is given back, and the accumulators are read.
  std::string bug =
      planted(text, "wgmma.wait_group.sync.aligned \t0;", "wgmma.wait_group.sync.aligned \t4;");
  bug = planted(bug, "wgmma.wait_group.sync.aligned \t0;", "wgmma.wait_group.sync.aligned \t4;");
  int wrong = 0;
  std::vector<Finding> findings;
  for (uint64_t seed = 0; seed < 8 && !wrong; ++seed) {
    wrong = gemm.runSm90(bug, seed, &findings);
    ASSERT_FALSE(findings.empty());
    EXPECT_EQ(findings[0].check, "async");
  }
  EXPECT_GT(wrong, 0);
  // The next 16 columns of A begin 32 bytes on, not 48.
  EXPECT_GT(gemm.runSm90(planted(text, "4611686293305360386", "4611686293305360387"), 1, &findings),
            0);
}

TEST(CompiledKernels, missingFencesOfTheGemmOfSm90AreFound) {
  std::mt19937_64 random(freshSeed());
  const Gemm gemm(256, 256, 64, random);
  std::vector<Finding> findings;
  gemm.runSm90(planted(readKernel("gemm-sm90.ptx"), "wgmma.fence.sync.aligned;", ""), 1, &findings);
  ASSERT_FALSE(findings.empty());
  EXPECT_EQ(findings[0].check, "wgmma-fence") << findings[0].str();
}

// The barrier of a stage expects more bytes than its two tiles have: nobody goes on.
TEST(CompiledKernels, wrongByteCountsAreDeadlocks) {
  std::mt19937_64 random(freshSeed());
  const Gemm gemm(256, 256, 64, random);
  const std::string text = readKernel("gemm-sm90.ptx");
  std::vector<Finding> findings;
  gemm.runSm90(planted(text, ", 32768;", ", 32784;"), 1, &findings);
  ASSERT_FALSE(findings.empty());
  EXPECT_EQ(findings[0].check, "deadlock");
  EXPECT_NE(findings[0].message.find("16 bytes"), std::string::npos) << findings[0].message;
}

// Both forms: one product after the other, and the next scores under way beside the last values.
TEST(CompiledKernels, attentionOfSm90) {
  std::mt19937_64 random(freshSeed());
  constexpr int queries = 128, keys = 384, width = 64;
  const Matrix q(queries, width, 1, random), k(keys, width, 1, random), v(keys, width, 1, random);
  const float scale = 0.125f * 1.44269504f; // softmax in powers of two
  for (const char *name : {"attention-sm90.ptx", "attention-overlapped-sm90.ptx"})
    for (uint64_t seed = 0; seed < 2; ++seed) {
      Device device(readKernel(name), name);
      device.options.seed += seed;
      device.dynamicSharedBytes = 8192 + 8 * 16384 + 64;
      const uint64_t out = device.upload(std::vector<float>(queries * width));
      device.launch("attention", {2}, {128}, mapOf(device.upload(q.bits), q, 64),
                    mapOf(device.upload(k.bits), k, 128), mapOf(device.upload(v.bits), v, 128),
                    int32_t(keys / 128), out, scale);
      const std::vector<float> fragments = device.download<float>(out, queries * width);
      for (int row = 0; row < queries; ++row) {
        double weights[keys], sum = 0, largest = -1e300;
        for (int j = 0; j < keys; ++j) {
          double score = 0;
          for (int i = 0; i < width; ++i)
            score += q.at(row, i) * k.at(j, i);
          weights[j] = score * scale;
          largest = std::max(largest, weights[j]);
        }
        for (double &weight : weights)
          sum += weight = std::exp2(weight - largest);
        for (int column = 0; column < width; ++column) {
          double expected = 0;
          for (int j = 0; j < keys; ++j)
            expected += weights[j] / sum * v.at(j, column);
          // Each thread wrote its accumulators: those of wgmma's D.
          const int inTile = row % 64;
          const int thread = inTile / 16 * 32 + inTile % 8 * 4 + column % 8 / 2;
          const int index = column / 8 * 4 + inTile % 16 / 8 * 2 + column % 2;
          const double value = fragments[(row / 64 * 128 + thread) * (width / 2) + index];
          ASSERT_NEAR(value, expected, 0.01) << name << " " << row << ", " << column;
        }
      }
    }
}

} // namespace
} // namespace ingot::emulator
