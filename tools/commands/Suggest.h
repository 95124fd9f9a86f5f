/// "did you mean" for words that are not known.
#pragma once
#include "runtime/support/Fields.h"
#include "runtime/support/Result.h"
#include <span>
#include <string>
#include <vector>

namespace ingot {

/// `; did you mean 'NAME'?` with the nearest name, or nothing if none is near.
std::string didYouMean(std::string_view word, std::span<const std::string> names);

/// The place of a word among those that a flag takes, or a Usage error at the flag that lists them.
Result<size_t> choose(std::string_view flag, std::string_view word,
                      std::span<const std::string_view> words);

/// The value of an enum that `enumNames` spells so.
template <NamedEnum E> Result<E> choose(std::string_view flag, std::string_view word) {
  INGOT_ASSIGN(const size_t index, choose(flag, word, enumNames(E())));
  return static_cast<E>(index);
}

} // namespace ingot
