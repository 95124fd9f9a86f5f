#include "frontend/builder/Builder.h"
#include <cmath>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <limits>

namespace ingot {
namespace {

using Value = Builder::Value;
constexpr ElementType f32 = ElementType::F32, i32 = ElementType::I32;

/// The error of a builder whose model cannot be finished.
std::string errorOf(Builder &b) {
  Result<Model> model = b.finish();
  return model ? "" : model.error().text();
}

TEST(Builder, broadcastsAsNumPyDoes) {
  struct Case {
    Shape a, b, result;
  };
  const Case cases[] = {{{4, 3}, {3}, {4, 3}},
                        {{}, {2, 5}, {2, 5}},
                        {{4, 1}, {1, 3}, {4, 3}},
                        {{7, 1, 5}, {6, 1}, {7, 6, 5}},
                        {{0, 3}, {1, 3}, {0, 3}},
                        {{1}, {0}, {0}},
                        {{2, 3, 4}, {2, 3, 4}, {2, 3, 4}}};
  for (const Case &c : cases) {
    Builder b;
    Value sum = b.input("a", f32, c.a) + b.input("b", f32, c.b);
    EXPECT_EQ(sum.shape(), c.result) << toString(c.a) << " + " << toString(c.b);
    b.output("sum", sum);
    EXPECT_EQ(errorOf(b), "");
  }
}

TEST(Builder, shapesOfEveryOperation) {
  Builder b;
  Value x = b.input("x", f32, {2, 3, 4}), y = b.input("y", f32, {4, 5});
  Value batch = b.input("batch", f32, {2, 1, 3, 4}), right = b.input("right", f32, {7, 4, 5});
  Value tokens = b.input("tokens", i32, {2, 3}), heads = b.input("heads", f32, {2, 3, 8, 4});
  auto p = [&](std::string name, Shape shape) {
    return b.parameter(name, shape, Initializer::normal(1));
  };
  const std::vector<std::pair<Value, Shape>> cases = {
      {b.reshape(x, {-1, 4}), {6, 4}},
      {b.reshape(x, {24}), {24}},
      {b.transpose(x, {2, 0, 1}), {4, 2, 3}},
      {b.broadcast(y, {9, 4, 5}), {9, 4, 5}},
      {b.slice(x, {0, 1, 0}, {2, 3, 4}, {1, 1, 3}), {2, 2, 2}},
      {b.slice(x, -1, 1, 3), {2, 3, 2}},
      {b.concat(std::vector<Value>{x, x, x}, -2), {2, 9, 4}},
      {b.pad(y, 0, {1, 0}, {2, 3}), {7, 8}},
      {b.sum(x), {}},
      {b.sum(x, {-1}), {2, 3}},
      {b.mean(x, {0, 2}), {3}},
      {b.max(x, {1}, true), {2, 1, 4}},
      {b.min(x, {1}), {2, 4}},
      {b.product(x, {0}), {3, 4}},
      {b.matmul(x, y), {2, 3, 5}},
      {b.matmul(batch, right), {2, 7, 3, 5}},
      {b.contract(x, y, {}, {}, {2}, {0}), {2, 3, 5}},
      {b.gather(x, tokens, 1), {2, 2, 3, 4}},
      {b.embedding(p("table", {11, 6}), tokens), {2, 3, 6}},
      {b.linear(x, p("w", {6, 4}), p("bias", {6})), {2, 3, 6}},
      {b.linear(x, p("w2", {6, 4})), {2, 3, 6}},
      {b.layerNorm(x, p("s", {4}), p("t", {4})), {2, 3, 4}},
      {b.softmax(x, 1), {2, 3, 4}},
      {b.gelu(x), {2, 3, 4}},
      {b.attention(heads, heads, heads, true), {2, 3, 8, 4}},
      {b.select(b.compare(Comparison::Less, x, b.scalar(0)), b.scalar(1), x), {2, 3, 4}},
      {b.cast(x, i32), {2, 3, 4}},
      {b.iota({3, 2}, 1), {3, 2}},
      {b.crossEntropy(x, tokens), {}},
      {b.mse(x, b.exp(x)), {}},
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    ASSERT_TRUE(cases[i].first.valid()) << "case " << i << ": " << errorOf(b);
    EXPECT_EQ(cases[i].first.shape(), cases[i].second) << "case " << i;
    b.output(std::to_string(i), cases[i].first);
  }
  EXPECT_EQ(b.compare(Comparison::Equal, x, x).type(), ElementType::I1);
  EXPECT_EQ(errorOf(b), "");
}

TEST(Builder, errorsNameNodeOperationAndShapes) {
  Builder b;
  Value x = b.input("x", f32, {4, 64}), w = b.parameter("w", {10, 63}, Initializer::normal(1));
  Value bad;
  {
    auto block = b.scope("h.0");
    auto layer = b.scope("fc");
    bad = b.linear(x, w);
  }
  EXPECT_FALSE(bad.valid());
  // What depends on a failed op says nothing more.
  b.output("y", b.relu(b.reshape(bad, {-1})) + x);
  b.output("z", x + b.input("odd", f32, {5}));
  std::string text = errorOf(b);
  EXPECT_NE(text.find("h.0.fc: linear(4x64 f32, 10x63 f32): "), std::string::npos) << text;
  EXPECT_NE(text.find("\nadd(4x64 f32, 5 f32): the shapes do not broadcast"), std::string::npos)
      << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
}

TEST(Builder, refusesWhatCannotBe) {
  struct Case {
    const char *expected;
    void (*build)(Builder &, Value x);
  };
  const Case cases[] = {
      {"reshape(6x4 f32): 24 elements do not fill shape",
       [](Builder &b, Value x) { b.reshape(x, {5, -1}); }},
      {"reshape(6x4 f32): ", [](Builder &b, Value x) { b.reshape(x, {5, 5}); }},
      {"transpose(6x4 f32): (1) permutation", [](Builder &b, Value x) { b.transpose(x, {0, 0}); }},
      {"slice(6x4 f32): ", [](Builder &b, Value x) { b.slice(x, 1, 2, 5); }},
      {"slice(6x4 f32): there is no dimension 2", [](Builder &b, Value x) { b.slice(x, 2, 0, 1); }},
      {"reduce(6x4 f32): a dimension is out of range", [](Builder &b, Value x) { b.sum(x, {2}); }},
      {"matmul(6x4 f32, 6x4 f32): ", [](Builder &b, Value x) { b.matmul(x, x); }},
      {"softmax(6x4 f32): ", [](Builder &b, Value x) { b.softmax(x, 3); }},
      {"embedding(6x4 f32, 6x4 f32): ", [](Builder &b, Value x) { b.embedding(x, x); }},
      {"exp(6x4 i32): ", [](Builder &b, Value x) { b.exp(b.cast(x, i32)); }},
      {"and(6x4 f32, 6x4 f32): ", [](Builder &b, Value x) { b.bitAnd(x, x); }},
      {"add(6x4 f32, 6x4 i32): ", [](Builder &b, Value x) { b.add(x, b.cast(x, i32)); }},
      {"relu(): an operand was never given a value", [](Builder &b, Value) { b.relu(Value()); }},
      {"x: the name is taken already", [](Builder &b, Value) { b.input("x", f32, {}); }},
      {"n: shape -1x2 has a negative dimension",
       [](Builder &b, Value) { b.input("n", f32, {-1, 2}); }},
      {"gone: the output was never given a value",
       [](Builder &b, Value) { b.output("gone", Value()); }},
  };
  for (const Case &c : cases) {
    Builder b;
    Value x = b.input("x", f32, {6, 4});
    c.build(b, x);
    b.output("y", x);
    std::string text = errorOf(b);
    EXPECT_NE(text.find(c.expected), std::string::npos) << c.expected << "\nin: " << text;
  }
}

TEST(Builder, valuesOfAnotherBuilderAreRefused) {
  Builder a, b;
  Value foreign = a.input("x", f32, {2});
  b.output("y", b.relu(foreign));
  EXPECT_NE(errorOf(b).find("belongs to another builder"), std::string::npos);
}

TEST(Builder, valuesOfAFinishedModelAreRefused) {
  Builder b;
  Value x = b.input("x", f32, {2});
  b.output("y", b.neg(x));
  ASSERT_TRUE(b.finish());
  EXPECT_FALSE(x.valid());
  EXPECT_EQ(x.shape(), Shape());
  EXPECT_EQ(x.type(), f32);
  b.output("y", b.neg(x) + x);
  EXPECT_EQ(errorOf(b), "neg(): an operand belongs to a model that is finished");
  b.output("y", x);
  EXPECT_EQ(errorOf(b), "y: the output belongs to a model that is finished");
  Value other = b.input("x", f32, {3});
  EXPECT_FALSE((x + other).valid());
  EXPECT_FALSE(b.concat(std::vector<Value>{other, x}, 0).valid());
  b.output("y", b.neg(other));
  EXPECT_NE(errorOf(b), "");
  b.output("y", b.neg(b.input("x", f32, {3}))); // a new model is unharmed
  EXPECT_EQ(errorOf(b), "");
}

TEST(Builder, tensorsWithoutDataAreRefused) {
  for (const Tensor &tensor : {Tensor(), Tensor(f32, {2, 3}, nullptr)}) {
    Builder b;
    b.output("y", b.constant(tensor));
    EXPECT_EQ(errorOf(b),
              fmt::format("constant(): the tensor {} f32 has no data", toString(tensor.shape())));
  }
}

TEST(Builder, numbersThatAreNotFiniteAreRefused) {
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  for (double wrong : {nan, inf, -inf}) {
    Builder b;
    Value x = b.input("x", f32, {1, 2, 3, 4});
    Value p = b.parameter("p", {4}, Initializer::normal(wrong));
    EXPECT_FALSE(p.valid());
    Value one = b.parameter("one", {4}, Initializer::constant(1));
    EXPECT_FALSE(b.layerNorm(x, one, one, wrong).valid());
    EXPECT_FALSE(b.attention(x, x, x, true, wrong).valid());
    EXPECT_TRUE(b.scalar(wrong).valid()); // a constant may be anything
    b.output("x", x);
    const std::string errors = errorOf(b);
    EXPECT_NE(errors.find("p: its initial values are not finite"), std::string::npos) << errors;
    EXPECT_NE(errors.find("epsilon is not a finite number"), std::string::npos) << errors;
    EXPECT_NE(errors.find("scale is not a finite number"), std::string::npos) << errors;
  }
}

TEST(Builder, attentionRefusesNumbersThatMeanNothing) {
  const double nan = std::nan("");
  for (auto [how, why] : {std::pair(AttentionOptions{.window = -1}, "the window -1 is negative"),
                          {{.scale = nan, .window = 2}, "the scale is not a finite number"},
                          {{.softCap = nan}, "the soft cap is not a finite number"}}) {
    Builder b;
    Value x = b.input("x", f32, {1, 2, 3, 4});
    EXPECT_FALSE(b.attention(x, x, x, how).valid());
    b.output("y", x);
    EXPECT_EQ(errorOf(b), fmt::format("attention(1x2x3x4 f32, 1x2x3x4 f32, 1x2x3x4 f32): {}", why));
  }
}

TEST(Builder, tensorsThatNoMachineHoldsAreRefused) {
  const int64_t most = std::numeric_limits<int64_t>::max();
  Builder b;
  EXPECT_FALSE(b.input("x", f32, {most, most}).valid());
  EXPECT_FALSE(b.parameter("p", {1 << 23, 1 << 22}, Initializer::constant(0)).valid());
  EXPECT_FALSE(b.iota({0, most}, 0).valid());
  Value row = b.input("row", f32, {1 << 22, 1}), column = b.input("column", f32, {1, 1 << 23});
  EXPECT_TRUE(row.valid() && column.valid());
  EXPECT_FALSE((row + column).valid());
  EXPECT_FALSE(b.matmul(row, column).valid());
  EXPECT_FALSE(b.reshape(row, {most, most, -1}).valid());
  EXPECT_FALSE(b.pad(row, 0, {most, 0}, {0, 0}).valid());
  b.output("row", row);
  EXPECT_NE(errorOf(b), "");
}

TEST(Builder, aModelNeedsAnOutput) {
  Builder b;
  b.input("x", f32, {2});
  EXPECT_EQ(errorOf(b), "the model has no output");
}

TEST(Builder, constantsKeepTheirBits) {
  Builder b;
  Tensor values(f32, {3}), bits(ElementType::I1, {2});
  values.as<float>()[1] = 0.1f;
  bits.as<uint8_t>()[1] = 1;
  b.output("v", b.constant(values));
  b.output("b", b.constant(bits));
  b.output("s", b.scalar(-3, ElementType::I8));
  Result<Model> model = b.finish();
  ASSERT_TRUE(model) << model.error().text();
  std::string text = model->text();
  EXPECT_NE(text.find("dense<[0.000000e+00, 1.000000e-01, 0.000000e+00]>"), std::string::npos)
      << text;
  EXPECT_NE(text.find("dense<[false, true]>"), std::string::npos) << text;
  EXPECT_NE(text.find("dense<-3> : tensor<i8>"), std::string::npos) << text;
}

TEST(ModelText, errorsAreLocated) {
  auto errorOf = [](const char *text) { return Model::parse(text, "m.mlir").error().text(); };
  EXPECT_NE(errorOf("func.func @forward(").find("m.mlir:1:"), std::string::npos);
  EXPECT_NE(errorOf("module {}").find("a model needs a function @forward"), std::string::npos);
  std::string shape = errorOf("func.func @forward(%x: tensor<2x3xf32> {graph.name = \"x\"}) {\n"
                              "  %0 = graph.reshape %x : tensor<2x3xf32> -> tensor<7xf32>\n"
                              "  return\n}\n");
  EXPECT_EQ(shape.rfind("m.mlir:2:8: ", 0), 0u) << shape;
  EXPECT_NE(errorOf("func.func @forward(%x: tensor<2xf32>) { return }").find("has no graph.name"),
            std::string::npos);
  Result<Model> missing = Model::load("no/such/model.mlir");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Error::Code::Io);
}

} // namespace
} // namespace ingot
