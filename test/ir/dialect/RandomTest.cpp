/// The random numbers: ranges, the promised layout, and their distribution. (The bits themselves:
/// test/runtime/data/SourcesTest.cpp.)
#include "ir/dialect/Random.h"
#include "test/ir/Testing.h"

namespace ingot::testing {
namespace {

using random::Counter;

TEST(PhiloxTest, WordsFollowTheDocumentedLayout) {
  uint64_t seed = 0x123456789abcdef0, step = 0x1122334455667788, element = (uint64_t(7) << 33) + 6;
  // element / 4 = 7·2^31 + 1: the low word takes the odd 2^31, the high word 3.
  Counter block = random::philox({0x80000001, 3, 0x55667788, 42}, {0x9abcdef0, 0x12345678});
  EXPECT_EQ(random::word(seed, 42, step, element), block[2]);
}

TEST(NormalTest, InvertsTheDistributionFunction) {
  for (uint32_t m = 0; m < 0x800000; m += 101) {
    double p = (2.0 * m + 1) * 0x1p-25, z = random::normal(m);
    double density = std::exp(-z * z / 2) / std::sqrt(2 * M_PI);
    double error = (std::erfc(z / std::sqrt(2)) / 2 - p) / density; // of z, to first order
    ASSERT_LE(std::fabs(error), 2e-6 * std::max(z, 1e-3)) << "m = " << m;
    ASSERT_EQ(random::normal(m | 0x80000000), -random::normal(m));
  }
}

TEST(NormalTest, TheLogarithmIsAccurate) {
  for (float v = 1.2e-38f; v < 1.0f; v *= 1.01f)
    ASSERT_NEAR(random::logarithm(v), std::log(double(v)),
                2e-7 * std::max(1.0, -std::log(double(v))));
}

/// Bits that no compiler, device or release may change.
TEST(NormalTest, BitsAreFixed) {
  const uint32_t words[] = {0, 1, 12345, 0x3FFFFF, 0x7FFFFF, 0xFFFFFFFF};
  const uint32_t bits[] = {0x40ad7081, 0x40a70b2a, 0x404b8884, 0x3f2cab5f, 0x33a06c97, 0xb3a06c97};
  for (size_t i = 0; i < std::size(words); ++i)
    EXPECT_EQ(std::bit_cast<uint32_t>(random::normal(words[i])), bits[i]) << "word " << words[i];
}

class RandomOpTest : public GraphTest {
protected:
  std::vector<double> draw(const std::string &kind, const std::string &type, int64_t seed,
                           int64_t step, int64_t id) {
    std::string body = "%r = graph.random_" + kind + " %0, %1 id " + std::to_string(id) +
                       " : tensor<i64>, tensor<i64> -> " + type + "\nreturn %r : " + type;
    Tensors results = run(function({"tensor<i64>", "tensor<i64>"}, type, body),
                          {tensor<int64_t>(ElementType::I64, {}, {seed}),
                           tensor<int64_t>(ElementType::I64, {}, {step})});
    return results.empty() ? std::vector<double>() : graph::load<double>(results[0]);
  }
};

TEST_F(RandomOpTest, MomentsAreThoseOfTheDistributions) {
  int64_t seed = generator(), step = generator();
  for (const char *kind : {"uniform", "normal"}) {
    std::vector<double> values = draw(kind, "tensor<400x500xf32>", seed, step, 3);
    double mean = 0, square = 0;
    for (double value : values) {
      mean += value / values.size();
      square += value * value / values.size();
    }
    bool isNormal = std::string(kind) == "normal";
    EXPECT_NEAR(mean, isNormal ? 0 : 0.5, 0.015) << kind;
    EXPECT_NEAR(square - mean * mean, isNormal ? 1 : 1 / 12.0, 0.02) << kind;
  }
}

TEST_F(RandomOpTest, EveryPartOfTheCounterMatters) {
  auto base = draw("normal", "tensor<8xf32>", 1, 2, 3);
  EXPECT_NE(base, draw("normal", "tensor<8xf32>", 4, 2, 3));
  EXPECT_NE(base, draw("normal", "tensor<8xf32>", 1, 4, 3));
  EXPECT_NE(base, draw("normal", "tensor<8xf32>", 1, 2, 4));
  EXPECT_NE(base, draw("normal", "tensor<8xf32>", 1 + (int64_t(1) << 32), 2, 3));
  EXPECT_EQ(base, draw("normal", "tensor<2x4xf32>", 1, 2, 3));
}

TEST_F(RandomOpTest, UniformsStayBelowOneInEveryType) {
  int64_t seed = generator();
  for (const char *type : {"f64", "f32", "f16", "bf16", "f8E4M3FN", "f8E5M2"})
    for (double value : draw("uniform", std::string("tensor<3000x") + type + ">", seed, 0, 0)) {
      ASSERT_GE(value, 0) << type;
      ASSERT_LT(value, 1) << type;
    }
}

} // namespace
} // namespace ingot::testing
