/// The reference's scans and sorts against their definitions, at infinities and NaN too.
#include "test/ir/Testing.h"
#include <cmath>

namespace ingot::testing {
namespace {

constexpr double inf = INFINITY, nan = NAN;

class LinesTest : public GraphTest {
protected:
  /// An op on a line, or on one of several side by side.
  Tensors over(const std::string &op, const std::string &results, const Tensor &x,
               const std::string &type) {
    const bool isSort = results.find(',') != std::string::npos;
    return run(function({type}, results,
                        (isSort ? "%r:2 = " : "%r = ") + op + " : " + type +
                            (isSort ? " -> " + results : "") + "\nreturn " +
                            (isSort ? "%r#0, %r#1" : "%r") + " : " + results),
               {x});
  }
  void expectSame(const std::vector<double> &actual, const std::vector<double> &expected) {
    ASSERT_EQ(actual.size(), expected.size());
    for (size_t i = 0; i < actual.size(); ++i)
      if (std::isnan(expected[i]))
        EXPECT_TRUE(std::isnan(actual[i])) << "element " << i << " is " << actual[i];
      else
        EXPECT_EQ(actual[i], expected[i]) << "element " << i;
  }
  void scan(const std::string &how, const std::vector<double> &x,
            const std::vector<double> &expected) {
    SCOPED_TRACE(how);
    const std::string type = "tensor<" + std::to_string(x.size()) + "xf64>";
    const size_t space = how.find(' ');
    const std::string kind = how.substr(0, space),
                      rest = space == std::string::npos ? "" : how.substr(space);
    Tensors y = over("graph.scan " + kind + " %0 dimension 0" + rest, type,
                     tensor(ElementType::F64, {int64_t(x.size())}, x), type);
    expectSame(graph::load<double>(y[0]), expected);
  }
};

TEST_F(LinesTest, Scans) {
  scan("sum", {1, 2, 3, 4}, {1, 3, 6, 10});
  scan("sum exclusive", {1, 2, 3, 4}, {0, 1, 3, 6});
  scan("sum reverse", {1, 2, 3, 4}, {10, 9, 7, 4});
  scan("sum exclusive reverse", {1, 2, 3, 4}, {9, 7, 4, 0});
  scan("product", {2, 3, 0, 4}, {2, 6, 0, 0});
  scan("product exclusive", {2, 3, 0, 4}, {1, 2, 6, 0});
  scan("sum", {1, inf, 2, -inf, 3}, {1, inf, inf, nan, nan});
  scan("sum", {}, {});
  // Integers wrap; the lines are columns.
  Tensors y =
      over("graph.scan sum %0 dimension 0", "tensor<3x2xi8>",
           tensor<int64_t>(ElementType::I8, {3, 2}, {100, 1, 100, 2, 100, 3}), "tensor<3x2xi8>");
  EXPECT_EQ(graph::load<int64_t>(y[0]), (std::vector<int64_t>{100, 1, -56, 3, 44, 6}));
}

TEST_F(LinesTest, Sorts) {
  const std::vector<double> x = {2, nan, -1, 2, 0, inf, -0.0, -inf, nan};
  const std::string type = "tensor<9xf64>", both = type + ", tensor<9xi64>";
  Tensor operand = tensor(ElementType::F64, {9}, x);
  Tensors up = over("graph.sort %0 dimension 0", both, operand, type);
  expectSame(graph::load<double>(up[0]), {-inf, -1, 0, 0, 2, 2, inf, nan, nan});
  EXPECT_EQ(graph::load<int64_t>(up[1]), (std::vector<int64_t>{7, 2, 4, 6, 0, 3, 5, 1, 8}));
  Tensors down = over("graph.sort %0 dimension 0 descending", both, operand, type);
  expectSame(graph::load<double>(down[0]), {nan, nan, inf, 2, 2, 0, 0, -1, -inf});
  EXPECT_EQ(graph::load<int64_t>(down[1]), (std::vector<int64_t>{1, 8, 5, 0, 3, 4, 6, 2, 7}));
}

} // namespace
} // namespace ingot::testing
