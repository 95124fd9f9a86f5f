/// What a program is compiled for, and with what.
#pragma once
#include "passes/options/BlockChoice.h"
#include "passes/options/MemoryOptions.h"
#include "passes/options/TrainingOptions.h"
#include <atomic>
#include <optional>
#include <string>
#include <vector>

namespace ingot {

/// Sizes of blocks that were measured to be faster than the derived ones (TuningFile.h).
struct Tuning {
  BlockChoices blocks;
  std::string note; ///< if there was a file that is of no use: why; else empty

  static void fields(auto &self, auto &&visit) {
    visit(Field{"blocks"}, self.blocks);
    visit(Field{.name = "note", .shapes = false}, self.note);
  }
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
  /// Looked at while compiling: set, it ends the compilation with an error. No option of the
  /// program's, so no field. Null: nobody cancels.
  const std::atomic<bool> *stop = nullptr;

  static void fields(auto &self, auto &&visit) {
    visit(Field{"training"}, self.training);
    visit(Field{"memory"}, self.memory);
    visit(Field{"target", "cpu (this machine), cpu:NAME, such as cpu:x86-64-v4 or "
                          "cpu:znver4,l1=32K,l1_ways=8,l2=1M, or cuda:sm_80, cuda:sm_90a, "
                          "cuda:sm_100a"},
          self.target);
    visit(Field{"tuning"}, self.tuning);
    visit(Field{.name = "threads", .shapes = false}, self.threads);
    visit(Field{.name = "cache", .shapes = false}, self.cacheDirectory);
    visit(Field{"dump_dir", "write the IR after every pass, numbered", {}, false},
          self.dumpDirectory);
    visit(Field{"print_after", "print the IR after these passes to stderr", {}, false},
          self.printAfter);
    visit(Field{"timing", "print the time of each pass to stderr", {}, false}, self.timing);
  }
};

} // namespace ingot
