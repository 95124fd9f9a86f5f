/// Random numbers of compiled code are the reference's, bit for bit, however lanes lie in a tensor.
#include "frontend/api/Ingot.h"
#include "frontend/api/ModelModule.h"
#include "ir/reference/Reference.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <cstring>
#include <gtest/gtest.h>
#include <random>

namespace ingot::testing {
namespace {

void check(const std::string &type, const std::string &body, const std::string &result) {
  SCOPED_TRACE(type + "\n" + body);
  auto port = [](const char *name) {
    return fmt::format("%{0}: tensor<i64> {{graph.name = \"{0}\", graph.role = \"input\"}}", name);
  };
  auto model = Model::parse(fmt::format(
      "func.func @forward({}, {}) -> ({} {{graph.name = \"y\"}}) {{\n{}  return %y : {}\n}}",
      port("seed"), port("step"), result, body, result));
  ASSERT_TRUE(model) << model.error().text();
  std::mt19937_64 random{std::random_device()()};
  auto scalar = [&] {
    Tensor tensor(ElementType::I64, {});
    *tensor.as<int64_t>() = int64_t(random());
    return tensor;
  };
  const Tensor seed = scalar(), step = scalar();
  auto function = *moduleOf(*model).getOps<mlir::func::FuncOp>().begin();
  auto expected = interpret(function, std::vector<Tensor>{seed, step});
  ASSERT_TRUE(expected) << expected.error().text();
  auto program = model->compile();
  ASSERT_TRUE(program) << program.error().text();
  auto outputs = program->run({{"seed", seed}, {"step", step}});
  ASSERT_TRUE(outputs) << outputs.error().text();
  const Tensor &actual = outputs->at("y"), &wanted = expected->front();
  ASSERT_EQ(actual.bytes(), wanted.bytes());
  EXPECT_EQ(std::memcmp(actual.data(), wanted.data(), wanted.bytes()), 0)
      << "seed " << *seed.as<int64_t>() << ", step " << *step.as<int64_t>();
}

TEST(RandomNumbers, CompiledCodeDrawsTheReferencesBits) {
  for (const char *kind : {"uniform", "normal"})
    for (const char *element : {"f32", "f64", "bf16"})
      for (const char *shape : {"1", "3", "16", "37", "5x7", "9x20", "6x18", "3x5x8", "130x64"}) {
        const std::string type = fmt::format("tensor<{}x{}>", shape, element);
        check(type,
              fmt::format(
                  "  %y = graph.random_{} %seed, %step id 5 : tensor<i64>, tensor<i64> -> {}\n",
                  kind, type),
              type);
      }
}

/// Lanes that hold no run of numbers from a multiple of four on.
TEST(RandomNumbers, InPiecesAndTransposed) {
  for (const char *kind : {"uniform", "normal"}) {
    const std::string draw = fmt::format("  %r = graph.random_{} %seed, %step id 7 : tensor<i64>, "
                                         "tensor<i64> -> tensor<40x36xf32>\n",
                                         kind);
    check("transposed",
          draw + "  %y = graph.transpose %r [1, 0] : tensor<40x36xf32> -> tensor<36x40xf32>\n",
          "tensor<36x40xf32>");
    for (int start : {1, 4})
      check("slice",
            draw + fmt::format("  %y = graph.slice %r [0, {}] to [40, {}] by [1, 1] "
                               ": tensor<40x36xf32> -> tensor<40x17xf32>\n",
                               start, start + 17),
            "tensor<40x17xf32>");
  }
}

} // namespace
} // namespace ingot::testing
