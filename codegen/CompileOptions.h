/// What a program is compiled for, and with what.
#pragma once
#include "passes/MemoryOptions.h"
#include "passes/TrainingOptions.h"
#include <optional>
#include <string>
#include <vector>

namespace ingot {

struct CompileOptions {
  std::optional<TrainingOptions> training; ///< absent: @forward alone
  MemoryOptions memory;
  std::string target = "cpu";          ///< as `--target`
  int threads = 0;                     ///< for compiling; 0: one per CPU
  std::string cacheDirectory;          ///< empty: no cache on disk
  std::string dumpDirectory;           ///< numbered IR after every pass, LLVM IR of every kernel
  std::vector<std::string> printAfter; ///< passes after which the IR goes to stderr
  bool timing = false;                 ///< pass timings to stderr
};

} // namespace ingot
