#include "frontend/api/Ingot.h"
#include "codegen/tuning/TuningFile.h"
#include "frontend/api/SavedModel.h"
#include "frontend/check/Check.h"
#include "runtime/data/ArraySource.h"
#include "runtime/support/File.h"
#include <cmath>
#include <filesystem>
#include <gtest/gtest.h>
#include <random>

namespace ingot {
namespace {

namespace fs = std::filesystem;
constexpr ElementType f32 = ElementType::F32;

struct Devices : testing::TestWithParam<const char *> {
  Options options() const { return {.device = GetParam(), .threads = 1, .cache = false}; }
  ModelTrainerOptions trainOptions() const {
    ModelTrainerOptions result;
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

/// The only output of a model that is given as text.
Result<Tensor> runText(const char *text, const Options &options, const Tensors &inputs) {
  INGOT_ASSIGN(Model model, Model::parse(text));
  INGOT_ASSIGN(CompiledProgram program, model.compile(options));
  INGOT_ASSIGN(Tensors outputs, program.run(inputs));
  return outputs.at("y");
}

template <typename T> Tensor tensorOf(ElementType type, Shape shape, std::vector<T> values) {
  Tensor tensor(type, std::move(shape));
  std::memcpy(tensor.data(), values.data(), tensor.bytes());
  return tensor;
}

template <typename T> std::vector<T> elements(const Tensor &tensor) {
  return {tensor.as<T>(), tensor.as<T>() + tensor.size()};
}

// Ports have the signedness that the model says, and elements of four bits their one form.
TEST_P(Devices, UnsignedPorts) {
  constexpr const char *images = R"(
    func.func @forward(%x: tensor<4xui8> {graph.name = "x", graph.role = "input"}) -> (tensor<4xf32> {graph.name = "y"}) {
      %y = graph.cast %x : tensor<4xui8> -> tensor<4xf32>
      return %y : tensor<4xf32>
    })";
  Tensors inputs = {{"x", tensorOf<uint8_t>(ElementType::U8, {4}, {0, 7, 128, 255})}};
  auto floats = runText(images, options(), inputs);
  ASSERT_TRUE(floats) << floats.error().text();
  EXPECT_EQ(elements<float>(*floats), (std::vector<float>{0, 7, 128, 255}));
  EXPECT_FALSE(runText(images, options(),
                       {{"x", tensorOf<int8_t>(ElementType::I8, {4}, {0, 7, -128, -1})}}));

  constexpr const char *nibbles = R"(
    func.func @forward(%x: tensor<4xui8> {graph.name = "x", graph.role = "input"}) -> (tensor<4xui4> {graph.name = "y"}) {
      %y = graph.cast %x : tensor<4xui8> -> tensor<4xui4>
      return %y : tensor<4xui4>
    })";
  auto four =
      runText(nibbles, options(), {{"x", tensorOf<uint8_t>(ElementType::U8, {4}, {0, 7, 8, 15})}});
  ASSERT_TRUE(four) << four.error().text();
  EXPECT_EQ(four->type(), ElementType::U4);
  EXPECT_EQ(elements<uint8_t>(*four), (std::vector<uint8_t>{0, 7, 8, 15}));
}

// An index that enters is checked there; a computed one fails the run, on every device.
TEST_P(Devices, IndicesAreChecked) {
  constexpr const char *entering = R"(
    func.func @forward(%t: tensor<5xf32> {graph.name = "t", graph.role = "input"},
                       %i: tensor<3xi32> {graph.name = "i", graph.role = "input"}) -> (tensor<3xf32> {graph.name = "y"}) {
      %y = graph.gather %t, %i dimension 0 : tensor<5xf32>, tensor<3xi32> -> tensor<3xf32>
      return %y : tensor<3xf32>
    })";
  constexpr const char *computed = R"(
    func.func @forward(%t: tensor<5xf32> {graph.name = "t", graph.role = "input"},
                       %i: tensor<3xi32> {graph.name = "i", graph.role = "input"}) -> (tensor<3xf32> {graph.name = "y"}) {
      %j = graph.add %i, %i : tensor<3xi32>
      %y = graph.gather %t, %j dimension 0 : tensor<5xf32>, tensor<3xi32> -> tensor<3xf32>
      return %y : tensor<3xf32>
    })";
  const Tensor table = tensorOf<float>(f32, {5}, {0, 10, 20, 30, 40});
  auto run = [&](const char *text, std::vector<int32_t> indices) {
    return runText(text, options(),
                   {{"t", table}, {"i", tensorOf<int32_t>(ElementType::I32, {3}, indices)}});
  };
  auto fine = run(entering, {4, 0, 3});
  ASSERT_TRUE(fine) << fine.error().text();
  EXPECT_EQ(elements<float>(*fine), (std::vector<float>{40, 0, 30}));
  for (int wrong : {5, -1}) {
    auto refused = run(entering, {0, wrong, 2});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().text(),
              fmt::format("'i' of function 'forward' has {} at position 1, outside [0, 5)", wrong));
  }
  auto doubled = run(computed, {2, 0, 1});
  ASSERT_TRUE(doubled) << doubled.error().text();
  EXPECT_EQ(elements<float>(*doubled), (std::vector<float>{40, 0, 20}));
  for (int wrong : {3, -1}) {
    auto failed = run(computed, {0, wrong, 2});
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, Error::Code::BadInput);
    EXPECT_NE(failed.error().text().find("outside [0, 5)"), std::string::npos)
        << failed.error().text();
  }
  EXPECT_TRUE(run(computed, {2, 0, 1})) << "an error is of its run alone";
}

TEST_P(Devices, LabelsAreChecked) {
  auto trainer = smallMlp().trainer(Loss::CrossEntropy, Sgd{}, trainOptions());
  ASSERT_TRUE(trainer) << trainer.error().text();
  Tensors batch = randomBatch(1);
  batch.at("targets").as<int32_t>()[2] = 77;
  for (auto loss : {trainer->step(batch), trainer->evaluate(batch)}) {
    ASSERT_FALSE(loss);
    EXPECT_NE(loss.error().text().find("has 77 at position 2, outside [0, 3)"), std::string::npos)
        << loss.error().text();
  }
  EXPECT_EQ(trainer->steps(), 0);
  EXPECT_TRUE(trainer->step(randomBatch(1)));
}

// A trainer and a program of another batch over one store: the parameters are there once.
TEST(Ingot, ProgramsShareAStore) {
  ModelTrainerOptions options;
  options.threads = 2;
  options.cache = false;
  auto trainer = smallMlp().trainer(Loss::CrossEntropy, AdamW{.learningRate = 0.1}, options);
  ASSERT_TRUE(trainer) << trainer.error().text();
  std::shared_ptr<Store> store = trainer->store();
  const int64_t bytes = store->bytes();
  EXPECT_GE(bytes, 3 * 4 * (6 * 5 + 5 + 5 * 3 + 3)); // parameters and two moments
  Options sharing{.threads = 1, .cache = false, .store = store};
  const Model single = Model::mlp({.layers = {6, 5, 3}, .batch = 1}).value();
  auto program = single.compile(sharing);
  ASSERT_TRUE(program) << program.error().text();
  EXPECT_EQ(store->bytes(), bytes) << "no second copy";
  for (uint32_t step = 0; step < 4; ++step) {
    const Tensors batch = randomBatch(step);
    ASSERT_TRUE(trainer->step(batch));
    auto all = trainer->run({{"x", batch.at("x")}});
    ASSERT_TRUE(all);
    Tensor row(f32, {1, 6});
    std::memcpy(row.data(), batch.at("x").data(), row.bytes());
    auto one = program->run({{"x", row}});
    ASSERT_TRUE(one) << one.error().text();
    for (int i = 0; i < 3; ++i)
      EXPECT_NEAR(one->begin()->second.as<float>()[i], all->begin()->second.as<float>()[i], 1e-5);
  }
  // A second trainer finds parameters and moments as the first left them.
  options.store = store;
  auto second = smallMlp().trainer(Loss::CrossEntropy, AdamW{.learningRate = 0.1}, options);
  ASSERT_TRUE(second) << second.error().text();
  EXPECT_EQ(store->bytes(), bytes);
  EXPECT_EQ(trainer->evaluate(randomBatch(9)).value(), second->evaluate(randomBatch(9)).value());

  auto other = Model::mlp({.layers = {6, 4, 3}, .batch = 1}).value().compile(sharing);
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().text().find("does not fit the store"), std::string::npos);
  sharing.device = "reference";
  EXPECT_FALSE(single.compile(sharing));
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
TEST_P(Devices, optionsThatAreNoNumbersAreRefusedByName) {
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  auto place = [&](const Optimizer &optimizer, const ModelTrainerOptions &options) {
    Result<ModelTrainer> trainer = smallMlp().trainer(Loss::CrossEntropy, optimizer, options);
    return trainer ? "" : trainer.error().place;
  };
  const ModelTrainerOptions fine = trainOptions();
  for (double wrong : {nan, inf, -1.0}) {
    EXPECT_EQ(place(AdamW{.learningRate = wrong}, fine), "AdamW::learningRate");
    EXPECT_EQ(place(AdamW{.beta1 = wrong}, fine), "AdamW::beta1");
    EXPECT_EQ(place(AdamW{.beta2 = wrong}, fine), "AdamW::beta2");
    EXPECT_EQ(place(AdamW{.epsilon = wrong}, fine), "AdamW::epsilon");
    EXPECT_EQ(place(AdamW{.weightDecay = wrong}, fine), "AdamW::weightDecay");
    EXPECT_EQ(place(Sgd{.learningRate = wrong}, fine), "Sgd::learningRate");
    EXPECT_EQ(place(Sgd{.momentum = wrong}, fine), "Sgd::momentum");
    EXPECT_EQ(place(Sgd{.weightDecay = wrong}, fine), "Sgd::weightDecay");
    ModelTrainerOptions clipped = fine;
    clipped.clip = wrong;
    EXPECT_EQ(place(Sgd(), clipped), "ModelTrainerOptions::clip");
  }
  ModelTrainerOptions options = fine;
  options.accumulate = 0;
  EXPECT_EQ(place(AdamW(), options), "ModelTrainerOptions::accumulate");
  options = fine;
  options.threads = -1;
  EXPECT_EQ(place(AdamW(), options), "Options::threads");
  options = fine;
  options.device = "toaster";
  EXPECT_NE(place(AdamW(), options), "");
  EXPECT_EQ(smallMlp().compile({.target = "cpu:toaster", .cache = false}).error().place,
            "Options::target");

  Result<ModelTrainer> trainer = smallMlp().trainer(Loss::CrossEntropy, Sgd(), fine);
  ASSERT_TRUE(trainer) << trainer.error().text();
  const Tensors batch = randomBatch(1);
  ASSERT_TRUE(trainer->step(batch));
  const Tensor before = trainer->read("layers.0.weight").value();
  trainer->setLearningRate(nan);
  EXPECT_EQ(trainer->step(batch).error().place, "learningRate");
  EXPECT_TRUE(sameBytes(before, trainer->read("layers.0.weight").value()));
  trainer->setLearningRate(0.1);
  EXPECT_TRUE(trainer->step(batch));
}

TEST_P(Devices, tensorsWithoutDataAreRefused) {
  Result<ModelTrainer> trainer = smallMlp().trainer(Loss::CrossEntropy, Sgd(), trainOptions());
  ASSERT_TRUE(trainer) << trainer.error().text();
  Tensors batch = randomBatch(1);
  batch.at("x") = Tensor(f32, {4, 6}, nullptr);
  EXPECT_EQ(trainer->step(batch).error().text(), "x: the tensor 4x6 f32 has no data");
  EXPECT_EQ(trainer->write("layers.0.bias", Tensor(f32, {5}, nullptr)).error().text(),
            "layers.0.bias: the tensor 5 f32 has no data");
  EXPECT_FALSE(trainer->write("layers.0.bias", Tensor()));
  Result<CompiledProgram> program = smallMlp().compile(options());
  ASSERT_TRUE(program) << program.error().text();
  EXPECT_FALSE(program->run({{"x", Tensor(f32, {4, 6}, nullptr)}}));
}

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
    ModelTrainerOptions options;
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
  // With the first of these seeds what @init computes last is right: only what comes before is not.
  for (uint64_t seed : {uint64_t(2959333482), options.seed}) {
    options.seed = seed;
    Result<CheckReport> wrong = checkModel(smallMlp(), options);
    ASSERT_TRUE(wrong) << wrong.error().text();
    EXPECT_FALSE(wrong->fine());
    EXPECT_FALSE(wrong->culprit.empty());
    EXPECT_FALSE(wrong->kernels.empty());
  }
}

//===--------------------------------------------------------------------------------------------===//
// Numbers that are not finite
//===--------------------------------------------------------------------------------------------===//

// mse of products of 1e10 is finite, the squares of its gradients are not.
TEST_P(Devices, NonFiniteGradientsStopOrSkip) {
  Tensors batch = randomBatch(3);
  batch["targets"] = Tensor(f32, {4, 3});
  Tensors large = {{"x", batch["x"].clone()}, {"targets", batch["targets"]}};
  for (int i = 0; i < 24; ++i)
    large["x"].as<float>()[i] *= 1e11f;
  for (double clip : {0.0, 1.0})
    for (OnNonFinite reaction : {OnNonFinite::Stop, OnNonFinite::Skip, OnNonFinite::Continue}) {
      ModelTrainerOptions given = trainOptions();
      given.clip = clip;
      given.onNonFinite = reaction;
      auto trainer = smallMlp().trainer(Loss::Mse, AdamW(), given);
      ASSERT_TRUE(trainer) << trainer.error().text();
      ASSERT_TRUE(trainer->step(batch));
      EXPECT_FALSE(trainer->lastStep().skipped);
      const Tensor before = trainer->read("layers.0.weight").value();
      const Tensor moment = trainer->read("adam.m.layers.0.weight").value();
      auto loss = trainer->step(large);
      EXPECT_TRUE(std::isfinite(trainer->lastStep().loss));
      const bool isSame = sameBytes(before, trainer->read("layers.0.weight").value()) &&
                          sameBytes(moment, trainer->read("adam.m.layers.0.weight").value());
      EXPECT_EQ(isSame, reaction == OnNonFinite::Skip);
      EXPECT_EQ(trainer->lastStep().skipped, reaction == OnNonFinite::Skip);
      const bool hasNorm = clip > 0 || reaction == OnNonFinite::Skip;
      ASSERT_EQ(trainer->lastStep().gradientNorm.has_value(), hasNorm);
      if (hasNorm) {
        EXPECT_TRUE(std::isinf(*trainer->lastStep().gradientNorm));
        if (reaction == OnNonFinite::Skip)
          EXPECT_TRUE(std::isinf(trainer->lastStep().gradientNorms.at("layers.0.weight")));
      }
      const bool isRefused = reaction == OnNonFinite::Stop && clip > 0;
      ASSERT_EQ(bool(loss), !isRefused);
      if (isRefused) {
        EXPECT_EQ(loss.error().text(),
                  "step 2: the gradients' norm is infinite, though all parameters are finite; a "
                  "smaller learning rate or clipping may help");
      }
    }
}

TEST_P(Devices, DataThatIsNotFiniteIsToldApart) {
  ModelTrainerOptions given = trainOptions();
  auto trainer = smallMlp().trainer(Loss::CrossEntropy, AdamW(), given).value();
  Tensors batch = randomBatch(4);
  batch["x"].as<float>()[8] = -INFINITY;
  for (auto call : {&ModelTrainer::step, &ModelTrainer::evaluate}) {
    auto refused = (trainer.*call)(batch);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().text(), "'x' holds -inf at position [1, 2]: data must be finite");
  }
  EXPECT_EQ(trainer.steps(), 0);
  given.onNonFinite = OnNonFinite::Continue;
  trainer = smallMlp().trainer(Loss::CrossEntropy, AdamW(), given).value();
  EXPECT_TRUE(std::isnan(trainer.step(batch).value()));
}

TEST_P(Devices, DivergenceNamesAParameter) {
  auto trainer = smallMlp().trainer(Loss::Mse, Sgd{.learningRate = 1e30}, trainOptions()).value();
  Tensors batch = randomBatch(5);
  batch["targets"] = Tensor(f32, {4, 3});
  for (int step = 0; step < 20; ++step)
    if (auto loss = trainer.step(batch); !loss) {
      EXPECT_NE(loss.error().text().find(fmt::format("step {}: the loss is ", trainer.steps())),
                std::string::npos)
          << loss.error().text();
      EXPECT_NE(loss.error().text().find("and 'layers."), std::string::npos);
      return;
    }
  ADD_FAILURE() << "a rate of 1e30 does not diverge";
}

//===--------------------------------------------------------------------------------------------===//
// Groups and gradients
//===--------------------------------------------------------------------------------------------===//

TEST_P(Devices, GroupsOfParameters) {
  ModelTrainerOptions given = trainOptions();
  given.groups = {{.pattern = R"(layers\.0\..*)", .frozen = true},
                  {.pattern = ".*bias", .rateFactor = 0.5, .weightDecay = 0}};
  const Sgd optimizer{.learningRate = 0.1, .weightDecay = 0.3};
  ModelTrainerOptions plain = trainOptions();
  given.gradients = plain.gradients = true;
  auto grouped = smallMlp().trainer(Loss::CrossEntropy, optimizer, given);
  ASSERT_TRUE(grouped) << grouped.error().text();
  auto normal = smallMlp().trainer(Loss::CrossEntropy, optimizer, plain).value();
  const Tensors batch = randomBatch(7);
  const Tensor frozen = grouped->read("layers.0.weight").value();
  const Tensor weight = grouped->read("layers.1.weight").value();
  const Tensor bias = grouped->read("layers.1.bias").value();
  ASSERT_EQ(grouped->step(batch).value(), normal.step(batch).value());
  EXPECT_TRUE(sameBytes(frozen, grouped->read("layers.0.weight").value()));
  EXPECT_TRUE(
      sameBytes(grouped->read("layers.1.weight").value(), normal.read("layers.1.weight").value()));
  const Tensors gradients = grouped->gradients().value();
  EXPECT_EQ(gradients.size(), 2u);
  EXPECT_EQ(grouped->lastStep().gradientNorms.at("layers.0.weight"), 0);
  const Tensor &gradient = gradients.at("layers.1.bias");
  const Tensor after = grouped->read("layers.1.bias").value();
  double squares = 0;
  for (int64_t i = 0; i < after.size(); ++i) {
    EXPECT_NEAR(after.as<float>()[i], bias.as<float>()[i] - 0.05 * gradient.as<float>()[i], 1e-6);
    squares += std::pow(gradient.as<float>()[i], 2);
  }
  EXPECT_NEAR(grouped->lastStep().gradientNorms.at("layers.1.bias"), std::sqrt(squares), 1e-6);
  EXPECT_FALSE(smallMlp().trainer(Loss::Mse, Sgd(), trainOptions()).value().gradients());

  given.groups = {{.pattern = "layers.7.*", .frozen = true}};
  auto none = smallMlp().trainer(Loss::CrossEntropy, optimizer, given);
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().text().find("no parameter is in the group 'layers.7.*'"),
            std::string::npos)
      << none.error().text();
  given.groups = {{.pattern = "("}};
  auto broken = smallMlp().trainer(Loss::CrossEntropy, optimizer, given);
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().place, "ParameterGroup::pattern");
}

// Weights of 0 and 1 are a smaller batch; a scale of all of them changes nothing.
TEST_P(Devices, LossWeights) {
  for (Loss loss : {Loss::CrossEntropy, Loss::Mse}) {
    ModelTrainerOptions given = trainOptions();
    given.lossWeights = given.gradients = true;
    auto trainer = smallMlp().trainer(loss, Sgd{.learningRate = 0}, given);
    ASSERT_TRUE(trainer) << trainer.error().text();
    Tensors batch = randomBatch(8);
    if (loss == Loss::Mse)
      batch["targets"] = tensorOf<float>(f32, {4, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3});
    auto lossOf = [&](std::vector<float> weights) {
      batch["weights"] = tensorOf<float>(f32, {4}, weights);
      return double(trainer->step(batch).value());
    };
    double single[4], mean = 0;
    Tensors gradients[4];
    for (int row = 0; row < 4; ++row) {
      std::vector<float> one(4, 0);
      one[row] = 2;
      single[row] = lossOf(one);
      gradients[row] = trainer->gradients().value();
      mean += single[row] / 4;
    }
    auto plain = smallMlp().trainer(loss, Sgd{.learningRate = 0}, trainOptions()).value();
    batch.erase("weights");
    EXPECT_NEAR(plain.step(batch).value(), mean, 1e-5 * mean);
    EXPECT_NEAR(lossOf({1, 1, 1, 1}), mean, 1e-5 * mean);
    EXPECT_NEAR(lossOf({3, 0, 1, 0}), (3 * single[0] + single[2]) / 4, 1e-5 * mean);
    const Tensor mixed = trainer->gradients()->at("layers.0.weight");
    for (int64_t i = 0; i < mixed.size(); ++i)
      EXPECT_NEAR(mixed.as<float>()[i],
                  (3 * gradients[0].at("layers.0.weight").as<float>()[i] +
                   gradients[2].at("layers.0.weight").as<float>()[i]) /
                      4,
                  1e-5 * (1 + mean));
  }
}

//===--------------------------------------------------------------------------------------------===//
// Driving a training, memory of the caller's
//===--------------------------------------------------------------------------------------------===//

std::unique_ptr<ArraySource> smallData(const std::vector<BatchPort> &ports) {
  Tensor x(f32, {16, 6}), y(ElementType::I32, {16});
  for (int i = 0; i < 96; ++i)
    x.as<float>()[i] = float(i * 37 % 11) / 11;
  for (int i = 0; i < 16; ++i)
    y.as<int32_t>()[i] = i % 3;
  return ArraySource::create({{"x", x}, {"y", y}}, ports, {.seed = 2}).value();
}

TEST_P(Devices, FitDrivesSchedulesAndCallbacks) {
  auto make = [&] {
    return smallMlp().trainer(Loss::CrossEntropy, AdamW(), trainOptions()).value();
  };
  ModelTrainer whole = make(), parts = make();
  auto data = smallData(whole.batchPorts());
  FitOptions options{.steps = 12, .schedule = Schedule{.peak = 0.05, .warmup = 5}};
  options.validation = data.get();
  options.evaluateEvery = 4;
  std::vector<double> rates;
  std::vector<int64_t> evaluated;
  options.onStep = [&](const FitStep &step) {
    EXPECT_EQ(step.step, int64_t(rates.size()) + 1);
    EXPECT_GT(step.outcome.loss, 0);
    rates.push_back(step.learningRate);
  };
  options.onEvaluation = [&](int64_t step, double) { evaluated.push_back(step); };
  LossHistory losses = whole.fit(*data, options).value();
  EXPECT_EQ(losses.training.size(), 12u);
  EXPECT_EQ(evaluated, (std::vector<int64_t>{4, 8, 12}));
  EXPECT_DOUBLE_EQ(rates[1], 0.02);
  EXPECT_DOUBLE_EQ(rates[11], 0.05);
  EXPECT_LT(losses.training.back().loss, losses.training.front().loss);

  // Cancelled in between and gone on with: the same bits.
  std::atomic<bool> stop = false;
  FitOptions some{.steps = 12, .schedule = options.schedule, .stop = &stop};
  some.onStep = [&](const FitStep &step) { stop = step.step == 5; };
  EXPECT_EQ(parts.fit(*data, some)->training.size(), 5u);
  stop = false;
  some.onStep = {};
  EXPECT_EQ(parts.fit(*data, some)->training.size(), 7u);
  EXPECT_TRUE(
      sameBytes(whole.read("layers.0.weight").value(), parts.read("layers.0.weight").value()));
}

TEST_P(Devices, RunsIntoTheCallersMemory) {
  CompiledProgram program = smallMlp().compile(options()).value();
  const Tensors inputs = {{"x", randomBatch(3).at("x")}};
  const Tensor expected = program.run(inputs)->at("logits");
  std::vector<float> mine(12);
  Tensors outputs = {{"logits", Tensor(f32, {4, 3}, mine.data())}};
  ASSERT_TRUE(program.run(inputs, outputs));
  EXPECT_EQ(mine, elements<float>(expected));
  for (Tensors wrong :
       {Tensors{{"logits", Tensor(f32, {3, 4})}}, Tensors{{"other", Tensor(f32, {4, 3})}},
        Tensors{{"logits", Tensor(f32, {4, 3}, nullptr)}}})
    EXPECT_FALSE(program.run(inputs, wrong));
}

TEST(Ingot, MemoryIsBounded) {
  ModelTrainerOptions given;
  given.cache = false;
  given.memory = 100;
  auto refused = smallMlp().trainer(Loss::CrossEntropy, AdamW(), given);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text().find("100 bytes are not enough"), std::string::npos)
      << refused.error().text();
  given.memory = 1 << 20;
  auto trainer = smallMlp().trainer(Loss::CrossEntropy, AdamW(), given);
  ASSERT_TRUE(trainer) << trainer.error().text();
  EXPECT_LE(trainer->program().arenaBytes, 1 << 20);
  int64_t calls = 0;
  trainer->profile([&](const ProfileSpan &span) { calls += span.call != nullptr; });
  ASSERT_TRUE(trainer->step(randomBatch(1)));
  EXPECT_GT(calls, 3);
  given.memory = -1;
  EXPECT_EQ(smallMlp().trainer(Loss::CrossEntropy, AdamW(), given).error().place,
            "Options::memory");
}

} // namespace
} // namespace ingot
