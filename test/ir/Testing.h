/// What the tests of ir/ share: parsing, fresh random tensors, comparison.
#pragma once
#include "ir/dialect/Elements.h"
#include "ir/dialect/Graph.h"
#include "ir/reference/Reference.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include <gtest/gtest.h>
#include <random>

namespace ingot::testing {

using Tensors = std::vector<Tensor>;

/// The seed of this run: fresh, or INGOT_TEST_SEED to repeat one. Printed with every failure of a
/// test that traces it.
inline uint64_t runSeed() {
  static uint64_t seed = [] {
    const char *fixed = std::getenv("INGOT_TEST_SEED");
    return fixed ? std::stoull(fixed) : std::random_device()();
  }();
  return seed;
}

class GraphTest : public ::testing::Test {
protected:
  GraphTest() : trace(__FILE__, __LINE__, "INGOT_TEST_SEED=" + std::to_string(runSeed())) {
    context.loadDialect<graph::GraphDialect, mlir::func::FuncDialect>();
  }

  mlir::OwningOpRef<mlir::ModuleOp> parse(const std::string &text) {
    auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    EXPECT_TRUE(module) << text;
    return module;
  }

  static mlir::func::FuncOp only(mlir::ModuleOp module) {
    return *module.getOps<mlir::func::FuncOp>().begin();
  }

  /// Results of the module's only function; an error fails the test.
  Tensors run(mlir::ModuleOp module, const Tensors &arguments) {
    auto results = interpret(only(module), arguments);
    EXPECT_TRUE(results) << (results ? "" : results.error().text());
    return results.value_or(Tensors());
  }
  Tensors run(const std::string &text, const Tensors &arguments) {
    auto module = parse(text);
    return module ? run(*module, arguments) : Tensors();
  }

  /// `func.func @f(%0, %1, …)` around `body`, for a body whose operands are %0, %1, ….
  static std::string function(const std::vector<std::string> &arguments, const std::string &results,
                              const std::string &body) {
    std::string text = "func.func @f(";
    for (size_t i = 0; i < arguments.size(); ++i)
      text += (i ? ", %" : "%") + std::to_string(i) + ": " + arguments[i];
    return text + ") -> (" + results + ") {\n" + body + "\n}";
  }

  /// A random tensor of the type that `text` spells: normal floats, integers in [0, below).
  Tensor random(const std::string &text, int64_t below = 5) {
    auto type = llvm::cast<mlir::RankedTensorType>(mlir::parseType(text, &context));
    auto element = *graph::elementTypeOf(type.getElementType());
    Shape shape = type.getShape().vec();
    if (graph::kindOf(element) == graph::ElementKind::Float) {
      std::vector<double> values(elementCount(shape));
      std::normal_distribution<double> normal;
      for (double &value : values)
        value = normal(generator);
      return graph::store(element, shape, values);
    }
    std::vector<uint64_t> values(elementCount(shape));
    for (uint64_t &value : values)
      value = generator() % below;
    return graph::store(element, shape, values);
  }

  int64_t between(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(generator);
  }

  mlir::MLIRContext context;
  std::mt19937_64 generator{runSeed()};
  ::testing::ScopedTrace trace;
};

/// `|actual - expected| <= tolerance·(1 + |expected|)`, NaN and infinities in the same places.
inline void expectClose(const Tensor &actual, const Tensor &expected, double tolerance) {
  ASSERT_EQ(actual.shape(), expected.shape());
  ASSERT_EQ(actual.type(), expected.type());
  auto a = graph::load<double>(actual), e = graph::load<double>(expected);
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) && std::isnan(e[i]))
      continue;
    if (a[i] != e[i])
      ASSERT_LE(std::fabs(a[i] - e[i]), tolerance * (1 + std::fabs(e[i])))
          << "element " << i << ": " << a[i] << ", expected " << e[i];
    else
      SUCCEED();
  }
}

template <typename Wide = double>
Tensor tensor(ElementType type, Shape shape, std::vector<Wide> values) {
  return graph::store(type, shape, values);
}

template <typename Wide = double>
void expectElements(const Tensor &actual, std::vector<Wide> expected) {
  EXPECT_EQ(graph::load<Wide>(actual), expected);
}

} // namespace ingot::testing
