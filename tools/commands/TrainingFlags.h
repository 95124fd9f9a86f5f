/// Flags that say how a model is trained: loss and optimizer.
#pragma once
#include "frontend/api/Model.h"
#include "passes/options/TrainingOptions.h"
#include "tools/commands/Applies.h"

namespace ingot {

struct TrainingFlags {
  TrainingOptions options;
  std::vector<std::string> trainOnly, freeze; ///< patterns; see frozenGroup

  void declare(CLI::App &app);
  /// What decides which of these flags apply.
  std::vector<Circumstance> circumstances() const;
  /// The options, the parameters that the model does not train being a group of their own.
  Result<TrainingOptions> optionsFor(const Model &model) const;
  /// Whether the last batch of an epoch may hold fewer rows than others, the rest having weight 0.
  bool fillsLastBatch() const {
    return options.lossWeights && options.accumulate == 1 &&
           options.lossNumbers.reduction != Reduction::BatchMean;
  }
};

} // namespace ingot
