#include "runtime/training/Generate.h"
#include "test/runtime/FakeSession.h"
#include "test/runtime/Support.h"
#include <cmath>
#include <set>

namespace ingot {
namespace {

using test::FakeSession;
using test::freshSeed;
using test::textModel;

const auto acceptAll = [](int32_t) { return true; };

/// Prefers the successor of the last token.
FakeSession countingModel(int64_t window = 8) {
  return textModel(window, 10, [](std::span<const int32_t> seen, int32_t candidate) {
    return candidate == (seen.back() + 1) % 10 ? 3.0f : float(candidate) * 0.01f;
  });
}

TEST(Generate, GreedyTakesTheLikeliest) {
  FakeSession session = countingModel();
  auto tokens = generateTokens(session, Tokens{4}, 0, {.tokens = 12, .temperature = 0}, acceptAll);
  EXPECT_EQ(tokens.value(), (Tokens{5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6}));
}

TEST(Generate, LongTextsAreSeenThroughTheirEnd) {
  // The next token is the window's first one, so the window's place decides.
  FakeSession session = textModel(3, 10, [](std::span<const int32_t> seen, int32_t candidate) {
    return candidate == seen.front() ? 1.0f : 0.0f;
  });
  auto tokens =
      generateTokens(session, Tokens{1, 2, 3, 4, 5}, 0, {.tokens = 4, .temperature = 0}, acceptAll);
  EXPECT_EQ(tokens.value(), (Tokens{3, 4, 5, 3}));
}

TEST(Generate, DependsOnTheSeedAlone) {
  uint64_t seed = freshSeed();
  auto go = [](uint64_t seed, double temperature) {
    FakeSession session = countingModel();
    return generateTokens(session, Tokens{0}, 0,
                          {.tokens = 40, .temperature = temperature, .seed = seed}, acceptAll)
        .value();
  };
  EXPECT_EQ(go(seed, 1), go(seed, 1));
  EXPECT_NE(go(seed, 5), go(seed + 1, 5));
}

TEST(Generate, StopsWhereTheCallerWants) {
  FakeSession session = countingModel();
  auto until7 = [](int32_t token) { return token != 7; };
  EXPECT_EQ(generateTokens(session, Tokens{4}, 0, {.temperature = 0}, until7).value(),
            (Tokens{5, 6, 7}));
}

TEST(Generate, StaysInsideTheVocabulary) {
  FakeSession session = countingModel();
  auto tokens =
      generateTokens(session, Tokens{0}, 5, {.tokens = 100, .temperature = 50}, acceptAll).value();
  EXPECT_EQ(std::set(tokens.begin(), tokens.end()), (std::set<int32_t>{0, 1, 2, 3, 4}));
}

TEST(Generate, StreamsWholeCharacters) {
  // The byte tokenizer needs three tokens for one character; the model repeats "漢" (E6 BC A2).
  FakeSession session = textModel(8, 256, [](std::span<const int32_t> seen, int32_t candidate) {
    int32_t next = seen.back() == 0xE6 ? 0xBC : seen.back() == 0xBC ? 0xA2 : 0xE6;
    return candidate == next ? 1.0f : 0.0f;
  });
  std::vector<std::string> pieces;
  auto onText = [&](std::string_view text) {
    pieces.emplace_back(text);
    return true;
  };
  auto text =
      generateText(session, *makeByteTokenizer(), "", {.tokens = 7, .temperature = 0}, onText);
  EXPECT_EQ(text.value(), "漢漢\xE6");
  EXPECT_EQ(pieces, (std::vector<std::string>{"漢", "漢", "\xE6"}));
}

TEST(Generate, RefusesWhatCannotWork) {
  FakeSession session = countingModel();
  auto refused = [&](Tokens prompt, GenerateOptions options) {
    return !generateTokens(session, prompt, 0, options, acceptAll);
  };
  EXPECT_TRUE(refused({}, {}));
  EXPECT_TRUE(refused({10}, {}));
  EXPECT_TRUE(refused({1}, {.temperature = -1}));
  EXPECT_TRUE(refused({1}, {.temperature = std::nan("")}));
  EXPECT_TRUE(refused({1}, {.topK = -1}));
  FakeSession nan = textModel(4, 3, [](auto, int32_t) { return NAN; });
  EXPECT_FALSE(generateTokens(nan, Tokens{1}, 0, {}, acceptAll));
  FakeSession mlp = test::quadraticModel();
  EXPECT_FALSE(generateTokens(mlp, Tokens{1}, 0, {}, acceptAll));
}

TEST(SampleToken, FollowsTheSoftmax) {
  std::mt19937_64 random(freshSeed());
  const std::vector<float> logits = {0, float(std::log(2.0)), float(std::log(5.0))};
  for (double temperature : {1.0, 0.5}) {
    std::vector<double> counts(3, 0),
        weights = {1, std::pow(2, 1 / temperature), std::pow(5, 1 / temperature)};
    double total = weights[0] + weights[1] + weights[2];
    constexpr int draws = 20000;
    for (int i = 0; i < draws; ++i)
      counts[sampleToken(logits, {.temperature = temperature},
                         std::uniform_real_distribution<>()(random))
                 .value()] += 1;
    for (int v = 0; v < 3; ++v)
      EXPECT_NEAR(counts[v] / draws, weights[v] / total, 0.025);
  }
}

TEST(SampleToken, TopKKeepsTheLikeliestAndPrefersSmallerNumbers) {
  const std::vector<float> logits = {1, 3, 2, 3, 0};
  std::set<int32_t> seen;
  for (double random = 0; random < 1; random += 0.01)
    seen.insert(sampleToken(logits, {.temperature = 100, .topK = 3}, random).value());
  EXPECT_EQ(seen, (std::set<int32_t>{1, 2, 3}));
  EXPECT_EQ(sampleToken(logits, {.topK = 1}, 0.99).value(), 1);
  EXPECT_EQ(sampleToken(logits, {.temperature = 0}, 0.99).value(), 1);
  const std::vector<float> masked = {-INFINITY, 0, -INFINITY};
  EXPECT_EQ(sampleToken(masked, {}, 0.0).value(), 1);
  EXPECT_EQ(sampleToken(masked, {}, std::nextafter(1.0, 0.0)).value(), 1);
}

} // namespace
} // namespace ingot
