/// Training step by step on a session: what the trainer and the C++ interface's ModelTrainer share.
#pragma once
#include "runtime/data/BatchSource.h"
#include "runtime/program/Device.h"
#include "runtime/program/NonFinite.h"
#include "runtime/support/OnNonFinite.h"
#include "runtime/training/Checkpoint.h"
#include <deque>
#include <optional>

namespace ingot {

/// Feeds a program's functions `init`, `step` and `evaluate` with batches and scalars. Steps may be
/// enqueued while earlier ones run; everything else waits for them.
class StepDriver {
public:
  /// The session must outlive the driver and have a function `step`.
  StepDriver(Session &session, uint64_t seed) : session(session), seed(seed) {}

  /// Initial parameters and state, a function of the seed.
  Status initialize();

  /// Starts the next step on a copy of the batch. Usage for a rate that is negative or not finite.
  Status enqueue(std::span<const NamedTensor> batch, double learningRate);
  int64_t inFlight() const { return int64_t(running.size()); }

  struct Outcome {
    double loss = 0; ///< of the model before the step's update
    std::optional<double> gradientNorm = {};
    std::vector<double> gradientNorms = {}; ///< a value a parameter, if the step computes them
    /// The first element, in the order in which the gradients get final, that is not finite or so
    /// large that the norm is not; of a step that computes no norms.
    struct Large {
      std::string parameter;
      Shape position;
    };
    std::optional<Large> large = {};

    /// Whether loss and norm are finite; the norm that is not computed, too.
    bool isFinite() const;
  };
  /// Waits for the oldest step in flight.
  Result<Outcome> finish();

  /// What the loss or the norm of a step is that is not finite, and the first parameter that shows
  /// it: by its gradient, if the step computes norms, else by its values.
  Result<std::string> describe(const Outcome &outcome) const;
  /// The same of what a checkpoint holds; empty if all is finite.
  static std::string describeNonFinite(const Checkpoint &checkpoint);

  int64_t steps() const { return done; } ///< finished, and those before a resumed checkpoint
  /// Parameters, state, number of steps and seed; whoever saves it adds what describes the model.
  Result<Checkpoint> checkpoint() const;
  /// Goes on from a checkpoint. One of parameters alone, where the step has state, begins a
  /// training: step 0, fresh state, the driver's own seed.
  Status restore(const Checkpoint &checkpoint, const std::string &place);

private:
  /// What an output `gradient_beyond.N` tells of: the parameters of a bucket, in rows of one
  /// length.
  struct Watched {
    std::vector<const Port *> members;
    std::vector<int64_t> starts; ///< of the members: elements
    int64_t rowElements = 0;
  };
  /// What is read of every step.
  struct Outputs {
    std::vector<std::string> names;
    std::vector<Watched> watched; ///< of the last ones among `names`
  };
  static Outputs outputsOf(const Function &step);
  Result<std::optional<Outcome::Large>> firstLarge(const Watched &bucket, const Tensor &rows) const;
  Result<std::optional<Outcome::Large>> findWritten(const Port &parameter) const;

  Session &session;
  uint64_t seed;
  std::optional<Outputs> outputs; ///< since the first step
  int64_t done = 0;
  std::deque<Ticket> running; ///< oldest first
};

/// The loss of function `evaluate` on a batch.
Result<double> evaluateBatch(Session &session, std::span<const NamedTensor> batch);

/// Fills the parameters and state of a program that has a function `init`; others keep theirs.
Status initializeParameters(Session &session, uint64_t seed);

/// BadInput unless the checkpoint has a tensor of this name, type and shape.
Status checkParameter(const Checkpoint &checkpoint, const std::string &parameter, ElementType type,
                      const Shape &shape, const std::string &place);

/// Writes a checkpoint's tensors into the parameters and state of a function (`step` to go on
/// training, `forward` or `evaluate` to use the model). BadInput names what is missing or has
/// another type or shape, and nothing is written. Without state, state stays as it is.
Status loadParameters(Session &session, std::string_view function, const Checkpoint &checkpoint,
                      const std::string &place, bool withState = true);

} // namespace ingot
