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

} // namespace
} // namespace ingot
