/// Flags that say how a model is trained: loss and optimizer.
#pragma once
#include "passes/options/TrainingOptions.h"
#include "tools/commands/Applies.h"

namespace ingot {

struct TrainingFlags {
  TrainingOptions options;

  void declare(CLI::App &app);
  /// What decides which of these flags apply.
  std::vector<Circumstance> circumstances() const;
};

} // namespace ingot
