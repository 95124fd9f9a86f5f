/// PTX tokens.
#pragma once
#include "runtime/support/Result.h"
#include <cstdint>
#include <string_view>
#include <vector>

namespace ingot::emulator::ptx {

struct Token {
  enum class Kind : uint8_t {
    End,
    Name,    ///< identifier, %register or $label
    Dotted,  ///< .directive or .modifier, "::" included; `text` starts after the dot
    Integer, ///< `bits`
    Float,   ///< `bits` of an f64
    Float32, ///< 0fXXXXXXXX: `bits` of an f32
    String,  ///< `text` without quotes
    Punctuation,
  };
  Kind kind = Kind::End;
  std::string_view text;
  uint64_t bits = 0;
  int line = 0;

  bool is(std::string_view wanted) const { return kind == Kind::Punctuation && text == wanted; }
  bool dotted(std::string_view wanted) const { return kind == Kind::Dotted && text == wanted; }
  bool named(std::string_view wanted) const { return kind == Kind::Name && text == wanted; }
};

/// The whole text as tokens, ended by one of kind End. Comments, and lines of the preprocessor, are
/// skipped. Errors are placed at `name:line`.
Result<std::vector<Token>> tokenize(std::string_view text, std::string_view name);

/// Line `line` (from 1) of a text, without surrounding blanks.
std::string_view lineOf(std::string_view text, int line);

} // namespace ingot::emulator::ptx
