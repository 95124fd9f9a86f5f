/// Flags that say where and how a model is compiled.
#pragma once
#include "frontend/LoadedModel.h"
#include <CLI/CLI.hpp>

namespace ingot {

struct CompileFlags {
  std::string device = "cpu", target = "cpu";
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
  /// Compiles and loads; with --explain-cache says to stderr what the cache had.
  Result<LoadedModel> load(const Model &model, const std::optional<TrainingOptions> &training,
                           bool initializers = false) const;
  /// What --explain-cache prints.
  void explain(const CompileReport &report) const;
};

/// Bytes of `500MB`, `1.7GB` or `64MiB`; a number alone counts bytes.
Result<int64_t> parseBytes(std::string_view flag, std::string_view text);

/// `12.3 MB`.
std::string humanBytes(int64_t bytes);

} // namespace ingot
