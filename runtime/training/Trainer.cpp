#include "runtime/training/Trainer.h"
#include "runtime/data/Prefetch.h"
#include "runtime/support/File.h"
#include "runtime/training/Plot.h"
#include <chrono>
#include <cmath>
#include <filesystem>

namespace ingot {

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Result<const Function *> requireFunction(const Session &session, std::string_view name) {
  if (const Function *function = session.program().function(name))
    return function;
  return failure(Error::Code::Unsupported, "", "the program has no function '{}'", name);
}

std::string freshName(const std::string &folder) {
  for (int number = 1;; ++number)
    if (std::string name = fmt::format("{}.{}", folder, number); !std::filesystem::exists(name))
      return name;
}

/// Moves the checkpoints of an earlier run out of the way of a fresh one; false: there are none.
Result<bool> moveAside(std::string folder, TrainingObserver &observer) {
  INGOT_ASSIGN(std::vector<int64_t> steps, CheckpointDirectory(folder).steps());
  if (steps.empty())
    return false;
  while (folder.ends_with('/'))
    folder.pop_back();
  std::string aside = freshName(folder);
  std::error_code error;
  std::filesystem::rename(folder, aside, error);
  if (error)
    return failure(Error::Code::Io, folder,
                   "an earlier run's checkpoints cannot be moved to {}: {}", aside,
                   error.message());
  std::filesystem::remove(aside + "/" + std::string(DirectoryLock::fileName), error);
  observer.onNote(
      fmt::format("{} held an earlier run's checkpoints; they are in {} now", folder, aside));
  return true;
}

} // namespace

Result<double> evaluateLoss(Session &session, const BatchSource &source, int64_t batches) {
  if (batches < 1)
    return failure(Error::Code::Usage, "", "an evaluation needs at least one batch");
  Batch batch = source.makeBatch();
  double sum = 0;
  for (int64_t step = 0; step < batches; ++step) {
    INGOT_TRY(source.fill(step, batch));
    INGOT_ASSIGN(double loss, evaluateBatch(session, batch));
    sum += loss;
  }
  return sum / double(batches);
}

Trainer::Trainer(Session &session, const BatchSource &training, const BatchSource *validation,
                 RunOptions options, TrainingObserver &observer)
    : session(session), driver(session, options.seed), training(training), validation(validation),
      options(std::move(options)), observer(observer) {}

Result<TrainingResult> Trainer::run(const std::atomic<bool> &stop) {
  double start = now();
  INGOT_TRY(begin());
  if (result.losses.validation.empty())
    INGOT_TRY(evaluate());
  if (result.step < options.steps) {
    Prefetch batches(training, result.step, options.steps);
    for (double stepStart = now();; stepStart = now()) {
      while (mayEnqueue(stop)) {
        INGOT_ASSIGN(const Batch *batch, batches.next());
        INGOT_TRY(driver.enqueue(*batch, rateOf(result.step + driver.inFlight())));
      }
      if (driver.inFlight() == 0)
        break;
      INGOT_TRY(finishStep(stepStart));
      if (isDue(options.evaluateEvery, result.step))
        INGOT_TRY(evaluate());
      if (isDue(options.saveEvery, result.step))
        INGOT_TRY(save());
    }
  }
  result.stopped = result.step < options.steps;
  if (result.skipped > 0)
    observer.onNote(fmt::format("{} of {} steps were skipped: they changed nothing", result.skipped,
                                result.step - result.firstStep));
  if (!result.stopped)
    INGOT_TRY(evaluate());
  INGOT_TRY(save());
  result.seconds = now() - start;
  return std::move(result);
}

/// One step runs and the next one waits behind it, with its batch: while the loss is read and told,
/// the device does not stand still. Nothing runs ahead of an evaluation or a checkpoint.
bool Trainer::mayEnqueue(const std::atomic<bool> &stop) const {
  constexpr int64_t mostInFlight = 2;
  const int64_t before = result.step + driver.inFlight();
  if (driver.inFlight() == mostInFlight || before >= options.steps || stop)
    return false;
  return driver.inFlight() == 0 ||
         (!isDue(options.evaluateEvery, before) && !isDue(options.saveEvery, before));
}

Status Trainer::begin() {
  result = {};
  savedStep = evaluatedStep = -1;
  INGOT_TRY(requireFunction(session, "step"));
  if (validation)
    INGOT_TRY(requireFunction(session, "evaluate"));
  // Writes to the directory, too: better to fail now than when hours of training are to be saved.
  if (!options.out.empty()) {
    INGOT_ASSIGN(lock, DirectoryLock::take(options.out));
  }
  if (options.resume)
    INGOT_TRY(restore());
  if (savedStep < 0) {
    if (!options.out.empty()) {
      INGOT_ASSIGN(const bool moved, moveAside(options.out, observer));
      if (moved) {
        INGOT_ASSIGN(lock, DirectoryLock::take(options.out));
      }
    }
    INGOT_TRY(driver.initialize());
    if (start)
      INGOT_TRY(loadParameters(session, "step", *start, startPlace, /*withState=*/false));
  }
  result.firstStep = result.step;
  const BatchPort &first = training.ports().at(0);
  result.countsTokens = countsTokens(training.ports());
  result.tokensPerStep = result.countsTokens ? elementCount(first.shape) : first.shape.at(0);
  return {};
}

Status Trainer::restore() {
  std::vector<std::string> warnings;
  INGOT_ASSIGN(std::optional<Checkpoint> checkpoint,
               CheckpointDirectory(options.out, options.keep).newest(&warnings));
  for (const std::string &warning : warnings)
    observer.onNote(warning);
  if (!checkpoint) {
    observer.onNote(
        fmt::format("there is no checkpoint in {} yet: training starts afresh", options.out));
    return {};
  }
  if (checkpoint->seed != options.seed)
    return failure(Error::Code::Usage, "RunOptions::seed",
                   "the checkpoint was trained with seed {}, not {}", checkpoint->seed,
                   options.seed);
  INGOT_TRY(driver.restore(*checkpoint, options.out));
  result.step = savedStep = checkpoint->step;
  if (result.step >= options.steps)
    observer.onNote(fmt::format("{} is at step {} already, and {} steps are asked for in all",
                                options.out, result.step, options.steps));
  if (std::string losses = options.out + "/losses.json"; std::filesystem::exists(losses)) {
    INGOT_ASSIGN(std::string text, readFile(losses));
    INGOT_ASSIGN(result.losses, LossHistory::parse(text, losses));
    result.losses.truncate(result.step);
    if (!result.losses.validation.empty())
      evaluatedStep = result.losses.validation.back().step;
  }
  return {};
}

Status Trainer::finishStep(double start) {
  StepReport report;
  report.learningRate = rateOf(result.step);
  INGOT_ASSIGN(StepDriver::Outcome outcome, driver.finish());
  report.loss = outcome.loss;
  report.gradientNorm = outcome.gradientNorm;
  report.ms = (now() - start) * 1e3;
  report.step = ++result.step;
  report.steps = options.steps;
  report.tokens = result.tokensPerStep;
  result.stepMs.push_back(report.ms);
  result.losses.training.push_back({report.step, report.loss});
  report.gradientNorms = outcome.gradientNorms;
  report.skipped = !outcome.isFinite() && options.onNonFinite == OnNonFinite::Skip;
  observer.onStep(report);
  if (outcome.isFinite() || options.onNonFinite == OnNonFinite::Continue)
    return {};
  // The data may be to blame: a source is a function of the step.
  Batch batch = training.makeBatch();
  INGOT_TRY(training.fill(result.step - 1, batch));
  if (std::string found = describeNonFinite(batch); !found.empty())
    return failure(Error::Code::BadInput, "", "the data of step {} is not finite: {}", report.step,
                   found);
  INGOT_ASSIGN(const std::string what, driver.describe(outcome));
  if (!report.skipped)
    return diverged(report.step, what);
  constexpr int64_t told = 10; // then the total says it
  if (++result.skipped <= told)
    observer.onNote(fmt::format("step {} is skipped: {}", report.step, what));
  return {};
}

tl::unexpected<Error> Trainer::diverged(int64_t step, std::string_view what) const {
  return failure(Error::Code::BadInput, "",
                 "step {}: {}; a smaller learning rate or clipping may help{}", step, what,
                 savedStep < 0 ? ""
                               : fmt::format(" (the newest checkpoint is of step {})", savedStep));
}

Status Trainer::evaluate() {
  if (!validation || evaluatedStep == result.step)
    return {};
  INGOT_ASSIGN(double loss, evaluateLoss(session, *validation, options.evaluationBatches));
  evaluatedStep = result.step;
  result.losses.validation.push_back({result.step, loss});
  observer.onEvaluation(result.step, loss);
  return {};
}

Status Trainer::save() {
  if (options.out.empty() || savedStep == result.step)
    return {};
  INGOT_ASSIGN(Checkpoint checkpoint, driver.checkpoint());
  checkpoint.options = options.description;
  if (options.onNonFinite != OnNonFinite::Continue)
    if (std::string found = StepDriver::describeNonFinite(checkpoint); !found.empty())
      return diverged(result.step, found);
  CheckpointDirectory directory(options.out, options.keep);
  // The losses come first: what a kill leaves beyond the newest checkpoint is cut off on resuming,
  // what it left out would be missing for ever.
  INGOT_TRY(writeFile(options.out + "/losses.json", result.losses.toJson()));
  INGOT_TRY(directory.save(checkpoint));
  INGOT_TRY(writeFile(options.out + "/loss.svg", plotSvg(result.losses, "Loss")));
  INGOT_TRY(writeFile(options.out + "/loss.txt", plotText(result.losses)));
  savedStep = result.step;
  observer.onCheckpoint(result.step, directory.file(result.step));
  return {};
}

} // namespace ingot
