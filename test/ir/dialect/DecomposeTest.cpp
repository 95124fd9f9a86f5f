/// Each composite's decomposition, interpreted op by op, against the reference's own formula.
#include "ir/formulas/Formulas.h"
#include "mlir/IR/Verifier.h"
#include "test/ir/DrawnOptions.h"
#include "test/ir/Testing.h"
#include "llvm/ADT/StringExtras.h"

namespace ingot::testing {
namespace {

using namespace ::testing;

struct FloatCase {
  const char *name;      // the element type
  const char *statistic; // its accumulation type
  double tolerance;      // of one rounding to the type, with slack for the few in between
};
constexpr FloatCase floatCases[] = {{"f64", "f64", 1e-12},    {"f32", "f32", 2e-5},
                                    {"f16", "f32", 6e-3},     {"bf16", "f32", 5e-2},
                                    {"f8E4M3FN", "f32", 0.6}, {"f8E5M2", "f32", 1.2}};

class DecomposeTest : public GraphTest {
protected:
  std::string type(const std::vector<int64_t> &shape, const std::string &element) {
    std::string text = "tensor<";
    for (int64_t size : shape)
      text += std::to_string(size) + "x";
    return text + element + ">";
  }

  /// Replaces every composite of the module by its definition.
  void decomposeAll(mlir::ModuleOp module) {
    llvm::SmallVector<graph::Composite> composites;
    module.walk([&](graph::Composite op) { composites.push_back(op); });
    ASSERT_FALSE(composites.empty());
    for (graph::Composite op : composites) {
      mlir::OpBuilder builder(op);
      llvm::SmallVector<mlir::Value> values = op.decompose(builder);
      ASSERT_EQ(values.size(), op->getNumResults());
      for (auto [result, value] : llvm::zip(op->getResults(), values))
        ASSERT_EQ(result.getType(), value.getType());
      op->replaceAllUsesWith(values);
      op->erase();
    }
    ASSERT_TRUE(mlir::succeeded(mlir::verify(module)));
    module.walk([](graph::Composite op) { ADD_FAILURE() << "a composite is left"; });
  }

  void check(const std::vector<std::string> &arguments, const std::string &results,
             const std::string &body, double tolerance, const Tensors &values) {
    std::string text = function(arguments, results, body);
    SCOPED_TRACE(text);
    auto module = parse(text);
    ASSERT_TRUE(module);
    Tensors expected = run(*module, values);
    decomposeAll(*module);
    if (HasFatalFailure())
      return;
    Tensors actual = run(*module, values);
    ASSERT_EQ(actual.size(), expected.size());
    for (size_t i = 0; i < actual.size(); ++i)
      expectClose(actual[i], expected[i], tolerance);
  }

  /// `op` names one operand per argument type; values are random.
  void check(const std::string &op, const std::vector<std::string> &arguments,
             const std::vector<std::string> &results, double tolerance, int64_t below = 5) {
    Tensors values;
    for (const std::string &argument : arguments)
      values.push_back(random(argument, below));
    check(op, arguments, results, tolerance, values);
  }
  void check(const std::string &op, const std::vector<std::string> &arguments,
             const std::vector<std::string> &results, double tolerance, const Tensors &values) {
    std::string types = llvm::join(results, ", ");
    std::string count = results.size() == 1 ? "%r" : "%r:" + std::to_string(results.size());
    std::string names;
    for (size_t i = 0; i < results.size(); ++i)
      names += (i ? ", %r#" : "%r#") + std::to_string(i);
    if (results.size() == 1)
      names = "%r";
    check(arguments, types, count + " = " + op + "\nreturn " + names + " : " + types, tolerance,
          values);
  }

  /// Shapes of a rank: random odd sizes, with a size of 1 and one of 0 among them.
  std::vector<std::vector<int64_t>> shapes(int64_t rank) {
    std::vector<std::vector<int64_t>> result;
    for (int64_t kind = 0; kind < 4; ++kind) {
      std::vector<int64_t> shape;
      for (int64_t dim = 0; dim < rank; ++dim)
        shape.push_back(between(2, 9));
      if (kind == 2)
        shape[between(0, rank - 1)] = 1;
      if (kind == 3)
        shape[0] = 0;
      result.push_back(shape);
    }
    return result;
  }
};

TEST_F(DecomposeTest, Formula) {
  for (const graph::Formula &formula : graph::allFormulas())
    for (const FloatCase &f : floatCases)
      for (const auto &shape : shapes(2)) {
        SCOPED_TRACE(formula.name);
        std::string x = type(shape, f.name), numbers;
        for (double parameter : formula.parameters)
          numbers += (numbers.empty() ? "" : ", ") + std::to_string(parameter);
        bool isBinary = formula.operands == 2;
        std::vector<std::string> operands(formula.operands, x);
        check("graph.formula \"" + formula.name + "\"(%0" + (isBinary ? ", %1" : "") + ") [" +
                  numbers + "] : " + x,
              operands, {x}, f.tolerance);
      }
}

TEST_F(DecomposeTest, Softmax) {
  for (const FloatCase &f : floatCases)
    for (const auto &shape : shapes(3)) {
      std::string x = type(shape, f.name);
      check("graph.softmax %0 dimension " + std::to_string(between(0, 2)) + " : " + x, {x}, {x},
            f.tolerance);
    }
}

TEST_F(DecomposeTest, SoftmaxOfLargeAndMaskedScores) {
  std::string x = "tensor<3x3xf32>";
  double inf = INFINITY;
  Tensor values = tensor(ElementType::F32, {3, 3}, {1e30, 1e30, 0, 5, -inf, 5, NAN, 1, 2});
  check("graph.softmax %0 dimension 1 : " + x, {x}, {x}, 1e-6, Tensors{values});
  check("graph.log_softmax %0 dimension 1 : " + x, {x}, {x}, 1e-6, Tensors{values});
}

TEST_F(DecomposeTest, LogSoftmax) {
  for (const FloatCase &f : floatCases)
    for (const auto &shape : shapes(3)) {
      std::string x = type(shape, f.name);
      check("graph.log_softmax %0 dimension " + std::to_string(between(0, 2)) + " : " + x, {x}, {x},
            4 * f.tolerance);
    }
}

TEST_F(DecomposeTest, Pick) {
  for (const FloatCase &f : floatCases)
    for (const char *index : {"i32", "i64"})
      for (const auto &shape : shapes(3)) {
        const int64_t dimension = between(1, 2);
        std::vector<int64_t> kept = shape;
        kept.erase(kept.begin() + dimension);
        std::string x = type(shape, f.name), indices = type(kept, index), y = type(kept, f.name);
        check("graph.pick %0, %1 dimension " + std::to_string(dimension) + " : " + x + ", " +
                  indices + " -> " + y,
              {x, indices}, {y}, 0, shape[dimension]);
      }
}

TEST_F(DecomposeTest, LayerNorm) {
  for (const FloatCase &f : floatCases)
    for (const auto &shape : shapes(3)) {
      std::string x = type(shape, f.name), vector = type({shape.back()}, f.name);
      std::string statistics = type({shape[0], shape[1]}, f.statistic);
      check("graph.layer_norm %0, %1, %2 epsilon 1.0e-5 : " + x + ", " + vector + ", " + vector +
                " -> " + x + ", " + statistics + ", " + statistics,
            {x, vector, vector}, {x, statistics, statistics}, f.tolerance);
    }
}

TEST_F(DecomposeTest, BatchNorm) {
  for (const FloatCase &f : floatCases)
    for (Shape shape : shapes(3)) {
      shape[0] += 2; // a variance needs two elements
      std::string x = type(shape, f.name), vector = type({shape[1]}, f.name);
      std::string statistics = type({shape[1]}, f.statistic), four, results = x;
      for (int i = 0; i < 4; ++i)
        results += ", " + statistics;
      // In f64, to be positive without a cast.
      Tensors values = {random(x), random(vector), random(vector), random(statistics),
                        random(statistics)};
      std::vector<double> variances = graph::load<double>(values[4]);
      for (double &variance : variances)
        variance = 0.5 + variance * variance;
      values[4] = graph::store(values[4].type(), values[4].shape(), variances);
      for (const char *mode : {"", " training"})
        check("graph.batch_norm %0, %1, %2, %3, %4 epsilon 1.0e-5 momentum 0.3" +
                  std::string(mode) + " : " + x + ", " + vector + ", " + vector + ", " +
                  statistics + ", " + statistics + " -> " + results,
              {x, vector, vector, statistics, statistics},
              {x, statistics, statistics, statistics, statistics}, f.tolerance, values);
    }
}

TEST_F(DecomposeTest, LayerNormVarianceIsTwoPass) {
  std::string x = "tensor<1x4xf32>", v = "tensor<4xf32>", s = "tensor<1xf32>";
  Tensors values = {tensor(ElementType::F32, {1, 4}, {4096, 4097, 4098, 4099}),
                    tensor(ElementType::F32, {4}, {1, 1, 1, 1}),
                    tensor(ElementType::F32, {4}, {0, 0, 0, 0})};
  check("graph.layer_norm %0, %1, %2 epsilon 1.0e-5 : " + x + ", " + v + ", " + v + " -> " + x +
            ", " + s + ", " + s,
        {x, v, v}, {x, s, s}, 1e-6, values);
}

// 1/√∞ is 0: a row whose variance overflows would quietly become its bias.
TEST_F(DecomposeTest, LayerNormOfARowThatOverflowsIsNaN) {
  std::string x = "tensor<3x4xf32>", v = "tensor<4xf32>", s = "tensor<3xf32>";
  Tensors values = {
      tensor(ElementType::F32, {3, 4}, {1e19, 2e20, 3e21, -1e20, 1, 2, 3, 5, 3e38, 3e38, 3e38, 1}),
      tensor(ElementType::F32, {4}, {1, 1, 1, 1}), tensor(ElementType::F32, {4}, {0, 0, 0, 0})};
  const std::string op = "graph.layer_norm %0, %1, %2 epsilon 1.0e-5 : " + x + ", " + v + ", " + v +
                         " -> " + x + ", " + s + ", " + s;
  auto module = parse(function({x, v, v}, x, "%r:3 = " + op + "\nreturn %r#0 : " + x));
  ASSERT_TRUE(module);
  const std::vector<double> result = graph::load<double>(run(*module, values)[0]);
  for (size_t i = 0; i < result.size(); ++i)
    EXPECT_EQ(std::isnan(result[i]), i / 4 != 1) << i;
  decomposeAll(*module);
  const std::vector<double> decomposed = graph::load<double>(run(*module, values)[0]);
  for (size_t i = 0; i < result.size(); ++i)
    EXPECT_EQ(std::isnan(decomposed[i]), i / 4 != 1) << i;
}

TEST_F(DecomposeTest, Linear) {
  for (const FloatCase &f : floatCases)
    for (int64_t rank = 1; rank <= 3; ++rank)
      for (const auto &shape : shapes(rank)) {
        int64_t outputs = between(1, 7);
        auto resultShape = shape;
        resultShape.back() = outputs;
        std::string x = type(shape, f.name), w = type({outputs, shape.back()}, f.name);
        std::string b = type({outputs}, f.name), y = type(resultShape, f.name);
        double tolerance = 2 * f.tolerance; // the product is rounded before the bias is added
        check("graph.linear %0, %1 : " + x + ", " + w + " -> " + y, {x, w}, {y}, tolerance);
        check("graph.linear %0, %1, %2 : " + x + ", " + w + ", " + b + " -> " + y, {x, w, b}, {y},
              tolerance);
      }
}

TEST_F(DecomposeTest, Embedding) {
  for (const FloatCase &f : floatCases)
    for (const char *index : {"i32", "i64"})
      for (const auto &shape : shapes(2)) {
        std::string table = type({5, 3}, f.name), indices = type(shape, index);
        std::string y = type({shape[0], shape[1], 3}, f.name);
        check("graph.embedding %0, %1 : " + table + ", " + indices + " -> " + y, {table, indices},
              {y}, 0);
      }
}

TEST_F(DecomposeTest, Attention) {
  for (const FloatCase &f : floatCases)
    for (bool causal : {false, true})
      for (const auto &shape : shapes(4)) {
        int64_t keys = shape[2] + between(0, 3), width = between(1, 5);
        auto queries = shape;
        queries[1] *= between(1, 3); // heads that share keys
        std::string q = type(queries, f.name),
                    k = type({shape[0], shape[1], keys, shape[3]}, f.name);
        std::string v = type({shape[0], shape[1], keys, width}, f.name);
        std::string y = type({shape[0], queries[1], shape[2], width}, f.name);
        std::string lse = type({shape[0], queries[1], shape[2]}, f.statistic);
        check("graph.attention %0, %1, %2 scale 0.35 causal " +
                  std::string(causal ? "true" : "false") + " : " + q + ", " + k + ", " + v +
                  " -> " + y + ", " + lse,
              {q, k, v}, {y, lse}, f.tolerance);
      }
}

TEST_F(DecomposeTest, AttentionBackward) {
  for (const FloatCase &f : floatCases)
    for (bool causal : {false, true})
      for (const auto &shape : shapes(4)) {
        int64_t keys = shape[2] + between(0, 3), width = between(1, 5);
        auto queries = shape;
        queries[1] *= between(1, 3); // heads that share keys
        std::string q = type(queries, f.name),
                    k = type({shape[0], shape[1], keys, shape[3]}, f.name);
        std::string v = type({shape[0], shape[1], keys, width}, f.name);
        std::string y = type({shape[0], queries[1], shape[2], width}, f.name);
        std::string lse = type({shape[0], queries[1], shape[2]}, f.statistic);
        std::string attributes =
            " scale 0.35 causal " + std::string(causal ? "true" : "false") + " : ";
        std::string body =
            "%y, %lse = graph.attention %0, %1, %2" + attributes + q + ", " + k + ", " + v +
            " -> " + y + ", " + lse + "\n%d:3 = graph.attention_backward %0, %1, %2, %y, %lse, %3" +
            attributes + llvm::join(std::vector<std::string>{q, k, v, y, lse, y}, ", ") + " -> " +
            q + ", " + k + ", " + v + "\nreturn %d#0, %d#1, %d#2 : " + q + ", " + k + ", " + v;
        check({q, k, v, y}, q + ", " + k + ", " + v, body, 4 * f.tolerance,
              {random(q), random(k), random(v), random(y)});
      }
}

TEST_F(DecomposeTest, AttentionWithOptions) {
  for (const FloatCase &f : floatCases)
    for (int i = 0; i < 12; ++i) {
      const int64_t batch = between(1, 2), keyHeads = between(1, 2),
                    heads = keyHeads * between(1, 2), queries = between(1, 5), keys = between(1, 6),
                    width = between(1, 4);
      std::string q = type({batch, heads, queries, width}, f.name),
                  k = type({batch, keyHeads, keys, width}, f.name),
                  lse = type({batch, heads, queries}, f.statistic);
      const test::AttentionWords words =
          test::drawAttentionWords(generator, {batch, heads, queries, keys}, f.name);
      std::vector<std::string> arguments = {q, k, k, q};
      std::string names;
      for (const auto &[name, of] : words.inputs) { // arguments are %0, %1, …
        names +=
            fmt::format("%{} = graph.reshape %{} : {} -> {}\n", name, arguments.size(), of, of);
        arguments.push_back(of);
      }
      const std::string options = words.operands + " scale 0.35 causal " + words.attributes + " : ";
      std::string results = llvm::join(std::vector<std::string>{q, lse, q, k, k}, ", ");
      std::string body =
          fmt::format("{0}{1}%y, %lse = graph.attention %0, %1, %2{2}{3}, {4}, {4}{5} "
                      "-> {3}, {6}\n%d:3 = graph.attention_backward %0, %1, %2, %y, "
                      "%lse, %3{2}{3}, {4}, {4}, {3}, {6}, {3}{5} -> {3}, {4}, {4}\n"
                      "return %y, %lse, %d#0, %d#1, %d#2 : {7}",
                      names, words.before, options, q, k, words.types, lse, results);
      Tensors values;
      for (const std::string &of : arguments)
        values.push_back(random(of));
      check(arguments, results, body, 4 * f.tolerance, values);
    }
}

TEST_F(DecomposeTest, CrossEntropy) {
  for (const FloatCase &f : floatCases)
    for (int64_t rank = 1; rank <= 3; ++rank)
      for (const auto &shape : shapes(rank)) {
        if (rank == 1 && shape[0] == 0)
          continue; // no class to be the target
        std::string logits = type(shape, f.name);
        std::vector<int64_t> rows(shape.begin(), shape.end() - 1);
        std::string targets = type(rows, "i32"), lse = type(rows, f.statistic);
        std::string loss = type({}, f.statistic);
        check("graph.cross_entropy %0, %1 : " + logits + ", " + targets + " -> " + loss + ", " +
                  lse,
              {logits, targets}, {loss, lse}, std::min(f.tolerance, 2e-5), shape.back());
      }
}

TEST_F(DecomposeTest, Mse) {
  for (const FloatCase &f : floatCases)
    for (const auto &shape : shapes(2)) {
      std::string x = type(shape, f.name);
      check("graph.mse %0, %1 : " + x + ", " + x + " -> " + type({}, f.statistic), {x, x},
            {type({}, f.statistic)}, std::min(f.tolerance, 2e-5));
    }
}

/// `graph.update` by a formula with state and two scalars on tensors of two shapes.
TEST_F(DecomposeTest, Update) {
  for (const FloatCase &f : floatCases)
    for (const auto &shape : shapes(2)) {
      std::string a = type(shape, f.name), b = type({3}, f.name), s = "tensor<f32>";
      std::string e = type({}, f.statistic), pair = a + ", " + b,
                  six = pair + ", " + pair + ", " + pair;
      std::string formula = "{\n^bb0(%p: " + e + ", %g: " + e + ", %m: " + e + ", %x: " + e +
                            ", %y: " + e + "):\n%c = graph.constant dense<0.9> : " + e +
                            "\n%z = graph.sub %x, %c : " + e + "\n%q = graph.mul %m, %c : " + e +
                            "\n%d = graph.add %q, %g : " + e + "\n%t = graph.mul %d, %z : " + e +
                            "\n%o = graph.compare gt %t, %p : " + e + " -> tensor<i1>" +
                            "\n%n = graph.select %o, %t, %y : tensor<i1>, " + e +
                            "\ngraph.yield %n, %d : " + e + ", " + e + "\n}";
      check("graph.update (%0, %1) gradients (%2, %3) state (%4, %5) scalars (%6, %7) : " + six +
                ", " + s + ", " + s + " -> " + pair + ", " + pair + " " + formula,
            {a, b, a, b, a, b, s, s}, {a, b, a, b}, 2 * f.tolerance);
    }
}

// By row of the flattened gradients, the first element that is not below the limit.
TEST_F(DecomposeTest, UpdatesWatchTheirGradients) {
  const std::string a = "tensor<2x3xf32>", b = "tensor<2xf32>", s = "tensor<f32>",
                    pair = a + ", " + b;
  Tensors values = {random(a), random(b), tensor(ElementType::F32, {2, 3}, {0, 1, -3, 2, NAN, 5}),
                    tensor(ElementType::F32, {2}, {-INFINITY, 1}),
                    tensor(ElementType::F32, {}, {0.1})};
  for (const char *rows : {"1", "2", "8"})
    check("graph.update (%0, %1) gradients (%2, %3) state () scalars (%4) {limit = 2.5 : f64} : " +
              pair + ", " + pair + ", " + s + " -> " + pair + " beyond tensor<" + rows +
              "xi32> {\n^bb0(%p: tensor<f32>, %g: tensor<f32>, %r: tensor<f32>):\n"
              "%n = graph.mul %p, %r : tensor<f32>\ngraph.yield %n : tensor<f32>\n}",
          {a, b, a, b, s}, {a, b, "tensor<" + std::string(rows) + "xi32>"}, 2e-5, values);
}

} // namespace
} // namespace ingot::testing
