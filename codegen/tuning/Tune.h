/// The search behind `ingot tune`: faster sizes of blocks for a model's kernels on this machine.
#pragma once
#include "codegen/Compile.h"
#include "codegen/tuning/TuningFile.h"
#include "runtime/program/Device.h"
#include <atomic>

namespace ingot {

struct TuneOptions {
  double seconds = 120;          ///< about how long to search
  std::string function = "step"; ///< what is measured
  /// Writes parameters and synthetic inputs of the function.
  std::function<Status(Session &, const Function &)> fill;
  const std::atomic<bool> *stop = nullptr; ///< ends the search at the next run where it turns true
};

/// How far the search is.
struct TuneProgress {
  std::string what;       ///< `tiles: 5 versions of 14 kernels`
  double fraction = 0;    ///< of the search
  double secondsLeft = 0; ///< at most
  bool isNew = false;     ///< `what` is said for the first time
};

/// A kernel for which there was something to choose.
struct TunedKernel {
  std::string name, ops;
  double before = 0, after = 0; ///< seconds a run of the function; before: with derived sizes
  BlockChoice choice;           ///< default: the derived sizes stay
  double gain() const { return before > 0 ? 1 - after / before : 0; }
};

struct TuneResult {
  std::vector<TunedKernel> kernels; ///< slowest first
  double before = 0, after = 0;     ///< seconds of the whole function; 0 if nothing was chosen
  size_t versions = 0;              ///< of kernels that were measured
  std::vector<std::string> notes;   ///< kernels that gave other bits: bugs, and never chosen
  bool stopped = false;             ///< before the search was over
};

/// Varies the sizes of every kernel that takes part of the function's time worth having, group by
/// group, all kernels of the function at once: versions of the whole function take turns on the
/// same memory, so that a kernel meets the caches that it meets when it is used. A variation must
/// give the same bits as the derived sizes. It is kept if the best of one half of the runs is
/// faster in the other half by more than what two runs of the same code differ by.
///
/// The file is written after every group. `options.cacheDirectory` should be set: most kernels of a
/// version are those of another.
Result<TuneResult> tune(mlir::ModuleOp model, const CompileOptions &options,
                        const TuneOptions &tuning, const TuningFile &file,
                        const std::function<void(const TuneProgress &)> &progress);

} // namespace ingot
