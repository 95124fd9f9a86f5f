#include "frontend/onnx/Import.h"
#include "frontend/api/Ingot.h"
#include "frontend/onnx/Export.h"
#include "frontend/onnx/Rows.h"
#include "test/frontend/onnx/OnnxBytes.h"
#include <cmath>
#include <gtest/gtest.h>
#include <limits>

namespace ingot::onnx {
namespace {

using namespace test;

std::vector<float> valuesOf(const Tensor &tensor) {
  return {tensor.as<float>(), tensor.as<float>() + tensor.size()};
}

Tensor rows(std::vector<float> values) {
  Tensor tensor(ElementType::F32, {int64_t(values.size()) / 3, 3});
  std::copy(values.begin(), values.end(), tensor.as<float>());
  return tensor;
}

Tensor outputOf(const Model &model, const Tensor &x) {
  Result<CompiledProgram> program = model.compile({.threads = 1, .cache = false});
  EXPECT_TRUE(program) << program.error().text();
  Result<Tensors> results = program->run(Tensors{{"x", x}});
  EXPECT_TRUE(results) << results.error().text();
  return results->at("y");
}

std::vector<float> run(const Model &model, const Tensor &x) { return valuesOf(outputOf(model, x)); }

/// The result of one node on x.
Tensor outputOf(const Bytes &node, const Tensor &x, int type = f32, int64_t opset = 18) {
  Bytes graph =
      Bytes().message(1, node).message(11, port("x", x.shape(), type)).message(12, port("y", {}));
  Result<Model> imported = importModel(open(model(graph, opset)));
  EXPECT_TRUE(imported) << imported.error().text();
  return imported ? outputOf(*imported, x) : Tensor();
}

constexpr float infinite = std::numeric_limits<float>::infinity(),
                nan = std::numeric_limits<float>::quiet_NaN();

TEST(OnnxImport, WeightsAreParametersWithTheFilesNamesAndValues) {
  Result<Model> imported = importModel(open(model(layer())));
  ASSERT_TRUE(imported) << imported.error().text();
  std::vector<std::string> names;
  for (const ModelPort &port : imported->ports())
    if (port.role == Role::Parameter) {
      names.push_back(port.name);
      EXPECT_EQ(port.initializer, "file");
    }
  EXPECT_EQ(names, (std::vector<std::string>{"w", "b"}));
  EXPECT_EQ(valuesOf(aligned(imported->weights().at("b"))), (std::vector<float>{0.25f, -1}));
  EXPECT_EQ(run(*imported, rows({1, 2, 4, -1, 0, 0})), (std::vector<float>{7.25f, 10, 0, 0}));
}

TEST(OnnxImport, MasksAreNoParameters) {
  for (const float entry : {-3.40282347e38f, -infinite, -5.f}) {
    Bytes graph;
    graph.message(1, node("Add", {"x", "m"}, {"y"}))
        .message(5, floats("m", {2, 2}, {0, entry, 0, 0}))
        .message(11, port("x", {2, 2}))
        .message(12, port("y", {2, 2}));
    Result<Model> imported = importModel(open(model(graph)));
    ASSERT_TRUE(imported) << imported.error().text();
    const auto ports = imported->ports();
    EXPECT_EQ(entry == -5, std::ranges::any_of(ports, [](const ModelPort &port) {
                return port.role == Role::Parameter;
              }));
  }
}

TEST(OnnxImport, NodesAreLocations) {
  Result<Model> imported = importModel(open(model(layer())));
  ASSERT_TRUE(imported);
  for (const char *name : {"product", "sum", "act"})
    EXPECT_NE(imported->text(true).find(fmt::format("loc(\"{}\")", name)), std::string::npos)
        << imported->text(true);
}

TEST(OnnxImport, SymbolicSizesAreGiven) {
  const OnnxFile file = open(model(layer(-1)));
  Result<Model> without = importModel(file);
  ASSERT_FALSE(without);
  EXPECT_EQ(without.error().text(), "m.onnx: x: nx3 has sizes that are known at run time only: "
                                    "--shapes=x:… says them");
  Result<Model> with = importModel(file, {.shapes = {{"x", {4, 3}}}});
  ASSERT_TRUE(with) << with.error().text();
  EXPECT_EQ(with->ports().back().shape, (Shape{4, 2}));
  Result<Model> wrong = importModel(file, {.shapes = {{"x", {4, 5}}}});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().text(), "m.onnx: x: dimension 1 is 3 in the file, not 5");
}

TEST(OnnxImport, SizesOfZeroMayBeUnknownOnes) {
  const OnnxFile file = open(model(layer(0)));
  Result<Model> with = importModel(file, {.shapes = {{"x", {4, 3}}}});
  ASSERT_TRUE(with) << with.error().text();
  EXPECT_EQ(with->ports().back().shape, (Shape{4, 2}));
  Result<Model> without = importModel(file);
  ASSERT_TRUE(without) << without.error().text();
  EXPECT_EQ(without->ports().back().shape, (Shape{0, 2}));
}

TEST(OnnxImport, TheDefaultDomainHasTwoNames) {
  auto file = [](std::string_view ofNode, std::string_view ofFile) {
    Bytes graph = Bytes()
                      .message(1, node("Relu", {"x"}, {"y"}).text(7, ofNode))
                      .message(11, port("x", {1, 3}))
                      .message(12, port("y", {1, 3}));
    return Bytes()
        .number(1, 8)
        .message(7, graph)
        .message(8, Bytes().text(1, ofFile).number(2, 18))
        .str();
  };
  for (std::string_view ofNode : {"", "ai.onnx"})
    for (std::string_view ofFile : {"", "ai.onnx"}) {
      Result<Model> imported = importModel(open(file(ofNode, ofFile)));
      ASSERT_TRUE(imported) << imported.error().text();
      EXPECT_EQ(run(*imported, rows({-1, 0, 2})), (std::vector<float>{0, 0, 2}));
    }
}

TEST(OnnxImport, ShiftsAreExactInAllBits) {
  const std::vector<uint64_t> values = {0xffffffffffffffff, 0x8000000000000001, 5, 1},
                              counts = {57, 1, 63, 62};
  auto bytes = [](const std::vector<uint64_t> &of) {
    return std::string(reinterpret_cast<const char *>(of.data()), of.size() * 8);
  };
  Tensor x(ElementType::U64, {4});
  std::copy(values.begin(), values.end(), x.as<uint64_t>());
  for (const char *direction : {"LEFT", "RIGHT"}) {
    Bytes graph =
        Bytes()
            .message(1, node("BitShift", {"x", "n"}, {"y"})
                            .message(5, textAttribute("direction", direction)))
            .message(5, Bytes().number(1, 4).number(2, u64).text(8, "n").text(9, bytes(counts)))
            .message(11, port("x", {4}, u64))
            .message(12, port("y", {4}, u64));
    Result<Model> imported = importModel(open(model(graph)));
    ASSERT_TRUE(imported) << imported.error().text();
    const Tensor y = outputOf(*imported, x);
    for (size_t i = 0; i < values.size(); ++i)
      EXPECT_EQ(y.as<uint64_t>()[i],
                *direction == 'L' ? values[i] << counts[i] : values[i] >> counts[i])
          << direction << i;
  }
}

TEST(OnnxImport, TheLargestMayBeNoNumber) {
  const Tensor x = rows({1, nan, 3, 2, 2, 1, nan, 0, nan});
  for (int64_t isLast : {0, 1})
    for (const char *op : {"ArgMax", "ArgMin"}) {
      const Tensor y = outputOf(node(op, {"x"}, {"y"})
                                    .message(5, integerAttribute("axis", 1))
                                    .message(5, integerAttribute("keepdims", 0))
                                    .message(5, integerAttribute("select_last_index", isLast)),
                                x);
      ASSERT_EQ(y.type(), ElementType::I64);
      EXPECT_EQ(
          std::vector<int64_t>(y.as<int64_t>(), y.as<int64_t>() + 3),
          (std::vector<int64_t>{1, std::string_view(op) == "ArgMin" ? 2 : isLast, isLast * 2}))
          << op << isLast;
    }
}

TEST(OnnxImport, SumsOfNothingButZerosHaveALogarithm) {
  const Tensor x = rows({-infinite, -infinite, -infinite, 0, 0, -infinite});
  const std::vector<float> y = valuesOf(
      outputOf(node("ReduceLogSumExp", {"x"}, {"y"}).message(5, integersAttribute("axes", {1})), x,
               f32, 13));
  EXPECT_EQ(y[0], -infinite);
  EXPECT_FLOAT_EQ(y[1], std::log(2.0f));
}

TEST(OnnxImport, VariancesStandBesideLargeMeans) {
  Tensor x(ElementType::F32, {1, 3, 1, 1});
  const float values[] = {10000, 10001, 10002};
  std::copy(values, values + 3, x.as<float>());
  const std::vector<float> y = valuesOf(outputOf(
      node("MeanVarianceNormalization", {"x"}, {"y"}).message(5, integersAttribute("axes", {1})),
      x));
  for (int i = 0; i < 3; ++i)
    EXPECT_NEAR(y[size_t(i)], float(i - 1) * std::sqrt(1.5f), 1e-5) << i;
}

// Finite rows whose squares or sums overflow would be divided by infinity.
TEST(OnnxImport, NormsThatOverflowAreNoZeros) {
  const float large = 1e20f, largest = 3e38f;
  Bytes euclidean = node("LpNormalization", {"x"}, {"y"});
  std::vector<float> y = valuesOf(outputOf(euclidean, rows({3, 0, 4, large, large, 1})));
  EXPECT_FLOAT_EQ(y[0], 0.6f);
  EXPECT_FLOAT_EQ(y[2], 0.8f);
  EXPECT_TRUE(std::isnan(y[3]) && std::isnan(y[5]));
  Bytes absolute = node("LpNormalization", {"x"}, {"y"}).message(5, integerAttribute("p", 1));
  y = valuesOf(outputOf(absolute, rows({1, -2, 1, largest, largest, 1})));
  EXPECT_FLOAT_EQ(y[1], -0.5f);
  EXPECT_TRUE(std::isnan(y[3]) && std::isnan(y[5]));
}

TEST(OnnxImport, TransposedConvolutionsReachBeyondTheirInput) {
  Tensor x(ElementType::F32, {1, 1, 2});
  x.as<float>()[0] = 3, x.as<float>()[1] = 5;
  for (const auto &[strides, expected] : std::vector<std::pair<int64_t, std::vector<float>>>{
           {1, {1, 7, 17, 11, 1}}, {3, {7, 7, 1, 11, 11}}}) {
    Bytes graph = Bytes()
                      .message(1, node("ConvTranspose", {"x", "w", "b"}, {"y"})
                                      .message(5, integersAttribute("strides", {strides}))
                                      .message(5, integersAttribute("output_shape", {5})))
                      .message(5, floats("w", {1, 1, 2}, {2, 2}))
                      .message(5, floats("b", {1}, {1}))
                      .message(11, port("x", {1, 1, 2}))
                      .message(12, port("y", {1, 1, 5}));
    Result<Model> imported = importModel(open(model(graph)));
    ASSERT_TRUE(imported) << imported.error().text();
    EXPECT_EQ(run(*imported, x), expected) << strides;
  }
}

TEST(OnnxImport, EveryNodeThatIsRefusedIsListed) {
  Bytes graph = Bytes()
                    .message(1, node("Wobble", {"x"}, {"a"}, "first"))
                    .message(1, node("Relu", {"a"}, {"b"}, "fine"))
                    .message(1, node("Wibble", {"b"}, {"y"}, "second"))
                    .message(11, port("x", {2, 3}))
                    .message(12, port("y", {2, 3}));
  Result<Model> imported = importModel(open(model(graph)));
  ASSERT_FALSE(imported);
  EXPECT_EQ(imported.error().code, Error::Code::Unsupported);
  EXPECT_EQ(imported.error().text(), "m.onnx: 2 nodes cannot be imported:\n"
                                     "  first (Wobble, opset 18): the op is not supported\n"
                                     "  second (Wibble, opset 18): the op is not supported");
}

TEST(OnnxImport, ShapeArithmeticFoldsAway) {
  // reshape(x, concat(shape(x)[1:2], [2])): [2, 3] becomes [3, 2].
  Bytes last =
      Bytes()
          .text(1, "value")
          .message(5,
                   Bytes().number(1, 1).number(2, i64).text(9, std::string("\2\0\0\0\0\0\0\0", 8)));
  Bytes graph =
      Bytes()
          .message(1, node("Shape", {"x"}, {"s"}).message(5, integerAttribute("start", 1)))
          .message(1, node("Constant", {}, {"two"}).message(5, last))
          .message(1, node("Concat", {"s", "two"}, {"t"}).message(5, integerAttribute("axis", 0)))
          .message(1, node("Reshape", {"x", "t"}, {"y"}))
          .message(11, port("x", {2, 3}))
          .message(12, port("y", {3, 2}));
  Result<Model> imported = importModel(open(model(graph)));
  ASSERT_TRUE(imported) << imported.error().text();
  EXPECT_EQ(imported->operationCount(), 1);
  EXPECT_EQ(imported->ports().back().shape, (Shape{3, 2}));
}

TEST(OnnxImport, RangesMayBeAxes) {
  // unsqueeze(x, range(1, 5, 2)): [2, 3] becomes [2, 1, 3, 1].
  Bytes graph = Bytes()
                    .message(1, node("Range", {"from", "to", "by"}, {"axes"}))
                    .message(1, node("Unsqueeze", {"x", "axes"}, {"y"}))
                    .message(5, integers("from", {}, {1}))
                    .message(5, integers("to", {}, {5}))
                    .message(5, integers("by", {}, {2}))
                    .message(11, port("x", {2, 3}))
                    .message(12, port("y", {2, 1, 3, 1}));
  Result<Model> imported = importModel(open(model(graph)));
  ASSERT_TRUE(imported) << imported.error().text();
  EXPECT_EQ(imported->ports().back().shape, (Shape{2, 1, 3, 1}));
}

TEST(OnnxImport, ValuesThatShapesDependOnSpecialiseTheModel) {
  Bytes graph = Bytes()
                    .message(1, node("Reshape", {"x", "shape"}, {"y"}, "turn"))
                    .message(11, port("x", {2, 3}))
                    .message(11, port("shape", {2}, i64))
                    .message(12, port("y", {-1, -1}));
  const OnnxFile file = open(model(graph));
  Result<Model> without = importModel(file);
  ASSERT_FALSE(without);
  EXPECT_NE(without.error().text().find(
                "turn (Reshape, opset 18): its input 1 must be known when the model is compiled, "
                "and it depends on the values of shape"),
            std::string::npos)
      << without.error().text();
  Tensor shape(ElementType::I64, {2});
  shape.as<int64_t>()[0] = 3, shape.as<int64_t>()[1] = 2;
  Result<Model> with = importModel(file, {.values = {{"shape", shape}}});
  ASSERT_TRUE(with) << with.error().text();
  EXPECT_EQ(with->ports().back().shape, (Shape{3, 2}));
}

TEST(OnnxImport, NamesThatNoNodeGivesAreErrors) {
  Bytes graph = Bytes()
                    .message(1, node("Relu", {"later"}, {"y"}, "act"))
                    .message(1, node("Relu", {"y"}, {"later"}, "loop"))
                    .message(11, port("x", {2, 3}))
                    .message(12, port("y", {2, 3}));
  Result<Model> imported = importModel(open(model(graph)));
  ASSERT_FALSE(imported);
  EXPECT_EQ(imported.error().code, Error::Code::BadInput);
  EXPECT_EQ(imported.error().text(),
            "m.onnx: act (Relu): the input 'later' is given by no node before it");
}

TEST(OnnxImport, FunctionsAreInlined) {
  Bytes function = Bytes()
                       .text(1, "Twice")
                       .text(10, "own")
                       .text(4, "a")
                       .text(5, "b")
                       .message(7, node("Add", {"a", "a"}, {"b"}, "sum"))
                       .message(9, Bytes().text(1, "").number(2, 18));
  Bytes graph = Bytes()
                    .message(1, node("Twice", {"x"}, {"y"}, "call").text(7, "own"))
                    .message(11, port("x", {1, 3}))
                    .message(12, port("y", {1, 3}));
  const std::string bytes = model(graph) + Bytes().message(25, function).str();
  Result<Model> imported = importModel(open(bytes));
  ASSERT_TRUE(imported) << imported.error().text();
  EXPECT_NE(imported->text(true).find("loc(\"call/sum\")"), std::string::npos);
  EXPECT_EQ(run(*imported, rows({1, 2, 3})), (std::vector<float>{2, 4, 6}));
}

TEST(OnnxImport, TrainedWeightsGoBackIntoTheFile) {
  const OnnxFile file = open(model(layer()));
  Tensor bias(ElementType::F32, {2});
  bias.as<float>()[0] = 5, bias.as<float>()[1] = 6;
  Result<std::string> bytes = withWeights(file, {{"b", bias}});
  ASSERT_TRUE(bytes) << bytes.error().text();
  Result<Model> imported = importModel(open(*bytes));
  ASSERT_TRUE(imported) << imported.error().text();
  EXPECT_EQ(run(*imported, rows({0, 0, 0, 0, 0, 0})), (std::vector<float>{5, 6, 5, 6}));
  EXPECT_EQ(withWeights(file, {}).value(), file.bytes());
  Result<std::string> unknown = withWeights(file, {{"c", bias}});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().text(), "m.onnx: has no initializer 'c'");
}

TEST(OnnxImport, RowsOfAnOpDoNotOverlap) {
  for (std::string_view domain : {"", "ai.onnx.preview.training"}) {
    std::span<const Row> rows = rowsOf(domain);
    ASSERT_FALSE(rows.empty());
    for (size_t i = 0; i < rows.size(); ++i) {
      EXPECT_LE(rows[i].first, rows[i].last) << rows[i].op;
      if (i && rows[i].op == rows[i - 1].op) {
        EXPECT_GT(rows[i].first, rows[i - 1].last) << rows[i].op;
      }
    }
  }
}

} // namespace
} // namespace ingot::onnx
