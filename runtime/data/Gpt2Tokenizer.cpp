#include "runtime/data/Gpt2Tokenizer.h"
#include "runtime/data/Files.h"
#include "runtime/data/Utf8.h"
#include <array>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <queue>
#include <tuple>
#include <unordered_map>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace ingot {

namespace {

using Json = nlohmann::json;

/// GPT-2 writes every byte as a printable character: itself where it is one, else U+0100 and up.
std::array<int32_t, 256> printableForms() {
  std::array<int32_t, 256> forms;
  int32_t next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
    forms[byte] = printable ? byte : next++;
  }
  return forms;
}

/// Splits text into the words inside which pairs are merged. Unicode's white space is spelled out,
/// because PCRE2's \s also takes U+180E, which GPT-2's does not.
class Splitter {
public:
  Splitter() {
#define SPACE                                                                                      \
  R"(\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})"
    static constexpr char pattern[] =
        R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{L}\p{N})" SPACE "]+|[" SPACE
        "]+(?![^" SPACE "])|[" SPACE "]+";
#undef SPACE
    int error = 0;
    PCRE2_SIZE where = 0;
    code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern), sizeof pattern - 1,
                             PCRE2_UTF | PCRE2_UCP, &error, &where, nullptr));
    if (code)
      pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE); // slower without, but right
  }
  bool ready() const { return code != nullptr; }

  /// Calls `visit` with each word; returns the offset where the text is not UTF-8, or -1.
  template <typename Visit> int64_t split(std::string_view text, Visit visit) const {
    std::unique_ptr<pcre2_match_data, Free> match(pcre2_match_data_create(1, nullptr));
    auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    const PCRE2_SIZE *range = pcre2_get_ovector_pointer(match.get());
    uint32_t options = 0; // the first match checks the whole text, so the others need not
    for (size_t at = 0; at < text.size(); at = range[1], options = PCRE2_NO_UTF_CHECK) {
      int found = pcre2_match(code.get(), subject, text.size(), at, options, match.get(), nullptr);
      if (found < 0)
        return found <= PCRE2_ERROR_UTF8_ERR1 && found >= PCRE2_ERROR_UTF8_ERR21
                   ? int64_t(pcre2_get_startchar(match.get()))
                   : int64_t(at);
      visit(text.substr(range[0], range[1] - range[0]));
    }
    return -1;
  }

private:
  struct Free {
    void operator()(pcre2_code *code) const { pcre2_code_free(code); }
    void operator()(pcre2_match_data *data) const { pcre2_match_data_free(data); }
  };
  std::unique_ptr<pcre2_code, Free> code;
};

struct Merge {
  int32_t rank;
  int32_t result;
};

uint64_t pairKey(int32_t left, int32_t right) {
  return uint64_t(uint32_t(left)) << 32 | uint32_t(right);
}

class Gpt2Tokenizer final : public Tokenizer {
public:
  std::string_view kind() const override { return "gpt2"; }
  int64_t vocabularySize() const override { return int64_t(bytesOf.size()); }
  Result<Tokens> encode(std::string_view text, const std::string &place) const override;
  Result<std::string> decode(std::span<const int32_t> tokens) const override;
  int32_t startToken() const override { return endOfText; }
  std::string toJson() const override {
    return Json{{"kind", "gpt2"}, {"encoder", encoder}, {"merges", mergesText}}.dump();
  }

  Status readEncoder(const Json &json, const std::string &place);
  Status readMerges(std::string text, const std::string &place);

private:
  Result<std::string> bytesOfForm(std::string_view form, const std::string &place) const;
  /// Applies the merges to one word, lowest rank first, leftmost first among equals.
  void encodeWord(std::string_view word, Tokens &tokens) const;

  Splitter splitter;
  Json encoder;                                      ///< as read, to be written again
  std::string mergesText;                            ///< as read, to be written again
  std::unordered_map<std::string, int32_t> numberOf; ///< by bytes
  std::vector<std::string> bytesOf;
  std::array<int32_t, 256> byteTokens{};
  std::unordered_map<uint64_t, Merge> merges;
  int32_t endOfText = 0;
};

Result<std::string> Gpt2Tokenizer::bytesOfForm(std::string_view form,
                                               const std::string &place) const {
  static const auto byteOfForm = [] {
    std::unordered_map<int32_t, char> bytes;
    auto forms = printableForms();
    for (int byte = 0; byte < 256; ++byte)
      bytes.emplace(forms[byte], char(byte));
    return bytes;
  }();
  std::string bytes;
  for (std::string_view rest = form; !rest.empty();) {
    int32_t codePoint = takeCodePoint(rest);
    auto found = byteOfForm.find(codePoint);
    if (found == byteOfForm.end())
      return failure(Error::Code::BadInput, place,
                     "the token '{}' holds a character that stands for no byte", form);
    bytes += found->second;
  }
  return bytes;
}

Status Gpt2Tokenizer::readEncoder(const Json &json, const std::string &place) {
  if (!splitter.ready())
    return failure(Error::Code::Unsupported, place, "the installed PCRE2 lacks Unicode support");
  if (!json.is_object() || json.empty())
    return failure(Error::Code::BadInput, place,
                   "a JSON object from tokens to numbers is expected");
  auto size = int64_t(json.size());
  std::vector<bool> seen(size);
  bytesOf.resize(size);
  for (const auto &[form, number] : json.items()) {
    int64_t token = number.is_number_integer() ? number.get<int64_t>() : -1;
    if (token < 0 || token >= size || seen[token])
      return failure(Error::Code::BadInput, place,
                     "the token '{}' needs a number of its own below {}, not {}", form, size,
                     number.dump());
    seen[token] = true;
    INGOT_ASSIGN(bytesOf[token], bytesOfForm(form, place));
    numberOf.emplace(bytesOf[token], int32_t(token));
  }
  for (int byte = 0; byte < 256; ++byte) {
    auto found = numberOf.find(std::string(1, char(byte)));
    if (found == numberOf.end())
      return failure(Error::Code::BadInput, place, "there is no token for the single byte {}",
                     byte);
    byteTokens[byte] = found->second;
  }
  auto end = numberOf.find("<|endoftext|>");
  endOfText = end == numberOf.end() ? byteTokens['\n'] : end->second;
  encoder = json;
  return {};
}

Status Gpt2Tokenizer::readMerges(std::string text, const std::string &place) {
  mergesText = std::move(text);
  int32_t rank = 0;
  int lineNumber = 0;
  for (std::string_view rest = mergesText; !rest.empty();) {
    size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
    ++lineNumber;
    if (line.ends_with('\r'))
      line.remove_suffix(1);
    if (line.empty() || (lineNumber == 1 && line.starts_with("#version")))
      continue;
    size_t space = line.find(' ');
    if (space == line.npos || line.find(' ', space + 1) != line.npos)
      return failure(Error::Code::BadInput, place, "line {} is not a pair of tokens", lineNumber);
    INGOT_ASSIGN(std::string left, bytesOfForm(line.substr(0, space), place));
    INGOT_ASSIGN(std::string right, bytesOfForm(line.substr(space + 1), place));
    auto leftToken = numberOf.find(left), rightToken = numberOf.find(right),
         result = numberOf.find(left + right);
    if (leftToken == numberOf.end() || rightToken == numberOf.end() || result == numberOf.end())
      return failure(Error::Code::BadInput, place,
                     "line {} joins or makes a token that the encoder lacks", lineNumber);
    merges.try_emplace(pairKey(leftToken->second, rightToken->second),
                       Merge{rank++, result->second});
  }
  if (merges.empty())
    return failure(Error::Code::BadInput, place, "there are no merges in it");
  return {};
}

void Gpt2Tokenizer::encodeWord(std::string_view word, Tokens &tokens) const {
  // The word's pieces form a linked list, the possible merges a queue: n log n for words of any
  // length.
  struct Piece {
    int32_t token, previous, next;
  };
  struct Candidate {
    int32_t rank, position, left, right;
    bool operator<(const Candidate &other) const {
      return std::tie(other.rank, other.position) < std::tie(rank, position);
    }
  };
  constexpr int32_t none = -1, gone = -2;
  auto length = int32_t(word.size());
  std::vector<Piece> pieces(length);
  for (int32_t i = 0; i < length; ++i)
    pieces[i] = {byteTokens[uint8_t(word[i])], i - 1, i + 1 < length ? i + 1 : none};

  std::priority_queue<Candidate> queue;
  auto offer = [&](int32_t position) {
    if (position == none || pieces[position].next == none)
      return;
    int32_t left = pieces[position].token, right = pieces[pieces[position].next].token;
    if (auto found = merges.find(pairKey(left, right)); found != merges.end())
      queue.push({found->second.rank, position, left, right});
  };
  for (int32_t i = 0; i + 1 < length; ++i)
    offer(i);

  while (!queue.empty()) {
    Candidate best = queue.top();
    queue.pop();
    Piece &piece = pieces[best.position];
    // Candidates whose pieces were merged meanwhile are stale.
    if (piece.token != best.left || piece.next == none || pieces[piece.next].token != best.right)
      continue;
    Piece &absorbed = pieces[piece.next];
    piece.token = merges.at(pairKey(best.left, best.right)).result;
    piece.next = absorbed.next;
    absorbed.token = gone;
    if (piece.next != none)
      pieces[piece.next].previous = best.position;
    offer(piece.previous);
    offer(best.position);
  }
  for (int32_t i = 0; i != none; i = pieces[i].next)
    tokens.push_back(pieces[i].token);
}

Result<Tokens> Gpt2Tokenizer::encode(std::string_view text, const std::string &place) const {
  if (text.size() > size_t(std::numeric_limits<int32_t>::max()))
    return failure(Error::Code::Unsupported, place,
                   "texts of 2 GiB and more must be split into several files");
  Tokens tokens;
  // Words repeat a lot: each distinct one is merged once.
  std::unordered_map<std::string_view, Tokens> known;
  int64_t damaged = splitter.split(text, [&](std::string_view word) {
    auto [entry, isNew] = known.try_emplace(word);
    if (isNew)
      encodeWord(word, entry->second);
    tokens.insert(tokens.end(), entry->second.begin(), entry->second.end());
  });
  if (damaged >= 0)
    return failure(Error::Code::BadInput, place,
                   "the text is not UTF-8 at {}; the byte tokenizer takes any bytes",
                   positionInText(text, size_t(damaged)));
  return tokens;
}

Result<std::string> Gpt2Tokenizer::decode(std::span<const int32_t> tokens) const {
  std::string text;
  for (int32_t token : tokens) {
    if (token < 0 || token >= vocabularySize())
      return failure(Error::Code::BadInput, "", "token {} lies outside the vocabulary of {} tokens",
                     token, vocabularySize());
    text += bytesOf[token];
  }
  return text;
}

} // namespace

Result<TokenizerPointer> makeGpt2Tokenizer(const Json &encoder, std::string merges,
                                           const std::string &encoderPlace,
                                           const std::string &mergesPlace) {
  auto tokenizer = std::make_shared<Gpt2Tokenizer>();
  INGOT_TRY(tokenizer->readEncoder(encoder, encoderPlace));
  INGOT_TRY(tokenizer->readMerges(std::move(merges), mergesPlace));
  return tokenizer;
}

Result<TokenizerPointer> loadGpt2Tokenizer(const std::string &encoderPath,
                                           const std::string &mergesPath) {
  INGOT_ASSIGN(std::string encoder, readInput(encoderPath));
  INGOT_ASSIGN(std::string merges, readInput(mergesPath));
  Json json = Json::parse(encoder, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded())
    return failure(Error::Code::BadInput, encoderPath, "this is not valid JSON");
  return makeGpt2Tokenizer(json, std::move(merges), encoderPath, mergesPath);
}

} // namespace ingot
