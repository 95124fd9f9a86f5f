/// Models of attention and its gradients, with sizes and options that are drawn.
#pragma once
#include "frontend/api/ModelModule.h"
#include "frontend/builder/Builder.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Signature.h"
#include "passes/training/Training.h"
#include "test/ir/DrawnOptions.h"
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <random>

namespace ingot::test {

/// Draws sizes: 1, odd ones, and now and then a batch of none.
struct AttentionDraw {
  explicit AttentionDraw(std::mt19937_64 &random) : random(random) {
    batch = random() % 16 ? upTo(2) : 0;
    keyHeads = upTo(2), heads = keyHeads * upTo(3), queries = upTo(40);
    head = upTo(20), valueHead = upTo(20);
    causal = coin();
  }
  int64_t upTo(int64_t most) { return int64_t(1 + random() % uint64_t(most)); }
  bool coin() { return random() % 2 == 0; }

  std::mt19937_64 &random;
  int64_t batch, keyHeads, heads, queries, head, valueHead;
  bool causal;
};

/// Integer inputs, of which masks, offsets and lengths are made, are to be drawn below this.
constexpr int64_t attentionIndexLimit = 24;

/// Heads that share keys, forward and backward: @forward(q, k, v, d, …) gives r0, … by the two ops.
/// With options in whatever combination, and now and then with sequences of several blocks.
inline std::string drawAttention(std::mt19937_64 &random, const std::string &type = "f32",
                                 bool hasOptions = false) {
  AttentionDraw draw(random);
  int64_t keys = draw.causal ? draw.queries + draw.upTo(20) - 1 : draw.upTo(40);
  if (hasOptions) {
    draw.batch = std::max<int64_t>(draw.batch, 1);
    const bool isLong = random() % 4 == 0;
    draw.queries = draw.upTo(isLong ? 180 : 40);
    keys = draw.upTo(isLong ? 180 : 40);
  }
  auto tensor = [&](int64_t heads, int64_t rows, int64_t width) {
    return fmt::format("tensor<{}x{}x{}x{}x{}>", draw.batch, heads, rows, width, type);
  };
  const std::string q = tensor(draw.heads, draw.queries, draw.head),
                    k = tensor(draw.keyHeads, keys, draw.head),
                    v = tensor(draw.keyHeads, keys, draw.valueHead),
                    y = tensor(draw.heads, draw.queries, draw.valueHead),
                    lse = fmt::format("tensor<{}x{}x{}x{}>", draw.batch, draw.heads, draw.queries,
                                      type == "f64" ? "f64" : "f32");
  AttentionWords words;
  words.attributes = draw.causal ? "true" : "false";
  if (hasOptions)
    words = drawAttentionWords(random, {draw.batch, draw.heads, draw.queries, keys}, type);
  std::vector<std::pair<std::string, std::string>> inputs = {
      {"q", q}, {"k", k}, {"v", v}, {"d", y}};
  inputs.insert(inputs.end(), words.inputs.begin(), words.inputs.end());
  std::string arguments, results;
  for (const auto &[name, of] : inputs)
    arguments += fmt::format("{}%{}: {} {{graph.name = \"{}\", graph.role = \"input\"}}",
                             arguments.empty() ? "" : ", ", name, of, name);
  int number = 0;
  for (const std::string &of : {y, lse, q, k, v}) {
    results += fmt::format("{}{} {{graph.name = \"r{}\"}}", number ? ", " : "", of, number);
    ++number;
  }
  return fmt::format(
      "func.func @forward({0}) -> ({1}) {{\n{8}"
      "  %y, %l = graph.attention %q, %k, %v{9} scale 4.0e-1 causal {2}"
      " : {3}, {4}, {5}{10} -> {6}, {7}\n"
      "  %g:3 = graph.attention_backward %q, %k, %v, %y, %l, %d{9} scale 4.0e-1 causal {2}"
      " : {3}, {4}, {5}, {6}, {7}, {6}{10} -> {3}, {4}, {5}\n"
      "  return %y, %l, %g#0, %g#1, %g#2 : {6}, {7}, {3}, {4}, {5}\n}}\n",
      arguments, results, words.attributes, q, k, v, y, lse, words.before, words.operands,
      words.types);
}

/// The builder's attention with options: @forward gives a weighted sum of its result and the
/// gradients of all floats, the mask's too.
inline std::string drawMaskedAttention(std::mt19937_64 &random,
                                       ElementType type = ElementType::F32) {
  AttentionDraw draw(random);
  Builder b;
  const int64_t keys = draw.upTo(40);
  auto floats = [&](const char *name, const Shape &shape) {
    return b.parameter(name, shape, Initializer::constant(0), type);
  };
  auto integers = [&](const char *name) {
    return b.input(name, ElementType::I64, draw.coin() ? Shape{} : Shape{draw.batch});
  };
  AttentionOptions how{.causal = draw.causal, .scale = 0.4};
  Shape mask = {draw.batch, draw.heads, draw.queries, keys};
  for (int64_t &size : mask)
    size = draw.coin() ? size : 1;
  mask.erase(mask.begin(), mask.begin() + int64_t(random() % 3));
  if (draw.coin()) {
    if (draw.coin()) // two of three keys are seen
      how.mask = b.compare(Comparison::Less, b.input("m", ElementType::I64, mask),
                           b.scalar(16, ElementType::I64));
    else
      how.mask = floats("m", mask);
  }
  if (draw.coin())
    how.offset = integers("o");
  if (draw.coin())
    how.length = integers("n");
  if (draw.coin())
    how.softCap = 1.5;
  if (draw.coin())
    how.window = draw.upTo(12);
  if (!how.mask.valid() && how.softCap == 0) // some option at least
    how.window = 7;
  Builder::Value y =
      b.attention(floats("q", {draw.batch, draw.heads, draw.queries, draw.head}),
                  floats("k", {draw.batch, draw.keyHeads, keys, draw.head}),
                  floats("v", {draw.batch, draw.keyHeads, keys, draw.valueHead}), how);
  b.output("loss", b.sum(y * b.input("d", type, y.shape())));
  auto model = b.finish();
  EXPECT_TRUE(model) << model.error().text();

  auto module = moduleOf(*model).clone();
  mlir::PassManager passes(module.getContext());
  TrainingOptions training;
  training.loss = Loss::None;
  buildGradientPipeline(passes, training);
  EXPECT_TRUE(succeeded(passes.run(module)));
  auto function = module.lookupSymbol<mlir::func::FuncOp>("gradients");
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    function.setArgAttr(i, "graph.role", mlir::StringAttr::get(module.getContext(), "input"));
    function.removeArgAttr(i, "graph.init");
  }
  for (unsigned i = 0; i < function.getNumResults(); ++i)
    function.setResultAttr(i, "graph.name",
                           mlir::StringAttr::get(module.getContext(), fmt::format("r{}", i)));
  for (auto other : llvm::make_early_inc_range(module.getOps<mlir::func::FuncOp>()))
    if (other != function)
      other.erase();
  function.setName("forward");
  std::string text;
  llvm::raw_string_ostream(text) << module;
  module.erase();
  return text;
}

} // namespace ingot::test
