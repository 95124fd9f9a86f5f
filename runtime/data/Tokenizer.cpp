#include "runtime/data/Tokenizer.h"
#include "runtime/data/Gpt2Tokenizer.h"
#include "runtime/data/Utf8.h"
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <unordered_map>

namespace ingot {

namespace {

using Json = nlohmann::json;

tl::unexpected<Error> outsideVocabulary(int32_t token, int64_t size) {
  return failure(Error::Code::BadInput, "", "token {} lies outside the vocabulary of {} tokens",
                 token, size);
}

tl::unexpected<Error> notUtf8(std::string_view text, size_t offset, const std::string &place) {
  return failure(Error::Code::BadInput, place,
                 "the text is not UTF-8 at {}; the byte tokenizer takes any bytes",
                 positionInText(text, offset));
}

class CharTokenizer final : public Tokenizer {
public:
  explicit CharTokenizer(std::vector<int32_t> sortedCodePoints)
      : codePoints(std::move(sortedCodePoints)) {
    for (size_t i = 0; i < codePoints.size(); ++i)
      numbers.emplace(codePoints[i], int32_t(i));
  }

  std::string_view kind() const override { return "char"; }
  int64_t vocabularySize() const override { return int64_t(codePoints.size()); }

  Result<Tokens> encode(std::string_view text, const std::string &place) const override {
    Tokens tokens;
    tokens.reserve(text.size());
    for (std::string_view rest = text; !rest.empty();) {
      size_t offset = text.size() - rest.size();
      int32_t codePoint = takeCodePoint(rest);
      if (codePoint < 0)
        return notUtf8(text, offset, place);
      auto found = numbers.find(codePoint);
      if (found == numbers.end())
        return failure(Error::Code::BadInput, place,
                       "the character U+{:04X} at {} is not in the vocabulary of {} characters",
                       codePoint, positionInText(text, offset), codePoints.size());
      tokens.push_back(found->second);
    }
    return tokens;
  }

  Result<std::string> decode(std::span<const int32_t> tokens) const override {
    std::string text;
    for (int32_t token : tokens) {
      if (token < 0 || token >= vocabularySize())
        return outsideVocabulary(token, vocabularySize());
      appendCodePoint(text, codePoints[token]);
    }
    return text;
  }

  int32_t startToken() const override {
    auto found = numbers.find('\n');
    return found == numbers.end() ? 0 : found->second;
  }

  std::string toJson() const override {
    std::string characters;
    for (int32_t codePoint : codePoints)
      appendCodePoint(characters, codePoint);
    return Json{{"kind", "char"}, {"characters", characters}}.dump();
  }

private:
  std::vector<int32_t> codePoints;
  std::unordered_map<int32_t, int32_t> numbers;
};

class ByteTokenizer final : public Tokenizer {
public:
  std::string_view kind() const override { return "byte"; }
  int64_t vocabularySize() const override { return 256; }

  Result<Tokens> encode(std::string_view text, const std::string &) const override {
    Tokens tokens(text.size());
    std::ranges::transform(text, tokens.begin(), [](char byte) { return int32_t(uint8_t(byte)); });
    return tokens;
  }

  Result<std::string> decode(std::span<const int32_t> tokens) const override {
    std::string text;
    for (int32_t token : tokens) {
      if (token < 0 || token > 255)
        return outsideVocabulary(token, 256);
      text += char(token);
    }
    return text;
  }

  int32_t startToken() const override { return '\n'; }
  std::string toJson() const override { return Json{{"kind", "byte"}}.dump(); }
};

} // namespace

std::string positionInText(std::string_view text, size_t offset) {
  std::string_view before = text.substr(0, offset);
  auto line = 1 + std::ranges::count(before, '\n');
  size_t lineStart = before.rfind('\n') + 1; // npos + 1 is 0
  return fmt::format("line {}, column {}", line, offset - lineStart + 1);
}

Result<TokenizerPointer> makeCharTokenizer(std::string_view text, const std::string &place) {
  if (text.empty())
    return failure(Error::Code::BadInput, place,
                   "the text is empty, so there is no character to learn from");
  std::set<int32_t> distinct;
  for (std::string_view rest = text; !rest.empty();) {
    size_t offset = text.size() - rest.size();
    int32_t codePoint = takeCodePoint(rest);
    if (codePoint < 0)
      return notUtf8(text, offset, place);
    distinct.insert(codePoint);
  }
  return std::make_shared<CharTokenizer>(std::vector(distinct.begin(), distinct.end()));
}

TokenizerPointer makeByteTokenizer() { return std::make_shared<ByteTokenizer>(); }

Result<TokenizerPointer> parseTokenizer(std::string_view text, const std::string &place) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("kind") || !json["kind"].is_string())
    return failure(Error::Code::BadInput, place,
                   "this is not a tokenizer: a JSON object with a \"kind\" is expected");
  auto kind = json["kind"].get<std::string>();
  if (kind == "byte")
    return makeByteTokenizer();
  if (kind == "char" && json.contains("characters") && json["characters"].is_string())
    return makeCharTokenizer(json["characters"].get<std::string>(), place);
  if (kind == "gpt2" && json.contains("encoder") && json.contains("merges") &&
      json["merges"].is_string())
    return makeGpt2Tokenizer(json["encoder"], json["merges"].get<std::string>(), place, place);
  return failure(Error::Code::BadInput, place,
                 "the tokenizer of kind '{}' is unknown or lacks its vocabulary", kind);
}

} // namespace ingot
