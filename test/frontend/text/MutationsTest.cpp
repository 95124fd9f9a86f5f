/// Damaged `.mlir` text is an error at its place or a model that can be used; it never crashes.
#include "test/runtime/Mutations.h"
#include "frontend/api/Ingot.h"
#include <gtest/gtest.h>

namespace ingot {
namespace {

void tryMutations(const std::string &good) {
  ASSERT_TRUE(Model::parse(good));
  const uint64_t seed = std::random_device()();
  std::mt19937_64 random(seed);
  int refused = 0;
  for (int i = 0; i < test::mutationTrials(); ++i) {
    Result<Model> model = Model::parse(test::mutate(good, random), "m.mlir");
    if (!model) {
      ++refused;
      EXPECT_EQ(model.error().text().find("see current operation"), std::string::npos);
      continue;
    }
    for (const ModelPort &port : model->ports())
      (void)port.name.size();
    EXPECT_TRUE(Model::parse(model->text(true))) << "seed " << seed;
  }
  EXPECT_GT(refused, test::mutationTrials() / 4);
}

TEST(Mutations, mlpText) { tryMutations(Model::mlp({.layers = {4, 3, 2}})->text(true)); }

TEST(Mutations, gptText) {
  const GptSizes tiny = {
      .layers = 1, .heads = 2, .width = 4, .sequence = 3, .vocabulary = 5, .batch = 2};
  tryMutations(Model::gpt(tiny)->text(true));
}

std::string refusal(const std::string &text) {
  Result<Model> model = Model::parse(text, "m.mlir");
  return model ? "accepted" : model.error().text();
}

TEST(Text, WhatUpstreamsParserCrashesOnIsRefused) {
  const std::string linalg = R"(module attributes {graph.stage = "linalg"} { func.func @f() {
  linalg.transpose ins(%a : tensor<2xf32>) outs(%b : tensor<2xf32>) permutation = [0, } })";
  EXPECT_EQ(refusal(linalg), "m.mlir:2:3: 'linalg.transpose' is an op of no stage");
  // Ops of other stages are not even parsed.
  const std::string model = "func.func @f() { linalg.map { } ins( }";
  EXPECT_NE(refusal(model).find("m.mlir:1:18: "), std::string::npos) << refusal(model);
}

TEST(Text, DeepNestingIsRefused) {
  for (const std::string opening : {"module {", "func.func @f() { scf.execute_region {", "#a = [",
                                    "!a = tuple<", "#l = loc(fused["}) {
    std::string text;
    for (int i = 0; i < 20000; ++i)
      text += opening;
    EXPECT_NE(refusal(text).find("nests deeper than 256"), std::string::npos) << opening;
  }
  // Brackets in strings and comments do not count, and arrows close nothing.
  const std::string brackets(1000, '[');
  EXPECT_EQ(
      refusal(
          "// " + brackets + "\nmodule attributes {graph.a = \"\\\"" + brackets +
          "\"} { func.func @forward(%x: tensor<2xf32> {graph.name = \"x\", graph.role = "
          "\"input\"}) -> (tensor<2xf32> {graph.name = \"y\"}) { return %x : tensor<2xf32> } }"),
      "accepted");
}

} // namespace
} // namespace ingot
