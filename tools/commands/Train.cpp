/// `ingot train`: data, model, compiled step, trainer.
#include "frontend/api/SavedModel.h"
#include "runtime/cpu/CpuInfo.h"
#include "runtime/support/File.h"
#include "runtime/support/Json.h"
#include "runtime/support/Print.h"
#include "runtime/training/Accuracy.h"
#include "runtime/training/Progress.h"
#include "runtime/training/Summary.h"
#include "tools/commands/Command.h"
#include "tools/commands/CompileFlags.h"
#include "tools/commands/DataFlags.h"
#include "tools/commands/Interrupt.h"
#include "tools/commands/ModelFlags.h"
#include "tools/commands/Numbers.h"
#include "tools/commands/ProfiledSteps.h"
#include "tools/commands/Suggest.h"
#include "tools/commands/TrainingFlags.h"

namespace ingot {
namespace {

struct TrainFlags {
  ModelFlags model;
  TrainingFlags training;
  DataFlags data;
  CompileFlags compile;
  RunOptions trainer;
  std::string schedule = "constant";
  double learningRate = 1e-3;
  int64_t warmup = 0;
  bool json = false;
  std::string profile; ///< file

  void declare(CLI::App &app);
  Result<Schedule> learningRates() const;
};

void TrainFlags::declare(CLI::App &app) {
  model.declare(app);
  data.declare(app);
  training.declare(app);
  constexpr const char *group = "Run";
  trainer.steps = 100;
  addNumber(app, "--steps", trainer.steps, atLeast<int64_t>(0),
            "updates in all, a resumed run's included; default 100")
      ->group(group);
  addNumber(app, "--seed", trainer.seed, Range<uint64_t>(), "of initial weights and data order")
      ->group(group);
  // The step takes the rate as an f32.
  addNumber(app, "--lr", learningRate, between(0.0, double(std::numeric_limits<float>::max())),
            "learning rate; default 1e-3")
      ->group(group);
  app.add_option("--schedule", schedule, "constant (default), linear or cosine")->group(group);
  addNumber(app, "--warmup", warmup, atLeast<int64_t>(0), "steps of linear warm-up")->group(group);
  app.add_option("--out", trainer.out, "directory for checkpoints and loss curves")->group(group);
  app.add_flag("--resume", trainer.resume, "continue from the newest checkpoint in --out")
      ->group(group);
  addNumber(app, "--eval-every", trainer.evaluateEvery, atLeast<int64_t>(0),
            "steps; default: at start and end")
      ->group(group);
  addNumber(app, "--eval-batches", trainer.evaluationBatches, atLeast<int64_t>(1),
            "batches of an evaluation; default 8")
      ->group(group);
  addNumber(app, "--save-every", trainer.saveEvery, atLeast<int64_t>(0),
            "steps; default: at the end")
      ->group(group);
  addNumber(app, "--keep", trainer.keep, atLeast(1), "checkpoints to keep; default 3")
      ->group(group);
  app.add_flag("--json", json, "one JSON object per line to stdout, a summary last")->group(group);
  app.add_option("--profile", profile,
                 "write a Chrome trace of a few steps, kernel by kernel, to this file")
      ->group(group);
  compile.declare(app);
}

Result<Schedule> TrainFlags::learningRates() const {
  constexpr Choice<Schedule::Kind> kinds[] = {{"constant", Schedule::Kind::Constant},
                                              {"linear", Schedule::Kind::Linear},
                                              {"cosine", Schedule::Kind::Cosine}};
  Schedule result;
  INGOT_ASSIGN(result.kind, choose("--schedule", schedule, kinds));
  result.peak = learningRate;
  result.warmup = warmup;
  result.steps = trainer.steps;
  return result;
}

/// What decides which options apply.
std::vector<Circumstance> circumstances(const TrainFlags &flags) {
  std::vector<Circumstance> result =
      circumstancesOf(flags.model, flags.training, flags.data, flags.compile);
  if (flags.trainer.out.empty())
    result.push_back(Circumstance::NoOutput);
  return result;
}

/// A resumed run must have the model and the training options of the run that it continues.
Status checkSameRun(const std::string &out, const std::string &description) {
  INGOT_ASSIGN(std::optional<Checkpoint> newest, CheckpointDirectory(out).newest());
  if (!newest)
    return {};
  INGOT_ASSIGN(nlohmann::json before, parseJson(newest->options, out));
  INGOT_ASSIGN(nlohmann::json now, parseJson(description, "--resume"));
  for (const char *part : {"model", "tokenizer", "training"})
    if (before.value(part, nlohmann::json()) != now.value(part, nlohmann::json()))
      return failure(Error::Code::Usage, "--resume", "{} was trained with another {}: {}", out,
                     part,
                     part == std::string_view("tokenizer") ? "its text had other characters"
                                                           : toText(before[part]));
  return {};
}

void announce(const Model &model, const LoadedModel &loaded) {
  const Program &program = loaded.session->program();
  print(stderr, "{} parameters; ", model.parameterCount());
  if (!loaded.device) {
    print(stderr, "the reference interprets {} operators\n", program.operators);
    return;
  }
  const Function &step = *program.function("step");
  print(stderr, "{} operators became {} kernels a step ({} distinct) in {:.2f} s{}\n",
        program.operators, countLaunches(step), countDistinctKernels(step),
        loaded.report.milliseconds / 1e3, loaded.report.programCached ? " (cached)" : "");
  print(stderr, "{} planned for {}\n", humanBytes(program.arenaBytes), program.target);
}

/// Classes or vocabulary: what integer inputs and targets must stay below.
int64_t integerLimit(const Model &model, const TrainingOptions &training) {
  if (training.loss != TrainingOptions::Loss::CrossEntropy)
    return 0;
  for (const ModelPort &port : model.ports())
    if (port.role == Role::Output && !port.shape.empty())
      return port.shape.back();
  return 0;
}

Status train(const CLI::App &app, TrainFlags &flags) {
  INGOT_TRY(refuseIdleOptions(app, circumstances(flags)));
  if (!flags.profile.empty() && flags.compile.device != "cpu")
    return failure(Error::Code::Usage, "--profile", "only cpu has kernels that can be measured");
  if (!flags.profile.empty()) // a path that cannot be written is an error before training
    INGOT_TRY(writeFile(flags.profile, "[]\n"));
  INGOT_ASSIGN(flags.trainer.schedule, flags.learningRates());
  INGOT_ASSIGN(TrainingOptions training, flags.training.options());
  INGOT_ASSIGN(DataSet data, DataSet::read(flags.data));
  INGOT_ASSIGN(Model model, flags.model.build(data.tokenizer().get(), data.rows()));
  flags.trainer.description = describe({model, data.tokenizer(), training});
  if (flags.trainer.resume)
    INGOT_TRY(checkSameRun(flags.trainer.out, flags.trainer.description));

  INGOT_ASSIGN(LoadedModel loaded, flags.compile.load(model, training));
  if (!flags.json)
    announce(model, loaded);
  const Program &program = loaded.session->program();
  int64_t limit = integerLimit(model, training);
  using Part = DataSet::SourceOptions::Part;
  INGOT_ASSIGN(std::unique_ptr<BatchSource> batches,
               data.source(batchPorts(*program.function("step"), limit),
                           {flags.trainer.seed, flags.model.wholeBatch(), 0, Part::Training}));
  std::unique_ptr<BatchSource> validation;
  if (flags.data.evaluationSplit > 0) {
    INGOT_ASSIGN(validation, data.source(batchPorts(*program.function("evaluate"), limit),
                                         {flags.trainer.seed, true, flags.trainer.evaluationBatches,
                                          Part::Validation}));
    if (int64_t most = validation->batchesPerEpoch(); most > 0)
      flags.trainer.evaluationBatches = std::min(flags.trainer.evaluationBatches, most);
  }

  const std::atomic<bool> &interrupted = catchInterrupts(
      "\ninterrupted: the running step is finished and saved; interrupt again to end at once\n");
  std::unique_ptr<TrainingObserver> observer;
  if (flags.json)
    observer = std::make_unique<JsonLines>(stdout);
  else
    observer = std::make_unique<ProgressDisplay>(
        progressOptions(stderr), countsTokens(batches->ports()) ? "tokens" : "examples");
  ProfiledSteps *profiled = nullptr;
  if (!flags.profile.empty()) {
    int threads = flags.compile.threads > 0 ? flags.compile.threads : usableCpus();
    auto wrapped = std::make_unique<ProfiledSteps>(*loaded.session, measureMachine(threads),
                                                   flags.trainer.steps, std::move(observer));
    profiled = wrapped.get();
    observer = std::move(wrapped);
  }
  Trainer trainer(*loaded.session, *batches, validation.get(), flags.trainer, *observer);
  INGOT_ASSIGN(TrainingResult result, trainer.run(interrupted));
  if (profiled)
    INGOT_TRY(profiled->write(flags.profile));
  observer.reset();
  if (!result.stopped)
    releaseInterrupts();

  TrainingSummary summary = summarize(program, result, loaded.report.milliseconds);
  if (validation && !result.stopped && training.loss == TrainingOptions::Loss::CrossEntropy &&
      isClassifier(program)) {
    INGOT_ASSIGN(summary.accuracy,
                 evaluateAccuracy(*loaded.session, *validation, flags.trainer.evaluationBatches));
  }
  if (flags.json)
    print("{}\n", summary.toJson());
  else
    print("{}", summary.toText());
  if (result.stopped) {
    print(stderr, "interrupted after step {}{}\n", result.step,
          flags.trainer.out.empty() ? "" : "; --resume continues from there");
    endInterrupted();
  }
  return {};
}

} // namespace

Action declareTrain(CLI::App &app) {
  auto flags = std::make_shared<TrainFlags>();
  flags->declare(app);
  return [flags, &app] { return train(app, *flags); };
}

} // namespace ingot
