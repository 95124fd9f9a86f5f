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

/// Outputs of one model, which is compiled once.
struct Outputs {
  std::string body, names, types, results;
  int count = 0;

  /// `lines` define `name()`, a tensor of this type.
  void add(const std::string &lines, const std::string &type) {
    const char *comma = count ? ", " : "";
    body += lines;
    names += comma + name();
    types += comma + type;
    results += fmt::format("{}{} {{graph.name = \"y{}\"}}", comma, type, count++);
  }
  std::string name() const { return fmt::format("%y{}", count); }
};

void check(const Outputs &all) {
  auto port = [](const char *name) {
    return fmt::format("%{0}: tensor<i64> {{graph.name = \"{0}\", graph.role = \"input\"}}", name);
  };
  auto model = Model::parse(
      fmt::format("func.func @forward({}, {}) -> ({}) {{\n{}  return {} : {}\n}}", port("seed"),
                  port("step"), all.results, all.body, all.names, all.types));
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
  for (int i = 0; i < all.count; ++i) {
    const Tensor &actual = outputs->at(fmt::format("y{}", i)), &wanted = (*expected)[i];
    ASSERT_EQ(actual.bytes(), wanted.bytes());
    EXPECT_EQ(std::memcmp(actual.data(), wanted.data(), wanted.bytes()), 0)
        << "output " << i << ", seed " << *seed.as<int64_t>() << ", step " << *step.as<int64_t>()
        << "\n"
        << all.body;
  }
}

std::string draw(const std::string &name, const char *kind, const std::string &type) {
  return fmt::format("  {} = graph.random_{} %seed, %step id 5 : tensor<i64>, tensor<i64> -> {}\n",
                     name, kind, type);
}

TEST(RandomNumbers, CompiledCodeDrawsTheReferencesBits) {
  Outputs all;
  for (const char *kind : {"uniform", "normal"})
    for (const char *element : {"f32", "f64", "bf16"})
      for (const char *shape : {"3", "16", "37", "5x7", "9x20", "3x5x8", "130x64"}) {
        const std::string type = fmt::format("tensor<{}x{}>", shape, element);
        all.add(draw(all.name(), kind, type), type);
      }
  check(all);
}

/// Lanes that hold no run of numbers from a multiple of four on.
TEST(RandomNumbers, InPiecesAndTransposed) {
  const std::string whole = "tensor<40x36xf32>", turned = "tensor<36x40xf32>",
                    piece = "tensor<40x17xf32>";
  Outputs all;
  for (const char *kind : {"uniform", "normal"}) {
    const std::string source = fmt::format("%{}", kind);
    all.body += draw(source, kind, whole);
    all.add(fmt::format("  {} = graph.transpose {} [1, 0] : {} -> {}\n", all.name(), source, whole,
                        turned),
            turned);
    for (int start : {1, 4})
      all.add(fmt::format("  {} = graph.slice {} [0, {}] to [40, {}] by [1, 1] : {} -> {}\n",
                          all.name(), source, start, start + 17, whole, piece),
              piece);
  }
  check(all);
}

} // namespace
} // namespace ingot::testing
