/// Drives a compiled training step: data in, losses out, evaluation, checkpoints, resuming.
#pragma once
#include "runtime/data/BatchSource.h"
#include "runtime/program/Device.h"
#include "runtime/training/DirectoryLock.h"
#include "runtime/training/LossHistory.h"
#include "runtime/training/Schedule.h"
#include "runtime/training/StepDriver.h"
#include <atomic>
#include <optional>

namespace ingot {

/// How long a run is, what drives it and what it leaves behind.
struct RunOptions {
  int64_t steps = 0; ///< total: a run resumed at step 30 with steps = 60 does 30 more
  Schedule schedule;
  uint64_t seed = 0;
  int64_t evaluateEvery = 0;     ///< steps; 0: only at the start and the end
  int64_t evaluationBatches = 8; ///< the validation source's batches 0 … N-1
  std::string out = {};  ///< directory of checkpoints, losses.json, loss.svg, loss.txt; empty: none
  int64_t saveEvery = 0; ///< steps; 0: only at the end
  int keep = 3;          ///< checkpoints
  bool resume = false;   ///< continue from the newest checkpoint in `out`, if there is one
  /// After a loss or gradient norm that is NaN or infinite. `Skip` needs a step compiled for it.
  OnNonFinite onNonFinite = OnNonFinite::Stop;
  /// JSON text kept in every checkpoint: model, tokenizer, training options. It must not hold what
  /// differs between a run and its resumption (the total of steps), or their files would differ.
  std::string description = "{}";

  static void fields(auto &self, auto &&visit) {
    visit(Field{"steps", "updates in all, a resumed run's included", false}, self.steps);
    visit(Field{"schedule"}, self.schedule);
    visit(Field{"seed", "of initial weights and data order"}, self.seed);
    visit(Field{"eval_every", "steps; default: at start and end"}, self.evaluateEvery);
    visit(Field{"eval_batches", "batches an evaluation"}, self.evaluationBatches);
    visit(Field{"out", "directory for checkpoints and losses", false}, self.out);
    visit(Field{"save_every", "steps; default: at the end", false}, self.saveEvery);
    visit(Field{"keep", "checkpoints to keep; default 3", false}, self.keep);
    visit(Field{"resume", "go on from the newest checkpoint in --out", false}, self.resume);
    visit(Field{"on_nan", "stop (default), skip or continue"}, self.onNonFinite);
    visit(Field{.name = "description", .shapes = false}, self.description);
  }
};

struct StepReport {
  int64_t step = 0; ///< from 1; its loss is of the model before this step's update
  int64_t steps = 0;
  double loss = 0;
  double ms = 0;      ///< since the step before was told, or the batch was wanted
  int64_t tokens = 0; ///< tokens, or examples where the model takes none
  double learningRate = 0;
  std::optional<double> gradientNorm = {};
  std::vector<double> gradientNorms = {}; ///< of each parameter, if the step computes them
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

struct TrainingResult {
  int64_t firstStep = 0;      ///< updates done before this run
  int64_t step = 0;           ///< updates done after it
  bool stopped = false;       ///< the stop flag ended it early
  int64_t skipped = 0;        ///< steps of this run that changed nothing
  LossHistory losses;         ///< of the whole training, earlier runs included
  std::vector<double> stepMs; ///< of this run
  int64_t tokensPerStep = 0;  ///< tokens, or examples where the model takes none
  bool countsTokens = true;
  double seconds = 0; ///< of this run, evaluation and checkpoints included
};

class Trainer {
public:
  /// `session` holds a program with functions `step`, `init` (unless resuming) and, for validation,
  /// `evaluate`. The sources' ports must be those of `step` and `evaluate`; `validation` may be
  /// null. All references must outlive the trainer.
  Trainer(Session &session, const BatchSource &training, const BatchSource *validation,
          RunOptions options, TrainingObserver &observer);

  /// A fresh run begins with these parameters instead of random ones; `place` is named in errors.
  void beginWith(Checkpoint parameters, std::string place) {
    start = std::move(parameters);
    startPlace = std::move(place);
  }

  /// Starts afresh or resumes, then trains. `stop` is looked at between steps: when it is set, the
  /// steps in flight (at most two) are finished, a checkpoint saved and the result says `stopped`;
  /// setting it from a signal handler is safe. A fresh run moves an earlier run's directory `out`
  /// aside. Errors: BadInput for a loss or gradients that are not finite (naming step and
  /// parameter; nothing that is not finite is saved) and for a checkpoint that does not fit the
  /// program; Usage for another seed than the checkpoint's; what sources and
  /// session report.
  Result<TrainingResult> run(const std::atomic<bool> &stop);

private:
  Status begin();
  Status restore();
  bool mayEnqueue(const std::atomic<bool> &stop) const;
  Status finishStep(double start);
  Status evaluate();
  Status save();
  tl::unexpected<Error> diverged(int64_t step, std::string_view what) const;
  double rateOf(int64_t step) const { return options.schedule.at(step); }
  /// Whether a periodic action is due after so many steps.
  static bool isDue(int64_t every, int64_t steps) { return every > 0 && steps % every == 0; }

  Session &session;
  StepDriver driver;
  const BatchSource &training;
  const BatchSource *validation;
  RunOptions options;
  TrainingObserver &observer;
  TrainingResult result;
  std::optional<Checkpoint> start; ///< parameters of a fresh run
  std::string startPlace;
  std::optional<DirectoryLock> lock; ///< of `options.out`
  int64_t savedStep = -1;            ///< of the newest checkpoint
  int64_t evaluatedStep = -1;        ///< of the newest evaluation
};

/// Mean of `loss` of function `evaluate` over batches 0 … batches-1; the session holds parameters.
Result<double> evaluateLoss(Session &session, const BatchSource &source, int64_t batches);

} // namespace ingot
