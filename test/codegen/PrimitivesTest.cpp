/// Every function of elements, comparison and conversion as compiled code against the reference: on
/// every type, on shapes of odd sizes, of 1 and of 0, at infinities, NaN and the integers' limits.
#include "frontend/api/Ingot.h"
#include "frontend/api/ModelModule.h"
#include "ir/dialect/Elements.h"
#include "ir/dialect/Graph.h"
#include "ir/reference/Reference.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <cmath>
#include <gtest/gtest.h>
#include <random>

namespace ingot::testing {
namespace {

using graph::ElementKind;
using graph::kindOf;

constexpr ElementType types[] = {ElementType::F64,  ElementType::F32,      ElementType::F16,
                                 ElementType::BF16, ElementType::F8E4M3FN, ElementType::F8E5M2,
                                 ElementType::I64,  ElementType::I32,      ElementType::I16,
                                 ElementType::I8,   ElementType::I4,       ElementType::U64,
                                 ElementType::U32,  ElementType::U16,      ElementType::U8,
                                 ElementType::U4,   ElementType::I1};

/// The spelling of a type in IR.
std::string spelled(ElementType type) {
  mlir::MLIRContext context;
  std::string text;
  llvm::raw_string_ostream(text) << graph::mlirType(type, &context);
  return text;
}

std::string tensorOf(const Shape &shape, ElementType type) {
  std::string text = "tensor<";
  for (int64_t size : shape)
    text += std::to_string(size) + "x";
  return text + spelled(type) + ">";
}

/// Whether a row of Primitives.def is defined on a type.
bool isOn(llvm::StringRef elements, ElementType type) {
  const bool isFloat = kindOf(type) == ElementKind::Float, isBool = type == ElementType::I1;
  if (elements == "Numbers")
    return !isBool;
  if (elements == "Floats")
    return isFloat;
  return !isFloat && (elements == "Bits" || !isBool);
}

/// An output of the model under test.
struct Line {
  std::string text; ///< the op without `%name =`
  ElementType result;
};

class Primitives : public ::testing::TestWithParam<ElementType> {
protected:
  /// Ordinary values, and every fifth one of the type's edges.
  Tensor operand(ElementType type, const Shape &shape) {
    if (kindOf(type) == ElementKind::Float) {
      const double edges[] = {0, -0.0, 1, -1, 0.5, -2.5, 3, INFINITY, -INFINITY, NAN};
      std::normal_distribution<double> normal(0, 3);
      std::vector<double> values(elementCount(shape));
      for (double &value : values)
        value = random() % 5 ? normal(random) : edges[random() % std::size(edges)];
      return graph::store(type, shape, values);
    }
    const int width = graph::bitWidth(type);
    const uint64_t top = uint64_t(1) << (width - 1);
    const uint64_t edges[] = {
        0, 1, uint64_t(-1), top, top - 1, uint64_t(width), uint64_t(width - 1)};
    std::vector<uint64_t> values(elementCount(shape));
    for (uint64_t &value : values)
      value = random() % 3 == 0 ? edges[random() % std::size(edges)]
              : random() % 2    ? random() % 12 - 4
                                : random();
    return graph::store(type, shape, values);
  }

  /// The same without zeros in integers, which end the run.
  Tensor divisor(ElementType type, const Shape &shape) {
    Tensor values = operand(type, shape);
    if (kindOf(type) == ElementKind::Float)
      return values;
    std::vector<uint64_t> bits = graph::load<uint64_t>(values);
    for (uint64_t &value : bits)
      value = value ? value : 3;
    return graph::store(type, shape, bits);
  }

  void check(ElementType type, const Shape &shape, const std::vector<Line> &lines) {
    const std::string operands = tensorOf(shape, type);
    std::string body, names, results;
    for (size_t i = 0; i < lines.size(); ++i) {
      body += fmt::format("  %r{} = {}\n", i, lines[i].text);
      names += fmt::format("{}%r{}", i ? ", " : "", i);
      results += fmt::format("{}{} {{graph.name = \"r{}\"}}", i ? ", " : "",
                             tensorOf(shape, lines[i].result), i);
    }
    std::string types;
    for (size_t i = 0; i < lines.size(); ++i)
      types += (i ? ", " : "") + tensorOf(shape, lines[i].result);
    auto input = [&](const char *name, const std::string &type) {
      return fmt::format("%{0}: {1} {{graph.name = \"{0}\", graph.role = \"input\"}}", name, type);
    };
    auto model = Model::parse(
        fmt::format("func.func @forward({}, {}, {}, {}) -> ({}) {{\n{}  return {} : {}\n}}",
                    input("x", operands), input("y", operands), input("d", operands),
                    input("c", tensorOf(shape, ElementType::I1)), results, body, names, types));
    ASSERT_TRUE(model) << model.error().text();
    const std::map<std::string, Tensor> inputs = {{"x", operand(type, shape)},
                                                  {"y", operand(type, shape)},
                                                  {"d", divisor(type, shape)},
                                                  {"c", operand(ElementType::I1, shape)}};
    auto function = *moduleOf(*model).getOps<mlir::func::FuncOp>().begin();
    auto expected = interpret(function, std::vector<Tensor>{inputs.at("x"), inputs.at("y"),
                                                            inputs.at("d"), inputs.at("c")});
    ASSERT_TRUE(expected) << expected.error().text();
    auto program = model->compile();
    ASSERT_TRUE(program) << program.error().text();
    auto outputs = program->run(inputs);
    ASSERT_TRUE(outputs) << outputs.error().text();
    for (size_t i = 0; i < lines.size(); ++i) {
      SCOPED_TRACE(lines[i].text);
      compare(outputs->at("r" + std::to_string(i)), (*expected)[i], inputs);
    }
  }

  void compare(const Tensor &actual, const Tensor &expected,
               const std::map<std::string, Tensor> &inputs) {
    ASSERT_EQ(actual.shape(), expected.shape());
    if (kindOf(expected.type()) != ElementKind::Float) {
      auto a = graph::load<int64_t>(actual), e = graph::load<int64_t>(expected);
      for (size_t i = 0; i < a.size(); ++i)
        ASSERT_EQ(a[i], e[i]) << at(inputs, i);
      return;
    }
    auto a = graph::load<double>(actual), e = graph::load<double>(expected);
    for (size_t i = 0; i < a.size(); ++i) {
      if (a[i] == e[i] || (std::isnan(a[i]) && std::isnan(e[i])))
        continue;
      ASSERT_LE(std::fabs(a[i] - e[i]), unitsOf(expected.type(), e[i]))
          << a[i] << ", expected " << e[i] << at(inputs, i);
    }
  }

  /// What compiled code may differ by: the functions' stated ulps, which narrow types round away
  /// but for one.
  static double unitsOf(ElementType type, double value) {
    struct Format {
      int digits, least;
      double ulps;
    };
    const Format format = type == ElementType::F64        ? Format{53, -1074, 60}
                          : type == ElementType::F32      ? Format{24, -149, 8}
                          : type == ElementType::F16      ? Format{11, -24, 1}
                          : type == ElementType::BF16     ? Format{8, -133, 1}
                          : type == ElementType::F8E4M3FN ? Format{4, -9, 1}
                                                          : Format{3, -16, 1};
    const int exponent = value == 0 ? -2000 : std::ilogb(value) - format.digits + 1;
    return format.ulps * std::ldexp(1.0, std::max(exponent, format.least));
  }

  static std::string at(const std::map<std::string, Tensor> &inputs, size_t index) {
    std::string text = " at";
    for (const auto &[name, value] : inputs)
      text += kindOf(value.type()) == ElementKind::Float
                  ? fmt::format(" {} = {}", name, graph::load<double>(value)[index])
                  : fmt::format(" {} = {}", name, graph::load<int64_t>(value)[index]);
    return text;
  }

  uint64_t seed = std::getenv("INGOT_TEST_SEED") ? std::stoull(std::getenv("INGOT_TEST_SEED"))
                                                 : std::random_device()();
  std::mt19937_64 random{seed};
  ::testing::ScopedTrace trace{__FILE__, __LINE__, "INGOT_TEST_SEED=" + std::to_string(seed)};
};

TEST_P(Primitives, CompiledCodeAgreesWithTheReference) {
  const ElementType type = GetParam();
  const Shape small[] = {{1}, {0, 3}, {}};
  const Shape shapes[] = {{int64_t(random() % 40 + 30), 7}, small[random() % std::size(small)]};
  for (const Shape &shape : shapes) {
    const std::string tensor = tensorOf(shape, type);
    std::vector<Line> lines;
    auto add = [&](llvm::StringRef op, llvm::StringRef elements, llvm::StringRef operands) {
      if (isOn(elements, type))
        lines.push_back({fmt::format("{} {} : {}", op.str(), operands.str(), tensor), type});
    };
    auto second = [](llvm::StringRef op) {
      return op == "graph.div" || op == "graph.remainder" || op == "graph.modulo" ? "%x, %d"
                                                                                  : "%x, %y";
    };
#define INGOT_UNARY(METHOD, OP, ELEMENTS, ...) add(graph::OP::getOperationName(), #ELEMENTS, "%x");
#define INGOT_BINARY(METHOD, OP, ELEMENTS, ...)                                                    \
  add(graph::OP::getOperationName(), #ELEMENTS, second(graph::OP::getOperationName()));
#include "ir/formulas/Primitives.def"
    for (const char *direction : {"eq", "ne", "lt", "le", "gt", "ge"})
      lines.push_back({fmt::format("graph.compare {} %x, %y : {} -> {}", direction, tensor,
                                   tensorOf(shape, ElementType::I1)),
                       ElementType::I1});
    lines.push_back(
        {fmt::format("graph.select %c, %x, %y : {}, {}", tensorOf(shape, ElementType::I1), tensor),
         type});
    for (ElementType to : types)
      lines.push_back({fmt::format("graph.cast %x : {} -> {}", tensor, tensorOf(shape, to)), to});
    check(type, shape, lines);
  }
}

INSTANTIATE_TEST_SUITE_P(Types, Primitives, ::testing::ValuesIn(types),
                         [](const auto &test) { return std::string(name(test.param)); });

} // namespace
} // namespace ingot::testing
