/// "did you mean" for words that are not known.
#pragma once
#include "runtime/support/Result.h"
#include <span>
#include <string>
#include <vector>

namespace ingot {

/// `; did you mean 'NAME'?` with the nearest name, or nothing if none is near.
std::string didYouMean(std::string_view word, std::span<const std::string> names);

/// A value of a flag that takes one of a few words.
template <typename T> struct Choice {
  std::string_view name;
  T value;
};

/// The chosen value, or a Usage error at `flag` that lists the choices.
template <typename T, size_t N>
Result<T> choose(std::string_view flag, std::string_view word, const Choice<T> (&choices)[N]) {
  std::vector<std::string> names;
  for (const Choice<T> &choice : choices) {
    if (choice.name == word)
      return choice.value;
    names.emplace_back(choice.name);
  }
  return failure(Error::Code::Usage, std::string(flag), "unknown value '{}'{}; known are {}", word,
                 didYouMean(word, names), fmt::join(names, ", "));
}

} // namespace ingot
