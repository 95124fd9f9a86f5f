/// Flags that say which model: a family and its sizes, or a file.
#pragma once
#include "frontend/onnx/Import.h"
#include "runtime/data/Tokenizer.h"
#include "runtime/program/NamedTensor.h"
#include "tools/commands/Applies.h"

namespace ingot {

struct ModelFlags {
  std::string model; ///< `gpt`, `mlp`, a `.mlir` file or `-`
  std::optional<std::string> size, layers;
  std::optional<int64_t> heads, width, sequence, vocabulary;
  std::optional<std::string> batch;   ///< a number, or `all`
  std::vector<std::string> shapes;    ///< of an ONNX file's inputs: `x:1x3x224x224`
  std::map<std::string, Shape> known; ///< what a command knows of them besides

  void declare(CLI::App &app);
  /// --shapes and --batch alone, for commands whose models are files.
  void declareShapes(CLI::App &app);
  /// `rows` is what `--batch=all` stands for; without a tokenizer the vocabulary is the flag's or
  /// the preset's.
  Result<Model> build(const Tokenizer *tokenizer = nullptr, int64_t rows = 0) const;
  bool isFamily() const { return model == "gpt" || model == "mlp"; }
  /// An ONNX file's symbolic sizes are those of its data; the first is the batch's. Sizes that the
  /// file fixes stay as they are: a batch that differs from them is an error.
  Status learnShapes(const std::vector<Shape> &arrays);
  /// Inputs that are given must agree with --shapes.
  Status checkShapes(const std::vector<std::vector<NamedTensor>> &runs) const;
  /// Whether the model is a compiled program or a checkpoint, by its contents.
  bool isProgram() const;
  bool isCheckpoint() const;
  bool isOnnx() const;
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
  Result<Model> importOnnx() const;
};

} // namespace ingot
