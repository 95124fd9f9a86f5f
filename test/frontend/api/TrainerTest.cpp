/// Trainings from C++: their steps, options, groups of parameters and losses that are not finite.
#include "frontend/api/SavedModel.h"
#include "runtime/data/ArraySource.h"
#include "runtime/data/RandomSource.h"
#include "runtime/support/HalfFloat.h"
#include "test/frontend/api/Devices.h"
#include <cmath>
#include <filesystem>

namespace ingot {
namespace {

namespace fs = std::filesystem;
struct Training : Devices {};

/// The rows of a batch two times.
Tensor twice(const Tensor &rows) {
  Shape shape = rows.shape();
  shape[0] *= 2;
  Tensor both(rows.type(), shape);
  for (int half : {0, 1})
    std::memcpy(both.as<uint8_t>() + half * rows.bytes(), rows.data(), rows.bytes());
  return both;
}

Tensor rounded(const Tensor &wide) {
  Tensor narrow(ElementType::BF16, wide.shape());
  for (int64_t i = 0; i < wide.size(); ++i)
    narrow.as<uint16_t>()[i] = uint16_t(BFloat16::encode(wide.as<float>()[i]));
  return narrow;
}

INSTANTIATE_TEST_SUITE_P(Ingot, Training, testing::Values("cpu", "reference"),
                         [](const auto &info) { return std::string(info.param); });

TEST_P(Training, trainingLowersTheLoss) {
  for (Optimizer optimizer :
       {Optimizer(AdamW{.learningRate = 0.05}), Optimizer(Adam{.learningRate = 0.05}),
        Optimizer(Sgd{.learningRate = 0.2}), Optimizer(Adamax{.learningRate = 0.05}),
        Optimizer(NAdam{.learningRate = 0.05}), Optimizer(RAdam{.learningRate = 0.1}),
        Optimizer(Adagrad{.learningRate = 0.2}), Optimizer(Adadelta{.learningRate = 20}),
        Optimizer(RmsProp{.learningRate = 0.05}), Optimizer(Lion{.learningRate = 0.03}),
        Optimizer(Lamb{.learningRate = 0.1}), Optimizer(Adafactor{.learningRate = 0.2}),
        Optimizer(Muon{.learningRate = 0.05})}) {
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

TEST_P(Training, aSavedTrainerGoesOnBitByBit) {
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

/// What of parameters is kept in bf16 agrees with them, whoever wrote them last: a step, `init`, a
/// caller.
TEST_P(Training, roundedWeightsFollowTheirParameters) {
  ModelTrainerOptions options = trainOptions();
  options.dtype = TrainingOptions::Dtype::BF16;
  const Model model = smallMlp();
  ModelTrainer trained = model.trainer(Loss::CrossEntropy, AdamW{}, options).value();
  const Tensors batch = randomBatch(1);
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(trained.step(batch));
  options.seed = 6;
  ModelTrainer other = model.trainer(Loss::CrossEntropy, AdamW{}, options).value();
  const float untrained = other.evaluate(batch).value();
  for (const char *layer : {"layers.0.", "layers.1."})
    for (const char *part : {"weight", "bias"})
      ASSERT_TRUE(
          other.write(std::string(layer) + part, trained.read(std::string(layer) + part).value()));
  const float loss = other.evaluate(batch).value();
  EXPECT_NE(loss, untrained);
  EXPECT_EQ(loss, trained.evaluate(batch).value());
  EXPECT_EQ(other.step(batch).value(), loss);
  EXPECT_NE(other.evaluate(batch).value(), loss);
}

TEST_P(Training, everyUpdateKeepsRoundedWeights) {
  ModelTrainerOptions plain = trainOptions();
  plain.dtype = TrainingOptions::Dtype::BF16;
  ModelTrainerOptions clipped = plain, summed = plain, skipping = plain, frozen = plain;
  clipped.clip = 0.1;
  summed.accumulate = 2;
  skipping.onNonFinite = OnNonFinite::Skip;
  frozen.groups = {{.pattern = "layers.0.weight", .frozen = true}};
  const std::pair<Optimizer, ModelTrainerOptions> cases[] = {
      {AdamW{}, plain},   {Sgd{.momentum = 0.9}, summed},
      {Lamb{}, plain},    {Adafactor{}, clipped},
      {Muon{}, skipping}, {AdamW{}, frozen}};
  for (size_t number = 0; number < std::size(cases); ++number) {
    SCOPED_TRACE(number);
    const auto &[optimizer, options] = cases[number];
    Result<ModelTrainer> trainer = smallMlp().trainer(Loss::CrossEntropy, optimizer, options);
    ASSERT_TRUE(trainer) << trainer.error().text();
    for (uint32_t i = 0; i < 3; ++i) {
      Tensors batch = randomBatch(i);
      if (options.accumulate > 1)
        for (auto &[name, value] : batch)
          value = twice(value);
      if (options.onNonFinite == OnNonFinite::Skip && i == 1)
        batch["x"].as<float>()[0] = 1e38f; // the norm is infinite
      const Result<float> loss = trainer->step(batch);
      ASSERT_TRUE(loss) << loss.error().text();
      for (const char *name : {"layers.0.weight", "layers.1.weight"})
        EXPECT_TRUE(sameBytes(trainer->read(std::string("rounded.") + name).value(),
                              rounded(trainer->read(name).value())))
            << name << " after step " << i;
    }
  }
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

TEST_P(Training, optionsThatAreNoNumbersAreRefusedByName) {
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
    EXPECT_EQ(place(Adam{.learningRate = wrong}, fine), "Adam::learningRate");
    EXPECT_EQ(place(Adam{.beta1 = wrong}, fine), "Adam::beta1");
    EXPECT_EQ(place(Adam{.weightDecay = wrong}, fine), "Adam::weightDecay");
    EXPECT_EQ(place(Sgd{.learningRate = wrong}, fine), "Sgd::learningRate");
    EXPECT_EQ(place(Sgd{.momentum = wrong}, fine), "Sgd::momentum");
    EXPECT_EQ(place(Sgd{.dampening = wrong}, fine), "Sgd::dampening");
    EXPECT_EQ(place(RmsProp{.alpha = wrong}, fine), "RmsProp::alpha");
    EXPECT_EQ(place(Adadelta{.rho = wrong}, fine), "Adadelta::rho");
    EXPECT_EQ(place(Adagrad{.rateDecay = wrong}, fine), "Adagrad::rateDecay");
    EXPECT_EQ(place(NAdam{.momentumDecay = wrong}, fine), "NAdam::momentumDecay");
    EXPECT_EQ(place(Lion{.beta2 = wrong}, fine), "Lion::beta2");
    EXPECT_EQ(place(Lamb{.beta2 = wrong}, fine), "Lamb::beta2");
    EXPECT_EQ(place(Adafactor{.updateLimit = wrong}, fine), "Adafactor::updateLimit");
    EXPECT_EQ(place(Muon{.momentum = wrong}, fine), "Muon::momentum");
    EXPECT_EQ(place(Sgd{.weightDecay = wrong}, fine), "Sgd::weightDecay");
    ModelTrainerOptions clipped = fine;
    clipped.clip = wrong;
    EXPECT_EQ(place(Sgd(), clipped), "ModelTrainerOptions::clip");
  }
  EXPECT_EQ(place(Sgd{.nesterov = true}, fine), "Sgd::nesterov");
  EXPECT_EQ(place(Sgd{.momentum = 0.9, .dampening = 0.1, .nesterov = true}, fine), "Sgd::nesterov");
  EXPECT_EQ(place(Sgd{.dampening = 0.1}, fine), "Sgd::dampening");
  EXPECT_EQ(place(Muon{.momentum = 1.0}, fine), "Muon::momentum");
  ModelTrainerOptions options = fine;
  options.groups = {{.pattern = ".*", .adamw = true}};
  EXPECT_EQ(place(Sgd(), options), "ParameterGroup::adamw");
  options = fine;
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

//===--------------------------------------------------------------------------------------------===//
// Numbers that are not finite
//===--------------------------------------------------------------------------------------------===//

// mse of products of 1e10 is finite, the squares of its gradients are not.
TEST_P(Training, NonFiniteGradientsStopOrSkip) {
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
      ASSERT_EQ(bool(loss), reaction != OnNonFinite::Stop);
      if (!loss) {
        EXPECT_TRUE(loss.error().text().starts_with(
            fmt::format("step 2: the gradients' norm is {}; the first gradient that shows it is of "
                        "'layers.1.weight', at position [0, ",
                        clip > 0 ? "infinite" : "not finite")))
            << loss.error().text();
      }
    }
}

TEST_P(Training, DataThatIsNotFiniteIsToldApart) {
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

TEST_P(Training, DivergenceNamesAParameter) {
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

TEST_P(Training, whatHasNoGradientIsUnsupported) {
  Builder b;
  b.output("loss", b.sum(b.floor(b.parameter("w", {4}, Initializer::constant(1)))));
  Model model = b.finish().value();
  auto trainer = model.trainer(Loss::None, Sgd(), trainOptions());
  ASSERT_FALSE(trainer);
  EXPECT_EQ(trainer.error().code, Error::Code::Unsupported);
  EXPECT_NE(trainer.error().message.find("cannot be differentiated"), std::string::npos);
}

//===--------------------------------------------------------------------------------------------===//
// Groups and gradients
//===--------------------------------------------------------------------------------------------===//

// What a group hands to AdamW gets the same bits as from AdamW itself.
TEST_P(Training, MatricesThatMuonLeavesToAdamW) {
  auto trained = [&](const Optimizer &optimizer, std::vector<ParameterGroup> groups) {
    ModelTrainerOptions options = trainOptions();
    options.groups = std::move(groups);
    ModelTrainer trainer = smallMlp().trainer(Loss::CrossEntropy, optimizer, options).value();
    for (int step = 0; step < 3; ++step)
      EXPECT_TRUE(trainer.step(randomBatch(step)));
    return trainer;
  };
  const Muon muon{.learningRate = 0.02, .weightDecay = 0.1};
  auto mixed = trained(muon, {{.pattern = ".*", .adamw = true}});
  auto adamw = trained(AdamW{.learningRate = 0.02, .weightDecay = 0.1}, {});
  for (const char *name : {"layers.0.weight", "layers.0.bias", "layers.1.weight"})
    EXPECT_TRUE(sameBytes(mixed.read(name).value(), adamw.read(name).value())) << name;
  auto first = trained(muon, {{.pattern = R"(layers\.0\.weight)", .adamw = true}});
  EXPECT_TRUE(first.read("adam.v.layers.0.weight"));
  EXPECT_TRUE(first.read("muon.momentum.layers.1.weight"));
  EXPECT_FALSE(first.read("muon.momentum.layers.0.weight"));
}

TEST_P(Training, GroupsOfParameters) {
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
TEST_P(Training, LossWeights) {
  for (Loss loss : {Loss::CrossEntropy, Loss::Mse}) {
    ModelTrainerOptions given = trainOptions();
    given.lossWeights = given.gradients = true;
    auto trainer = smallMlp().trainer(loss, Sgd{.learningRate = 0}, given);
    ASSERT_TRUE(trainer) << trainer.error().text();
    Tensors batch = randomBatch(8);
    if (loss == Loss::Mse)
      batch["targets"] = *tensorOf<float>({4, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3});
    auto lossOf = [&](std::vector<float> weights) {
      batch["weights"] = tensorOf(weights);
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
// Driving a training
//===--------------------------------------------------------------------------------------------===//

std::unique_ptr<ArraySource> smallData(const std::vector<BatchPort> &ports) {
  Tensor x(f32, {16, 6}), y(ElementType::I32, {16});
  for (int i = 0; i < 96; ++i)
    x.as<float>()[i] = float(i * 37 % 11) / 11;
  for (int i = 0; i < 16; ++i)
    y.as<int32_t>()[i] = i % 3;
  return ArraySource::create({{"x", x}, {"y", y}}, ports, {.seed = 2}).value();
}

TEST_P(Training, FitNamesNumbersThatAreNone) {
  ModelTrainer trainer = smallMlp().trainer(Loss::CrossEntropy, AdamW(), trainOptions()).value();
  auto data = smallData(trainer.batchPorts());
  auto place = [&](const FitOptions &options) {
    Result<LossHistory> losses = trainer.fit(*data, options);
    return losses ? std::string("accepted") : losses.error().place;
  };
  const double nan = std::nan("");
  EXPECT_EQ(place({.steps = 3, .evaluateEvery = -2}), "FitOptions::evaluateEvery");
  EXPECT_EQ(place({.steps = 3, .validation = data.get(), .evaluationBatches = 0}),
            "FitOptions::evaluationBatches");
  EXPECT_EQ(place({.steps = 3, .schedule = Schedule{.peak = nan}}), "Schedule::peak");
  EXPECT_EQ(place({.steps = 3, .schedule = Schedule{.final = -1}}), "Schedule::final");
  EXPECT_EQ(place({.steps = 3, .schedule = Schedule{.warmup = -3}}), "Schedule::warmup");
  EXPECT_EQ(place({.steps = 3, .schedule = Schedule{.kind = Schedule::Kind::Cosine}}),
            "Schedule::steps");
  auto ports = trainer.batchPorts();
  ports.pop_back();
  const auto none = RandomSource::create(ports, 1).value();
  EXPECT_EQ(place({.steps = 3, .validation = none.get()}), "FitOptions::validation");
  EXPECT_EQ(trainer.fit(*none, {.steps = 3}).error().text(),
            "ModelTrainer::fit: makes no 'targets', 4 i32");
  EXPECT_EQ(trainer.steps(), 0);
  EXPECT_EQ(place({.steps = 1, .schedule = Schedule{.warmup = 3}}), "accepted");
}

TEST_P(Training, FitDrivesSchedulesAndCallbacks) {
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

} // namespace
} // namespace ingot
