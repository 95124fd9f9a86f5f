/// What a program is compiled for, and with what.
#pragma once
#include "passes/options/BlockChoice.h"
#include "passes/options/MemoryOptions.h"
#include "passes/options/TrainingOptions.h"
#include <optional>
#include <string>
#include <vector>

namespace ingot {

/// Sizes of blocks that were measured to be faster than the derived ones (TuningFile.h).
struct Tuning {
  BlockChoices blocks;
  std::string note; ///< if there was a file that is of no use: why; else empty
};

struct CompileOptions {
  std::optional<TrainingOptions> training; ///< absent: @forward alone
  MemoryOptions memory;
  std::string target = "cpu";          ///< as `--target`
  Tuning tuning;                       ///< by default none: all sizes are derived
  int threads = 0;                     ///< for compiling; 0: one per CPU
  std::string cacheDirectory;          ///< empty: no cache on disk
  std::string dumpDirectory;           ///< numbered IR after every pass, LLVM IR of every kernel
  std::vector<std::string> printAfter; ///< passes after which the IR goes to stderr
  bool timing = false;                 ///< pass timings to stderr
};

} // namespace ingot
