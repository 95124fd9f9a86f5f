#include "runtime/training/Trainer.h"
#include "runtime/support/File.h"
#include "runtime/training/Plot.h"
#include <chrono>
#include <filesystem>

namespace ingot {

namespace {

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

Trainer::Trainer(Session &session, const BatchSource &training, const BatchSource *validation,
                 RunOptions options, TrainingObserver &observer)
    : session(session), driver(session, options.seed), training(training), validation(validation),
      options(std::move(options)), observer(observer) {}

Result<TrainingResult> Trainer::run(const std::atomic<bool> &stop) {
  const auto begun = std::chrono::steady_clock::now();
  record = {};
  INGOT_TRY(begin());
  const int64_t firstStep = driver.steps();
  LoopOptions loopOptions = {
      .steps = options.steps,
      .rate = [this](int64_t step) { return options.schedule.at(step); },
      .evaluateEvery = options.evaluateEvery,
      .evaluationBatches = options.evaluationBatches,
      .onNonFinite = options.onNonFinite,
      .saveEvery = options.saveEvery,
      .save = [this] { return save(); },
  };
  TrainingLoop loop(session, driver, training, validation, std::move(loopOptions), record,
                    observer);
  if (record.losses.validation.empty())
    INGOT_TRY(loop.evaluate());
  const auto tellCheckpoint = [&](Error error) {
    if (error.code == Error::Code::BadInput && savedStep >= 0)
      error.message += fmt::format(" (the newest checkpoint is of step {})", savedStep);
    return error;
  };
  INGOT_TRY(loop.run(stop).map_error(tellCheckpoint));
  if (record.skipped > 0)
    observer.onNote(fmt::format("{} of {} steps were skipped: they changed nothing", record.skipped,
                                driver.steps() - firstStep));
  INGOT_TRY(save().map_error(tellCheckpoint));
  TrainingResult result;
  static_cast<LoopRecord &>(result) = std::move(record);
  result.firstStep = firstStep;
  result.step = driver.steps();
  result.stopped = result.step < options.steps;
  result.tokensPerStep = tokensPerBatch(training.ports());
  result.countsTokens = countsTokens(training.ports());
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  return result;
}

Status Trainer::begin() {
  savedStep = -1;
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
  savedStep = checkpoint->step;
  if (savedStep >= options.steps)
    observer.onNote(fmt::format("{} is at step {} already, and {} steps are asked for in all",
                                options.out, savedStep, options.steps));
  if (std::string losses = options.out + "/losses.json"; std::filesystem::exists(losses)) {
    INGOT_ASSIGN(std::string text, readFile(losses));
    INGOT_ASSIGN(record.losses, LossHistory::parse(text, losses));
    record.losses.truncate(savedStep);
  }
  return {};
}

Status Trainer::save() {
  if (options.out.empty() || savedStep == driver.steps())
    return {};
  INGOT_ASSIGN(Checkpoint checkpoint, driver.checkpoint());
  checkpoint.options = options.description;
  if (options.onNonFinite != OnNonFinite::Continue)
    if (std::string found = StepDriver::describeNonFinite(checkpoint); !found.empty())
      return diverged(driver.steps(), found);
  CheckpointDirectory directory(options.out, options.keep);
  // The losses come first: what a kill leaves beyond the newest checkpoint is cut off on resuming,
  // what it left out would be missing for ever.
  INGOT_TRY(writeFile(options.out + "/losses.json", record.losses.toJson()));
  INGOT_TRY(directory.save(checkpoint));
  INGOT_TRY(writeFile(options.out + "/loss.svg", plotSvg(record.losses, "Loss")));
  INGOT_TRY(writeFile(options.out + "/loss.txt", plotText(record.losses)));
  savedStep = driver.steps();
  observer.onCheckpoint(savedStep, directory.file(savedStep));
  return {};
}

} // namespace ingot
