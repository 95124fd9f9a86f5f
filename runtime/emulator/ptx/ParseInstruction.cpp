/// Instructions and their operands.
#include "runtime/emulator/ptx/Parser.h"

namespace ingot::emulator::ptx {

Status Parser::instruction(Function &function, int scope, int location) {
  Instruction result;
  result.line = current().line;
  result.scope = scope;
  result.location = location;
  const char *start = current().text.data();
  if (accept("@")) {
    result.guardNegated = accept("!");
    INGOT_ASSIGN(const std::string_view guard, name("a predicate"));
    const std::optional<Entity> entity = function.find(scope, guard);
    if (!entity || entity->kind != Entity::Kind::Register ||
        function.registers[entity->index].type != Type::Pred)
      return error(fmt::format("'{}' is no predicate", guard));
    result.guard = entity->index;
  }
  INGOT_ASSIGN(result.opcode, name("an instruction"));
  while (current().kind == Token::Kind::Dotted)
    result.modifiers.push_back(take().text);
  if (!current().is(";"))
    do {
      // What a call has between parentheses is a list, be it of constants.
      if (result.opcode == "call" && accept("(")) {
        Operand list;
        list.kind = Operand::Kind::List;
        INGOT_ASSIGN(list.elements, operands(function, scope, ")"));
        result.operands.push_back(std::move(list));
        continue;
      }
      INGOT_ASSIGN(result.operands.emplace_back(), operand(function, scope));
    } while (accept(","));
  const char *end = current().text.data();
  if (!current().is(";"))
    return error(fmt::format("';' is missing before '{}'", current().text), result.line);
  take();
  result.text = std::string_view(start, end - start);
  function.instructions.push_back(std::move(result));
  return {};
}

Result<std::vector<Operand>> Parser::operands(const Function &function, int scope,
                                              std::string_view close) {
  std::vector<Operand> result;
  if (accept(close))
    return result;
  do {
    INGOT_ASSIGN(result.emplace_back(), operand(function, scope));
  } while (accept(","));
  INGOT_TRY(expect(close));
  return result;
}

Result<Operand> Parser::operand(const Function &function, int scope) {
  Operand result;
  if (accept("{")) {
    result.kind = Operand::Kind::Vector;
    INGOT_ASSIGN(result.elements, operands(function, scope, "}"));
    return result;
  }
  if (current().is("(") && !startsConstant()) {
    take();
    result.kind = Operand::Kind::List;
    INGOT_ASSIGN(result.elements, operands(function, scope, ")"));
    return result;
  }
  if (accept("[")) {
    result.kind = Operand::Kind::Address;
    INGOT_ASSIGN(result.elements, operands(function, scope, "]"));
    if (result.elements.empty())
      return error("an address is missing");
    result.offset = std::exchange(result.elements[0].offset, 0);
    return result;
  }
  if (current().is("!") && ahead(1).kind == Token::Kind::Name) {
    take();
    INGOT_ASSIGN(result, operand(function, scope));
    result.negated = true;
    return result;
  }
  if (current().is("-") && ahead(1).kind == Token::Kind::Name && !ahead(1).named("WARP_SZ")) {
    take();
    INGOT_ASSIGN(result, named(function, scope));
    if (result.kind != Operand::Kind::Register)
      return error(fmt::format("'{}' cannot be negated", result.name));
    result.minus = true;
    return result;
  }
  if (current().kind != Token::Kind::Name || current().named("WARP_SZ"))
    return constant();
  INGOT_ASSIGN(result, named(function, scope));
  if (current().is("+") || current().is("-")) { // [r+4], [r+-4], symbol+4, [r-4]
    const bool minus = take().is("-");
    INGOT_ASSIGN(const Operand offset, constant(9));
    if (offset.isFloat || offset.isFloat32)
      return error("an offset is an integer");
    result.offset = minus ? -int64_t(offset.bits) : int64_t(offset.bits);
  }
  if (accept("|")) {
    Operand pair;
    pair.kind = Operand::Kind::Pair;
    pair.elements.push_back(std::move(result));
    INGOT_ASSIGN(pair.elements.emplace_back(), named(function, scope));
    return pair;
  }
  return result;
}

bool Parser::startsConstant() const {
  size_t i = 1;
  while (ahead(i).is("(") || ahead(i).is("-") || ahead(i).is("~"))
    ++i;
  return ahead(i).kind == Token::Kind::Integer || ahead(i).kind == Token::Kind::Dotted;
}

Result<Operand> Parser::named(const Function &function, int scope) {
  Operand result;
  INGOT_ASSIGN(const std::string_view word, name("an operand"));
  result.name = word;
  if (word == "_")
    return result;
  const std::optional<Entity> entity = function.find(scope, word);
  if (entity && entity->kind == Entity::Kind::RegisterVector) {
    if (current().kind == Token::Kind::Dotted) {
      const Token suffix = take();
      const size_t element =
          suffix.text.size() == 1 ? std::string_view("xyzwrgba").find(suffix.text[0]) : 8;
      if (element >= 8 || int(element % 4) >= entity->count)
        return error(fmt::format("'{}' has no element '.{}'", word, suffix.text));
      result.kind = Operand::Kind::Register;
      result.index = entity->index + int(element % 4);
      return result;
    }
    result.kind = Operand::Kind::Vector;
    for (int i = 0; i < entity->count; ++i) {
      Operand &element = result.elements.emplace_back();
      element.kind = Operand::Kind::Register;
      element.index = entity->index + i;
    }
    return result;
  }
  if (entity && entity->kind == Entity::Kind::Register) {
    result.kind = Operand::Kind::Register;
    result.index = entity->index;
    if (current().kind == Token::Kind::Dotted)
      result.selector = take().text;
    return result;
  }
  if (word.starts_with("%")) {
    result.kind = Operand::Kind::Special;
    if (current().kind == Token::Kind::Dotted) {
      const std::string_view suffix = take().text;
      result.name = std::string_view(word.data(), suffix.data() + suffix.size() - word.data());
    }
    return result;
  }
  result.kind = Operand::Kind::Symbol;
  return result;
}

} // namespace ingot::emulator::ptx
