/// A module's tokens with one token of look-ahead, and constant expressions.
#pragma once
#include "runtime/emulator/ptx/Lexer.h"
#include "runtime/emulator/ptx/Ptx.h"

namespace ingot::emulator::ptx {

class TokenStream {
public:
  TokenStream(Module &module, std::vector<Token> tokens)
      : module(module), text(*module.text), tokens(std::move(tokens)) {}

  const Token &current() const { return tokens[next]; }
  const Token &ahead(size_t count) const {
    return tokens[std::min(next + count, tokens.size() - 1)];
  }
  Token take() { return tokens[next + 1 < tokens.size() ? next++ : next]; }
  bool accept(std::string_view punctuation);
  bool acceptDotted(std::string_view name);

  /// `MODULE:LINE: what: the line's text`; line 0 is that of the current token.
  tl::unexpected<Error> error(std::string_view what, int line = 0) const;
  Status expect(std::string_view punctuation);
  Status skipPast(std::string_view punctuation);
  Result<std::string_view> name(std::string_view what);
  Result<int64_t> integer();
  /// An Immediate: a number, or an expression of integers whose operators are of this level or
  /// tighter.
  Result<Operand> constant(int level = 1);

protected:
  Module &module;
  std::string_view text;
  std::vector<Token> tokens;
  size_t next = 0;

private:
  Result<Operand> constantPrimary();
};

} // namespace ingot::emulator::ptx
