/// Flags that say where and how a model is compiled.
#pragma once
#include "frontend/api/LoadedModel.h"
#include <CLI/CLI.hpp>

namespace ingot {

struct CompileFlags {
  std::string device = "cpu", target = "cpu", tune = "on";
  int threads = 0;
  std::optional<std::string> memory;
  std::optional<std::string> cacheDirectory;
  bool noCache = false, explainCache = false, timing = false;
  std::string dumpDirectory;
  std::vector<std::string> printAfter;

  void declare(CLI::App &app);
  /// Device and threads alone: for programs that are compiled already.
  void declareDevice(CLI::App &app);
  Result<CompileOptions> options(const std::optional<TrainingOptions> &training) const;
  /// Where compiled code and what was tuned are kept; --no-cache does not count.
  std::string directory() const;
  /// Compiles and loads; says to stderr what `explain` says.
  Result<LoadedModel> load(const Model &model, const std::optional<TrainingOptions> &training,
                           bool initializers = false) const;
  /// Says to stderr what was tuned and, with --explain-cache, what the cache had.
  void explain(const CompileReport &report) const;
};

/// Bytes of `500MB`, `1.7GB` or `64MiB`; a number alone counts bytes.
Result<int64_t> parseBytes(std::string_view flag, std::string_view text);

/// `12.3 MB`.
std::string humanBytes(int64_t bytes);

} // namespace ingot
