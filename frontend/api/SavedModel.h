/// What a checkpoint says about itself besides its tensors: enough to build its model again.
#pragma once
#include "frontend/api/Model.h"
#include "passes/options/TrainingOptions.h"
#include "runtime/data/Tokenizer.h"
#include "runtime/training/Checkpoint.h"

namespace ingot {

/// A model, its tokenizer and how it is trained: what `--resume`, `eval` and `generate` need.
struct SavedModel {
  Model model;
  TokenizerPointer tokenizer; ///< null if the model takes no text
  TrainingOptions training;
};

/// JSON text for `Checkpoint::options`: family and sizes (or the whole graph), tokenizer, training
/// options.
std::string describe(const SavedModel &saved);

/// The inverse. A `batch` other than 0 replaces the family's own; a model that came from a file
/// keeps its batch. Errors name `place`.
Result<SavedModel> parseSavedModel(std::string_view description, const std::string &place,
                                   int64_t batch = 0);

/// The newest checkpoint of a directory, or a single checkpoint file.
Result<Checkpoint> readCheckpoint(const std::string &path);

} // namespace ingot
