/// Text to token numbers and back.
#pragma once
#include "runtime/support/Result.h"
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

using Tokens = std::vector<int32_t>;

/// Immutable after creation and safe to share between threads.
class Tokenizer {
public:
  virtual ~Tokenizer() = default;
  /// `char`, `byte` or `gpt2`.
  virtual std::string_view kind() const = 0;
  /// Tokens are 0 … vocabularySize() - 1.
  virtual int64_t vocabularySize() const = 0;
  /// BadInput names the line and column of what the vocabulary lacks or what is not UTF-8;
  /// `place` is the text's file or flag.
  virtual Result<Tokens> encode(std::string_view text, const std::string &place) const = 0;
  /// The bytes of the tokens; a token may hold a part of a UTF-8 sequence.
  /// BadInput for numbers outside the vocabulary.
  virtual Result<std::string> decode(std::span<const int32_t> tokens) const = 0;
  /// What an empty prompt begins with: the end-of-text token, else a new line.
  virtual int32_t startToken() const = 0;
  /// The whole tokenizer as JSON text, for checkpoints.
  virtual std::string toJson() const = 0;
};

using TokenizerPointer = std::shared_ptr<const Tokenizer>;

/// A token per distinct code point of `text`, in the order of code points.
Result<TokenizerPointer> makeCharTokenizer(std::string_view text, const std::string &place);

/// The 256 bytes.
TokenizerPointer makeByteTokenizer();

/// GPT-2's byte pair encoding from `encoder.json` and `vocab.bpe`.
Result<TokenizerPointer> loadGpt2Tokenizer(const std::string &encoderPath,
                                           const std::string &mergesPath);

/// The inverse of `Tokenizer::toJson`; `place` is named in errors.
Result<TokenizerPointer> parseTokenizer(std::string_view json, const std::string &place);

/// `line 3, column 7`: where byte `offset` of `text` lies, both counted from 1, columns in bytes.
std::string positionInText(std::string_view text, size_t offset);

} // namespace ingot
