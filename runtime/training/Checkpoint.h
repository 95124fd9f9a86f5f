/// Checkpoints of a training run: safetensors files in a directory, the newest few kept.
///
///     DIR/step-00000060.safetensors   parameters, state, and in `__metadata__` what else resumes a
///     run DIR/latest                      name of the newest file
#pragma once
#include "runtime/training/Safetensors.h"
#include <optional>

namespace ingot {

/// All that a run needs to go on bit-exactly. Equal checkpoints give equal files.
struct Checkpoint {
  int64_t step = 0;         ///< updates done
  int64_t dataPosition = 0; ///< where the data source goes on, in its own units
  uint64_t seed = 0;
  std::string options = "{}"; ///< JSON text: the model and the training options
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata =
      {}; ///< what else the file says: other programs' keys
};

Status saveCheckpoint(const std::string &file, const Checkpoint &checkpoint);
Result<Checkpoint> loadCheckpoint(const std::string &file);
/// Of a file that has been read: whether its metadata is a training run's, and what it says.
bool isCheckpoint(const Safetensors &contents);
Result<Checkpoint> toCheckpoint(Safetensors contents, const std::string &file);

/// The checkpoints of one run. One process writes; others may read at the same time.
class CheckpointDirectory {
public:
  explicit CheckpointDirectory(std::string path, int keep = 3)
      : path(std::move(path)), keep(keep) {}

  /// Creates the directory if need be, writes the file, points `latest` at it and deletes all but
  /// the newest `keep` checkpoints. After an error, and after a kill at any moment, the earlier
  /// checkpoints are intact and no partial file passes for one.
  Status save(const Checkpoint &checkpoint) const;

  /// The newest checkpoint that is whole, or nothing when there is none. A damaged one is skipped
  /// with a warning.
  Result<std::optional<Checkpoint>> newest(std::vector<std::string> *warnings = nullptr) const;

  /// Steps that have a file, oldest first; empty when there is no directory.
  Result<std::vector<int64_t>> steps() const;
  /// `DIR/step-00000060.safetensors`
  std::string file(int64_t step) const;

private:
  Status removeOld(int64_t newest) const;
  Result<std::vector<int64_t>> newestFirst() const;

  std::string path;
  int keep;
};

} // namespace ingot
