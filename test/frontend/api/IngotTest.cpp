#include "frontend/api/Ingot.h"
#include "codegen/tuning/TuningFile.h"
#include "frontend/api/SavedModel.h"
#include "frontend/check/Check.h"
#include "runtime/support/File.h"
#include <filesystem>
#include <gtest/gtest.h>
#include <random>

namespace ingot {
namespace {

namespace fs = std::filesystem;
constexpr ElementType f32 = ElementType::F32;

struct Devices : testing::TestWithParam<const char *> {
  Options options() const { return {.device = GetParam(), .threads = 1, .cache = false}; }
  TrainOptions trainOptions() const {
    TrainOptions result;
    static_cast<Options &>(result) = options();
    result.seed = 5;
    return result;
  }
};
INSTANTIATE_TEST_SUITE_P(Ingot, Devices, testing::Values("cpu", "reference"),
                         [](const auto &info) { return std::string(info.param); });

Tensors randomBatch(uint32_t seed) {
  std::mt19937 random(seed);
  Tensor x(f32, {4, 6}), targets(ElementType::I32, {4});
  for (int i = 0; i < 24; ++i)
    x.as<float>()[i] = std::normal_distribution<float>()(random);
  for (int i = 0; i < 4; ++i)
    targets.as<int32_t>()[i] = int32_t(random() % 3);
  return {{"x", x}, {"targets", targets}};
}

Model smallMlp() { return Model::mlp({.layers = {6, 5, 3}, .batch = 4}).value(); }

bool sameBytes(const Tensor &a, const Tensor &b) {
  return a.bytes() == b.bytes() && std::memcmp(a.data(), b.data(), a.bytes()) == 0;
}

TEST_P(Devices, aProgramRuns) {
  Builder b;
  auto x = b.input("x", f32, {2, 3});
  b.output("y", b.relu(x * b.parameter("scale", {3}, Initializer::constant(2)) - b.scalar(1)));
  Result<CompiledProgram> program = b.finish().value().compile(options());
  ASSERT_TRUE(program) << program.error().text();
  Tensor input(f32, {2, 3});
  for (int i = 0; i < 6; ++i)
    input.as<float>()[i] = float(i) - 2;
  Result<Tensors> outputs = program->run({{"x", input}});
  ASSERT_TRUE(outputs) << outputs.error().text();
  for (int i = 0; i < 6; ++i)
    EXPECT_EQ(outputs->at("y").as<float>()[i], std::max(2 * (float(i) - 2) - 1, 0.0f));

  EXPECT_EQ(program->run({}).error().text(), "x: the input is missing: 2x3 f32");
  EXPECT_EQ(program->run({{"x", input}, {"z", input}}).error().place, "z");
  EXPECT_FALSE(program->run({{"x", Tensor(f32, {3, 2})}}));
  EXPECT_NE(program->ir("graph")->find("graph.relu"), std::string::npos);
  EXPECT_EQ(program->ir("grap").error().code, Error::Code::Usage);
}

TEST_P(Devices, trainingLowersTheLoss) {
  for (Optimizer optimizer :
       {Optimizer(AdamW{.learningRate = 0.05}), Optimizer(Sgd{.learningRate = 0.2})}) {
    Result<ModelTrainer> trainer =
        smallMlp().trainer(Loss::CrossEntropy, optimizer, trainOptions());
    ASSERT_TRUE(trainer) << trainer.error().text();
    Tensors batch = randomBatch(1);
    float first = trainer->step(batch).value();
    for (int i = 0; i < 40; ++i)
      ASSERT_TRUE(trainer->step(batch));
    EXPECT_LT(trainer->evaluate(batch).value(), 0.5f * first);
    EXPECT_EQ(trainer->steps(), 41);
    EXPECT_EQ(trainer->run({{"x", batch["x"]}})->at("logits").shape(), (Shape{4, 3}));
  }
}

TEST_P(Devices, aSavedTrainerGoesOnBitByBit) {
  fs::path folder = fs::path(testing::TempDir()) / fmt::format("ingot-trainer-{}", GetParam());
  fs::remove_all(folder);
  Model model = smallMlp();
  auto make = [&] { return model.trainer(Loss::CrossEntropy, AdamW{}, trainOptions()).value(); };
  ModelTrainer whole = make(), first = make();
  for (uint32_t i = 0; i < 6; ++i)
    ASSERT_TRUE(whole.step(randomBatch(i)));
  for (uint32_t i = 0; i < 3; ++i)
    ASSERT_TRUE(first.step(randomBatch(i)));
  ASSERT_TRUE(first.save(folder));
  ModelTrainer second = make();
  Status loaded = second.load(folder);
  ASSERT_TRUE(loaded) << loaded.error().text();
  for (uint32_t i = 3; i < 6; ++i)
    ASSERT_TRUE(second.step(randomBatch(i)));
  EXPECT_EQ(second.steps(), 6);
  for (const char *name : {"layers.0.weight", "layers.1.bias", "adam.v.layers.0.weight"})
    EXPECT_TRUE(sameBytes(whole.read(name).value(), second.read(name).value())) << name;

  Result<CompiledProgram> program = model.compile(options());
  ASSERT_TRUE(program && program->load(folder));
  EXPECT_FALSE(Model::mlp({.layers = {6, 3}, .batch = 4})->compile(options())->load(folder));
  fs::remove_all(folder);
}

// `ingot generate` writes with the tokenizer of a checkpoint and refuses one that has none.
TEST(Trainer, keepsTheTokenizerInCheckpoints) {
  fs::path folder = fs::path(testing::TempDir()) / "ingot-trainer-tokenizer";
  Result<TokenizerPointer> tokenizer = makeCharTokenizer("to be or not\n", "text");
  ASSERT_TRUE(tokenizer);
  Model model = Model::gpt({.layers = 1,
                            .heads = 1,
                            .width = 8,
                            .sequence = 4,
                            .vocabulary = (*tokenizer)->vocabularySize(),
                            .batch = 1})
                    .value();
  for (const TokenizerPointer &kept : {*tokenizer, TokenizerPointer()}) {
    fs::remove_all(folder);
    TrainOptions options;
    options.device = "reference";
    options.tokenizer = kept;
    Result<ModelTrainer> trainer = model.trainer(Loss::CrossEntropy, AdamW{}, options);
    ASSERT_TRUE(trainer) << trainer.error().text();
    ASSERT_TRUE(trainer->save(folder));
    Result<Checkpoint> checkpoint = readCheckpoint(folder);
    ASSERT_TRUE(checkpoint);
    Result<SavedModel> saved = parseSavedModel(checkpoint->options, folder, 1);
    ASSERT_TRUE(saved) << saved.error().text();
    ASSERT_EQ(saved->tokenizer != nullptr, kept != nullptr);
    if (kept)
      EXPECT_EQ(saved->tokenizer->toJson(), kept->toJson());
  }
  fs::remove_all(folder);
}

TEST(Tuning, isUsedUnlessSwitchedOffAndChangesNoBit) {
  const std::string folder = fs::path(testing::TempDir()) / "ingot-tuned";
  fs::remove_all(folder);
  const char *before = std::getenv("INGOT_CACHE");
  const std::string old = before ? before : "";
  setenv("INGOT_CACHE", folder.c_str(), 1);
  const Model model = Model::mlp({.layers = {40, 50, 30}, .batch = 20}).value();
  const Options on{.threads = 1};
  Options off = on;
  off.tuned = false;
  CompiledProgram derived = model.compile(on).value();
  const TuningFile file(folder, CpuTarget::host(), 1);
  BlockChoices choices;
  for (const Kernel &kernel : derived.program().kernels)
    if (kernel.root == "contraction")
      choices[kernel.name] = {.tileRows = 3, .tileColumns = 32};
  ASSERT_TRUE(file.update(choices));
  CompiledProgram tuned = model.compile(on).value(), without = model.compile(off).value();
  for (const Kernel &kernel : tuned.program().kernels)
    EXPECT_EQ(kernel.tuned, kernel.root == "contraction" ? "tile_rows=3 tile_columns=32" : "");
  for (const Kernel &kernel : without.program().kernels)
    EXPECT_EQ(kernel.tuned, "");
  EXPECT_NE(tuned.program().objects[0].bytes, derived.program().objects[0].bytes);
  EXPECT_EQ(without.program().objects[0].bytes, derived.program().objects[0].bytes);
  EXPECT_EQ(tuned.note(), "");
  Tensor x(f32, {20, 40});
  for (int i = 0; i < 800; ++i)
    x.as<float>()[i] = float(i * 37 % 101) / 101;
  EXPECT_TRUE(
      sameBytes(tuned.run({{"x", x}})->at("logits"), derived.run({{"x", x}})->at("logits")));

  ASSERT_TRUE(writeFile(file.path(), "{"));
  EXPECT_EQ(model.compile(on)->note(), file.path() + ": damaged: not valid JSON");
  before ? setenv("INGOT_CACHE", old.c_str(), 1) : unsetenv("INGOT_CACHE");
  fs::remove_all(folder);
}

TEST(Check, acceptsTheCpuAndNamesWhatIsWrong) {
  CheckOptions options;
  options.compile.training = TrainingOptions{};
  options.threads = 1;
  options.seed = std::random_device()();
  SCOPED_TRACE(options.seed);
  Result<CheckReport> fine = checkModel(smallMlp(), options);
  ASSERT_TRUE(fine) << fine.error().text();
  EXPECT_TRUE(fine->fine());
  EXPECT_TRUE(fine->culprit.empty());
  EXPECT_GT(fine->ops.size(), 20u);

  options.tolerance = 0; // f32 rounds where the reference does not: now something must be wrong.
  options.ops = false;
  Result<CheckReport> wrong = checkModel(smallMlp(), options);
  ASSERT_TRUE(wrong) << wrong.error().text();
  EXPECT_FALSE(wrong->fine());
  EXPECT_FALSE(wrong->culprit.empty());
  EXPECT_FALSE(wrong->kernels.empty());
}

} // namespace
} // namespace ingot
