/// Module directives, variables and their initial values.
#include "runtime/emulator/ptx/Parser.h"
#include <bit>

namespace ingot::emulator::ptx {

Status Parser::run() {
  while (current().kind != Token::Kind::End)
    INGOT_TRY(topLevel());
  return {};
}

Status Parser::topLevel() {
  if (accept(";"))
    return {};
  const Token token = current();
  if (token.is("@")) { // @@DWARF lines of old compilers
    while (current().line == token.line && current().kind != Token::Kind::End)
      take();
    return {};
  }
  if (token.kind != Token::Kind::Dotted)
    return error(fmt::format("a directive is missing before '{}'", token.text));
  if (acceptDotted("version")) {
    const int line = current().line;
    module.version = take().text;
    if (current().kind == Token::Kind::Dotted && current().line == line)
      module.version += fmt::format(".{}", take().text);
    return {};
  }
  if (acceptDotted("target")) {
    do {
      INGOT_ASSIGN(const std::string_view word, name("a target"));
      if (word.starts_with("sm_") || word.starts_with("compute_"))
        module.target = word;
    } while (accept(","));
    return {};
  }
  if (acceptDotted("address_size")) {
    INGOT_ASSIGN(const int64_t bits, integer());
    module.addressBits = int(bits);
    if (bits != 64)
      return error("only 64-bit addresses are supported", token.line);
    return {};
  }
  if (token.dotted("file"))
    return fileDirective();
  if (token.dotted("section"))
    return section();
  if (acceptDotted("pragma"))
    return skipPast(";");
  if (acceptDotted("alias")) {
    INGOT_ASSIGN(const std::string_view alias, name("a function"));
    INGOT_TRY(expect(","));
    INGOT_ASSIGN(const std::string_view target, name("a function"));
    module.aliases[std::string(alias)] = target;
    return expect(";");
  }
  return linked();
}

Status Parser::fileDirective() {
  const int line = take().line;
  INGOT_ASSIGN(const int64_t index, integer());
  if (current().kind != Token::Kind::String)
    return error("a file name is missing", line);
  module.files[int(index)] = take().text;
  while (accept(","))
    INGOT_TRY(integer());
  return {};
}

Status Parser::section() {
  take();
  while (!current().is("{") && current().kind != Token::Kind::End)
    take();
  INGOT_TRY(expect("{"));
  return skipPast("}");
}

Parser::Linkage Parser::linkage() {
  Linkage result;
  while (true) {
    if (acceptDotted("extern"))
      result.isExtern = true;
    else if (acceptDotted("visible") || acceptDotted("weak") || acceptDotted("common"))
      result.isVisible = true;
    else
      return result;
  }
}

std::optional<Space> Parser::variableSpace(std::string_view word) {
  if (word == "global")
    return Space::Global;
  if (word == "shared" || word == "shared::cta")
    return Space::Shared;
  if (word == "const")
    return Space::Const;
  if (word == "local")
    return Space::Local;
  if (word == "param")
    return Space::Param;
  return std::nullopt;
}

Status Parser::linked() {
  const Linkage link = linkage();
  if (current().dotted("entry") || current().dotted("func"))
    return function(link);
  const std::optional<Space> space = variableSpace(current().text);
  if (current().kind != Token::Kind::Dotted || !space || *space == Space::Param)
    return error(fmt::format("unknown directive '.{}'", current().text));
  return variables(link, module.variables);
}

Result<Parser::DeclaredType> Parser::declaredType() {
  DeclaredType result;
  bool isPointer = false;
  while (current().kind == Token::Kind::Dotted) {
    const Token token = take();
    if (token.text == "align") {
      INGOT_ASSIGN(const int64_t alignment, integer());
      if (alignment <= 0 || alignment > 1 << 20 || (alignment & (alignment - 1)))
        return error("an alignment is a power of two", token.line);
      if (!isPointer)
        result.alignment = alignment;
    } else if (token.text == "v2" || token.text == "v4" || token.text == "v8") {
      result.vector = token.text[1] - '0';
    } else if (token.text == "ptr") {
      isPointer = true;
    } else if (isPointer && variableSpace(token.text)) {
      // Where it points to is checked when it is used.
    } else if (token.text == "attribute") {
      INGOT_TRY(expect("("));
      result.managed |= current().text == "managed";
      INGOT_TRY(skipPast(")"));
    } else if (const std::optional<Type> type = parseType(token.text);
               type && bitsOf(*type) % 8 == 0) {
      result.type = *type;
    } else if (token.text == "pred") {
      result.type = Type::Pred;
    } else {
      return error(fmt::format("'.{}' is no type of a variable", token.text), token.line);
    }
  }
  if (result.type == Type::None)
    return error("a type is missing");
  return result;
}

Result<Variable> Parser::declarator(Space space, const DeclaredType &declared) {
  Variable variable;
  variable.line = current().line;
  INGOT_ASSIGN(variable.name, name("a name"));
  variable.space = space;
  variable.type = declared.type;
  const int64_t element = std::max(1, bytesOf(declared.type)) * declared.vector;
  variable.alignment = declared.alignment ? declared.alignment : element;
  variable.bytes = element;
  bool unsized = false;
  while (accept("[")) {
    if (accept("]")) {
      unsized = true;
      continue;
    }
    INGOT_ASSIGN(const int64_t count, integer());
    INGOT_TRY(expect("]"));
    if (count < 0 || (count && variable.bytes > (int64_t(1) << 40) / count))
      return error("an array of this size is impossible");
    variable.bytes *= count;
  }
  if (unsized)
    variable.bytes = current().is("=") ? -element : 0;
  return variable;
}

Status Parser::variables(const Linkage &link, std::vector<Variable> &into) {
  const Space space = *variableSpace(take().text);
  INGOT_ASSIGN(const DeclaredType declared, declaredType());
  do {
    INGOT_ASSIGN(Variable variable, declarator(space, declared));
    variable.isExtern = link.isExtern;
    variable.isVisible = link.isVisible;
    variable.managed = declared.managed;
    if (accept("=")) {
      if (space != Space::Global && space != Space::Const)
        return error("only .global and .const variables have initial values");
      const bool unsized = variable.bytes < 0;
      if (unsized)
        variable.bytes = 0;
      INGOT_TRY(initialValue(variable, declared, 0, unsized).map([](int64_t) {}));
      if (unsized)
        variable.bytes = int64_t(variable.initial.size());
      if (int64_t(variable.initial.size()) > variable.bytes)
        return error("more initial values than elements", variable.line);
      variable.initial.resize(variable.bytes);
    } else if (space == Space::Param && variable.bytes == 0) {
      return error("a parameter without a size");
    }
    into.push_back(std::move(variable));
  } while (accept(","));
  return expect(";");
}

Result<int64_t> Parser::initialValue(Variable &variable, const DeclaredType &declared,
                                     int64_t offset, bool unsized) {
  if (accept("{")) {
    while (!accept("}")) {
      INGOT_ASSIGN(offset, initialValue(variable, declared, offset, unsized));
      if (!accept(",") && !current().is("}"))
        return error("',' or '}' is missing in initial values");
    }
    return offset;
  }
  const int bytes = std::max(1, bytesOf(declared.type));
  if (!unsized && offset + bytes > variable.bytes)
    return error("more initial values than elements");
  variable.initial.resize(std::max<size_t>(variable.initial.size(), offset + bytes));
  Relocation relocation{offset, bytes, 0, 0, {}};
  uint64_t bits = 0;
  if (current().kind == Token::Kind::Integer && ahead(1).is("(")) { // 0xFF00(symbol): a byte of it
    const uint64_t mask = take().bits;
    take();
    relocation.shift = mask ? std::countr_zero(mask) : 0;
    INGOT_TRY(symbolValue(relocation));
    INGOT_TRY(expect(")"));
  } else if (current().kind == Token::Kind::Name && !current().named("WARP_SZ")) {
    INGOT_TRY(symbolValue(relocation));
  } else {
    INGOT_ASSIGN(const Operand value, constant());
    INGOT_ASSIGN(bits, immediateBits(value, declared.type));
  }
  if (!relocation.symbol.empty())
    variable.relocations.push_back(relocation);
  for (int i = 0; i < bytes && i < 8; ++i)
    variable.initial[offset + i] = uint8_t(bits >> 8 * i);
  return offset + bytes;
}

Status Parser::symbolValue(Relocation &relocation) {
  INGOT_ASSIGN(std::string_view symbol, name("a symbol"));
  if (symbol == "generic") {
    INGOT_TRY(expect("("));
    INGOT_ASSIGN(symbol, name("a symbol"));
    INGOT_TRY(expect(")"));
  }
  relocation.symbol = symbol;
  if (current().is("+") || current().is("-")) {
    INGOT_ASSIGN(relocation.addend, integer());
  }
  return {};
}

Result<uint64_t> Parser::immediateBits(const Operand &value, Type type) {
  if (type == Type::F32 && value.isFloat)
    return std::bit_cast<uint32_t>(float(std::bit_cast<double>(value.bits)));
  if (type == Type::F64 && value.isFloat32)
    return std::bit_cast<uint64_t>(double(std::bit_cast<float>(uint32_t(value.bits))));
  if (type != Type::F32 && type != Type::F64 && (value.isFloat || value.isFloat32))
    return error(fmt::format("a .{} cannot start as a floating-point number", typeName(type)));
  return value.bits;
}

Result<Module> parse(std::string text, std::string name) {
  Module module;
  module.name = std::move(name);
  module.text = std::make_unique<const std::string>(std::move(text));
  INGOT_ASSIGN(std::vector<Token> tokens, tokenize(*module.text, module.name));
  INGOT_TRY(Parser(module, std::move(tokens)).run());
  if (module.version.empty())
    return failure(Error::Code::BadInput, module.name, "no PTX: '.version' is missing");
  return module;
}

} // namespace ingot::emulator::ptx
