#include "runtime/emulator/ptx/Lexer.h"
#include <bit>
#include <charconv>
#include <cstring>

namespace ingot::emulator::ptx {
namespace {

bool isLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool startsName(char c) { return isLetter(c) || c == '_' || c == '$' || c == '%'; }
bool continuesName(char c) { return isLetter(c) || isDigit(c) || c == '_' || c == '$'; }
bool isHex(char c) { return isDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

class Lexer {
public:
  Lexer(std::string_view text, std::string_view name) : text(text), name(name) {}

  Result<std::vector<Token>> run() {
    tokens.reserve(text.size() / 4);
    while (true) {
      INGOT_TRY(skipBlanks());
      if (position == text.size())
        break;
      INGOT_TRY(token());
    }
    tokens.push_back({Token::Kind::End, {}, 0, line});
    return std::move(tokens);
  }

private:
  char at(size_t index) const { return index < text.size() ? text[index] : '\0'; }

  auto error(std::string_view what) const {
    return failure(Error::Code::BadInput, fmt::format("{}:{}", name, line), "{}: {}", what,
                   lineOf(text, line));
  }

  Status skipBlanks() {
    while (position < text.size()) {
      const char c = text[position];
      if (c == '\n') {
        ++line;
        ++position;
      } else if (c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v' || c == '\0') {
        ++position; // NVRTC ends its text with a zero
      } else if (c == '/' && at(position + 1) == '/') {
        position = std::min(text.find('\n', position), text.size());
      } else if (c == '/' && at(position + 1) == '*') {
        const size_t end = text.find("*/", position + 2);
        if (end == std::string_view::npos)
          return error("a comment that does not end");
        for (; position < end + 2; ++position)
          line += text[position] == '\n';
      } else if (c == '#' && (position == 0 || text[position - 1] == '\n')) {
        position = std::min(text.find('\n', position), text.size());
      } else {
        break;
      }
    }
    return {};
  }

  Status token() {
    const char c = text[position];
    size_t end = position + 1;
    if (startsName(c)) {
      while (continuesName(at(end)))
        ++end;
      return push(Token::Kind::Name, end, 0);
    }
    if (c == '.' && (isLetter(at(end)) || isDigit(at(end)) || at(end) == '_')) {
      while (continuesName(at(end)) || (at(end) == ':' && at(end + 1) == ':'))
        end += at(end) == ':' ? 2 : 1;
      ++position;
      return push(Token::Kind::Dotted, end, 0);
    }
    if (isDigit(c))
      return number();
    if (c == '"') {
      while (end < text.size() && text[end] != '"' && text[end] != '\n')
        end += text[end] == '\\' ? 2 : 1;
      if (at(end) != '"')
        return error("a string that does not end");
      tokens.push_back(
          {Token::Kind::String, text.substr(position + 1, end - position - 1), 0, line});
      position = end + 1;
      return {};
    }
    for (std::string_view two : {"<<", ">>", "==", "!=", "<=", ">=", "&&", "||"})
      if (text.substr(position, 2) == two)
        return push(Token::Kind::Punctuation, position + 2, 0);
    if (std::strchr("{}[]()<>,;:@!|+-*/%&^~?=.", c) == nullptr)
      return error(fmt::format("unexpected character '{}'", c));
    return push(Token::Kind::Punctuation, end, 0);
  }

  Status push(Token::Kind kind, size_t end, uint64_t bits) {
    tokens.push_back({kind, text.substr(position, end - position), bits, line});
    position = end;
    return {};
  }

  Status number() {
    const char second = at(position + 1);
    if (text[position] == '0' && (second == 'f' || second == 'F' || second == 'd' || second == 'D'))
      return floatBits(second == 'f' || second == 'F' ? 8 : 16);
    size_t end = position;
    while (isDigit(at(end)))
      ++end;
    const bool isFloat =
        (at(end) == '.' && isDigit(at(end + 1))) || at(end) == 'e' || at(end) == 'E';
    if (isFloat) {
      double value = 0;
      auto [stop, status] =
          std::from_chars(text.data() + position, text.data() + text.size(), value);
      if (status != std::errc())
        return error("a number that cannot be read");
      return push(Token::Kind::Float, stop - text.data(), std::bit_cast<uint64_t>(value));
    }
    int base = 10;
    size_t start = position;
    if (text[position] == '0' && (second == 'x' || second == 'X'))
      base = 16, start += 2;
    else if (text[position] == '0' && (second == 'b' || second == 'B'))
      base = 2, start += 2;
    else if (text[position] == '0' && isDigit(second))
      base = 8, start += 1;
    uint64_t value = 0;
    auto [stop, status] =
        std::from_chars(text.data() + start, text.data() + text.size(), value, base);
    if (status != std::errc())
      return error("a number that cannot be read");
    end = stop - text.data();
    if (at(end) == 'U' || at(end) == 'u')
      ++end;
    if (continuesName(at(end)))
      return error("a number that cannot be read");
    return push(Token::Kind::Integer, end, value);
  }

  /// 0f and 0d are followed by all the hexadecimal digits of the bits.
  Status floatBits(int digits) {
    size_t end = position + 2;
    while (isHex(at(end)))
      ++end;
    if (int(end - position) - 2 != digits)
      return error(fmt::format("{} hexadecimal digits are needed", digits));
    uint64_t value = 0;
    std::from_chars(text.data() + position + 2, text.data() + end, value, 16);
    return push(digits == 8 ? Token::Kind::Float32 : Token::Kind::Float, end, value);
  }

  std::string_view text, name;
  size_t position = 0;
  int line = 1;
  std::vector<Token> tokens;
};

} // namespace

Result<std::vector<Token>> tokenize(std::string_view text, std::string_view name) {
  return Lexer(text, name).run();
}

std::string_view lineOf(std::string_view text, int line) {
  size_t start = 0;
  for (int i = 1; i < line && start < text.size(); ++i)
    start = std::min(text.find('\n', start), text.size() - 1) + 1;
  const std::string_view rest = text.substr(start, text.find('\n', start) - start);
  const size_t first = rest.find_first_not_of(" \t\r");
  if (first == std::string_view::npos)
    return {};
  return rest.substr(first, rest.find_last_not_of(" \t\r") - first + 1);
}

} // namespace ingot::emulator::ptx
