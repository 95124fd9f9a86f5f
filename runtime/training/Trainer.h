/// A training from its first step, or from a checkpoint, to its last checkpoint.
#pragma once
#include "runtime/training/DirectoryLock.h"
#include "runtime/training/Schedule.h"
#include "runtime/training/TrainingLoop.h"
#include <optional>

namespace ingot {

/// How long a run is, what drives it and what it leaves behind.
struct RunOptions {
  int64_t steps = 100; ///< total: a run resumed at step 30 with steps = 60 does 30 more
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
    visit(Field{"steps", "updates in all, a resumed run's included", atLeast(0), false},
          self.steps);
    visit(Field{"seed", "of initial weights and data order"}, self.seed);
    visit(Field{"schedule"}, self.schedule);
    visit(Field{"out", "directory for checkpoints and loss curves", {}, false}, self.out);
    visit(
        Field{
            "resume", "continue from the newest checkpoint in --out, with its options", {}, false},
        self.resume);
    visit(Field{"eval_every", "steps; default: at start and end", atLeast(0)}, self.evaluateEvery);
    visit(Field{"eval_batches", "batches of an evaluation", atLeast(1)}, self.evaluationBatches);
    visit(Field{"save_every", "steps; default: at the end", atLeast(0), false}, self.saveEvery);
    visit(Field{"keep", "checkpoints to keep", atLeast(1), false}, self.keep);
    visit(Field{"on_nan"}, self.onNonFinite);
    visit(Field{.name = "description", .shapes = false}, self.description);
  }
};

/// The losses are those of the whole training, earlier runs included; all else is of this run.
struct TrainingResult : LoopRecord {
  int64_t firstStep = 0;     ///< updates done before
  int64_t step = 0;          ///< updates done after it
  bool stopped = false;      ///< the stop flag ended it early
  int64_t tokensPerStep = 0; ///< tokens, or examples where the model takes none
  bool countsTokens = true;
  double seconds = 0; ///< evaluation and checkpoints included
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
  Status save();

  Session &session;
  StepDriver driver;
  const BatchSource &training;
  const BatchSource *validation;
  RunOptions options;
  TrainingObserver &observer;
  LoopRecord record;
  std::optional<Checkpoint> start; ///< parameters of a fresh run
  std::string startPlace;
  std::optional<DirectoryLock> lock; ///< of `options.out`
  int64_t savedStep = -1;            ///< of the newest checkpoint
};

} // namespace ingot
