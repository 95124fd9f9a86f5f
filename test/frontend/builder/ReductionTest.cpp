/// Reductions of one value and of tuples as compiled programs: along rows, along columns, across
/// the middle and at points, with their gradients, against the reference.
#include "frontend/builder/Builder.h"
#include "frontend/check/Check.h"
#include <gtest/gtest.h>
#include <random>

namespace ingot {
namespace {

using Value = Builder::Value;

class Reductions : public ::testing::Test {
protected:
  int64_t between(int64_t low, int64_t high) {
    return low + int64_t(generator() % uint64_t(high - low + 1));
  }

  void check(Result<Model> model, bool train) {
    ASSERT_TRUE(model) << model.error().text();
    CheckOptions options;
    if (train)
      options.compile.training.emplace().loss = TrainingOptions::Loss::Mse;
    options.seed = generator();
    options.ops = false;
    Result<CheckReport> report = checkModel(*model, options);
    ASSERT_TRUE(report) << report.error().text();
    EXPECT_FALSE(report->outputs.empty());
    for (const CheckRow &row : report->outputs)
      EXPECT_TRUE(row.fine) << row.function << " " << row.what << ": " << row.relative << " "
                            << row.problem << ", seed " << options.seed;
  }

  /// Every kind over these dimensions of one tensor.
  void checkForward(const Shape &shape, const std::vector<int64_t> &dimensions, ElementType type) {
    SCOPED_TRACE(toString(shape) + " over " + toString(dimensions) + " of " +
                 std::string(name(type)));
    Builder b;
    Value x = b.input("x", type, shape);
    if (type == ElementType::I32 || type == ElementType::U8) // many ties
      x = b.remainder(x, b.scalar(7, type));
    b.output("most", b.argmax(x, dimensions)[1]);
    b.output("least", b.argmin(x, dimensions)[1]);
    Value isLarge = b.compare(Comparison::Greater, x, b.scalar(1, type));
    b.output("any", b.any(isLarge, dimensions));
    b.output("all", b.all(isLarge, dimensions, true));
    b.output("max", b.argmax(x, dimensions, true)[0]);
    if (type != ElementType::I32 && type != ElementType::U8) {
      Value logarithm = b.log(x); // NaN, as often as not
      b.output("first NaN", b.argmax(logarithm, dimensions)[1]);
      b.output("smallest or NaN", b.argmin(b.add(x, b.abs(logarithm)), dimensions)[1]);
      b.output("lse", b.logSumExp(x, dimensions));
      b.output("variance", b.variance(x, dimensions, true));
      // Of infinity, wherever it stands: NaN.
      b.output("no variance", b.variance(b.reciprocal(b.relu(x)), dimensions));
    }
    check(b.finish(), false);
  }

  std::mt19937_64 generator{std::random_device{}()};
};

TEST_F(Reductions, OfRowsColumnsAndTheMiddle) {
  for (ElementType type : {ElementType::F32, ElementType::I32}) {
    checkForward({5, 37}, {1}, type);
    checkForward({130, 70}, {0}, type);
    checkForward({3, 9, 21}, {0, 2}, type);
  }
  checkForward({4, 6, 5}, {1}, ElementType::F64);
  checkForward({9, 40}, {1}, ElementType::BF16);
  checkForward({40, 9}, {0}, ElementType::U8);
  checkForward({600, 96}, {0}, ElementType::F32); // in two launches
  checkForward({1, 1}, {1}, ElementType::F32);
  checkForward({2, 5000}, {0, 1}, ElementType::F32);
}

TEST_F(Reductions, RandomShapes) {
  for (int trial = 0; trial < 4; ++trial) {
    Shape shape;
    for (int64_t rank = between(1, 4); rank > 0; --rank)
      shape.push_back(between(1, rank == 1 ? 70 : 9));
    std::vector<int64_t> dimensions;
    for (size_t dim = 0; dim < shape.size(); ++dim)
      if (between(0, 1))
        dimensions.push_back(int64_t(dim));
    checkForward(shape, dimensions, trial % 2 ? ElementType::F32 : ElementType::F64);
  }
}

TEST_F(Reductions, Gradients) {
  for (const std::vector<int64_t> &dimensions :
       {std::vector<int64_t>{0}, std::vector<int64_t>{1}, std::vector<int64_t>{2},
        std::vector<int64_t>{0, 2}}) {
    Builder b;
    Value x = b.input("x", ElementType::F32, {6, 11, 19});
    Value y = b.mul(x, b.parameter("w", {6, 11, 19}, Initializer::normal(1)));
    Value all = b.add(b.argmax(y, dimensions)[0], b.argmin(y, dimensions)[0]);
    all = b.add(all, b.logSumExp(y, dimensions));
    b.output("y", b.add(all, b.variance(y, dimensions, false, 1)));
    check(b.finish(), true);
  }
}

TEST(ReductionBuilder, ErrorsNameTheReduction) {
  Builder b;
  Value x = b.input("x", ElementType::F32, {2, 3});
  b.output("y", b.argmax(x, {2})[1]);
  auto model = b.finish();
  ASSERT_FALSE(model);
  EXPECT_NE(model.error().text().find("argmax(2x3 f32): a dimension is out of range"),
            std::string::npos)
      << model.error().text();
}

} // namespace
} // namespace ingot
