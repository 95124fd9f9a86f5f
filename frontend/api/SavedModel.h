/// What a checkpoint says about itself besides its tensors: enough to build its model again.
#pragma once
#include "frontend/api/Model.h"
#include "frontend/weights/OutsideWeights.h"
#include "passes/options/TrainingOptions.h"
#include "runtime/data/Tokenizer.h"
#include "runtime/training/Checkpoint.h"
#include "runtime/training/Schedule.h"

namespace ingot {

/// What shapes a run of `ingot train` besides its model and its compiled step.
struct SavedRun {
  Schedule schedule;
  int64_t evaluateEvery = 0, evaluationBatches = 8;
  double evaluationSplit = 0; ///< share of the data that is held out
  double scale = 1;           ///< of arrays that feed floating-point inputs
  bool wholeBatch = false;    ///< a batch is the whole data, in the files' order
  std::string data;           ///< fingerprint of tokens or arrays

  static void fields(auto &self, auto &&visit) {
    visit(Field{"schedule"}, self.schedule);
    visit(Field{"eval_every"}, self.evaluateEvery);
    visit(Field{"eval_batches"}, self.evaluationBatches);
    visit(Field{"eval_split"}, self.evaluationSplit);
    visit(Field{"scale"}, self.scale);
    visit(Field{"whole_batch"}, self.wholeBatch);
    visit(Field{"data"}, self.data);
  }
};

/// A model, its tokenizer and how it is trained: what `--resume`, `eval` and `generate` need.
struct SavedModel {
  Model model;
  TokenizerPointer tokenizer; ///< null if the model takes no text
  TrainingOptions training;
  std::optional<SavedRun> run = {}; ///< absent where a C++ program drove the training
};

/// JSON text for `Checkpoint::options`: family and sizes (or the whole graph), tokenizer, training
/// options.
std::string describe(const SavedModel &saved);

/// The inverse. A `batch` other than 0 replaces the family's own; a model that came from a file
/// keeps its batch. Errors name `place`.
Result<SavedModel> parseSavedModel(std::string_view description, const std::string &place,
                                   int64_t batch = 0);

/// The newest checkpoint of a directory, or a single checkpoint file; or the parameters alone that
/// another program wrote (weights/OutsideWeights.h), as a checkpoint after step 0. `notes` are told
/// what had to be assumed.
Result<Checkpoint> readCheckpoint(const std::string &path,
                                  std::vector<std::string> *notes = nullptr);

/// Drops what a new training does not begin with: optimizer state, steps, seed.
Status keepParameters(Checkpoint &checkpoint, const Model &model, const std::string &place);

/// The parameters for another program. Unsupported unless the model is of a family.
Result<OutsideWeights> toOutsideWeights(const Checkpoint &checkpoint, const SavedModel &saved,
                                        const std::string &place);

} // namespace ingot
