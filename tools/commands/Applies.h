/// Which options do nothing under which circumstances: one table for all commands.
#pragma once
#include "runtime/support/Result.h"
#include <CLI/CLI.hpp>
#include <vector>

namespace ingot {

/// What holds for a run of a command, so that some of its options would be ignored.
enum class Circumstance {
  FixedShapes,      ///< the model is no ONNX file
  Mlp,              ///< the model is of the family `mlp`
  ModelFile,        ///< the model comes from a file, with its sizes
  ModelFileBatch,   ///< and the batch is one of these
  Checkpoint,       ///< model and tokenizer come from a checkpoint
  CheckpointMetric, ///< what is told of a checkpoint depends on its loss
  CheckpointBatch,  ///< and so does the batch
  ProgramFile,      ///< the model is compiled already
  RandomGraphs,     ///< no model is given: graphs are drawn
  GivenModel,       ///< one is
  NoTraining,       ///< the model runs alone: no loss, no optimizer
// The optimizer, in the order of TrainingOptions::Optimizer.
#define INGOT_NUMBER(...)
#define INGOT_OPTIMIZER(NAME, ...) NAME,
#include "passes/options/Optimizers.def"
// The loss, in the order of Loss.
#define INGOT_NUMBER(...)
#define INGOT_LOSS(NAME, ...) NAME,
#include "passes/options/Losses.def"
  ReferenceDevice, ///< the interpreter: nothing is compiled
  NoCache,         ///< the cache is neither read nor filled
  NothingRuns,     ///< the command only compiles
  TextData,
  ArrayData,
  RandomData,
  FixedData,       ///< text or arrays, read in order: nothing is drawn
  NoSplit,         ///< no data is held out for validation
  ConstantRate,    ///< the learning rate has no decay
  NoOutput,        ///< training keeps nothing on disk
  LikeliestToken,  ///< temperature 0: nothing is drawn
  OwnParameters,   ///< the model is a checkpoint, which holds its parameters
  SavedParameters, ///< parameters come from a checkpoint
  FileParameters,  ///< parameters come with the ONNX file
  OneShape,        ///< one program alone: of a model that is no ONNX file, or of another function
  NothingExpected, ///< no result is compared
  JsonOutput,
  IrOutput, ///< a stage is printed instead of a summary
};

/// A usage error that names the first option given on the command line which does not apply.
Status refuseIdleOptions(const CLI::App &command, const std::vector<Circumstance> &circumstances);

/// The circumstances of several sets of flags together.
template <typename... Flags> std::vector<Circumstance> circumstancesOf(const Flags &...flags) {
  std::vector<Circumstance> all;
  for (const std::vector<Circumstance> &some : {flags.circumstances()...})
    all.insert(all.end(), some.begin(), some.end());
  return all;
}

} // namespace ingot
