/// Flags that say which model: a family and its sizes, or a file.
#pragma once
#include "frontend/api/Model.h"
#include "runtime/data/Tokenizer.h"
#include <CLI/CLI.hpp>
#include <optional>

namespace ingot {

struct ModelFlags {
  std::string model; ///< `gpt`, `mlp`, a `.mlir` file or `-`
  std::optional<std::string> size, layers;
  std::optional<int64_t> heads, width, sequence, vocabulary;
  std::optional<std::string> batch; ///< a number, or `all`

  void declare(CLI::App &app);
  /// `rows` is what `--batch=all` stands for; without a tokenizer the vocabulary is the flag's or
  /// the preset's.
  Result<Model> build(const Tokenizer *tokenizer = nullptr, int64_t rows = 0) const;
  bool isFamily() const { return model == "gpt" || model == "mlp"; }
  bool wholeBatch() const { return batch == "all"; }

private:
  Result<Model> buildGptFamily(const Tokenizer *tokenizer, int64_t rows) const;
  Result<Model> buildMlpFamily(int64_t rows) const;
  Result<int64_t> batchOr(int64_t otherwise, int64_t rows) const;
};

/// A whole number above 0, or a Usage error at the flag.
Result<int64_t> parseSize(std::string_view flag, std::string_view text);
/// `64` is 64, `64,256,10` three sizes.
Result<std::vector<int64_t>> parseSizes(std::string_view flag, std::string_view text);

} // namespace ingot
