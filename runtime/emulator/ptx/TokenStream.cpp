#include "runtime/emulator/ptx/TokenStream.h"

namespace ingot::emulator::ptx {
namespace {

// Of constant expressions, loosest first.
struct Operator {
  std::string_view text;
  int level;
};
constexpr Operator operators[] = {{"||", 1}, {"&&", 2}, {"|", 3}, {"^", 4},  {"&", 5},  {"==", 6},
                                  {"!=", 6}, {"<", 7},  {">", 7}, {"<=", 7}, {">=", 7}, {"<<", 8},
                                  {">>", 8}, {"+", 9},  {"-", 9}, {"*", 10}, {"/", 10}, {"%", 10}};

uint64_t calculate(std::string_view op, uint64_t a, uint64_t b) {
  const int64_t sa = int64_t(a), sb = int64_t(b);
  if (op == "||")
    return a || b;
  if (op == "&&")
    return a && b;
  if (op == "|")
    return a | b;
  if (op == "^")
    return a ^ b;
  if (op == "&")
    return a & b;
  if (op == "==")
    return a == b;
  if (op == "!=")
    return a != b;
  if (op == "<")
    return sa < sb;
  if (op == ">")
    return sa > sb;
  if (op == "<=")
    return sa <= sb;
  if (op == ">=")
    return sa >= sb;
  if (op == "<<")
    return b < 64 ? a << b : 0;
  if (op == ">>")
    return b < 64 ? a >> b : 0;
  if (op == "+")
    return a + b;
  if (op == "-")
    return a - b;
  if (op == "*")
    return a * b;
  if (sb == -1)
    return op == "/" ? 0 - a : 0;
  return op == "/" ? uint64_t(sa / sb) : uint64_t(sa % sb);
}

} // namespace

bool TokenStream::accept(std::string_view punctuation) {
  if (!current().is(punctuation))
    return false;
  take();
  return true;
}

bool TokenStream::acceptDotted(std::string_view name) {
  if (!current().dotted(name))
    return false;
  take();
  return true;
}

tl::unexpected<Error> TokenStream::error(std::string_view what, int line) const {
  line = line ? line : current().line;
  return failure(Error::Code::BadInput, fmt::format("{}:{}", module.name, line), "{}: {}", what,
                 lineOf(text, line));
}

Status TokenStream::expect(std::string_view punctuation) {
  if (!accept(punctuation))
    return error(fmt::format("'{}' is missing before '{}'", punctuation, current().text));
  return {};
}

Status TokenStream::skipPast(std::string_view punctuation) {
  while (!accept(punctuation)) {
    if (current().kind == Token::Kind::End)
      return error(fmt::format("'{}' is missing", punctuation));
    take();
  }
  return {};
}

Result<std::string_view> TokenStream::name(std::string_view what) {
  if (current().kind != Token::Kind::Name)
    return error(fmt::format("{} is missing before '{}'", what, current().text));
  return take().text;
}

Result<int64_t> TokenStream::integer() {
  INGOT_ASSIGN(const Operand value, constant());
  if (value.isFloat || value.isFloat32)
    return error("an integer is missing");
  return int64_t(value.bits);
}

Result<Operand> TokenStream::constant(int level) {
  INGOT_ASSIGN(Operand left, constantPrimary());
  while (true) {
    const Operator *found = nullptr;
    for (const Operator &candidate : operators)
      if (current().is(candidate.text) && candidate.level >= level)
        found = &candidate;
    if (!found || left.isFloat || left.isFloat32)
      return left;
    take();
    INGOT_ASSIGN(const Operand right, constant(found->level + 1));
    if ((found->text == "/" || found->text == "%") && !right.bits)
      return error("division by zero");
    left.bits = calculate(found->text, left.bits, right.bits);
  }
}

Result<Operand> TokenStream::constantPrimary() {
  Operand value;
  value.kind = Operand::Kind::Immediate;
  for (std::string_view sign : {"-", "+", "~", "!"})
    if (accept(sign)) {
      INGOT_ASSIGN(value, constantPrimary());
      if (sign == "-" && value.isFloat)
        value.bits ^= uint64_t(1) << 63;
      else if (sign == "-" && value.isFloat32)
        value.bits ^= uint64_t(1) << 31;
      else if (sign == "-")
        value.bits = 0 - value.bits;
      else if (sign != "+")
        value.bits = sign == "~" ? ~value.bits : !value.bits;
      return value;
    }
  if (accept("(")) {
    if (current().kind == Token::Kind::Dotted) { // (.s64) and (.u64) casts change nothing
      take();
      INGOT_TRY(expect(")"));
      return constantPrimary();
    }
    INGOT_ASSIGN(value, constant());
    INGOT_TRY(expect(")"));
    return value;
  }
  if (current().named("WARP_SZ")) {
    take();
    value.bits = 32;
    return value;
  }
  const Token token = current();
  value.bits = token.bits;
  value.isFloat = token.kind == Token::Kind::Float;
  value.isFloat32 = token.kind == Token::Kind::Float32;
  if (!value.isFloat && !value.isFloat32 && token.kind != Token::Kind::Integer)
    return error(fmt::format("a number is missing before '{}'", token.text));
  take();
  return value;
}

} // namespace ingot::emulator::ptx
