#include "runtime/training/Trainer.h"
#include "runtime/data/RandomSource.h"
#include "runtime/support/FieldsJson.h"
#include "runtime/support/File.h"
#include "test/runtime/FakeSession.h"
#include "test/runtime/Support.h"
#include <cmath>

namespace ingot {
namespace {

using test::FakeSession;
using test::freshSeed;
using test::quadraticModel;
using test::TemporaryFolder;

struct Recorder final : TrainingObserver {
  void onStep(const StepReport &report) override {
    steps.push_back(report);
    if (stop && report.step == stopAfter)
      *stop = true;
  }
  void onEvaluation(int64_t step, double loss) override { evaluations.push_back({step, loss}); }
  void onCheckpoint(int64_t step, const std::string &) override { checkpoints.push_back(step); }
  void onNote(const std::string &text) override { notes.push_back(text); }

  std::vector<StepReport> steps;
  std::vector<LossPoint> evaluations;
  std::vector<int64_t> checkpoints;
  std::vector<std::string> notes;
  std::atomic<bool> *stop = nullptr;
  int64_t stopAfter = 0;
};

const std::vector<BatchPort> rowPorts = {{"x", ElementType::F32, {2, 4}}};

/// One run on a fresh session, as a new process would make it.
struct TestRun {
  explicit TestRun(RunOptions options, std::function<void(FakeSession &)> prepare = {})
      : options(options) {
    if (prepare)
      prepare(session);
  }

  Result<TrainingResult> operator()() {
    auto training = RandomSource::create(rowPorts, options.seed).value();
    auto validation = RandomSource::create(rowPorts, options.seed + 1).value();
    Trainer trainer(session, *training, withValidation ? validation.get() : nullptr, options,
                    recorder);
    return trainer.run(stop);
  }

  RunOptions options;
  FakeSession session = quadraticModel();
  Recorder recorder;
  std::atomic<bool> stop = false;
  bool withValidation = true;
};

RunOptions options(int64_t steps, uint64_t seed = 3) {
  return {.steps = steps, .schedule = {.peak = 0.05}, .seed = seed, .evaluationBatches = 2};
}

TEST(Trainer, FirstLossIsTheUntouchedModels) {
  TestRun run(options(20));
  auto result = run();
  ASSERT_TRUE(result) << result.error().text();
  ASSERT_EQ(run.recorder.steps.size(), 20u);
  Batch batch = {{"x", Tensor(ElementType::F32, {2, 4})}};
  auto source = RandomSource::create(rowPorts, 3).value();
  ASSERT_TRUE(source->fill(0, batch));
  double expected = 0;
  for (int i = 0; i < 8; ++i)
    expected += std::pow(3.0 + i % 4 - batch[0].value.as<float>()[i], 2) / 8;
  EXPECT_NEAR(run.recorder.steps[0].outcome.loss, expected, 1e-5);
  EXPECT_EQ(run.recorder.steps[0].step, 1);
  EXPECT_LT(run.recorder.steps.back().outcome.loss, run.recorder.steps[0].outcome.loss);
  EXPECT_EQ(run.session.runs["init"], 1);
  EXPECT_EQ(run.session.runs["step"], 20);
  EXPECT_EQ(result->step, 20);
  EXPECT_EQ(result->tokensPerStep, 2);
  EXPECT_FALSE(result->stopped);
}

TEST(Trainer, EvaluatesAtTheStartRegularlyAndAtTheEnd) {
  RunOptions given = options(25);
  given.evaluateEvery = 10;
  TestRun run(given);
  ASSERT_TRUE(run());
  std::vector<int64_t> steps;
  for (const LossPoint &point : run.recorder.evaluations)
    steps.push_back(point.step);
  EXPECT_EQ(steps, (std::vector<int64_t>{0, 10, 20, 25}));
  EXPECT_EQ(run.session.runs["evaluate"], 8);
}

TEST(Trainer, ResumedRunEqualsAnUninterruptedOne) {
  uint64_t seed = freshSeed() % 100;
  SCOPED_TRACE(seed);
  TemporaryFolder folder;
  auto go = [&](const std::string &name, int64_t steps, bool resume) {
    RunOptions given = options(steps, seed);
    given.schedule = {.kind = Schedule::Kind::Cosine, .peak = 0.05, .warmup = 7, .steps = 60};
    given.out = folder / name;
    given.resume = resume;
    given.evaluateEvery = 20;
    TestRun run(given);
    auto result = run();
    EXPECT_TRUE(result) << result.error().text();
    return *result;
  };
  TrainingResult whole = go("whole", 60, false);
  go("parts", 30, false);
  TrainingResult second = go("parts", 60, true);
  EXPECT_EQ(second.firstStep, 30);
  EXPECT_EQ(second.stepMs.size(), 30u);
  EXPECT_EQ(whole.losses.training, second.losses.training);
  EXPECT_EQ(readFile(CheckpointDirectory(folder / "whole").file(60)).value(),
            readFile(CheckpointDirectory(folder / "parts").file(60)).value());
  // Nothing is left to do: the model stays as it is.
  TrainingResult third = go("parts", 60, true);
  EXPECT_TRUE(third.stepMs.empty());
  EXPECT_EQ(third.step, 60);
}

TEST(Trainer, StopFlagFinishesTheStepAndSaves) {
  TemporaryFolder folder;
  RunOptions given = options(1000);
  given.out = folder / "run";
  TestRun run(given);
  run.recorder.stop = &run.stop;
  run.recorder.stopAfter = 13;
  auto result = run();
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_TRUE(result->stopped);
  EXPECT_EQ(result->step, 14) << "the next step was on its way";
  EXPECT_EQ(run.recorder.steps.back().step, 14);
  EXPECT_EQ(run.recorder.checkpoints, std::vector<int64_t>{14});
  given.steps = 15;
  given.resume = true;
  TestRun again(given);
  EXPECT_EQ(again().value().firstStep, 14);
}

TEST(Trainer, SavesRegularlyAndOnceAtTheEnd) {
  TemporaryFolder folder;
  RunOptions given = options(20);
  given.out = folder / "run";
  given.saveEvery = 5;
  given.keep = 2;
  TestRun run(given);
  ASSERT_TRUE(run());
  EXPECT_EQ(run.recorder.checkpoints, (std::vector<int64_t>{5, 10, 15, 20}));
  EXPECT_EQ(CheckpointDirectory(given.out).steps().value(), (std::vector<int64_t>{15, 20}));
  EXPECT_TRUE(std::filesystem::exists(given.out + "/loss.svg"));
  std::string losses = readFile(given.out + "/losses.json").value();
  EXPECT_EQ(LossHistory::parse(losses, "t").value().training.size(), 20u);
}

TEST(Trainer, FreshRunMovesAnEarlierOneAside) {
  TemporaryFolder folder;
  RunOptions given = options(4);
  given.out = folder / "run";
  ASSERT_TRUE(TestRun(given)());
  given.steps = 2;
  TestRun second(given);
  ASSERT_TRUE(second());
  EXPECT_EQ(second.recorder.notes.size(), 1u);
  EXPECT_EQ(CheckpointDirectory(given.out).steps().value(), std::vector<int64_t>{2});
  EXPECT_EQ(CheckpointDirectory(given.out + ".1").steps().value(), std::vector<int64_t>{4});
}

TEST(Trainer, ResumeWithoutACheckpointStartsAfresh) {
  TemporaryFolder folder;
  RunOptions given = options(3);
  given.out = folder / "none";
  given.resume = true;
  TestRun run(given);
  ASSERT_TRUE(run());
  EXPECT_EQ(run.session.runs["init"], 1);
  EXPECT_EQ(run.recorder.notes.size(), 1u);
}

TEST(Trainer, RefusesAnotherSeedOrModel) {
  TemporaryFolder folder;
  RunOptions given = options(3);
  given.out = folder / "run";
  ASSERT_TRUE(TestRun(given)());
  given.resume = true;
  given.seed = 4;
  auto otherSeed = TestRun(given)();
  ASSERT_FALSE(otherSeed);
  EXPECT_EQ(otherSeed.error().text(),
            "RunOptions::seed: the checkpoint was trained with seed 3, not 4");

  CheckpointDirectory directory(given.out);
  Checkpoint checkpoint = loadCheckpoint(directory.file(3)).value();
  FakeSession session = quadraticModel();
  EXPECT_TRUE(loadParameters(session, "step", checkpoint, "c"));
  EXPECT_TRUE(loadParameters(session, "evaluate", checkpoint, "c"));
  checkpoint.tensors["w"] = Tensor(ElementType::F32, {5});
  auto otherShape = loadParameters(session, "step", checkpoint, "c");
  ASSERT_FALSE(otherShape);
  EXPECT_EQ(otherShape.error().text(),
            "c: the checkpoint's 'w' is f32 5, but the model's is f32 4");
  checkpoint.tensors.erase("w");
  EXPECT_FALSE(loadParameters(session, "step", checkpoint, "c"));
}

TEST(Trainer, LossThatIsNotFiniteStopsUnlessAllowed) {
  TemporaryFolder folder;
  RunOptions given = options(500);
  given.schedule.peak = 1e30;
  given.out = folder / "run";
  TestRun run(given);
  run.withValidation = false;
  auto result = run();
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find(fmt::format("step {}: ", run.recorder.steps.back().step)),
            std::string::npos)
      << result.error().text();
  EXPECT_FALSE(std::isfinite(run.recorder.steps.back().outcome.loss));
  EXPECT_TRUE(std::filesystem::is_empty(given.out)); // a broken model is not worth a checkpoint
  given.onNonFinite = OnNonFinite::Continue;
  given.steps = 10;
  TestRun allowed(given);
  allowed.withValidation = false;
  EXPECT_TRUE(allowed());
  EXPECT_EQ(allowed.recorder.steps.size(), 10u);
}

// What shapes a result must be the same on resuming; a list of fields says which.
TEST(RunOptions, FieldsSayWhatShapesARun) {
  RunOptions one = options(10), other = options(20, 4);
  other.schedule.warmup = 3;
  other.out = "elsewhere";
  EXPECT_EQ(differingFields(one, other), (std::vector<std::string>{"seed", "schedule"}));
  RunOptions read;
  std::optional<Error> error;
  const nlohmann::json json = fieldsToJson(other);
  readFields(JsonReader(json, error, "t"), read);
  ASSERT_FALSE(error) << error->text();
  EXPECT_TRUE(differingFields(read, other).empty());
  EXPECT_EQ(read.steps, 20);
  EXPECT_EQ(read.schedule.warmup, 3);
}

// Files that were written before a field existed mean its default.
TEST(RunOptions, FieldsThatAFileLacksKeepTheirDefaults) {
  nlohmann::json json = fieldsToJson(options(10));
  json.erase("seed");
  json["schedule"].erase("warmup");
  RunOptions read;
  std::optional<Error> error;
  readFields(JsonReader(json, error, "t"), read);
  ASSERT_FALSE(error) << error->text();
  EXPECT_EQ(read.seed, RunOptions().seed);
  EXPECT_EQ(read.schedule.warmup, 0);
  EXPECT_EQ(read.steps, 10);
}

TEST(LossHistory, SurvivesAFileAndRefusesDamage) {
  LossHistory losses{{{1, 2.5}, {2, std::nan("")}, {3, 1e-30}}, {{0, 3}, {3, 1}}};
  LossHistory read = LossHistory::parse(losses.toJson(), "t").value();
  EXPECT_EQ(read.validation, losses.validation);
  EXPECT_EQ(read.training[2], losses.training[2]);
  EXPECT_TRUE(std::isnan(read.training[1].loss));
  read.truncate(2);
  EXPECT_EQ(read.training.size(), 2u);
  EXPECT_EQ(read.validation.size(), 1u);
  for (const char *bad : {"", "{}", "[]", "{\"training\":[[1]],\"validation\":[]}",
                          "{\"training\":[[1,\"x\"]],\"validation\":[]}"})
    EXPECT_FALSE(LossHistory::parse(bad, "t")) << bad;
}

} // namespace
} // namespace ingot
