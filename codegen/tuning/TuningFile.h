/// What `ingot tune` found on this machine, on disk beside the compile cache.
#pragma once
#include "codegen/CompileOptions.h"
#include "codegen/cpu/Target.h"

namespace ingot {

/// DIRECTORY/tuning/MACHINE.json, where MACHINE is a hash of the processor, its features and
/// caches, and the number of threads. The file also names the build of the code generator.
///
/// It is replaced atomically, and under a lock, so that processes that tune at the same time keep
/// each other's choices.
class TuningFile {
public:
  /// `directory` is that of the compile cache; an empty one holds nothing. `threads`: 0 for one
  /// per CPU.
  TuningFile(const std::string &directory, const CpuTarget &target, int threads);

  const std::string &path() const { return file; }
  /// The choices. A file that is damaged, of another machine or another build of the code
  /// generator gives none and a note that says so: results are the same bits without.
  Tuning read() const;
  /// Adds choices to the file; a default one takes the kernel's out. What is of no use is replaced.
  Status update(const BlockChoices &found) const;

private:
  Result<BlockChoices> parse(const std::string &text) const;

  std::string file;
  std::string machine; ///< in words
};

/// What was found for a `--target`: nothing for GPUs, whose kernels are not tuned.
Result<Tuning> readTuning(const std::string &directory, const std::string &target, int threads);

} // namespace ingot
