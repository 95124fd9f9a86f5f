/// Sampling from a compiled model, token by token.
#pragma once
#include "runtime/data/Tokenizer.h"
#include "runtime/program/Device.h"
#include "runtime/support/Fields.h"
#include <functional>

namespace ingot {

struct GenerateOptions {
  int64_t tokens = 100;   ///< to be added to the prompt
  double temperature = 1; ///< 0: always the likeliest token
  int64_t topK = 0;       ///< only the likeliest K tokens; 0: all
  uint64_t seed = 0;

  static void fields(auto &self, auto &&visit) {
    visit(Field{"tokens", "tokens to write", atLeast(0)}, self.tokens);
    visit(Field{"temperature", "0: always the likeliest token", atLeast(0)}, self.temperature);
    visit(Field{"top_k", "only the likeliest K tokens; 0: all", atLeast(0)}, self.topK);
    visit(Field{"seed", "of the random choice of tokens"}, self.seed);
  }
};

/// Chooses a token from logits. `random` is uniform in [0, 1). Ties go to the smaller number.
/// BadInput where a logit is NaN or all are −inf.
Result<int32_t> sampleToken(std::span<const float> logits, const GenerateOptions &options,
                            double random);

/// Continues `prompt` with function `forward` (port `tokens` [B, T] i32 → `logits` [B, T, V] f32;
/// row 0 is used). A text longer than T is seen through its last T tokens. Tokens at and above
/// `vocabulary` are never chosen (0: all may be). `onToken` gets each new token; it returns false
/// to stop. The result holds the new tokens. The numbers drawn depend on (seed, position) alone.
Result<Tokens> generateTokens(Session &session, std::span<const int32_t> prompt, int64_t vocabulary,
                              const GenerateOptions &options,
                              const std::function<bool(int32_t)> &onToken);

/// The same for text. Pieces reach `onText` as soon as they are whole UTF-8 (bytes that never
/// become UTF-8 are passed on unchanged). An empty prompt begins with the tokenizer's start token.
/// Returns the new text without the prompt.
Result<std::string> generateText(Session &session, const Tokenizer &tokenizer,
                                 const std::string &prompt, const GenerateOptions &options,
                                 const std::function<bool(std::string_view)> &onText);

} // namespace ingot
