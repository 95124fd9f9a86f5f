/// The figures that end a training run, as `--json` prints them.
#pragma once
#include "runtime/training/Trainer.h"

namespace ingot {

struct TrainingSummary {
  int64_t steps = 0; ///< updates done in all
  double compileMs = 0;
  int64_t operators = 0;       ///< graph operators that became them; 0 if unknown
  int64_t kernels = 0;         ///< launches a step
  int64_t distinctKernels = 0; ///< compiled kernels that a step uses
  double stepMsMedian = 0;
  bool countsTokens = true;
  double tokensPerSecond = 0;     ///< tokens, or examples, of a step over its median time
  std::optional<double> accuracy; ///< of a classifier on the validation batches, at the end
  int64_t plannedBytes = 0;       ///< arena with parameters and state
  int64_t peakRssBytes = 0;
  std::optional<double> firstLoss, lastLoss, firstValidationLoss, lastValidationLoss;

  /// `{"summary":{…}}` without a line's end.
  std::string toJson() const;
  /// A few lines for people.
  std::string toText() const;
};

TrainingSummary summarize(const Program &program, const TrainingResult &result, double compileMs);

/// Kernel launches of a function: loops count every iteration, of two branches the longer one
/// counts.
int64_t countLaunches(const Function &function);
int64_t countDistinctKernels(const Function &function);

/// Peak resident memory of this process (VmHWM) in bytes; 0 where it cannot be read.
int64_t peakResidentBytes();

} // namespace ingot
