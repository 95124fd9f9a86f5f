#include "runtime/training/Generate.h"
#include "runtime/data/BatchSource.h"
#include "runtime/data/Random.h"
#include "runtime/data/Utf8.h"
#include <algorithm>
#include <cmath>
#include <numeric>

namespace ingot {

namespace {

/// The ports of `forward` that generation needs, checked.
struct ForwardPorts {
  const Port *tokens, *logits;
};

Result<ForwardPorts> forwardPorts(const Program &program) {
  const Function *forward = program.function("forward");
  if (!forward)
    return failure(Error::Code::Unsupported, "", "the program has no function 'forward'");
  const Port *tokens = forward->port("tokens"), *logits = forward->port("logits");
  bool fits = tokens && logits && tokens->type == ElementType::I32 && tokens->shape.size() == 2 &&
              logits->type == ElementType::F32 && logits->shape.size() == 3 &&
              logits->shape[0] == tokens->shape[0] && logits->shape[1] == tokens->shape[1] &&
              elementCount(logits->shape) > 0;
  if (!fits)
    return failure(Error::Code::Unsupported, "",
                   "this model does not generate text: 'forward' must map tokens [B, T] i32 to "
                   "logits [B, T, V] f32");
  return ForwardPorts{tokens, logits};
}

Status checkOptions(const GenerateOptions &options) {
  if (!(options.temperature >= 0) || std::isinf(options.temperature))
    return failure(Error::Code::Usage, "GenerateOptions::temperature",
                   "{} is not a temperature; 0 and above are", options.temperature);
  if (options.topK < 0)
    return failure(Error::Code::Usage, "GenerateOptions::topK", "{} is negative", options.topK);
  if (options.tokens < 0)
    return failure(Error::Code::Usage, "GenerateOptions::tokens", "{} is negative", options.tokens);
  return {};
}

} // namespace

Result<int32_t> sampleToken(std::span<const float> logits, const GenerateOptions &options,
                            double random) {
  float largest = -INFINITY;
  for (float logit : logits) {
    if (std::isnan(logit))
      return failure(Error::Code::BadInput, "",
                     "the model's logits are NaN: its weights are damaged");
    largest = std::max(largest, logit);
  }
  if (std::isinf(largest))
    return failure(Error::Code::BadInput, "",
                   "the model's logits are infinite: its weights are damaged");
  if (options.temperature == 0)
    return int32_t(std::ranges::find(logits, largest) - logits.begin());

  std::vector<int32_t> candidates(logits.size());
  std::iota(candidates.begin(), candidates.end(), 0);
  if (options.topK > 0 && options.topK < int64_t(candidates.size())) {
    auto likelier = [&](int32_t a, int32_t b) {
      return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
    };
    std::nth_element(candidates.begin(), candidates.begin() + options.topK, candidates.end(),
                     likelier);
    candidates.resize(options.topK);
    std::ranges::sort(candidates);
  }
  std::vector<double> sums(candidates.size());
  double total = 0;
  for (size_t i = 0; i < candidates.size(); ++i)
    sums[i] = total += std::exp((double(logits[candidates[i]]) - largest) / options.temperature);
  // The first sum beyond the drawn one; the total itself cannot be drawn, because random < 1,
  // except by rounding.
  size_t drawn = std::ranges::upper_bound(sums, random * total) - sums.begin();
  return candidates[std::min(drawn, candidates.size() - 1)];
}

Result<Tokens> generateTokens(Session &session, std::span<const int32_t> prompt, int64_t vocabulary,
                              const GenerateOptions &options,
                              const std::function<bool(int32_t)> &onToken) {
  INGOT_TRY(checkOptions(options));
  INGOT_ASSIGN(ForwardPorts ports, forwardPorts(session.program()));
  int64_t window = ports.tokens->shape[1], width = ports.logits->shape[2];
  int64_t allowed = vocabulary > 0 ? std::min(vocabulary, width) : width;
  if (prompt.empty())
    return failure(Error::Code::Usage, "prompt", "at least one token is needed to begin with");
  for (int32_t token : prompt)
    if (token < 0 || token >= width)
      return failure(Error::Code::BadInput, "prompt",
                     "token {} is outside the model's vocabulary of {}", token, width);

  Tokens text(prompt.begin(), prompt.end());
  Tensor input(ElementType::I32, ports.tokens->shape);
  for (int64_t made = 0; made < options.tokens; ++made) {
    // What follows the text in the window does not matter: a position attends to none after it.
    auto seen = std::min<int64_t>(window, int64_t(text.size()));
    std::copy(text.end() - seen, text.end(), input.as<int32_t>());
    INGOT_TRY(session.write("forward", "tokens", input));
    INGOT_TRY(session.run("forward"));
    INGOT_ASSIGN(Tensor logits, session.read("forward", "logits"));
    const float *last = logits.as<float>() + (seen - 1) * width;
    double random =
        randomUniform(randomBits(options.seed, uint32_t(RandomStream::Sampling), text.size(), 0));
    INGOT_ASSIGN(int32_t token, sampleToken({last, size_t(allowed)}, options, random));
    text.push_back(token);
    if (!onToken(token))
      break;
  }
  text.erase(text.begin(), text.begin() + int64_t(prompt.size()));
  return text;
}

Result<std::string> generateText(Session &session, const Tokenizer &tokenizer,
                                 const std::string &prompt, const GenerateOptions &options,
                                 const std::function<bool(std::string_view)> &onText) {
  INGOT_ASSIGN(Tokens tokens, tokenizer.encode(prompt, "prompt"));
  if (tokens.empty())
    tokens.push_back(tokenizer.startToken());
  std::string text;
  size_t shown = 0;
  Status decoded;
  auto onToken = [&](int32_t token) {
    auto piece = tokenizer.decode(std::span(&token, 1));
    if (!piece) {
      decoded = tl::unexpected(piece.error());
      return false;
    }
    text += *piece;
    std::string_view whole = std::string_view(text).substr(shown);
    whole.remove_suffix(unfinishedBytes(whole));
    shown += whole.size();
    return whole.empty() || onText(whole);
  };
  INGOT_TRY(generateTokens(session, tokens, tokenizer.vocabularySize(), options, onToken));
  INGOT_TRY(decoded);
  if (shown < text.size())
    onText(std::string_view(text).substr(shown));
  return text;
}

} // namespace ingot
