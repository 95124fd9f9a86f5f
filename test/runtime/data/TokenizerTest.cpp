#include "runtime/data/Tokenizer.h"
#include "runtime/data/Files.h"
#include "runtime/data/Gpt2Tokenizer.h"
#include "runtime/data/TextSource.h"
#include "runtime/data/Utf8.h"
#include "test/runtime/Support.h"
#include <nlohmann/json.hpp>

namespace ingot {
namespace {

using test::freshSeed;
using test::sharedData;
using test::TemporaryFolder;

/// Text of random code points from several UTF-8 lengths.
std::string randomText(std::mt19937_64 &random, int length) {
  static constexpr int32_t starts[] = {' ', 'a', '\n', 0xE0, 0x3B1, 0x4E00, 0x1F600};
  std::string text;
  for (int i = 0; i < length; ++i)
    appendCodePoint(text, starts[random() % std::size(starts)] + int32_t(random() % 3));
  return text;
}

TEST(Utf8, RoundTripsEveryCodePoint) {
  for (int32_t codePoint = 0; codePoint <= 0x10FFFF; ++codePoint) {
    if (codePoint >= 0xD800 && codePoint <= 0xDFFF)
      continue;
    std::string text;
    appendCodePoint(text, codePoint);
    std::string_view rest = text;
    ASSERT_EQ(takeCodePoint(rest), codePoint);
    ASSERT_TRUE(rest.empty());
  }
}

TEST(Utf8, RefusesWhatIsNotUtf8) {
  for (std::string_view bad :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE4\xB8", "\xC3("}) {
    std::string_view rest = bad;
    EXPECT_EQ(takeCodePoint(rest), -1) << testing::PrintToString(bad);
    EXPECT_EQ(rest, bad);
  }
}

TEST(Utf8, FindsUnfinishedBytes) {
  std::string text = "a\xF0\x9F\x98\x80";
  EXPECT_EQ(unfinishedBytes(text), 0u);
  EXPECT_EQ(unfinishedBytes(text.substr(0, 4)), 3u);
  EXPECT_EQ(unfinishedBytes(text.substr(0, 3)), 2u);
  EXPECT_EQ(unfinishedBytes(text.substr(0, 2)), 1u);
  EXPECT_EQ(unfinishedBytes("a"), 0u);
  EXPECT_EQ(unfinishedBytes("a\x80\x80\x80\x80"), 0u);
}

TEST(CharTokenizer, VocabularyIsSortedDistinctCodePoints) {
  auto tokenizer = makeCharTokenizer("zaé\na漢", "t");
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ((*tokenizer)->vocabularySize(), 5);
  EXPECT_EQ((*tokenizer)->encode("\nazé漢", "t").value(), (Tokens{0, 1, 2, 3, 4}));
  EXPECT_EQ((*tokenizer)->startToken(), 0);
}

TEST(CharTokenizer, RoundTripsRandomText) {
  uint64_t seed = freshSeed();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  std::string text = randomText(random, 500);
  auto tokenizer = makeCharTokenizer(text, "t").value();
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, "t").value()).value(), text);
  auto again = parseTokenizer(tokenizer->toJson(), "t").value();
  EXPECT_EQ(again->encode(text, "t").value(), tokenizer->encode(text, "t").value());
  EXPECT_EQ(again->toJson(), tokenizer->toJson());
}

TEST(CharTokenizer, NamesWhatItDoesNotKnow) {
  auto tokenizer = makeCharTokenizer("ab\n", "t").value();
  auto unknown = tokenizer->encode("ab\nac", "prompt");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(
      unknown.error().text(),
      "prompt: the character U+0063 at line 2, column 2 is not in the vocabulary of 3 characters");
  EXPECT_FALSE(tokenizer->encode("a\xFF", "t"));
  EXPECT_FALSE(tokenizer->decode(Tokens{3}));
  EXPECT_FALSE(tokenizer->decode(Tokens{-1}));
  EXPECT_FALSE(makeCharTokenizer("", "t"));
  EXPECT_FALSE(makeCharTokenizer("a\xC3", "t"));
}

TEST(ByteTokenizer, TakesAnyBytes) {
  auto tokenizer = makeByteTokenizer();
  std::string text("\0\xFF"
                   "a\n",
                   4);
  EXPECT_EQ(tokenizer->encode(text, "t").value(), (Tokens{0, 255, 97, 10}));
  EXPECT_EQ(tokenizer->decode(Tokens{0, 255, 97, 10}).value(), text);
  EXPECT_FALSE(tokenizer->decode(Tokens{256}));
  EXPECT_EQ(parseTokenizer(tokenizer->toJson(), "t").value()->kind(), "byte");
}

TEST(Tokenizer, RefusesDamagedJson) {
  for (const char *bad :
       {"", "[]", "{}", "{\"kind\":3}", "{\"kind\":\"word\"}", "{\"kind\":\"char\"}",
        "{\"kind\":\"char\",\"characters\":\"\"}", "{\"kind\":\"gpt2\",\"merges\":\"a b\"}",
        "{\"kind\":\"gpt2\",\"encoder\":{\"a\":0},\"merges\":\"a b\"}"}) {
    auto tokenizer = parseTokenizer(bad, "checkpoint");
    ASSERT_FALSE(tokenizer) << bad;
    EXPECT_EQ(tokenizer.error().place, "checkpoint") << bad;
  }
}

TEST(TextFiles, MakeOneVocabularyAndSequence) {
  std::vector<TextFile> files = {{"a.txt", "ba"}, {"b.txt", "cb"}};
  auto tokenizer = makeTokenizer("char", files).value();
  EXPECT_EQ(tokenizer->vocabularySize(), 3);
  auto range = encodeFiles(*tokenizer, files).value();
  EXPECT_EQ(*range.tokens, (Tokens{1, 0, 2, 1}));
  EXPECT_FALSE(makeTokenizer("word", files));
}

/// The smallest GPT-2 vocabulary: the 256 bytes and the results of a few merges.
TokenizerPointer smallGpt2(const std::vector<std::pair<std::string, std::string>> &merges) {
  nlohmann::json encoder = nlohmann::json::object();
  int next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
    std::string form;
    appendCodePoint(form, printable ? byte : next++);
    encoder[form] = byte;
  }
  std::string text = "#version: 0.2\n";
  for (const auto &[left, right] : merges) {
    encoder[left + right] = int(encoder.size());
    text += left + " " + right + "\n";
  }
  return makeGpt2Tokenizer(encoder, text, "encoder.json", "vocab.bpe").value();
}

TEST(Gpt2Tokenizer, MergesLowestRankFirst) {
  auto tokenizer = smallGpt2({{"b", "c"}, {"a", "b"}, {"a", "bc"}, {"a", "a"}});
  // bc goes before ab, so that abc becomes a+bc and then abc.
  EXPECT_EQ(tokenizer->encode("abc", "t").value(), (Tokens{258}));
  EXPECT_EQ(tokenizer->encode("abd", "t").value(), (Tokens{257, 'd'}));
  // Leftmost pairs go first: aaa is aa+a.
  EXPECT_EQ(tokenizer->encode("aaaaa", "t").value(), (Tokens{259, 259, 'a'}));
  EXPECT_EQ(tokenizer->encode("", "t").value(), Tokens{});
}

TEST(Gpt2Tokenizer, LongWordsTakeNoQuadraticTime) {
  auto tokenizer = smallGpt2({{"a", "a"}, {"aa", "aa"}});
  auto tokens = tokenizer->encode(std::string(400001, 'a'), "t").value();
  EXPECT_EQ(tokens.size(), 100001u);
}

TEST(Gpt2Tokenizer, RefusesDamagedVocabularies) {
  nlohmann::json good = nlohmann::json::parse(smallGpt2({{"a", "b"}})->toJson())["encoder"];
  auto refused = [&](const nlohmann::json &encoder, const std::string &merges) {
    return !makeGpt2Tokenizer(encoder, merges, "e", "m");
  };
  EXPECT_FALSE(refused(good, "a b\n"));
  EXPECT_FALSE(refused(good, "a b\r\n"));
  EXPECT_TRUE(refused(good, ""));
  EXPECT_TRUE(refused(good, "ab\n"));
  EXPECT_TRUE(refused(good, "a c\n"));
  EXPECT_TRUE(refused(good, "a b c\n"));
  EXPECT_TRUE(refused(good, "\xFF b\n"));
  auto changed = good;
  changed["ab"] = 7; // taken already
  EXPECT_TRUE(refused(changed, "a b\n"));
  changed["ab"] = "256";
  EXPECT_TRUE(refused(changed, "a b\n"));
  changed = good;
  changed.erase("a"); // the others keep their numbers, so one is too large now
  EXPECT_TRUE(refused(changed, "a b\n"));
  EXPECT_TRUE(refused(nlohmann::json::array(), "a b\n"));
}

class Gpt2Files : public testing::Test {
protected:
  void SetUp() override {
    SKIP_WITHOUT(sharedData("gpt2-bpe/encoder.json"));
    static TokenizerPointer loaded =
        loadGpt2Tokenizer(sharedData("gpt2-bpe/encoder.json"), sharedData("gpt2-bpe/vocab.bpe"))
            .value();
    tokenizer = loaded;
  }
  TokenizerPointer tokenizer;
};

TEST_F(Gpt2Files, GivesGpt2sOwnNumbers) {
  EXPECT_EQ(tokenizer->vocabularySize(), 50257);
  EXPECT_EQ(tokenizer->startToken(), 50256);
  const std::pair<const char *, Tokens> known[] = {
      {"Hello world", {15496, 995}},
      {"Hello, world!", {15496, 11, 995, 0}},
      {"The quick brown fox jumps over the lazy dog",
       {464, 2068, 7586, 21831, 18045, 625, 262, 16931, 3290}},
      {"I'm", {40, 1101}},
      {"  two", {220, 734}},
      {"\n\n", {628}},
      {"1234", {1065, 2682}},
  };
  for (const auto &[text, tokens] : known)
    EXPECT_EQ(tokenizer->encode(text, "t").value(), tokens) << text;
}

TEST_F(Gpt2Files, SplitsLikeGpt2sExpression) {
  // White space before a word keeps its last blank with the word; U+180E is no white space.
  auto pieces = [&](std::string_view text) {
    std::vector<std::string> result;
    Tokens tokens = tokenizer->encode(text, "t").value();
    for (int32_t token : tokens)
      result.push_back(tokenizer->decode(Tokens{token}).value());
    return result;
  };
  EXPECT_EQ(pieces("a  b"), (std::vector<std::string>{"a", " ", " b"}));
  EXPECT_EQ(pieces("we'll they're"), (std::vector<std::string>{"we", "'ll", " they", "'re"}));
  EXPECT_EQ(pieces("x \n y"), (std::vector<std::string>{"x", " ", "\n", " y"}));
}

TEST_F(Gpt2Files, RoundTripsRandomText) {
  uint64_t seed = freshSeed();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 20; ++i) {
    std::string text = randomText(random, 200);
    auto tokens = tokenizer->encode(text, "t");
    ASSERT_TRUE(tokens) << tokens.error().text();
    EXPECT_EQ(tokenizer->decode(*tokens).value(), text);
  }
  auto wrong = tokenizer->encode("fine\nno\xFF", "file.txt");
  ASSERT_FALSE(wrong);
  EXPECT_TRUE(
      wrong.error().text().starts_with("file.txt: the text is not UTF-8 at line 2, column 3"))
      << wrong.error().text();
}

TEST_F(Gpt2Files, SurviveACheckpoint) {
  auto again = parseTokenizer(tokenizer->toJson(), "t").value();
  EXPECT_EQ(again->encode("It's 2026, isn't it?", "t").value(),
            tokenizer->encode("It's 2026, isn't it?", "t").value());
}

} // namespace
} // namespace ingot
