/// Flags that say how a model is trained: loss and optimizer.
#pragma once
#include "passes/options/TrainingOptions.h"
#include "runtime/support/Result.h"
#include "tools/commands/Applies.h"
#include <optional>

namespace ingot {

struct TrainingFlags {
  std::string loss = "cross_entropy", optimizer = "adamw", onNan = "stop";
  std::optional<double> weightDecay;
  TrainingOptions
      numbers; ///< betas, epsilon, momentum, clip, accumulate, groups: taken as they are

  void declare(CLI::App &app);
  Result<TrainingOptions> options() const;
  /// What decides which of these flags apply.
  std::vector<Circumstance> circumstances() const;
};

} // namespace ingot
