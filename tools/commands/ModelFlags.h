/// Flags that say which model: a family and its sizes, or a file.
#pragma once
#include "frontend/api/Model.h"
#include "runtime/data/Tokenizer.h"
#include "tools/commands/Applies.h"

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
  /// Whether the model is a compiled program or a checkpoint, by its contents.
  bool isProgram() const;
  bool isCheckpoint() const;
  /// What decides which of these flags apply.
  std::vector<Circumstance> circumstances() const;
  /// The batch of a family, `rows` for `all`; `otherwise` without the flag.
  Result<int64_t> batchOr(int64_t otherwise, int64_t rows) const;
  bool wholeBatch() const { return batch == "all"; }

private:
  /// Whether the model is meant to be a file's, which need not be there.
  bool namesFile() const;
  Result<Model> buildGptFamily(const Tokenizer *tokenizer, int64_t rows) const;
  Result<Model> buildMlpFamily(int64_t rows) const;
};

} // namespace ingot
