/// Roundings to bf16 and f16 against the host's, bit for bit, on every CPU alike.
#include "runtime/support/HalfFloat.h"
#include "test/codegen/CompiledKernel.h"
#include <bit>
#include <cmath>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <limits>
#include <random>

namespace ingot::test {
namespace {

std::string narrowingKernel(const std::string &from, const std::string &to, int64_t count) {
  return fmt::format(R"(
func.func private @k(%x: tensor<{2}x{0}>) -> tensor<{2}x{1}> attributes {{graph.kernel = "elementwise"}} {{
  %e = tensor.empty() : tensor<{2}x{1}>
  %0 = linalg.generic {{indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}}
      ins(%x : tensor<{2}x{0}>) outs(%e : tensor<{2}x{1}>) {{
  ^bb0(%a: {0}, %o: {1}):
    %r = arith.truncf %a : {0} to {1}
    linalg.yield %r : {1}
  }} -> tensor<{2}x{1}>
  return %0 : tensor<{2}x{1}>
}})",
                     from, to, count);
}

/// Random bits of every exponent, and what lies at and beside the halves between two results.
template <typename Float, typename Word> std::vector<Float> samples(int droppedBits) {
  std::mt19937_64 generator(testSeed());
  std::vector<Float> values = {0,
                               Float(-0.0),
                               std::numeric_limits<Float>::infinity(),
                               -std::numeric_limits<Float>::infinity(),
                               std::numeric_limits<Float>::quiet_NaN(),
                               std::numeric_limits<Float>::max(),
                               std::numeric_limits<Float>::denorm_min(),
                               65504,
                               65520,
                               1e-8f};
  Word half = Word(1) << (droppedBits - 1);
  for (int i = 0; i < 20000; ++i) {
    Word word = Word(generator()), kept = word & ~(2 * half - 1);
    for (Word bits : {word, Word(kept | half), Word(kept | (half - 1)), Word(kept | (half + 1))})
      values.push_back(std::bit_cast<Float>(bits));
  }
  // f64: most of its exponents overflow bf16; draw those that do not as often.
  if constexpr (sizeof(Float) == 8)
    for (int i = 0; i < 40000; ++i) {
      uint64_t exponent = 1023 - 150 + generator() % 290;
      uint64_t fraction = generator() >> 12;
      if (i % 2)
        fraction &= ~uint64_t(0) << 44; // close to few significant bits: ties
      values.push_back(std::bit_cast<double>((generator() << 63) | (exponent << 52) | fraction));
    }
  return values;
}

template <typename Float, typename Word>
void compare(const char *from, ElementType type, const char *to, ElementType narrow,
             int droppedBits, uint32_t (*expected)(double, Rounding)) {
  std::vector<Float> values = samples<Float, Word>(droppedBits);
  int64_t count = int64_t(values.size());
  CompiledKernel compiled(narrowingKernel(from, to, count));
  Tensor x(type, {count});
  std::copy(values.begin(), values.end(), x.template as<Float>());
  Tensor result = compiled.run({x})[0];
  const auto *bits = result.as<uint16_t>();
  for (int64_t i = 0; i < count; ++i) {
    if (values[size_t(i)] != values[size_t(i)]) {
      EXPECT_TRUE(std::isnan(elementAt(result, i))) << i;
      continue;
    }
    ASSERT_EQ(bits[i], expected(double(values[size_t(i)]), Rounding::NearestEven))
        << from << " " << values[size_t(i)] << " to " << to;
  }
}

} // namespace

TEST(Narrowing, singleToBf16) {
  compare<float, uint32_t>("f32", ElementType::F32, "bf16", ElementType::BF16, 16,
                           BFloat16::encode);
}
TEST(Narrowing, doubleToBf16) {
  compare<double, uint64_t>("f64", ElementType::F64, "bf16", ElementType::BF16, 45,
                            BFloat16::encode);
}
TEST(Narrowing, doubleToF16) {
  compare<double, uint64_t>("f64", ElementType::F64, "f16", ElementType::F16, 42, Float16::encode);
}

} // namespace ingot::test
