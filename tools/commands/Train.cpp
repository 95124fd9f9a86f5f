/// `ingot train`: data, model, compiled step, trainer.
#include "frontend/api/SavedModel.h"
#include "passes/options/CheckTraining.h"
#include "runtime/cpu/CpuInfo.h"
#include "runtime/support/File.h"
#include "runtime/support/HumanBytes.h"
#include "runtime/support/Json.h"
#include "runtime/support/Print.h"
#include "runtime/training/Accuracy.h"
#include "runtime/training/Progress.h"
#include "runtime/training/Summary.h"
#include "tools/commands/Command.h"
#include "tools/commands/Inputs.h"
#include "tools/commands/Interrupt.h"
#include "tools/commands/ProfiledSteps.h"
#include "tools/commands/Resume.h"

namespace ingot {
namespace {

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

/// Classes or vocabulary: integers below it are taken as inputs and targets.
int64_t integerLimit(const Model &model, const TrainingOptions &training) {
  if (!hasClassTargets(training))
    return 0;
  for (const ModelPort &port : model.ports())
    if (port.role == Role::Output && !port.shape.empty())
      return training.classAxis >= 0 && training.classAxis < int64_t(port.shape.size())
                 ? port.shape[size_t(training.classAxis)]
                 : port.shape.back();
  return 0;
}

/// What a checkpoint keeps of the flags besides model and training step.
SavedRun savedRun(const TrainFlags &flags, const DataSet &data) {
  return {.schedule = flags.run.schedule,
          .evaluateEvery = flags.run.evaluateEvery,
          .evaluationBatches = flags.run.evaluationBatches,
          .evaluationSplit = flags.data.evaluationSplit,
          .scale = flags.data.scale,
          .wholeBatch = flags.model.wholeBatch(),
          .data = data.fingerprint()};
}

/// A checkpoint, or another program's weights, that a new training begins with.
struct Start {
  SavedModel model;
  Checkpoint parameters;

  /// Nothing where the model is a family or a file of IR.
  static Result<std::optional<Start>> read(const TrainFlags &flags) {
    const std::string &path = flags.model.model;
    if (!flags.model.isCheckpoint())
      return std::optional<Start>();
    INGOT_ASSIGN(Checkpoint checkpoint, openCheckpoint(path));
    INGOT_ASSIGN(SavedModel model, parseSavedModel(checkpoint.options, path));
    INGOT_TRY(keepParameters(checkpoint, model.model, path));
    return Start{std::move(model), std::move(checkpoint)};
  }
  /// The same model with the batch of the flags, if it is of a family.
  Result<Model> build(const TrainFlags &flags, const DataSet &data,
                      const std::optional<SavedModel> &before) const {
    if (before && !flags.model.batch)
      return before->model;
    INGOT_ASSIGN(const int64_t batch, flags.model.batchOr(0, data.rows()));
    INGOT_ASSIGN(SavedModel rebuilt, parseSavedModel(parameters.options, flags.model.model, batch));
    if (batch && rebuilt.model.metadata().find("\"family\"") == std::string::npos)
      return failure(Error::Code::Usage, "--batch",
                     "does not apply: a model from a file keeps its sizes");
    if (data.tokenizer())
      for (const ModelPort &port : rebuilt.model.ports())
        if (port.role == Role::Output && port.shape.size() == 3 &&
            data.tokenizer()->vocabularySize() > port.shape.back())
          return failure(Error::Code::Usage, "--tokenizer",
                         "has {} tokens, more than the model's {}",
                         data.tokenizer()->vocabularySize(), port.shape.back());
    return std::move(rebuilt.model);
  }
};

Status train(const CLI::App &app, TrainFlags &flags) {
  if (flags.run.resume && flags.run.out.empty())
    return failure(Error::Code::Usage, "--resume", "needs --out=DIR, where the checkpoints are");
  INGOT_ASSIGN(std::optional<SavedModel> before, restoreFlags(app, flags));
  if (!before)
    flags.completeRate(app);
  INGOT_TRY(refuseIdleOptions(app, flags.circumstances()));
  if (!flags.profile.empty() && flags.compile.device != "cpu")
    return failure(Error::Code::Usage, "--profile", "only cpu has kernels that can be measured");
  if (!flags.profile.empty()) // a path that cannot be written is an error before training
    INGOT_TRY(writeFile(flags.profile, "[]\n"));
  const TrainingOptions &training = flags.training.options;
  flags.run.onNonFinite = training.onNonFinite;
  flags.data.allowNonFinite = training.onNonFinite == OnNonFinite::Continue;
  INGOT_ASSIGN(std::optional<Start> start, Start::read(flags));
  TokenizerPointer tokenizer;
  if (!flags.data.tokenizer && !flags.data.bpe)
    tokenizer = before ? before->tokenizer : start ? start->model.tokenizer : nullptr;
  if (start && !tokenizer && !flags.data.text.empty() && !flags.data.tokenizer && !flags.data.bpe)
    return failure(Error::Code::Usage, "--tokenizer",
                   "is needed: {} holds no tokenizer for --text (--bpe=DIR for GPT-2's)",
                   flags.model.model);
  INGOT_ASSIGN(DataSet data, DataSet::read(flags.data, tokenizer));
  if (before)
    INGOT_TRY(checkSameTokenizer(*before, data.tokenizer(), flags));
  INGOT_TRY(flags.model.learnShapes(data.shapes()));
  INGOT_ASSIGN(Model model, start ? start->build(flags, data, before)
                                  : flags.model.build(data.tokenizer().get(), data.rows()));
  if (!start && !before)
    INGOT_TRY(requireValues(model, flags.model.model));
  INGOT_TRY(flags.countSteps(model, data, before.has_value()));
  INGOT_ASSIGN(flags.training.options, flags.training.optionsFor(model));
  const SavedModel saved{model, data.tokenizer(), training, savedRun(flags, data)};
  if (before)
    INGOT_TRY(checkSameRun(*before, saved, flags));
  flags.run.description = describe(saved);

  INGOT_ASSIGN(LoadedModel loaded, flags.compile.load(model, training));
  if (!flags.json)
    announce(model, loaded);
  const Program &program = loaded.session->program();
  // Data may hold any integer that the ports themselves take; made-up ones are sure to be taken.
  const int64_t limit = flags.data.isRandom() ? integerLimit(model, training) : 0;
  using Part = DataSet::SourceOptions::Part;
  INGOT_ASSIGN(std::unique_ptr<BatchSource> batches,
               data.source(batchPorts(*program.function("step"), limit),
                           {flags.run.seed, flags.model.wholeBatch(), 0, Part::Training,
                            flags.training.fillsLastBatch()}));
  std::unique_ptr<BatchSource> validation;
  if (flags.data.evaluationSplit > 0) {
    INGOT_ASSIGN(validation, data.source(batchPorts(*program.function("evaluate"), limit),
                                         {flags.run.seed, true, flags.run.evaluationBatches,
                                          Part::Validation, flags.training.fillsLastBatch()}));
    if (int64_t most = validation->batchesPerEpoch(); most > 0)
      flags.run.evaluationBatches = std::min(flags.run.evaluationBatches, most);
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
    int threads = flags.compile.threads() > 0 ? flags.compile.threads() : usableCpus();
    auto wrapped = std::make_unique<ProfiledSteps>(*loaded.session, measureMachine(threads),
                                                   flags.run.steps, std::move(observer));
    profiled = wrapped.get();
    observer = std::move(wrapped);
  }
  Trainer trainer(*loaded.session, *batches, validation.get(), flags.run, *observer);
  if (start)
    trainer.beginWith(std::move(start->parameters), flags.model.model);
  INGOT_ASSIGN(TrainingResult result, trainer.run(interrupted));
  if (profiled)
    INGOT_TRY(profiled->write(flags.profile));
  observer.reset();
  if (!result.stopped)
    releaseInterrupts();

  TrainingSummary summary = summarize(program, result, loaded.report.milliseconds);
  if (const auto classifier = classifierOf(program, training.lossNumbers.ignoreIndex);
      validation && !result.stopped && training.loss == TrainingOptions::Loss::CrossEntropy &&
      classifier) {
    INGOT_ASSIGN(summary.accuracy, evaluateAccuracy(*loaded.session, *validation,
                                                    flags.run.evaluationBatches, *classifier));
  }
  if (flags.json)
    print("{}\n", summary.toJson());
  else
    print("{}", summary.toText());
  if (result.stopped) {
    print(stderr, "interrupted after step {}{}\n", result.step,
          flags.run.out.empty() ? "" : "; --resume continues from there");
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
