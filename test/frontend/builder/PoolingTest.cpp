/// Pooling as compiled programs: forward against loops that follow its definition, and training
/// against the reference.
#include "frontend/api/Ingot.h"
#include "frontend/builder/Builder.h"
#include "frontend/check/Check.h"
#include "ir/dialect/Elements.h"
#include <cmath>
#include <gtest/gtest.h>
#include <random>

namespace ingot {
namespace {

using Value = Builder::Value;

struct Pooled {
  Shape shape;
  std::vector<double> most, number, mean, root;
};

int64_t entryOf(const std::vector<int64_t> &entries, size_t index, int64_t absent) {
  return entries.empty() ? absent : entries[index];
}

/// Two spatial dimensions, window by window, as PyTorch's documentation says.
Pooled poolByDefinition(const Tensor &x, const Pooling &how, double p) {
  const Shape &from = x.shape();
  const std::vector<double> elements = graph::load<double>(x);
  Pooled pooled{{from[0], from[1]}, {}, {}, {}, {}};
  int64_t size[2], stride[2], dilation[2], low[2], high[2];
  for (int dim = 0; dim < 2; ++dim) {
    size[dim] = entryOf(how.sizes, dim, from[dim + 2]);
    stride[dim] = entryOf(how.strides, dim, how.sizes.empty() ? 1 : size[dim]);
    dilation[dim] = entryOf(how.dilations, dim, 1);
    low[dim] = entryOf(how.low, dim, 0), high[dim] = entryOf(how.high, dim, 0);
    const double room =
        double(from[dim + 2] + low[dim] + high[dim] - dilation[dim] * (size[dim] - 1) - 1) /
        double(stride[dim]);
    int64_t positions = int64_t(how.ceil ? std::ceil(room) : std::floor(room)) + 1;
    if (how.ceil && (positions - 1) * stride[dim] >= from[dim + 2] + low[dim])
      --positions;
    pooled.shape.push_back(positions);
  }
  for (int64_t plane = 0; plane < from[0] * from[1]; ++plane)
    for (int64_t row = 0; row < pooled.shape[2]; ++row)
      for (int64_t column = 0; column < pooled.shape[3]; ++column) {
        double most = -INFINITY, at = 2147483647, sum = 0, powers = 0, count = 0;
        for (int64_t i = 0; i < size[0]; ++i)
          for (int64_t j = 0; j < size[1]; ++j) {
            const int64_t h = row * stride[0] - low[0] + i * dilation[0],
                          w = column * stride[1] - low[1] + j * dilation[1];
            const bool isInside = h >= 0 && h < from[2] && w >= 0 && w < from[3];
            count +=
                isInside || (how.countsPadding && h < from[2] + high[0] && w < from[3] + high[1]);
            if (!isInside)
              continue;
            const double value = elements[(plane * from[2] + h) * from[3] + w];
            if (value > most || at == 2147483647) {
              most = value;
              at = double(h * from[3] + w);
            }
            sum += value;
            powers += std::pow(std::fabs(value), p);
          }
        pooled.most.push_back(most);
        pooled.number.push_back(at);
        pooled.mean.push_back(sum / count);
        pooled.root.push_back(std::pow(powers, 1 / p));
      }
  return pooled;
}

class PoolingTest : public ::testing::Test {
protected:
  int64_t between(int64_t low, int64_t high) {
    return low + int64_t(generator() % uint64_t(high - low + 1));
  }

  /// All poolings of x; with few different values, so that windows have several largest ones.
  void checkForward(const Shape &shape, const Pooling &how, double p) {
    SCOPED_TRACE("x " + toString(shape) + ", windows " + toString(how.sizes) + ", strides " +
                 toString(how.strides));
    Builder b;
    Value x = b.input("x", ElementType::F32, shape);
    std::vector<Value> most = b.maxPoolWithNumbers(x, how);
    b.output("most", most[0]);
    b.output("number", most[1]);
    b.output("value", b.maxPool(b.neg(x), how));
    b.output("mean", b.averagePool(x, how));
    b.output("root", b.lpPool(x, p, how));
    Result<Model> model = b.finish();
    ASSERT_TRUE(model) << model.error().text();
    Result<CompiledProgram> program = model->compile({.threads = 1, .cache = false});
    ASSERT_TRUE(program) << program.error().text();
    Tensor input(ElementType::F32, shape), negated(ElementType::F32, shape);
    for (int64_t i = 0; i < input.size(); ++i) {
      input.as<float>()[i] = float(between(-8, 8));
      negated.as<float>()[i] = -input.as<float>()[i];
    }
    Result<Tensors> outputs = program->run({{"x", input}});
    ASSERT_TRUE(outputs) << outputs.error().text();
    const Pooled expected = poolByDefinition(input, how, p);
    auto compare = [&](const char *name, const std::vector<double> &values) {
      const Tensor &tensor = outputs->at(name);
      ASSERT_EQ(tensor.shape(), expected.shape) << name;
      const std::vector<double> actual = graph::load<double>(tensor);
      for (size_t i = 0; i < actual.size(); ++i)
        if (!(std::isnan(actual[i]) && std::isnan(values[i])) && actual[i] != values[i])
          ASSERT_NEAR(actual[i], values[i], 1e-5 * (1 + std::fabs(values[i]))) << name << " " << i;
    };
    compare("most", expected.most);
    compare("number", expected.number);
    compare("value", poolByDefinition(negated, how, p).most);
    compare("mean", expected.mean);
    compare("root", expected.root);
  }

  void checkTraining(const Shape &shape, const Pooling &how) {
    SCOPED_TRACE("x " + toString(shape) + ", windows " + toString(how.sizes));
    Builder b;
    Value x = b.mul(b.input("x", ElementType::F32, shape),
                    b.parameter("w", shape, Initializer::normal(1)));
    b.output("y", b.add(b.add(b.maxPool(x, how), b.averagePool(x, how)), b.lpPool(x, 2, how)));
    Result<Model> model = b.finish();
    ASSERT_TRUE(model) << model.error().text();
    CheckOptions options;
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

  std::mt19937_64 generator{std::random_device{}()};
};

TEST_F(PoolingTest, KindsThatModelsUse) {
  checkForward({2, 3, 14, 18}, {.sizes = {2, 2}}, 2);
  checkForward({1, 2, 15, 15}, {.sizes = {3, 3}, .strides = {2, 2}, .low = {1, 1}, .high = {1, 1}},
               2);
  checkForward(
      {1, 2, 13, 40},
      {.sizes = {3, 3}, .strides = {1, 1}, .low = {1, 1}, .high = {1, 1}, .countsPadding = false},
      1);
  checkForward({2, 5, 7, 7}, {}, 2); // global
  checkForward({1, 1, 10, 11},
               {.sizes = {3, 2}, .strides = {3, 4}, .low = {1, 0}, .high = {0, 1}, .ceil = true},
               3);
  checkForward({1, 2, 12, 12}, {.sizes = {2, 3}, .dilations = {3, 2}}, 2);
  checkForward(
      {1, 1, 4, 4},
      {.sizes = {1, 1}, .strides = {1, 1}, .low = {2, 2}, .high = {2, 2}, .countsPadding = false},
      2); // of nothing
}

TEST_F(PoolingTest, RandomShapes) {
  for (int trial = 0; trial < 8; ++trial) {
    Shape shape = {between(1, 2), between(1, 3)};
    Pooling how{.ceil = between(0, 1) == 1, .countsPadding = between(0, 1) == 1};
    for (int dim = 0; dim < 2; ++dim) {
      how.sizes.push_back(between(1, 4));
      how.strides.push_back(between(1, 4));
      how.dilations.push_back(between(1, 3));
      how.low.push_back(between(0, how.sizes.back() / 2));
      how.high.push_back(between(0, how.sizes.back() / 2));
      shape.push_back((how.sizes.back() - 1) * how.dilations.back() + between(1, 20));
    }
    checkForward(shape, how, between(1, 3));
  }
}

TEST_F(PoolingTest, LinesShorterAndLongerThanVectors) {
  for (int64_t width : {5, 16, 17, 35})
    for (int64_t stride : {1, 2, 3})
      checkForward({1, 2, 7, width},
                   {.sizes = {3, 3}, .strides = {1, stride}, .low = {1, 1}, .high = {1, 1}}, 2);
}

// Then windows are the tensor itself or every so many of its elements, and rows share memory.
TEST_F(PoolingTest, WindowsOfOneElement) {
  for (int64_t high : {1, 2, 3, 4})
    for (int64_t wide : {1, 2, 3, 4})
      checkForward({1, 1, 17, 4}, {.sizes = {1, 1}, .strides = {high, wide}}, 2);
}

TEST_F(PoolingTest, Training) {
  checkTraining({2, 3, 8, 10}, {.sizes = {2, 2}});
  checkTraining(
      {1, 2, 9, 9},
      {.sizes = {3, 3}, .strides = {2, 2}, .low = {1, 1}, .high = {1, 1}, .countsPadding = false});
  checkTraining({1, 2, 10, 7},
                {.sizes = {3, 2}, .strides = {2, 3}, .dilations = {1, 2}, .ceil = true});
  checkTraining({2, 2, 5, 6}, {});
}

TEST(PoolingBuilder, BadWindowsAreErrors) {
  Builder b;
  Value x = b.input("x", ElementType::F32, {1, 2, 5, 5});
  b.output("a", b.maxPool(x, {.sizes = {6, 2}}));
  b.output("b", b.averagePool(x, {.sizes = {2}}));
  b.output("c", b.lpPool(x, 0, {.sizes = {2, 2}}));
  b.output("d", b.maxPool(x, {.sizes = {2, 2}, .strides = {0, 1}}));
  auto model = b.finish();
  ASSERT_FALSE(model);
  const std::string text = model.error().text();
  for (const char *message :
       {"a window of 6 does not fit dimension 2",
        "pooling needs 2 entries for its dimensions, not 1", "the power 0 is not positive",
        "sizes, strides and dilations are 1 or more"})
    EXPECT_NE(text.find(message), std::string::npos) << text;
}

} // namespace
} // namespace ingot
