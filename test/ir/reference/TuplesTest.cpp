/// The reference's reductions of tuples against their definitions, at infinities and NaN too.
#include "test/ir/Testing.h"
#include <cmath>
#include <numeric>

namespace ingot::testing {
namespace {

constexpr double inf = INFINITY, nan = NAN;

void expectSame(const std::vector<double> &actual, const std::vector<double> &expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i)
    if (std::isnan(expected[i]))
      EXPECT_TRUE(std::isnan(actual[i])) << "element " << i << " is " << actual[i];
    else
      EXPECT_EQ(actual[i], expected[i]) << "element " << i;
}

/// The tuples of a kind over one dimension.
class TuplesTest : public GraphTest {
protected:
  std::vector<std::vector<double>> over(const std::string &kind,
                                        const std::vector<std::vector<double>> &parts,
                                        const std::string &element = "f64",
                                        ElementType type = ElementType::F64) {
    const int64_t size = parts[0].size();
    const bool isNumbered = kind.starts_with("arg");
    std::string operands, from, to;
    std::vector<std::string> types;
    Tensors arguments;
    for (size_t part = 0; part < parts.size(); ++part) {
      const bool isNumber = isNumbered && part == 1;
      std::string name = isNumber ? "i32" : element;
      types.push_back("tensor<" + std::to_string(size) + "x" + name + ">");
      std::string comma = part ? ", " : "";
      operands += comma + "%" + std::to_string(part);
      from += comma + types.back();
      to += comma + "tensor<" + name + ">";
      if (graph::kindOf(isNumber ? ElementType::I32 : type) == graph::ElementKind::Float)
        arguments.push_back(tensor(type, {size}, parts[part]));
      else
        arguments.push_back(tensor<int64_t>(isNumber ? ElementType::I32 : type, {size},
                                            {parts[part].begin(), parts[part].end()}));
    }
    std::string results = "%r:" + std::to_string(parts.size());
    std::string all;
    for (size_t part = 0; part < parts.size(); ++part)
      all += (part ? ", %r#" : "%r#") + std::to_string(part);
    Tensors tensors =
        run(function(types, to,
                     results + " = graph.reduce_tuples \"" + kind + "\" " + operands +
                         " [0] : " + from + " -> " + to + "\nreturn " + all + " : " + to),
            arguments);
    std::vector<std::vector<double>> values;
    for (const Tensor &value : tensors)
      values.push_back(graph::load<double>(value));
    return values;
  }
  std::vector<double> numbers(size_t count) {
    std::vector<double> result(count);
    std::iota(result.begin(), result.end(), 0);
    return result;
  }
  std::vector<double> normals(size_t count, double mean, double deviation) {
    std::vector<double> result(count);
    for (double &x : result)
      x = std::normal_distribution<double>(mean, deviation)(generator);
    return result;
  }
};

TEST_F(TuplesTest, FirstOfTheLargest) {
  struct Row {
    std::vector<double> x;
    double largest, at, smallest, atSmallest;
  };
  // As in NumPy: NaN before all others, of equal ones the first.
  for (const Row &row : {Row{{1, 3, 2, 3}, 3, 1, 1, 0}, Row{{2, -1, 2, -1}, 2, 0, -1, 1},
                         Row{{-inf, -inf}, -inf, 0, -inf, 0}, Row{{inf, 1, inf}, inf, 0, 1, 1},
                         Row{{1, nan, inf, nan}, nan, 1, nan, 1},
                         Row{{-inf, nan, -inf}, nan, 1, nan, 1}, Row{{0, -0.0}, 0, 0, 0, 0}}) {
    auto most = over("argmax", {row.x, numbers(row.x.size())});
    expectSame(most[0], {row.largest});
    expectSame(most[1], {row.at});
    auto least = over("argmin", {row.x, numbers(row.x.size())});
    expectSame(least[0], {row.smallest});
    expectSame(least[1], {row.atSmallest});
  }
  expectSame(over("argmax", {{}, {}})[1], {2147483647});
  expectSame(over("argmax", {{3, 200, 100}, {0, 1, 2}}, "ui8", ElementType::U8)[1], {1});
  expectSame(over("argmin", {{3, -128, 100}, {0, 1, 2}}, "i8", ElementType::I8)[1], {1});
}

TEST_F(TuplesTest, WholeNumbersAreComparedExactly) {
  std::string t = "tensor<3xi64>", n = "tensor<3xi32>", s = "tensor<i64>, tensor<i32>";
  Tensors results =
      run(function({t, n}, s,
                   "%r:2 = graph.reduce_tuples \"argmax\" %0, %1 [0] : " + t + ", " + n + " -> " +
                       s + "\nreturn %r#0, %r#1 : " + s),
          {tensor<int64_t>(ElementType::I64, {3}, {INT64_MAX - 1, INT64_MAX, INT64_MAX - 2}),
           tensor<int64_t>(ElementType::I32, {3}, {0, 1, 2})});
  expectElements<int64_t>(results[0], {INT64_MAX});
  expectElements<int64_t>(results[1], {1});
}

TEST_F(TuplesTest, MomentsAreThoseOfTwoPasses) {
  for (double mean : {0.0, 1e6}) {
    std::vector<double> x = normals(1000, mean, 2);
    auto moments =
        over("welford", {x, std::vector<double>(x.size(), 0), std::vector<double>(x.size(), 1)});
    double sum = 0, squares = 0;
    for (double value : x)
      sum += value;
    for (double value : x)
      squares += (value - sum / 1000) * (value - sum / 1000);
    EXPECT_NEAR(moments[0][0], sum / 1000, 1e-8);
    EXPECT_NEAR(moments[1][0] / squares, 1, 1e-9);
    EXPECT_EQ(moments[2][0], 1000);
  }
  for (auto &part : over("welford", {{}, {}, {}}))
    expectSame(part, {0});
  // Groups of several elements: {1, 3} and {5, 5, 8}.
  auto joined = over("welford", {{2, 6}, {2, 6}, {2, 3}});
  EXPECT_NEAR(joined[0][0], 4.4, 1e-14);
  EXPECT_NEAR(joined[1][0], 27.2, 1e-13);
  expectSame(joined[2], {5});
}

TEST_F(TuplesTest, ExponentialsDoNotOverflow) {
  auto logarithm = [&](const std::vector<double> &x) {
    auto parts = over("exp_sum", {x, std::vector<double>(x.size(), 1)});
    return parts[0][0] + std::log(parts[1][0]);
  };
  std::vector<double> x = normals(100, 3, 5);
  double sum = 0;
  for (double value : x)
    sum += std::exp(value);
  EXPECT_NEAR(logarithm(x), std::log(sum), 1e-12);
  EXPECT_NEAR(logarithm({1000, 1001}), 1001.3132616875182, 1e-9);
  expectSame({logarithm({})}, {-inf});
  expectSame({logarithm({-inf, -inf})}, {-inf});
  expectSame({logarithm({-inf, 2})}, {2});
  expectSame({logarithm({inf, 2, -inf})}, {inf});
  expectSame({logarithm({1, nan, inf})}, {nan});
}

} // namespace
} // namespace ingot::testing
