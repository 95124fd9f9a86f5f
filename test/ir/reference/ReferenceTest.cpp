/// The reference's ops against closed forms and naive loops, every element type, and its errors.
#include "test/ir/Testing.h"
#include <cmath>
#include <numbers>

namespace ingot::testing {
namespace {

constexpr double inf = INFINITY, nan = NAN;

class ReferenceTest : public GraphTest {
protected:
  /// `op` applied to %0 (and %1, …), all arguments' types given.
  Tensor apply(const std::string &op, const std::vector<std::string> &types,
               const std::string &result, const Tensors &arguments) {
    std::string body = "%r = " + op + "\nreturn %r : " + result;
    Tensors results = run(function(types, result, body), arguments);
    return results.empty() ? Tensor() : results[0];
  }
  template <typename Wide = double>
  std::vector<Wide> unary(const std::string &name, std::vector<Wide> x, const std::string &element,
                          ElementType type) {
    std::string t = "tensor<" + std::to_string(x.size()) + "x" + element + ">";
    return graph::load<Wide>(apply("graph." + name + " %0 : " + t, {t}, t,
                                   {tensor<Wide>(type, {int64_t(x.size())}, x)}));
  }
  template <typename Wide = double>
  std::vector<Wide> binary(const std::string &name, std::vector<Wide> x, std::vector<Wide> y,
                           const std::string &element, ElementType type) {
    std::string t = "tensor<" + std::to_string(x.size()) + "x" + element + ">";
    Shape shape = {int64_t(x.size())};
    return graph::load<Wide>(apply("graph." + name + " %0, %1 : " + t, {t, t}, t,
                                   {tensor<Wide>(type, shape, x), tensor<Wide>(type, shape, y)}));
  }
  template <typename From, typename To>
  std::vector<To> cast(std::vector<From> x, const std::string &from, ElementType fromType,
                       const std::string &to) {
    std::string head = "tensor<" + std::to_string(x.size()) + "x";
    Tensor result =
        apply("graph.cast %0 : " + head + from + "> -> " + head + to + ">", {head + from + ">"},
              head + to + ">", {tensor<From>(fromType, {int64_t(x.size())}, x)});
    return graph::load<To>(result);
  }
  std::string errorOf(const std::string &text, const Tensors &arguments) {
    auto module = parse(text);
    auto results = interpret(only(*module), arguments);
    EXPECT_FALSE(results);
    return results ? "" : results.error().text();
  }
};

void expectSame(const std::vector<double> &actual, const std::vector<double> &expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i)
    if (std::isnan(expected[i]))
      EXPECT_TRUE(std::isnan(actual[i])) << "element " << i << " is " << actual[i];
    else
      EXPECT_EQ(actual[i], expected[i]) << "element " << i;
}

/// Of large and of small x, since asin loses digits near 1.
double atanBySines(double x) {
  const double length = std::hypot(1, x);
  return std::fabs(x) < 1 ? std::asin(x / length)
                          : std::copysign(std::numbers::pi / 2 - std::asin(1 / length), x);
}
/// 1 + x is exact from -1 to -1/2, where the other way loses digits.
double log1pByOthers(double x) {
  return std::fabs(x) < 0.5 ? 2 * std::atanh(x / (2 + x)) : std::log(1 + x);
}

struct Function {
  const char *name;
  double (*value)(double);
};
constexpr Function functions[] = {
    {"neg", [](double x) { return -x; }},
    {"abs", [](double x) { return std::fabs(x); }},
    {"exp", [](double x) { return std::exp(x); }},
    {"log", [](double x) { return std::log(x); }},
    {"expm1", [](double x) { return x / 2 == 0 ? x : 2 * std::sinh(x / 2) * std::exp(x / 2); }},
    {"log1p", log1pByOthers},
    {"sqrt", [](double x) { return std::sqrt(x); }},
    {"rsqrt", [](double x) { return std::pow(x, -0.5); }},
    {"reciprocal", [](double x) { return 1 / x; }},
    {"tanh", [](double x) { return std::tanh(x); }},
    {"erf", [](double x) { return std::erf(x); }},
    {"sin", [](double x) { return std::sin(x); }},
    {"cos", [](double x) { return std::cos(x); }},
    {"atan", atanBySines},
    {"sigmoid", [](double x) { return 0.5 * (1 + std::tanh(x / 2)); }},
    {"floor", [](double x) { return std::floor(x); }},
    {"ceil", [](double x) { return std::ceil(x); }},
    {"round", [](double x) { return x - std::remainder(x, 1); }},
    {"relu", [](double x) { return x > 0 ? x : 0; }},
};

TEST_F(ReferenceTest, FunctionsInF64) {
  std::vector<double> x;
  for (int i = 0; i < 40; ++i)
    x.push_back(std::normal_distribution<double>(0, 3)(generator));
  x.insert(x.end(), {1e-3, 1e-8, -1e-5, -1 + 1e-6, -1 + 1e-12, 600}); // where formulas lose digits
  for (const Function &function : functions) {
    SCOPED_TRACE(function.name);
    std::vector<double> actual = unary(function.name, x, "f64", ElementType::F64);
    for (size_t i = 0; i < x.size(); ++i)
      if (double expected = function.value(x[i]); std::isnan(expected))
        EXPECT_TRUE(std::isnan(actual[i]));
      else
        EXPECT_NEAR(actual[i], expected, 1e-14 * (1 + std::fabs(expected))) << "at " << x[i];
  }
}

TEST_F(ReferenceTest, FunctionsInF32AreRoundedOnce) {
  std::vector<double> x;
  for (int i = 0; i < 40; ++i)
    x.push_back(std::fabs(float(std::normal_distribution<double>(0, 3)(generator))));
  for (const char *name : {"exp", "log", "tanh", "sqrt"}) {
    std::vector<double> narrow = unary(name, x, "f32", ElementType::F32);
    std::vector<double> wide = unary(name, x, "f64", ElementType::F64);
    for (size_t i = 0; i < x.size(); ++i)
      EXPECT_EQ(narrow[i], double(float(wide[i]))) << name << " at " << x[i];
  }
}

TEST_F(ReferenceTest, SpecialValues) {
  expectSame(unary<double>("sign", {-2, 0, 3, nan, -inf}, "f32", ElementType::F32),
             {-1, 0, 1, nan, -1});
  expectSame(unary<double>("relu", {-2, 0, 3, nan, inf}, "f32", ElementType::F32),
             {0, 0, 3, nan, inf});
  expectSame(unary<double>("exp", {-inf, 0, inf, nan}, "f32", ElementType::F32), {0, 1, inf, nan});
  expectSame(unary<double>("log", {0, -1, inf, nan}, "f32", ElementType::F32),
             {-inf, nan, inf, nan});
  expectSame(unary<double>("rsqrt", {0, -1, inf}, "f32", ElementType::F32), {inf, nan, 0});
  expectSame(unary<double>("expm1", {-inf, 0, inf, nan}, "f32", ElementType::F32),
             {-1, 0, inf, nan});
  expectSame(unary<double>("log1p", {-1, -2, inf, nan}, "f32", ElementType::F32),
             {-inf, nan, inf, nan});
  expectSame(unary<double>("round", {0.5, 1.5, -2.5, inf, nan}, "f32", ElementType::F32),
             {0, 2, -2, inf, nan});
  expectSame(unary<double>("sin", {inf, -inf}, "f32", ElementType::F32), {nan, nan});
  auto pair = [&](const char *name) {
    return binary<double>(name, {1, nan, 1, -inf}, {2, 1, nan, inf}, "f32", ElementType::F32);
  };
  expectSame(pair("maximum"), {2, nan, nan, inf});
  expectSame(pair("minimum"), {1, nan, nan, -inf});
  expectSame(pair("add"), {3, nan, nan, nan});
  expectSame(binary<double>("remainder", {5.5, -5.5, 5}, {2, 2, inf}, "f64", ElementType::F64),
             {1.5, -1.5, 5});
  expectSame(binary<double>("modulo", {5.5, -5.5, 5.5, 5, -4, nan}, {2, 2, -2, inf, 2, 1}, "f64",
                            ElementType::F64),
             {1.5, 0.5, -0.5, 5, 0, nan});
  expectSame(unary<double>("atan", {inf, -inf, nan}, "f64", ElementType::F64),
             {std::acos(0.0), -std::acos(0.0), nan});
}

TEST_F(ReferenceTest, IntegersWrap) {
  using Signed = std::vector<int64_t>;
  using Unsigned = std::vector<uint64_t>;
  EXPECT_EQ(binary("add", Signed{127, -128}, Signed{1, -1}, "i8", ElementType::I8),
            (Signed{-128, 127}));
  EXPECT_EQ(binary("mul", Signed{100, -100}, Signed{3, 3}, "i8", ElementType::I8),
            (Signed{44, -44}));
  EXPECT_EQ(binary("sub", Unsigned{0, 5}, Unsigned{1, 2}, "ui8", ElementType::U8),
            (Unsigned{255, 3}));
  EXPECT_EQ(binary("add", Signed{7, -8}, Signed{1, -1}, "i4", ElementType::I4), (Signed{-8, 7}));
  EXPECT_EQ(binary("add", Unsigned{15}, Unsigned{2}, "ui4", ElementType::U4), (Unsigned{1}));
  EXPECT_EQ(binary("mul", Signed{INT64_MIN}, Signed{-1}, "i64", ElementType::I64),
            (Signed{INT64_MIN}));
  EXPECT_EQ(binary("div", Signed{-7, INT64_MIN}, Signed{2, -1}, "i64", ElementType::I64),
            (Signed{-3, INT64_MIN}));
  EXPECT_EQ(binary("div", Unsigned{UINT64_MAX}, Unsigned{2}, "ui64", ElementType::U64),
            (Unsigned{INT64_MAX}));
  EXPECT_EQ(binary("remainder", Signed{-7, 7}, Signed{3, -3}, "i32", ElementType::I32),
            (Signed{-1, 1}));
  EXPECT_EQ(binary("modulo", Signed{-7, 7, -6, 7}, Signed{3, -3, 3, 3}, "i32", ElementType::I32),
            (Signed{2, -2, 0, 1}));
  EXPECT_EQ(binary("pow", Signed{3, -2, 2, -1, -1, 1, 5, 0}, Signed{4, 3, 8, -2, -3, -9, -1, 0},
                   "i8", ElementType::I8),
            (Signed{81, -8, 0, 1, -1, 1, 0, 1}));
  EXPECT_EQ(binary("pow", Unsigned{3}, Unsigned{64}, "ui64", ElementType::U64),
            (Unsigned{12157665459056928801u * 282429536481u}));
  EXPECT_EQ(
      binary("shift_left", Signed{1, -3, 1, 1, 5}, Signed{7, 1, 8, 64, -1}, "i8", ElementType::I8),
      (Signed{-128, -6, 0, 0, 0}));
  EXPECT_EQ(binary("shift_right", Signed{-128, 127, -1, 64}, Signed{3, 8, 100, -1}, "i8",
                   ElementType::I8),
            (Signed{-16, 0, -1, 0}));
  EXPECT_EQ(
      binary("shift_right", Unsigned{UINT64_MAX, 8}, Unsigned{63, 64}, "ui64", ElementType::U64),
      (Unsigned{1, 0}));
  EXPECT_EQ(binary("maximum", Unsigned{UINT64_MAX}, Unsigned{1}, "ui64", ElementType::U64),
            (Unsigned{UINT64_MAX}));
  EXPECT_EQ(binary("xor", Unsigned{1, 1, 0}, Unsigned{1, 0, 0}, "i1", ElementType::I1),
            (Unsigned{0, 1, 0}));
  EXPECT_EQ(unary("not", Unsigned{1, 0}, "i1", ElementType::I1), (Unsigned{0, 1}));
  EXPECT_EQ(unary("not", Signed{5}, "i4", ElementType::I4), (Signed{-6}));
  EXPECT_EQ(unary("abs", Signed{-128, -3}, "i8", ElementType::I8), (Signed{-128, 3}));
}

TEST_F(ReferenceTest, Compare) {
  struct Row {
    const char *direction;
    std::vector<double> expected;
  };
  for (const Row &row :
       {Row{"eq", {0, 1, 0, 0}}, Row{"ne", {1, 0, 1, 1}}, Row{"lt", {1, 0, 0, 0}},
        Row{"le", {1, 1, 0, 0}}, Row{"gt", {0, 0, 1, 0}}, Row{"ge", {0, 1, 1, 0}}}) {
    std::string t = "tensor<4xf32>";
    Tensor result =
        apply(std::string("graph.compare ") + row.direction + " %0, %1 : " + t + " -> tensor<4xi1>",
              {t, t}, "tensor<4xi1>",
              {tensor(ElementType::F32, {4}, {1, 2, 3, nan}),
               tensor(ElementType::F32, {4}, {2, 2, 2, nan})});
    expectElements(result, row.expected);
  }
  std::string u = "tensor<1xui64>";
  expectElements(apply("graph.compare gt %0, %1 : " + u + " -> tensor<1xi1>", {u, u},
                       "tensor<1xi1>",
                       {tensor<uint64_t>(ElementType::U64, {1}, {UINT64_MAX}),
                        tensor<uint64_t>(ElementType::U64, {1}, {1})}),
                 {1});
}

TEST_F(ReferenceTest, CastsRoundToNearestEven) {
  auto to = [&](const char *type, std::vector<double> x) {
    return cast<double, double>(x, "f64", ElementType::F64, type);
  };
  expectSame(to("bf16", {1.00390625, 1.01171875, 3.4e38, nan, -inf, 1e-45}),
             {1, 1.015625, inf, nan, -inf, 0});
  expectSame(to("f16", {2049, 2051, 65504, 65519, 65520, 6e-8, 2.9e-8}),
             {2048, 2052, 65504, 65504, inf, 0x1p-24, 0});
  expectSame(to("f8E4M3FN", {448, 464, 465, 0.001953125, 17, inf, -1.1}),
             {448, 448, nan, 0x1p-9, 16, nan, -1.125});
  expectSame(to("f8E5M2", {57344, 61439, 61440, 0x1p-16, 0x1p-17, 5}),
             {57344, 57344, inf, 0x1p-16, 0, 5});
}

TEST_F(ReferenceTest, CastsToIntegersSaturate) {
  using Signed = std::vector<int64_t>;
  auto to = [&](const char *type, std::vector<double> x) {
    return cast<double, int64_t>(x, "f64", ElementType::F64, type);
  };
  EXPECT_EQ(to("i8", {1.9, -1.9, 127.5, 1000, -1000, nan}), (Signed{1, -1, 127, 127, -128, 0}));
  EXPECT_EQ(to("i64", {1e30, -1e30, -5.5}), (Signed{INT64_MAX, INT64_MIN, -5}));
  EXPECT_EQ(to("ui8", {-3, 300, 255.9}), (Signed{0, 255, 255}));
  EXPECT_EQ(to("i4", {9, -9}), (Signed{7, -8}));
  EXPECT_EQ(to("i1", {0, 0.5, nan, -2}), (Signed{0, 1, 1, 1}));
  EXPECT_EQ((cast<int64_t, int64_t>({300, -1}, "i32", ElementType::I32, "ui8")), (Signed{44, 255}));
  EXPECT_EQ((cast<int64_t, int64_t>({256, 0}, "i32", ElementType::I32, "i1")), (Signed{1, 0}));
  EXPECT_EQ(
      (cast<int64_t, double>({(int64_t(1) << 53) + 1, 16777217}, "i64", ElementType::I64, "f32")),
      (std::vector<double>{0x1p53, 16777216}));
}

/// Every representable value of a narrow type survives a trip through f64.
TEST_F(ReferenceTest, NarrowFloatsRoundTrip) {
  struct Row {
    ElementType type;
    int bits;
  };
  for (Row row : {Row{ElementType::F8E4M3FN, 8}, Row{ElementType::F8E5M2, 8},
                  Row{ElementType::F16, 16}, Row{ElementType::BF16, 16}}) {
    Tensor all(row.type, {int64_t(1) << row.bits});
    for (int64_t i = 0; i < all.size(); ++i)
      if (row.bits == 8)
        all.as<uint8_t>()[i] = uint8_t(i);
      else
        all.as<uint16_t>()[i] = uint16_t(i);
    std::vector<double> values = graph::load<double>(all);
    Tensor back = graph::store(row.type, all.shape(), values);
    auto *semantics =
        &llvm::cast<mlir::FloatType>(graph::mlirType(row.type, &context)).getFloatSemantics();
    for (int64_t i = 0; i < all.size(); ++i) {
      uint64_t bits = row.bits == 8 ? back.as<uint8_t>()[i] : back.as<uint16_t>()[i];
      llvm::APFloat expected(*semantics, llvm::APInt(row.bits, i));
      if (expected.isNaN()) {
        ASSERT_TRUE(std::isnan(values[i])) << i;
        continue;
      }
      ASSERT_EQ(bits, uint64_t(i));
      ASSERT_EQ(values[i], expected.convertToDouble()) << i;
    }
  }
}

TEST_F(ReferenceTest, Movement) {
  Tensor x = tensor(ElementType::F32, {2, 3}, {0, 1, 2, 3, 4, 5});
  std::string t = "tensor<2x3xf32>";
  expectElements(apply("graph.transpose %0 [1, 0] : " + t + " -> tensor<3x2xf32>", {t},
                       "tensor<3x2xf32>", {x}),
                 {0, 3, 1, 4, 2, 5});
  expectElements(apply("graph.broadcast %0 [0, 2] : " + t + " -> tensor<2x2x3xf32>", {t},
                       "tensor<2x2x3xf32>", {x}),
                 {0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5});
  expectElements(apply("graph.broadcast %0 [0, 1] : tensor<2x1xf32> -> " + t, {"tensor<2x1xf32>"},
                       t, {tensor(ElementType::F32, {2, 1}, {7, 8})}),
                 {7, 7, 7, 8, 8, 8});
  expectElements(apply("graph.slice %0 [0, 0] to [2, 3] by [1, 2] : " + t + " -> tensor<2x2xf32>",
                       {t}, "tensor<2x2xf32>", {x}),
                 {0, 2, 3, 5});
  expectElements(apply("graph.pad %0, %1 low [1, 0] high [0, 1] interior [0, 1] : " + t +
                           ", tensor<f32> -> tensor<3x6xf32>",
                       {t, "tensor<f32>"}, "tensor<3x6xf32>",
                       {x, tensor(ElementType::F32, {}, {9})}),
                 {9, 9, 9, 9, 9, 9, 0, 9, 1, 9, 2, 9, 3, 9, 4, 9, 5, 9});
  expectElements(apply("graph.reverse %0 dimensions [1] : " + t + " -> " + t, {t}, t, {x}),
                 {2, 1, 0, 5, 4, 3});
  expectElements(apply("graph.window %0 dimensions [1] sizes [2] strides [1] dilations [1] : " + t +
                           " -> tensor<2x2x2xf32>",
                       {t}, "tensor<2x2x2xf32>", {x}),
                 {0, 1, 1, 2, 3, 4, 4, 5});
  expectElements(apply("graph.window %0 dimensions [1] sizes [2] strides [2] dilations [2] : " + t +
                           " -> tensor<2x1x2xf32>",
                       {t}, "tensor<2x1x2xf32>", {x}),
                 {0, 2, 3, 5});
  // 2·x[i - 1] + 3·x[i] around 0 1 2: by hand.
  expectElements(
      apply("graph.convolution %0, %1 strides [1] dilations [1] low [1] high [0] groups 1 : "
            "tensor<2x1x3xf32>, tensor<1x1x2xf32> -> tensor<2x1x3xf32>",
            {"tensor<2x1x3xf32>", "tensor<1x1x2xf32>"}, "tensor<2x1x3xf32>",
            {tensor(ElementType::F32, {2, 1, 3}, {0, 1, 2, 3, 4, 5}),
             tensor(ElementType::F32, {1, 1, 2}, {2, 3})}),
      {0, 3, 8, 9, 18, 23});
  expectElements(apply("graph.concat %0, %0 dimension 1 : " + t + ", " + t + " -> tensor<2x6xf32>",
                       {t}, "tensor<2x6xf32>", {x}),
                 {0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5});
  expectElements(apply("graph.iota 1 : " + t, {}, t, {}), {0, 1, 2, 0, 1, 2});
  expectElements(
      apply("graph.gather %0, %1 dimension 1 : " + t + ", tensor<2x1xi32> -> tensor<2x2x1xf32>",
            {t, "tensor<2x1xi32>"}, "tensor<2x2x1xf32>",
            {x, tensor<int64_t>(ElementType::I32, {2, 1}, {2, 0})}),
      {2, 0, 5, 3});
  expectElements(
      apply("graph.scatter_add %0, %1, %2 dimension 1 : " + t + ", tensor<2xi64>, tensor<2x2xf32>",
            {t, "tensor<2xi64>", "tensor<2x2xf32>"}, t,
            {x, tensor<int64_t>(ElementType::I64, {2}, {1, 1}),
             tensor(ElementType::F32, {2, 2}, {10, 20, 30, 40})}),
      {0, 31, 2, 3, 74, 5});
}

TEST_F(ReferenceTest, MovementOfNothing) {
  std::string t = "tensor<0x3xf32>";
  Tensor x(ElementType::F32, {0, 3});
  EXPECT_EQ(
      apply("graph.transpose %0 [1, 0] : " + t + " -> tensor<3x0xf32>", {t}, "tensor<3x0xf32>", {x})
          .shape(),
      (Shape{3, 0}));
  expectElements(
      apply("graph.reduce sum %0 [0] : " + t + " -> tensor<3xf32>", {t}, "tensor<3xf32>", {x}),
      {0, 0, 0});
  expectElements(apply("graph.pad %0, %1 low [1, 0] high [0, 0] interior [2, 0] : " + t +
                           ", tensor<f32> -> tensor<1x3xf32>",
                       {t, "tensor<f32>"}, "tensor<1x3xf32>",
                       {x, tensor(ElementType::F32, {}, {4})}),
                 {4, 4, 4});
}

TEST_F(ReferenceTest, ReductionsOfNothingAreIdentities) {
  Tensor none(ElementType::I8, {0});
  std::string t = "tensor<0xi8>", s = "tensor<i8>";
  for (auto [kind, expected] :
       {std::pair{"sum", 0.0}, {"product", 1.0}, {"max", -128.0}, {"min", 127.0}})
    expectElements(
        apply(std::string("graph.reduce ") + kind + " %0 [0] : " + t + " -> " + s, {t}, s, {none}),
        {expected});
  Tensor floats(ElementType::F32, {0});
  expectElements(apply("graph.reduce max %0 [0] : tensor<0xf32> -> tensor<f32>", {"tensor<0xf32>"},
                       "tensor<f32>", {floats}),
                 {-inf});
}

TEST_F(ReferenceTest, ReduceAgreesWithLoops) {
  Tensor x = random("tensor<3x4x5xf64>");
  std::vector<double> elements = graph::load<double>(x);
  struct Row {
    const char *kind;
    double start;
    double (*combine)(double, double);
  };
  for (Row row : {Row{"sum", 0, [](double a, double b) { return a + b; }},
                  Row{"product", 1, [](double a, double b) { return a * b; }},
                  Row{"max", -inf, [](double a, double b) { return std::max(a, b); }},
                  Row{"min", inf, [](double a, double b) { return std::min(a, b); }}}) {
    std::vector<double> expected(4, row.start);
    for (int i = 0; i < 3; ++i)
      for (int j = 0; j < 4; ++j)
        for (int k = 0; k < 5; ++k)
          expected[j] = row.combine(expected[j], elements[(i * 4 + j) * 5 + k]);
    Tensor actual = apply(std::string("graph.reduce ") + row.kind +
                              " %0 [2, 0] : tensor<3x4x5xf64> -> tensor<4xf64>",
                          {"tensor<3x4x5xf64>"}, "tensor<4xf64>", {x});
    expectClose(actual, tensor(ElementType::F64, {4}, expected), 1e-14);
  }
  expectSame(graph::load<double>(apply("graph.reduce max %0 [0] : tensor<3xf32> -> tensor<f32>",
                                       {"tensor<3xf32>"}, "tensor<f32>",
                                       {tensor(ElementType::F32, {3}, {1, nan, 2})})),
             {nan});
}

TEST_F(ReferenceTest, AnyAndAll) {
  std::string t = "tensor<3x2xi1>";
  Tensor x = tensor<uint64_t>(ElementType::I1, {3, 2}, {0, 0, 0, 1, 1, 1});
  auto over = [&](const char *kind) {
    return apply(std::string("graph.reduce ") + kind + " %0 [1] : " + t + " -> tensor<3xi1>", {t},
                 "tensor<3xi1>", {x});
  };
  expectElements<uint64_t>(over("any"), {0, 1, 1});
  expectElements<uint64_t>(over("all"), {0, 0, 1});
  for (auto [kind, expected] : {std::pair<const char *, uint64_t>{"any", 0}, {"all", 1}})
    expectElements<uint64_t>(
        apply(std::string("graph.reduce ") + kind + " %0 [0] : tensor<0xi1> -> tensor<i1>",
              {"tensor<0xi1>"}, "tensor<i1>", {Tensor(ElementType::I1, {0})}),
        {expected});
}

TEST_F(ReferenceTest, ContractAgreesWithLoops) {
  for (int trial = 0; trial < 5; ++trial) {
    int64_t b = between(0, 3), m = between(1, 70), n = between(1, 20), k = between(0, 130);
    auto type = [](int64_t x, int64_t y, int64_t z) {
      return "tensor<" + std::to_string(x) + "x" + std::to_string(y) + "x" + std::to_string(z) +
             "xf64>";
    };
    // lhs [m, b, k], rhs [k, n, b]: every operand is transposed.
    Tensor lhs = random(type(m, b, k)), rhs = random(type(k, n, b));
    Tensor actual =
        apply("graph.contract %0, %1 batch [1] x [2] over [2] x [0] : " + type(m, b, k) + ", " +
                  type(k, n, b) + " -> " + type(b, m, n),
              {type(m, b, k), type(k, n, b)}, type(b, m, n), {lhs, rhs});
    auto x = graph::load<double>(lhs), y = graph::load<double>(rhs);
    std::vector<double> expected(b * m * n, 0.0);
    for (int64_t i = 0; i < b; ++i)
      for (int64_t r = 0; r < m; ++r)
        for (int64_t c = 0; c < n; ++c)
          for (int64_t p = 0; p < k; ++p)
            expected[(i * m + r) * n + c] += x[(r * b + i) * k + p] * y[(p * n + c) * b + i];
    expectClose(actual, tensor(ElementType::F64, {b, m, n}, expected), 1e-12);
  }
}

TEST_F(ReferenceTest, CrossEntropyOfUniformLogitsIsLogOfClasses) {
  std::string body =
      "%r:2 = graph.cross_entropy %0, %1 : tensor<3x65xf32>, tensor<3xi32> -> tensor<f32>, "
      "tensor<3xf32>\nreturn %r#0 : tensor<f32>";
  Tensors results = run(function({"tensor<3x65xf32>", "tensor<3xi32>"}, "tensor<f32>", body),
                        {Tensor(ElementType::F32, {3, 65}), random("tensor<3xi32>")});
  expectElements(results.at(0), {double(float(std::log(65.0)))});
}

TEST_F(ReferenceTest, LoopCarriesAndStacks) {
  std::string text =
      function({"tensor<i32>", "tensor<2xf32>"}, "tensor<2xf32>, tensor<3x2xf32>", R"(
    %y, %all = graph.loop %0 carry (%1 : tensor<2xf32>) : tensor<i32> -> (tensor<2xf32>, tensor<3x2xf32>) {
    ^bb0(%i: tensor<i32>, %v: tensor<2xf32>):
      %f = graph.cast %i : tensor<i32> -> tensor<f32>
      %b = graph.broadcast %f [] : tensor<f32> -> tensor<2xf32>
      %w = graph.add %v, %b : tensor<2xf32>
      graph.yield %w, %v : tensor<2xf32>, tensor<2xf32>
    }
    return %y, %all : tensor<2xf32>, tensor<3x2xf32>)");
  Tensor start = tensor(ElementType::F32, {2}, {10, 20});
  Tensors results = run(text, {tensor<int64_t>(ElementType::I32, {}, {3}), start});
  ASSERT_EQ(results.size(), 2u);
  expectElements(results[0], {13, 23});
  expectElements(results[1], {10, 20, 10, 20, 11, 21});
  results = run(text, {tensor<int64_t>(ElementType::I32, {}, {2}), start});
  expectElements(results.at(1), {10, 20, 10, 20, 0, 0});
  EXPECT_EQ(errorOf(text, {tensor<int64_t>(ElementType::I32, {}, {4}), start}),
            "-:3:16: graph.loop: result 1 has room for 3 iterations, but 4 ran");
}

TEST_F(ReferenceTest, LoopRunsInReverseAndAtMost) {
  std::string text = function({"tensor<i64>"}, "tensor<3xi64>, tensor<i64>", R"(
    %last, %all = graph.loop %0 at_most 2 reverse carry (%0 : tensor<i64>) : tensor<i64> -> (tensor<i64>, tensor<3xi64>) {
    ^bb0(%i: tensor<i64>, %v: tensor<i64>):
      %w = graph.add %v, %v : tensor<i64>
      %x = graph.add %w, %i : tensor<i64>
      graph.yield %x, %x : tensor<i64>, tensor<i64>
    }
    return %all, %last : tensor<3xi64>, tensor<i64>)");
  Tensors results = run(text, {tensor<int64_t>(ElementType::I64, {}, {2})});
  ASSERT_EQ(results.size(), 2u);
  expectElements<int64_t>(results[0], {10, 5, 0}); // the first iteration's number is 1
  expectElements<int64_t>(results[1], {10});
  EXPECT_EQ(errorOf(text, {tensor<int64_t>(ElementType::I64, {}, {3})}),
            "-:3:19: graph.loop: the trip count 3 is more than 2");
}

TEST_F(ReferenceTest, DynamicSlicesReadAndReplaceRows) {
  std::string text = function({"tensor<2x3xi32>", "tensor<2x1xi32>", "tensor<i64>"},
                              "tensor<2x2xi32>, tensor<2x3xi32>", R"(
    %y = graph.dynamic_slice %0, %2 dimension 1 size 2 : tensor<2x3xi32>, tensor<i64> -> tensor<2x2xi32>
    %z = graph.dynamic_update_slice %0, %1, %2 dimension 1 : tensor<2x3xi32>, tensor<2x1xi32>, tensor<i64>
    return %y, %z : tensor<2x2xi32>, tensor<2x3xi32>)");
  Tensor x = tensor<int64_t>(ElementType::I32, {2, 3}, {1, 2, 3, 4, 5, 6}),
         u = tensor<int64_t>(ElementType::I32, {2, 1}, {8, 9});
  Tensors results = run(text, {x, u, tensor<int64_t>(ElementType::I64, {}, {1})});
  ASSERT_EQ(results.size(), 2u);
  expectElements<int64_t>(results[0], {2, 3, 5, 6});
  expectElements<int64_t>(results[1], {1, 8, 3, 4, 9, 6});
  EXPECT_EQ(errorOf(text, {x, u, tensor<int64_t>(ElementType::I64, {}, {2})}),
            "-:3:10: graph.dynamic_slice: index 2 at position 0 is outside [0, 2)");
}

TEST_F(ReferenceTest, IfRunsOneRegion) {
  std::string text = function({"tensor<i1>", "tensor<2xi32>"}, "tensor<2xi32>", R"(
    %y = graph.if %0 : tensor<i1> -> (tensor<2xi32>) {
      %n = graph.neg %1 : tensor<2xi32>
      graph.yield %n : tensor<2xi32>
    } else {
      %z = graph.div %1, %1 : tensor<2xi32>
      graph.yield %z : tensor<2xi32>
    }
    return %y : tensor<2xi32>)");
  Tensor x = tensor<int64_t>(ElementType::I32, {2}, {5, 0});
  expectElements(run(text, {tensor<int64_t>(ElementType::I1, {}, {1}), x}).at(0), {-5, 0});
  EXPECT_NE(errorOf(text, {tensor<int64_t>(ElementType::I1, {}, {0}), x})
                .find("an integer is divided by zero"),
            std::string::npos);
}

TEST_F(ReferenceTest, BucketsPadTo32) {
  std::string text =
      function({"tensor<3xf32>", "tensor<1xf32>"}, "tensor<64xf32>, tensor<1xf32>", R"(
    %b = graph.bucket %0, %1 : tensor<3xf32>, tensor<1xf32> -> tensor<64xf32>
    %p:2 = graph.unbucket %b : tensor<64xf32> -> tensor<3xf32>, tensor<1xf32>
    return %b, %p#1 : tensor<64xf32>, tensor<1xf32>)");
  Tensors results =
      run(text, {tensor(ElementType::F32, {3}, {1, 2, 3}), tensor(ElementType::F32, {1}, {4})});
  EXPECT_EQ(graph::load<double>(results.at(0))[2], 3);
  EXPECT_EQ(graph::load<double>(results.at(0))[3], 0);
  EXPECT_EQ(graph::load<double>(results.at(0))[32], 4);
  expectElements(results.at(1), {4});
}

TEST_F(ReferenceTest, ErrorsNameTheModelsNode) {
  std::string text = R"(func.func @f(%x: tensor<4xf32>, %i: tensor<3xi32>) -> tensor<3xf32> {
    %y = graph.gather %x, %i dimension 0 : tensor<4xf32>, tensor<3xi32> -> tensor<3xf32> loc("h.0.pick")
    return %y : tensor<3xf32>
  })";
  EXPECT_EQ(errorOf(text, {Tensor(ElementType::F32, {4}),
                           tensor<int64_t>(ElementType::I32, {3}, {0, 4, 1})}),
            "h.0.pick: graph.gather: index 4 at position 1 is outside [0, 4)");
  EXPECT_EQ(errorOf(text, {Tensor(ElementType::F32, {5}), Tensor(ElementType::I32, {3})}),
            "@f: argument 0 is f32 5, expected tensor<4xf32>");
  EXPECT_EQ(errorOf(text, {Tensor(ElementType::F32, {4})}), "@f: 1 arguments given, 2 expected");
  std::string loss = R"(func.func @f(%x: tensor<1x4xf32>, %t: tensor<1xi32>) -> tensor<f32> {
    %l:2 = graph.cross_entropy %x, %t : tensor<1x4xf32>, tensor<1xi32> -> tensor<f32>, tensor<1xf32> loc("loss")
    return %l#0 : tensor<f32>
  })";
  EXPECT_EQ(errorOf(loss, {Tensor(ElementType::F32, {1, 4}),
                           tensor<int64_t>(ElementType::I32, {1}, {-1})}),
            "loss: graph.cross_entropy: target -1 at position 0 is outside [0, 4)");
}

TEST_F(ReferenceTest, ConstantsRoundTripThroughAttributes) {
  for (const char *type : {"f64", "f32", "f16", "bf16", "f8E4M3FN", "f8E5M2", "i64", "i32", "i16",
                           "i8", "i4", "ui64", "ui32", "ui16", "ui8", "ui4", "i1"}) {
    SCOPED_TRACE(type);
    for (const char *shape : {"3x2x", "0x", "1x", ""}) {
      Tensor original = random(std::string("tensor<") + shape + type + ">", 2);
      mlir::RankedTensorType mlirType = graph::typeOf(original, &context);
      Result<Tensor> back = graph::tensorOf(graph::attributeOf(original, mlirType));
      ASSERT_TRUE(back);
      ASSERT_EQ(back->shape(), original.shape());
      EXPECT_EQ(std::memcmp(back->data(), original.data(), original.bytes()), 0);
    }
  }
}

TEST_F(ReferenceTest, ObserverSeesEveryOp) {
  auto module =
      parse(function({"tensor<2xf32>"}, "tensor<2xf32>",
                     "%a = graph.neg %0 : tensor<2xf32>\n%b = graph.exp %a : tensor<2xf32>\n"
                     "return %b : tensor<2xf32>"));
  std::vector<std::string> seen;
  auto results = interpret(only(*module), Tensors{Tensor(ElementType::F32, {2})},
                           [&](mlir::Operation *op, std::span<const Tensor> values) {
                             seen.push_back(op->getName().getStringRef().str());
                             EXPECT_EQ(values.size(), 1u);
                           });
  ASSERT_TRUE(results);
  EXPECT_EQ(seen, (std::vector<std::string>{"graph.neg", "graph.exp"}));
}

} // namespace
} // namespace ingot::testing
