/// The loop of every training: batches in, steps on the device, losses out, evaluation.
#pragma once
#include "runtime/data/BatchSource.h"
#include "runtime/training/LossHistory.h"
#include "runtime/training/StepDriver.h"
#include <atomic>
#include <functional>

namespace ingot {

struct StepReport {
  int64_t step = 0; ///< from 1; its loss is of the model before this step's update
  int64_t steps = 0;
  StepDriver::Outcome outcome = {};
  double ms = 0;      ///< since the step before was told, or the batch was wanted
  int64_t tokens = 0; ///< tokens, or examples where the model takes none
  double learningRate = 0;
  bool skipped = false; ///< the step changed nothing: its loss or gradients were not finite
};

/// What a run reports. Calls come from the trainer's thread.
class TrainingObserver {
public:
  virtual ~TrainingObserver() = default;
  virtual void onStep(const StepReport &report) {}
  /// Mean loss over the validation batches after `step` updates.
  virtual void onEvaluation(int64_t step, double loss) {}
  virtual void onCheckpoint(int64_t step, const std::string &file) {}
  /// Anything else a user should know, such as a damaged checkpoint that was passed over.
  virtual void onNote(const std::string &text) {}
};

struct LoopOptions {
  int64_t steps = 0; ///< updates in all, those that the driver has done included
  /// The learning rate of a step, counted from 0.
  std::function<double(int64_t step)> rate = {};
  int64_t evaluateEvery = 0;     ///< steps; 0: only at the end
  int64_t evaluationBatches = 8; ///< the validation source's batches 0 … N-1
  /// After a loss or gradient norm that is NaN or infinite. `Skip` needs a step compiled for it.
  OnNonFinite onNonFinite = OnNonFinite::Stop;
  int64_t saveEvery = 0;             ///< steps; 0: never
  std::function<Status()> save = {}; ///< keeps what the driver holds
  /// Steps on the device at a time: with two, the next one waits behind the running one with its
  /// batch, and the device does not stand still while a loss is read and told. With one, parameters
  /// that an observer reads are those of the step it is told of.
  int64_t mostInFlight = 2;
};

/// What a loop did.
struct LoopRecord {
  LossHistory losses;
  std::vector<double> stepMs;
  int64_t skipped = 0; ///< steps that changed nothing
};

class TrainingLoop {
public:
  /// Ports of the sources are those of `step` and `evaluate`; `validation` may be null. All
  /// references must outlive the loop; `record` holds the losses of earlier runs.
  TrainingLoop(Session &session, StepDriver &driver, const BatchSource &training,
               const BatchSource *validation, LoopOptions options, LoopRecord &record,
               TrainingObserver &observer)
      : session(session), driver(driver), training(training), validation(validation),
        options(std::move(options)), record(record), observer(observer) {}

  /// Steps until there are `options.steps`, with evaluations and savings on the way, or until
  /// `stop`, which is looked at between steps: steps in flight are finished. Errors: BadInput for a
  /// loss or gradients that are not finite, naming step and parameter; what sources and session
  /// report.
  Status run(const std::atomic<bool> &stop);
  /// The mean loss over the validation batches, unless it is known already.
  Status evaluate();

private:
  Status runSteps(const std::atomic<bool> &stop);
  bool mayEnqueue(const std::atomic<bool> &stop) const;
  Status finishStep(double start);
  /// Whether a periodic action is due after so many steps.
  static bool isDue(int64_t every, int64_t steps) { return every > 0 && steps % every == 0; }

  Session &session;
  StepDriver &driver;
  const BatchSource &training;
  const BatchSource *validation;
  LoopOptions options;
  LoopRecord &record;
  TrainingObserver &observer;
};

/// The error of a training that is not finite after a step.
tl::unexpected<Error> diverged(int64_t step, std::string_view what);

/// Tokens of a batch, or examples where the model takes none.
int64_t tokensPerBatch(const std::vector<BatchPort> &ports);

/// Mean of `loss` of function `evaluate` over batches 0 … batches-1; the session holds parameters.
Result<double> evaluateLoss(Session &session, const BatchSource &source, int64_t batches);

} // namespace ingot
