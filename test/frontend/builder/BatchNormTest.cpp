/// Running statistics as state of the model: through training, evaluation and checkpoints.
#include "frontend/api/Ingot.h"
#include "frontend/builder/Builder.h"
#include "frontend/check/Check.h"
#include <cmath>
#include <filesystem>
#include <gtest/gtest.h>
#include <random>

namespace ingot {
namespace {

using Value = Builder::Value;
using Loss = TrainingOptions::Loss;

constexpr int64_t batch = 6, channels = 3, side = 5, classes = 4;

/// A norm, and a second one whose input depends on parameters.
Result<Model> buildModel() {
  Builder b;
  auto norm = [&](Value x, std::string_view name, int64_t width) {
    auto scope = b.scope(name);
    return b.batchNorm(x, b.parameter("weight", {width}, Initializer::constant(1)),
                       b.parameter("bias", {width}, Initializer::constant(0)),
                       b.state("running_mean", {width}, Initializer::constant(0)),
                       b.state("running_var", {width}, Initializer::constant(1)));
  };
  Value x = b.input("x", ElementType::F32, {batch, channels, side, side});
  x = b.relu(norm(x, "bn1", channels)); // else the second norm takes away what the bias adds
  x = b.convolution(x, b.parameter("conv", {8, channels, 3, 3}, Initializer::normal(0.3)));
  x = b.relu(norm(x, "bn2", 8));
  x = b.reshape(b.maxPool(x, {}), {batch, 8});
  b.output("logits", b.linear(x, b.parameter("fc", {classes, 8}, Initializer::normal(0.3))));
  return b.finish();
}

Tensors randomBatch(uint64_t seed, float shift = 0) {
  std::mt19937_64 generator(seed);
  Tensor x(ElementType::F32, {batch, channels, side, side}), targets(ElementType::I32, {batch});
  for (int64_t i = 0; i < x.size(); ++i)
    x.as<float>()[i] =
        std::normal_distribution<float>(shift + float(i / (side * side) % channels))(generator);
  for (int64_t i = 0; i < batch; ++i)
    targets.as<int32_t>()[i] = int32_t(generator() % classes);
  return {{"x", x}, {"targets", targets}};
}

std::vector<float> valuesOf(const Result<Tensor> &tensor) {
  EXPECT_TRUE(tensor) << tensor.error().text();
  return {tensor->as<float>(), tensor->as<float>() + tensor->size()};
}

TEST(BatchNorm, TrainingMovesRunningStatistics) {
  auto trainer =
      buildModel().value().trainer(Loss::CrossEntropy, AdamW{}, {{.threads = 1, .cache = false}});
  ASSERT_TRUE(trainer) << trainer.error().text();
  EXPECT_EQ(valuesOf(trainer->read("bn1.running_mean")), std::vector<float>(channels, 0));
  EXPECT_EQ(valuesOf(trainer->read("bn1.running_var")), std::vector<float>(channels, 1));
  std::vector<double> mean(channels, 0), variance(channels, 1);
  for (int step = 0; step < 3; ++step) {
    const Tensors data = randomBatch(step, 2);
    ASSERT_TRUE(trainer->step(data));
    const float *x = data.at("x").as<float>();
    constexpr int64_t plane = side * side;
    for (int64_t c = 0; c < channels; ++c) {
      double sum = 0, squares = 0, count = batch * plane;
      for (int64_t i = 0; i < batch * plane; ++i)
        sum += x[(i / plane * channels + c) * plane + i % plane] / count;
      for (int64_t i = 0; i < batch * plane; ++i)
        squares += std::pow(x[(i / plane * channels + c) * plane + i % plane] - sum, 2);
      mean[c] = 0.9 * mean[c] + 0.1 * sum;
      variance[c] = 0.9 * variance[c] + 0.1 * squares / (count - 1);
    }
  }
  const auto actualMean = valuesOf(trainer->read("bn1.running_mean")),
             actualVariance = valuesOf(trainer->read("bn1.running_var"));
  for (int64_t c = 0; c < channels; ++c) {
    EXPECT_NEAR(actualMean[c], mean[c], 1e-5);
    EXPECT_NEAR(actualVariance[c], variance[c], 1e-5);
  }
}

TEST(BatchNorm, EvaluationReadsThemAndCheckpointsKeepThem) {
  Options options{.threads = 1, .cache = false};
  auto trainer = buildModel().value().trainer(Loss::CrossEntropy, AdamW{}, {options});
  ASSERT_TRUE(trainer) << trainer.error().text();
  for (int step = 0; step < 4; ++step)
    ASSERT_TRUE(trainer->step(randomBatch(step, 1)));
  const auto before = valuesOf(trainer->read("bn2.running_var"));
  const Tensors data = randomBatch(9, 1);
  auto logits = trainer->run({{"x", data.at("x")}});
  ASSERT_TRUE(logits) << logits.error().text();
  const float loss = trainer->evaluate(data).value();
  EXPECT_EQ(valuesOf(trainer->read("bn2.running_var")), before) << "evaluation moved it";
  // Each row by itself: no statistics of the batch.
  Tensor other = data.at("x").clone();
  for (int64_t i = channels * side * side; i < other.size(); ++i)
    other.as<float>()[i] = 100;
  auto again = trainer->run({{"x", other}});
  ASSERT_TRUE(again);
  for (int64_t i = 0; i < classes; ++i)
    EXPECT_EQ(again->at("logits").as<float>()[i], logits->at("logits").as<float>()[i]);

  const std::string folder = std::filesystem::path(testing::TempDir()) / "ingot-batch-norm";
  std::filesystem::remove_all(folder);
  ASSERT_TRUE(trainer->save(folder));
  auto resumed = buildModel().value().trainer(Loss::CrossEntropy, AdamW{}, {options});
  Status loaded = resumed->load(folder);
  ASSERT_TRUE(loaded) << loaded.error().text();
  EXPECT_EQ(resumed->evaluate(data).value(), loss);
  EXPECT_EQ(resumed->step(data).value(), trainer->step(data).value());
  EXPECT_EQ(valuesOf(resumed->read("bn2.running_var")), valuesOf(trainer->read("bn2.running_var")));
  std::filesystem::remove_all(folder);
}

TEST(BatchNorm, CompiledAgreesWithTheReference) {
  for (int accumulate : {1, 3}) {
    Result<Model> model = buildModel();
    ASSERT_TRUE(model) << model.error().text();
    CheckOptions options;
    options.compile.training.emplace().accumulate = accumulate;
    options.compile.training->onNonFinite = accumulate == 1 ? OnNonFinite::Stop : OnNonFinite::Skip;
    options.seed = std::random_device()();
    options.ops = false;
    Result<CheckReport> report = checkModel(*model, options);
    ASSERT_TRUE(report) << report.error().text();
    for (const CheckRow &row : report->outputs)
      EXPECT_TRUE(row.fine) << row.function << " " << row.what << ": " << row.relative << " "
                            << row.problem << ", seed " << options.seed;
  }
}

/// A batch with a NaN changes neither parameters nor statistics.
TEST(BatchNorm, SkippedStepsKeepStatistics) {
  ModelTrainerOptions options{{.threads = 1, .cache = false}};
  options.onNonFinite = OnNonFinite::Skip;
  auto trainer = buildModel().value().trainer(Loss::CrossEntropy, AdamW{}, options);
  ASSERT_TRUE(trainer) << trainer.error().text();
  ASSERT_TRUE(trainer->step(randomBatch(1)));
  const auto mean = valuesOf(trainer->read("bn1.running_mean"));
  Tensors bad = randomBatch(2);
  ASSERT_TRUE(trainer->write("conv", [&] {
    Tensor weight = trainer->read("conv").value().clone();
    weight.as<float>()[0] = NAN;
    return weight;
  }()));
  ASSERT_TRUE(trainer->step(bad));
  EXPECT_TRUE(trainer->lastStep().skipped);
  EXPECT_EQ(valuesOf(trainer->read("bn1.running_mean")), mean);
}

} // namespace
} // namespace ingot
