#include "frontend/weights/OutsideWeights.h"
#include "frontend/api/Ingot.h"
#include "frontend/weights/WeightNames.h"
#include "runtime/support/File.h"
#include "test/runtime/Mutations.h"
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

namespace ingot {
namespace {

namespace fs = std::filesystem;

const std::string recorded = INGOT_SOURCE_DIR "/test/golden/gpt2";

Result<OutsideWeights> readWeights(const std::string &path) {
  const std::string file = weightsFile(path);
  INGOT_ASSIGN(Safetensors contents, readTensors(file));
  return parseOutsideWeights(std::move(contents), file);
}

// Both directions of the table, for every parameter of both families.
TEST(WeightNames, EveryParameterHasOneName) {
  const Model models[] = {
      Model::gpt({.layers = 12, .heads = 1, .width = 2, .sequence = 2, .vocabulary = 3, .batch = 1})
          .value(),
      Model::mlp({.layers = {2, 2, 2}, .batch = 1}).value()};
  for (auto [family, model] : {std::pair("gpt", models[0]), std::pair("mlp", models[1])}) {
    const WeightForm &form = *weightForm(family);
    for (const ModelPort &port : model.ports()) {
      if (port.role != Role::Parameter)
        continue;
      const std::optional<FoundName> ours = findOurs(form, port.name);
      ASSERT_TRUE(ours) << port.name;
      EXPECT_FALSE(ours->row->isCopy);
      const std::optional<FoundName> theirs = findTheirs(form, ours->theirs());
      ASSERT_TRUE(theirs);
      EXPECT_EQ(theirs->ours(), port.name);
      EXPECT_EQ(ours->row->isTransposed,
                std::string(family) == "gpt" && port.shape.size() == 2 && port.name[0] == 'h');
    }
  }
  EXPECT_EQ(weightForm("t5"), nullptr);
  for (const char *name : {"h.01.ln_1.bias", "h.-1.ln_1.bias", "h..ln_1.bias", "h.x.ln_1.bias",
                           "h.99999999999999999999.ln_1.bias", "h.0.ln_3.bias"})
    EXPECT_FALSE(findTheirs(*weightForm("gpt"), name)) << name;
}

TEST(OutsideWeights, LibraryLoadsThem) {
  const Model model =
      Model::gpt(
          {.layers = 2, .heads = 3, .width = 12, .sequence = 7, .vocabulary = 258, .batch = 4})
          .value();
  auto trainer = model.trainer(Loss::CrossEntropy, AdamW()).value();
  ASSERT_TRUE(trainer.load(recorded));
  EXPECT_EQ(trainer.steps(), 0);
  const OutsideWeights weights = readWeights(recorded).value();
  const Tensor table = trainer.read("wte.weight").value();
  EXPECT_EQ(std::memcmp(table.data(), weights.parameters.at("wte.weight").data(), table.bytes()),
            0);
  // A training that had gone on begins anew: its moments are not those of the weights.
  Tensors batch = {{"tokens", Tensor(ElementType::I32, {4, 7})},
                   {"targets", Tensor(ElementType::I32, {4, 7})}};
  const float first = trainer.step(batch).value();
  ASSERT_TRUE(trainer.load(recorded));
  EXPECT_EQ(trainer.steps(), 0);
  EXPECT_EQ(trainer.step(batch).value(), first);
  EXPECT_EQ(trainer.steps(), 1);
}

/// Copies the recorded folder, mutates one of its files and reads it.
void tryMutations(const std::string &file, bool inShards) {
  std::string folder = (fs::temp_directory_path() / "weights-XXXXXX").string();
  ASSERT_TRUE(mkdtemp(folder.data()));
  const std::string path = folder + "/gpt2";
  if (inShards)
    ASSERT_TRUE(writeOutsideWeights(path, readWeights(recorded).value(), {.largestShard = 8000}));
  else
    fs::copy(recorded, path);
  const std::string good = readFile(path + "/" + file).value();
  const uint64_t seed = std::random_device()();
  std::mt19937_64 random(seed);
  int refused = 0;
  for (int i = 0; i < test::mutationTrials(); ++i) {
    std::ofstream(path + "/" + file, std::ios::binary) << test::mutate(good, random);
    Result<OutsideWeights> weights = readWeights(path);
    refused += !weights;
    if (!weights)
      EXPECT_EQ(weights.error().text().find(path), 0u) << seed << ": " << weights.error().text();
    else if (const auto *sizes = std::get_if<GptSizes>(&weights->sizes))
      (void)Model::gpt(*sizes);
  }
  EXPECT_GT(refused, test::mutationTrials() / 20);
  fs::remove_all(folder);
}

TEST(Mutations, outsideWeights) { tryMutations("model.safetensors", false); }
TEST(Mutations, outsideConfig) { tryMutations("config.json", false); }
TEST(Mutations, indexOfShards) { tryMutations("model.safetensors.index.json", true); }

} // namespace
} // namespace ingot
