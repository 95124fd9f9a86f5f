/// The flags of `ingot train`.
#pragma once
#include "runtime/training/Trainer.h"
#include "tools/commands/CompileFlags.h"
#include "tools/commands/DataFlags.h"
#include "tools/commands/ModelFlags.h"
#include "tools/commands/TrainingFlags.h"

namespace ingot {

struct TrainFlags {
  ModelFlags model;
  TrainingFlags training;
  DataFlags data;
  CompileFlags compile;
  RunOptions run;
  int64_t epochs = 0; ///< passes over the data, in place of `run.steps`; 0: that says it
  bool json = false;
  std::string profile; ///< file

  void declare(CLI::App &app);
  /// The optimizer's own learning rate, unless --lr is given.
  void completeRate(const CLI::App &app);
  /// What decides which of these flags apply.
  std::vector<Circumstance> circumstances() const;
  /// Says in `run.steps` what the epochs are, and where a rate that decays ends. A last batch that
  /// the rows do not fill is filled up where weights can leave out what fills it; a resumed
  /// training does as it did.
  Status countSteps(const Model &built, const DataSet &data, bool isResumed);

private:
  std::string whyRowsAreLeftOut(const Model &built) const;
};

} // namespace ingot
