/// Options of graph.attention and graph.attention_backward as text, drawn.
#pragma once
#include <fmt/format.h>
#include <random>
#include <string>
#include <vector>

namespace ingot::test {

/// The words that they add to the two ops, and what these need.
struct AttentionWords {
  std::string operands, types;
  std::string attributes;                                  ///< `causal` and what follows it
  std::string before;                                      ///< ops that make the operands
  std::vector<std::pair<std::string, std::string>> inputs; ///< names and types of arguments
};

/// For scores of these sizes, which are at least 1. Integer arguments are to be drawn below a limit
/// that is above 3; masks hide what is 1 of three.
inline AttentionWords drawAttentionWords(std::mt19937_64 &random,
                                         const std::vector<int64_t> &scores,
                                         const std::string &type) {
  auto coin = [&] { return random() % 2 == 0; };
  auto tensor = [](const std::vector<int64_t> &sizes, const std::string &element) {
    std::string text = "tensor<";
    for (int64_t size : sizes)
      text += std::to_string(size) + "x";
    return text + element + ">";
  };
  AttentionWords words;
  auto operand = [&](const char *word, const char *name, const std::string &of) {
    words.operands += fmt::format(" {} %{}", word, name);
    words.types += ", " + of;
  };
  if (const int kind = int(random() % 4); kind > 0) { // conditions, numbers, numbers and -inf
    std::vector<int64_t> sizes = scores;
    for (int64_t &size : sizes)
      size = coin() ? size : 1;
    const std::string wide = type == "f64" ? "f64" : "f32",
                      number = coin() && type.starts_with("f8") == false ? type : wide,
                      integers = tensor(sizes, "i64"), conditions = tensor(sizes, "i1"),
                      numbers = tensor(sizes, number);
    if (kind != 2) {
      words.inputs.emplace_back("shown", integers);
      words.before += fmt::format("  %three = graph.constant dense<3> : {0}\n"
                                  "  %one = graph.constant dense<1> : {0}\n"
                                  "  %rest = graph.remainder %shown, %three : {0}\n"
                                  "  %seen = graph.compare ne %rest, %one : {0} -> {1}\n",
                                  integers, conditions);
    }
    if (kind != 1)
      words.inputs.emplace_back("added", numbers);
    if (kind == 3)
      words.before += fmt::format("  %lowest = graph.constant dense<{2}> : {0}\n"
                                  "  %mask = graph.select %seen, %added, %lowest : {1}, {0}\n",
                                  numbers, conditions,
                                  number == "f64"    ? "0xFFF0000000000000"
                                  : number == "f32"  ? "0xFF800000"
                                  : number == "bf16" ? "0xFF80"
                                                     : "0xFC00");
    operand("mask",
            kind == 1   ? "seen"
            : kind == 2 ? "added"
                        : "mask",
            kind == 1 ? conditions : numbers);
  }
  for (const char *word : {"offset", "length"})
    if (coin()) {
      const std::string of =
          tensor(coin() ? std::vector<int64_t>{} : std::vector{scores[0]}, coin() ? "i64" : "i32");
      words.inputs.emplace_back(word, of);
      operand(word, word, of);
    }
  const bool isCausal = coin();
  words.attributes = isCausal ? "true" : "false";
  if (coin())
    words.attributes += " soft_cap 1.5";
  for (const char *word : {"before", "after"})
    if (coin() && !(isCausal && word[0] == 'a'))
      words.attributes += fmt::format(" {} {}", word, random() % 12);
  return words;
}

} // namespace ingot::test
