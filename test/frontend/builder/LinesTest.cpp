/// Scans, sorts and movements as compiled code, with their gradients, against the reference: random
/// shapes with sizes of 1 and 0, every type.
#include "frontend/api/Ingot.h"
#include "frontend/check/Check.h"
#include "ir/dialect/Elements.h"
#include <gtest/gtest.h>
#include <random>

namespace ingot {
namespace {

using Value = Builder::Value;

constexpr ElementType types[] = {
    ElementType::F64, ElementType::F32, ElementType::F16, ElementType::BF16, ElementType::I64,
    ElementType::I32, ElementType::I16, ElementType::I8,  ElementType::I4,   ElementType::U64,
    ElementType::U32, ElementType::U16, ElementType::U8,  ElementType::U4};

class Lines : public testing::Test {
protected:
  int64_t between(int64_t low, int64_t high) {
    return low + int64_t(generator() % uint64_t(high - low + 1));
  }
  /// Sizes of 1, odd and even ones, and 0 now and then.
  Shape shape(int64_t rank, int64_t longest) {
    Shape sizes;
    for (int64_t i = 0; i < rank; ++i)
      sizes.push_back(between(0, 9) == 0 ? between(0, 1) : between(2, longest));
    return sizes;
  }
  void check(Builder &b, bool train = false) {
    Result<Model> model = b.finish();
    ASSERT_TRUE(model) << model.error().text();
    CheckOptions options;
    if (train)
      options.compile.training = {.loss = Loss::Mse, .optimizer = TrainingOptions::Optimizer::Sgd};
    options.seed = generator();
    options.ops = false;
    Result<CheckReport> report = checkModel(*model, options);
    ASSERT_TRUE(report) << report.error().text();
    EXPECT_FALSE(report->outputs.empty());
    for (const CheckRow &row : report->outputs)
      EXPECT_TRUE(row.fine) << row.function << " " << row.what << ": " << row.relative << " "
                            << row.problem << ", seed " << options.seed;
  }

  const uint64_t seed = std::getenv("INGOT_TEST_SEED") ? std::stoull(std::getenv("INGOT_TEST_SEED"))
                                                       : std::random_device()();
  std::mt19937_64 generator{seed};
  testing::ScopedTrace trace{__FILE__, __LINE__, "INGOT_TEST_SEED=" + std::to_string(seed)};
};

TEST_F(Lines, OfEveryType) {
  for (ElementType type : types)
    for (const Shape &shape : {Shape{between(2, 70)}, Shape{5, between(2, 40)},
                               Shape{between(2, 9), between(2, 20), between(2, 40)}}) {
      SCOPED_TRACE(std::string(name(type)) + " " + toString(shape));
      Builder b;
      Value x = b.input("x", type, shape);
      const int64_t dimension = between(0, int64_t(shape.size()) - 1);
      const bool isFloat = graph::kindOf(type) == graph::ElementKind::Float;
      Value few = isFloat ? b.round(x) : b.remainder(x, b.scalar(5, type)); // many are equal
      for (bool flag : {false, true}) {
        const std::string end = flag ? " 1" : " 0";
        std::vector<Value> sorted = b.sort(few, dimension, flag),
                           chosen = b.topK(x, (shape[size_t(dimension)] + 1) / 2, dimension, flag);
        b.output("sorted" + end, sorted[0]);
        b.output("places" + end, sorted[1]);
        b.output("chosen" + end, chosen[0]);
        b.output("chosen places" + end, chosen[1]);
        b.output("sums" + end, b.cumulativeSum(x, dimension, flag, between(0, 1)));
        if (!isFloat)
          b.output("products" + end, b.cumulativeProduct(x, dimension, flag, between(0, 1)));
      }
      check(b);
    }
}

TEST_F(Lines, LongOnesAndEmptyOnes) {
  for (const Shape &shape :
       {Shape{3, 5000}, Shape{1, 1}, Shape{0, 4}, Shape{4, 0}, Shape{1025}, Shape{300, 1}}) {
    SCOPED_TRACE(toString(shape));
    Builder b;
    Value x = b.input("x", ElementType::F32, shape);
    const int64_t dimension = int64_t(shape.size()) - 1;
    b.output("places", b.sort(x, dimension, true)[1]); // the elements are not asked for
    b.output("sorted", b.sort(x, dimension)[0]);
    b.output("sums", b.cumulativeSum(x, dimension));
    b.output("column sums", b.cumulativeSum(b.exp(x), 0, true));
    check(b);
  }
}

TEST_F(Lines, Gradients) {
  for (int trial = 0; trial < 8; ++trial) {
    const Shape sizes = {between(1, 6), between(1, 20), between(1, 6)};
    const int64_t dimension = between(0, 2);
    const bool flag = between(0, 1), other = between(0, 1);
    SCOPED_TRACE(
        fmt::format("{} {} along {} {} {}", trial % 4, toString(sizes), dimension, flag, other));
    Builder b;
    Value w = b.parameter("w", sizes, Initializer::normal(1));
    Value x = b.add(b.input("x", ElementType::F32, sizes), w);
    const int64_t k = between(1, sizes[size_t(dimension)]);
    b.output("logits", trial % 4 == 0   ? b.cumulativeSum(x, dimension, flag, other)
                       : trial % 4 == 1 ? b.cumulativeProduct(x, dimension, flag, other)
                       : trial % 4 == 2 ? b.sort(x, dimension, flag)[0]
                                        : b.topK(x, k, dimension, flag)[0]);
    check(b, true);
  }
}

TEST_F(Lines, MovementsOfEveryType) {
  for (ElementType type : types) {
    const Shape sizes = shape(3, 7);
    SCOPED_TRACE(std::string(name(type)) + " " + toString(sizes));
    Builder b;
    Value x = b.input("x", type, sizes);
    b.output("tile", b.tile(x, {between(0, 2), between(1, 3), between(1, 3)}));
    b.output("roll", b.roll(x, between(-9, 9), between(-3, 2)));
    b.output("triangle", b.triangle(x, between(0, 1), between(-8, 8)));
    Value whole = b.input("whole", type, {2, between(1, 6), 1});
    for (PadMode mode : {PadMode::Edge, PadMode::Reflect, PadMode::Wrap})
      b.output("pad " + std::to_string(int(mode)),
               b.pad(whole, mode, {between(0, 4), between(0, 9), 3}, {1, between(0, 9), 0}));
    Value image = b.input("image", type, {between(0, 2), 9, between(1, 4), between(1, 4)});
    Value spread = b.depthToSpace(image, 3, between(0, 1));
    b.output("space", spread);
    b.output("depth", b.spaceToDepth(spread, 3));
    check(b);
  }
}

TEST_F(Lines, MovementsAreOneKernel) {
  const std::pair<const char *, std::function<Value(Builder &, Value)>> movements[] = {
      {"tile", [](Builder &b, Value x) { return b.tile(x, {2, 3, 1, 2}); }},
      {"roll", [](Builder &b, Value x) { return b.roll(x, 2, 3); }},
      {"edge",
       [](Builder &b, Value x) { return b.pad(x, PadMode::Edge, {0, 0, 2, 3}, {0, 0, 1, 2}); }},
      {"reflect",
       [](Builder &b, Value x) { return b.pad(x, PadMode::Reflect, {0, 0, 2, 3}, {0, 0, 1, 2}); }},
      {"wrap",
       [](Builder &b, Value x) { return b.pad(x, PadMode::Wrap, {0, 0, 2, 3}, {0, 0, 1, 2}); }},
      {"triangle", [](Builder &b, Value x) { return b.triangle(x, true); }},
      {"one-hot",
       [](Builder &b, Value) { return b.oneHot(b.input("i", ElementType::I32, {7, 9}), 5); }},
      {"space", [](Builder &b, Value x) { return b.depthToSpace(x, 2); }},
      {"depth", [](Builder &b, Value x) { return b.spaceToDepth(x, 2); }},
  };
  for (const auto &[what, build] : movements) {
    SCOPED_TRACE(what);
    Builder b;
    b.output("y", build(b, b.input("x", ElementType::F32, {2, 8, 6, 10})));
    auto program = b.finish().and_then([](const Model &m) { return m.compile(); });
    ASSERT_TRUE(program) << program.error().text();
    EXPECT_EQ(program->program().kernels.size(), 1u);
  }
}

} // namespace
} // namespace ingot
