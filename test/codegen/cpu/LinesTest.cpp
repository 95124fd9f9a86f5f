/// Kernels of the roots scan and sort, written as stage `kernels` IR, against plain loops: lines of
/// one element and of many, in every dimension, in every way of sharing out the grains.
#include "test/codegen/CompiledKernel.h"
#include <algorithm>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <numeric>

namespace ingot::test {
namespace {

struct Case {
  int64_t outer, size, inner;
};

class LineKernels : public ::testing::TestWithParam<Case> {
protected:
  /// The kernel of one op on the middle dimension; `results` beside its first one.
  std::vector<Tensor> run(const std::string &root, const std::string &op, const std::string &more,
                          const Tensor &x) const {
    const auto [outer, size, inner] = GetParam();
    const std::string type = fmt::format("tensor<{}x{}x{}xf32>", outer, size, inner);
    std::string types = type;
    if (!more.empty())
      types += fmt::format(", tensor<{}x{}x{}x{}>", outer, size, inner, more);
    return CompiledKernel(
               fmt::format("func.func private @k(%x: {0}) -> ({1}) attributes {{graph.kernel = "
                           "\"{2}\"}} {{\n  %y{3} = graph.{2} {4} : {5}\n  return {6} : {1}\n}}",
                           type, types, root, more.empty() ? "" : ":2", op,
                           more.empty() ? type : type + " -> " + types,
                           more.empty() ? "%y" : "%y#0, %y#1"))
        .run({x});
  }
  Shape shape() const { return {GetParam().outer, GetParam().size, GetParam().inner}; }
  int64_t at(int64_t line, int64_t place) const {
    const auto [outer, size, inner] = GetParam();
    return (line / inner * size + place) * inner + line % inner;
  }
  int64_t lines() const { return GetParam().outer * GetParam().inner; }
};

TEST_P(LineKernels, SumsAndProducts) {
  Tensor x = randomTensor(ElementType::F32, shape(), testSeed());
  const int64_t size = GetParam().size;
  for (bool isProduct : {false, true})
    for (bool isExclusive : {false, true})
      for (bool isReverse : {false, true}) {
        SCOPED_TRACE(fmt::format("{} {} {}", isProduct, isExclusive, isReverse));
        Tensor y = run("scan",
                       fmt::format("{} %x dimension 1{}{}", isProduct ? "product" : "sum",
                                   isExclusive ? " exclusive" : "", isReverse ? " reverse" : ""),
                       "", x)[0];
        for (int64_t line = 0; line < lines(); ++line) {
          float sum = float(isProduct);
          for (int64_t i = 0; i < size; ++i) {
            const int64_t place = at(line, isReverse ? size - 1 - i : i);
            const float next = isProduct ? sum * x.as<float>()[place] : sum + x.as<float>()[place];
            ASSERT_EQ(y.as<float>()[place], isExclusive ? sum : next) << "element " << place;
            sum = next;
          }
        }
      }
}

TEST_P(LineKernels, Sorts) {
  Tensor x = randomTensor(ElementType::F32, shape(), testSeed());
  for (int64_t i = 0; i < x.size(); ++i) { // many are equal, some are no numbers
    float &element = x.as<float>()[i];
    element = std::nearbyint(element * 6);
    if (element == 5)
      element = i % 2 ? NAN : i % 3 ? INFINITY : -INFINITY;
  }
  const int64_t size = GetParam().size;
  for (bool isDescending : {false, true}) {
    std::vector<Tensor> results =
        run("sort", isDescending ? "%x dimension 1 descending" : "%x dimension 1", "i64", x);
    for (int64_t line = 0; line < lines(); ++line) {
      std::vector<int64_t> order(size);
      std::iota(order.begin(), order.end(), 0);
      auto isLess = [&](int64_t a, int64_t b) {
        const float left = x.as<float>()[at(line, a)], right = x.as<float>()[at(line, b)];
        return left < right || (left == left && right != right);
      };
      std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
        if (isLess(a, b) || isLess(b, a))
          return isLess(a, b) != isDescending;
        return a < b;
      });
      for (int64_t i = 0; i < size; ++i) {
        ASSERT_EQ(results[1].as<int64_t>()[at(line, i)], order[i]) << "line " << line;
        ASSERT_EQ(std::memcmp(results[0].as<float>() + at(line, i),
                              x.as<float>() + at(line, order[i]), sizeof(float)),
                  0);
      }
    }
  }
}

/// First elements alone are those of the whole sort, bit for bit.
TEST_P(LineKernels, FirstElements) {
  const auto [outer, size, inner] = GetParam();
  Tensor x = randomTensor(ElementType::F32, shape(), testSeed());
  for (int64_t i = 0; i < x.size(); ++i) {
    float &element = x.as<float>()[i];
    element = std::nearbyint(element * 100);
    if (element == 50)
      element = i % 2 ? NAN : i % 3 ? INFINITY : -0.0f;
  }
  for (bool isDescending : {false, true}) {
    const std::string op = isDescending ? "%x dimension 1 descending" : "%x dimension 1";
    const std::vector<Tensor> whole = run("sort", op, "i64", x);
    for (int64_t most : {int64_t(0), int64_t(1), size / 5, size / 2, size}) {
      SCOPED_TRACE(fmt::format("{} of {}", most, size));
      auto type = [&](int64_t length, const char *element) {
        return fmt::format("tensor<{}x{}x{}x{}>", outer, length, inner, element);
      };
      auto slice = [&](const char *of, const char *element) {
        return fmt::format(
            "tensor.extract_slice {0}[0, 0, 0] [{1}, {2}, {3}] [1, 1, 1] : {4} to {5}", of, outer,
            most, inner, type(size, element), type(most, element));
      };
      const std::vector<Tensor> first =
          CompiledKernel(
              fmt::format("func.func private @k(%x: {0}) -> ({1}, {2}) attributes {{graph.kernel = "
                          "\"sort\"}} {{\n  %y:2 = graph.sort {3} : {0} -> {0}, {4}\n  %a = {5}\n"
                          "  %b = {6}\n  return %a, %b : {1}, {2}\n}}",
                          type(size, "f32"), type(most, "f32"), type(most, "i64"), op,
                          type(size, "i64"), slice("%y#0", "f32"), slice("%y#1", "i64")))
              .run({x});
      for (int64_t line = 0; line < lines(); ++line)
        for (int64_t i = 0; i < most; ++i) {
          const int64_t to = (line / inner * most + i) * inner + line % inner;
          ASSERT_EQ(first[1].as<int64_t>()[to], whole[1].as<int64_t>()[at(line, i)]);
          ASSERT_EQ(std::memcmp(first[0].as<float>() + to, whole[0].as<float>() + at(line, i),
                                sizeof(float)),
                    0);
        }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, LineKernels,
                         ::testing::Values(Case{1, 1, 1}, Case{5, 37, 1}, Case{3, 9, 21},
                                           Case{2, 64, 16}, Case{600, 33, 1}, Case{1, 2, 500},
                                           Case{1, 3000, 3}));

} // namespace
} // namespace ingot::test
