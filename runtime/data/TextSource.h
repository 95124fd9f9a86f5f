/// Windows of a tokenized text: inputs, and the same shifted by one token as targets.
#pragma once
#include "runtime/data/BatchSource.h"
#include "runtime/data/Tokenizer.h"

namespace ingot {

struct TextFile {
  std::string path;
  std::string text;
};

/// Reads text files (`-` is standard input, `.gz` is unpacked); an empty one is an error.
Result<std::vector<TextFile>> readTextFiles(std::span<const std::string> paths);

/// A tokenizer of kind `char` (from the characters of all files) or `byte`.
Result<TokenizerPointer> makeTokenizer(std::string_view kind, std::span<const TextFile> files);

/// A stretch of a token sequence; copies share the sequence.
struct TokenRange {
  std::shared_ptr<const Tokens> tokens;
  size_t begin = 0, end = 0;
  std::string place; ///< for error messages
  int64_t size() const { return int64_t(end - begin); }
};

/// Encodes files one after the other into one sequence.
Result<TokenRange> encodeFiles(const Tokenizer &tokenizer, std::span<const TextFile> files);

/// Splits the last `fraction` (0 ≤ fraction < 1) of the tokens off for validation.
struct TextSplit {
  TokenRange training, validation;
};
Result<TextSplit> splitText(const TokenRange &text, double fraction);

struct TextOptions {
  uint64_t seed = 0;
  /// 0: windows at random places. Else `spread` batches are laid evenly over the whole text, the
  /// same ones whenever they are asked for: for evaluation.
  int64_t spread = 0;
};

class TextSource final : public BatchSource {
public:
  /// `ports` are the inputs and the targets, both [rows, sequence] i32. Errors: a text shorter than
  /// a window of sequence + 1 tokens, a token beyond a port's limit, ports of another form.
  static Result<std::unique_ptr<TextSource>> create(TokenRange text, std::vector<BatchPort> ports,
                                                    const TextOptions &options);
  Status fill(int64_t step, Batch &batch) const override;
  int64_t batchesPerEpoch() const override { return (text.size() - 1) / (rows * sequence); }

private:
  TextSource(TokenRange text, std::vector<BatchPort> ports, const TextOptions &options);
  /// Where the window of a row begins: 0 … size - sequence - 1.
  int64_t windowStart(int64_t step, int64_t row) const;

  TokenRange text;
  TextOptions options;
  int64_t rows, sequence;
};

} // namespace ingot
