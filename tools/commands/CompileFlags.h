/// Flags that say where and how a model is compiled.
#pragma once
#include "frontend/api/LoadedModel.h"
#include "tools/commands/Applies.h"

namespace ingot {

struct CompileFlags {
  CompileOptions compiler; ///< target, threads, what is printed
  std::string device = "cpu", tune = "on";
  std::optional<std::string> memory;
  std::optional<std::string> cacheDirectory;
  bool noCache = false, explainCache = false, tf32 = false;

  void declare(CLI::App &app);
  int threads() const { return compiler.threads; }
  /// What decides which of these flags apply.
  std::vector<Circumstance> circumstances() const;
  /// `last` is the stage that ends the passes: --print-after takes those that run.
  Result<CompileOptions> options(const std::optional<TrainingOptions> &training,
                                 Stage last = Stage::Plan) const;
  /// Where compiled code and tuned block sizes are kept; --no-cache does not count.
  std::string directory() const;
  /// Compiles and loads; says to stderr what `explain` says.
  Result<LoadedModel> load(const Model &model, const std::optional<TrainingOptions> &training,
                           bool initializers = false) const;
  /// A program already compiled, on the device of the flags.
  Result<LoadedModel> load(Program program) const;
  /// Says to stderr what was tuned, whether the cache is of no use and, with --explain-cache, what
  /// it held.
  void explain(const CompileReport &report) const;
};

/// Bytes of `500MB`, `1.7GB` or `64MiB`; a number alone counts bytes.
Result<int64_t> parseBytes(std::string_view flag, std::string_view text);

} // namespace ingot
