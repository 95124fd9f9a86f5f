#include "runtime/emulator/TokenStream.h"
#include <bit>
#include <charconv>

namespace ingot::emulator::ptx {

std::optional<Entity> Function::find(int scope, std::string_view name) const {
  const size_t digits =
      name.size() - 1 - std::min(name.find_last_not_of("0123456789"), name.size() - 1);
  uint64_t number = 0;
  if (digits && digits < 8)
    std::from_chars(name.data() + name.size() - digits, name.data() + name.size(), number);
  const std::string range = fmt::format("{}<", name.substr(0, name.size() - digits));
  for (; scope >= 0; scope = scopes[scope].parent) {
    const auto &names = scopes[scope].names;
    if (auto entity = names.find(name); entity != names.end())
      return entity->second;
    if (auto entity = names.find(range);
        digits && digits < 8 && entity != names.end() && number < uint64_t(entity->second.count))
      return Entity{Entity::Kind::Register, entity->second.index + int(number)};
  }
  return std::nullopt;
}

Function *Module::function(std::string_view name) const {
  if (auto alias = aliases.find(std::string(name)); alias != aliases.end())
    return function(alias->second);
  Function *found = nullptr;
  for (const auto &function : functions)
    if (function->name == name && (!found || function->isDefined))
      found = function.get();
  return found;
}

const Variable *Module::variable(std::string_view name) const {
  const Variable *found = nullptr;
  for (const Variable &variable : variables)
    if (variable.name == name && (!found || !variable.isExtern))
      found = &variable;
  return found;
}

namespace {

class Parser : TokenStream {
public:
  using TokenStream::TokenStream;

  Status run() {
    while (current().kind != Token::Kind::End)
      INGOT_TRY(topLevel());
    return {};
  }

private:
  // Module.
  Status topLevel() {
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

  Status fileDirective() {
    const int line = take().line;
    INGOT_ASSIGN(const int64_t index, integer());
    if (current().kind != Token::Kind::String)
      return error("a file name is missing", line);
    module.files[int(index)] = take().text;
    while (accept(","))
      INGOT_TRY(integer());
    return {};
  }

  /// Debug sections are of no use here.
  Status section() {
    take();
    while (!current().is("{") && current().kind != Token::Kind::End)
      take();
    INGOT_TRY(expect("{"));
    return skipPast("}");
  }

  struct Linkage {
    bool isExtern = false, isVisible = false;
  };
  Linkage linkage() {
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

  static std::optional<Space> variableSpace(std::string_view word) {
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

  Status linked() {
    const Linkage link = linkage();
    if (current().dotted("entry") || current().dotted("func"))
      return function(link);
    const std::optional<Space> space = variableSpace(current().text);
    if (current().kind != Token::Kind::Dotted || !space || *space == Space::Param)
      return error(fmt::format("unknown directive '.{}'", current().text));
    return variables(link, module.variables);
  }

  // Variables.

  /// [.align N] [.vN] .type, with attributes and the annotations of pointer parameters
  /// (.ptr .global .align 16), which describe what they point to.
  struct DeclaredType {
    Type type = Type::None;
    int vector = 1;
    int64_t alignment = 0;
  };
  Result<DeclaredType> declaredType() {
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

  /// name[dims], in the space and of the type given.
  Result<Variable> declarator(Space space, const DeclaredType &declared) {
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

  /// After linkage: .space type name[, name]… [= values];
  Status variables(const Linkage &link, std::vector<Variable> &into) {
    const Space space = *variableSpace(take().text);
    INGOT_ASSIGN(const DeclaredType declared, declaredType());
    do {
      INGOT_ASSIGN(Variable variable, declarator(space, declared));
      variable.isExtern = link.isExtern;
      variable.isVisible = link.isVisible;
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

  /// Returns the offset behind what was written. Inner braces start at multiples of nothing here:
  /// rows must be full, as compilers write them.
  Result<int64_t> initialValue(Variable &variable, const DeclaredType &declared, int64_t offset,
                               bool unsized) {
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
    if (current().kind == Token::Kind::Integer &&
        ahead(1).is("(")) { // 0xFF00(symbol): a byte of it
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

  /// symbol, generic(symbol), symbol+4
  Status symbolValue(Relocation &relocation) {
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

  Result<uint64_t> immediateBits(const Operand &value, Type type) {
    if (type == Type::F32 && value.isFloat)
      return std::bit_cast<uint32_t>(float(std::bit_cast<double>(value.bits)));
    if (type == Type::F64 && value.isFloat32)
      return std::bit_cast<uint64_t>(double(std::bit_cast<float>(uint32_t(value.bits))));
    if (type != Type::F32 && type != Type::F64 && (value.isFloat || value.isFloat32))
      return error(fmt::format("a .{} cannot start as a floating-point number", typeName(type)));
    return value.bits;
  }

  // Functions.

  /// (.param .b32 a, .reg .u32 b); registers join the function's own.
  Result<std::vector<Signature::Parameter>> parameters(Function *function) {
    std::vector<Signature::Parameter> result;
    INGOT_TRY(expect("("));
    if (accept(")"))
      return result;
    do {
      const bool isRegister = acceptDotted("reg");
      if (!isRegister && !acceptDotted("param"))
        return error("'.param' or '.reg' is missing");
      INGOT_ASSIGN(const DeclaredType declared, declaredType());
      Signature::Parameter parameter;
      if (current().kind == Token::Kind::Name) {
        INGOT_ASSIGN(parameter.variable,
                     declarator(isRegister ? Space::Register : Space::Param, declared));
      }
      if (isRegister && function) {
        parameter.reg = int(function->registers.size());
        function->registers.push_back({parameter.variable.name, declared.type});
      }
      result.push_back(std::move(parameter));
    } while (accept(","));
    INGOT_TRY(expect(")"));
    return result;
  }

  Status function(const Linkage &link) {
    auto owned = std::make_unique<Function>();
    Function &function = *owned;
    function.line = current().line;
    function.isKernel = take().text == "entry";
    function.isVisible = link.isVisible;
    function.scopes.emplace_back();
    while (acceptDotted("attribute"))
      INGOT_TRY(skipPast(")"));
    if (current().is("(")) {
      INGOT_ASSIGN(function.signature.results, parameters(&function));
    }
    INGOT_ASSIGN(function.name, name("a function's name"));
    if (current().is("(")) {
      INGOT_ASSIGN(function.signature.parameters, parameters(&function));
    }
    for (const auto *list : {&function.signature.results, &function.signature.parameters})
      for (const Signature::Parameter &parameter : *list) {
        const Entity::Kind kind =
            parameter.reg >= 0 ? Entity::Kind::Register : Entity::Kind::Variable;
        const int index = parameter.reg >= 0 ? parameter.reg : int(function.variables.size());
        if (parameter.reg < 0)
          function.variables.push_back(parameter.variable);
        function.scopes[0].names[parameter.variable.name] = {kind, index};
      }
    INGOT_TRY(performance(function));
    if (!accept(";")) {
      function.isDefined = true;
      INGOT_TRY(body(function));
    }
    module.functions.push_back(std::move(owned));
    return {};
  }

  Status performance(Function &function) {
    while (current().kind == Token::Kind::Dotted) {
      const Token token = take();
      std::array<int, 3> numbers{};
      int count = 0;
      if (token.text == "pragma") {
        INGOT_TRY(skipPast(";"));
        continue;
      }
      if (current().kind == Token::Kind::Integer)
        do {
          INGOT_ASSIGN(const int64_t value, integer());
          if (count < 3)
            numbers[count++] = int(value);
        } while (accept(","));
      for (int i = count; i < 3 && count; ++i)
        numbers[i] = 1;
      if (token.text == "reqntid")
        function.requiredThreads = numbers;
      else if (token.text == "maxntid")
        function.maximumThreads = numbers;
      else if (token.text == "reqnctapercluster")
        function.requiredCluster = numbers;
      else if (token.text == "explicitcluster")
        function.explicitCluster = true;
      else if (token.text == "maxnreg")
        function.maximumRegisters = numbers[0];
      else if (token.text != "minnctapersm" && token.text != "maxnctapersm" &&
               token.text != "maxclusterrank" && token.text != "noreturn" &&
               token.text != "blocksareclusters" && token.text != "abi_preserve" &&
               token.text != "abi_preserve_control" && token.text != "unified")
        return error(fmt::format("unknown directive '.{}' of a function", token.text), token.line);
    }
    return {};
  }

  Status body(Function &function) {
    INGOT_TRY(expect("{"));
    int scope = 0, location = -1;
    while (true) {
      if (current().kind == Token::Kind::End)
        return error(fmt::format("the body of '{}' does not end", function.name), function.line);
      if (accept(";"))
        continue;
      if (accept("{")) {
        function.scopes.push_back({scope, {}});
        scope = int(function.scopes.size()) - 1;
        continue;
      }
      if (accept("}")) {
        scope = function.scopes[scope].parent;
        if (scope < 0)
          return {};
        continue;
      }
      if (current().kind == Token::Kind::Name && ahead(1).is(":")) {
        INGOT_TRY(label(function, scope));
      } else if (current().kind == Token::Kind::Dotted) {
        INGOT_TRY(directive(function, scope, location));
      } else {
        INGOT_TRY(instruction(function, scope, location));
      }
    }
  }

  Status declare(Function &function, int scope, std::string_view name, Entity entity) {
    if (!function.scopes[scope].names.emplace(std::string(name), entity).second)
      return error(fmt::format("'{}' is declared twice", name));
    return {};
  }

  /// label:, or label: .branchtargets a, b; and the like
  Status label(Function &function, int scope) {
    const std::string_view label = take().text;
    take();
    if (acceptDotted("branchtargets") || acceptDotted("calltargets")) {
      std::vector<std::string_view> list;
      do {
        INGOT_ASSIGN(list.emplace_back(), name("a label"));
      } while (accept(","));
      INGOT_TRY(expect(";"));
      function.targets.push_back(std::move(list));
      return declare(function, scope, label,
                     {Entity::Kind::Targets, int(function.targets.size()) - 1});
    }
    if (acceptDotted("callprototype")) {
      Signature signature;
      if (current().is("(")) {
        INGOT_ASSIGN(signature.results, parameters(nullptr));
      }
      INGOT_TRY(name("'_'"));
      if (current().is("(")) {
        INGOT_ASSIGN(signature.parameters, parameters(nullptr));
      }
      INGOT_TRY(skipPast(";")); // .noreturn and .abi_preserve change nothing
      function.prototypes.push_back(std::move(signature));
      return declare(function, scope, label,
                     {Entity::Kind::Prototype, int(function.prototypes.size()) - 1});
    }
    return declare(function, scope, label,
                   {Entity::Kind::Label, int(function.instructions.size())});
  }

  Status directive(Function &function, int scope, int &location) {
    if (acceptDotted("reg"))
      return registers(function, scope);
    if (acceptDotted("pragma"))
      return skipPast(";");
    if (acceptDotted("loc")) {
      INGOT_ASSIGN(location, locationDirective(function));
      return {};
    }
    if (current().dotted("file"))
      return fileDirective();
    if (current().dotted("section"))
      return section();
    const Linkage link = linkage();
    if (current().kind != Token::Kind::Dotted || !variableSpace(current().text))
      return error(fmt::format("unknown directive '.{}'", current().text));
    const size_t first = function.variables.size();
    INGOT_TRY(variables(link, function.variables));
    for (size_t i = first; i < function.variables.size(); ++i)
      INGOT_TRY(
          declare(function, scope, function.variables[i].name, {Entity::Kind::Variable, int(i)}));
    return {};
  }

  /// .loc file line column [, function_name label [+ offset], inlined_at file line column]
  Result<int> locationDirective(Function &function) {
    Location location;
    for (int *number : {&location.file, &location.line, &location.column}) {
      if (current().kind != Token::Kind::Integer)
        return error("'.loc' is followed by file, line and column");
      *number = int(take().bits);
    }
    while (accept(",")) {
      INGOT_ASSIGN(const std::string_view word, name("'function_name' or 'inlined_at'"));
      if (word == "function_name") {
        INGOT_TRY(name("a label"));
        if (accept("+"))
          INGOT_TRY(integer());
      } else if (word == "inlined_at") {
        Location caller;
        for (int *number : {&caller.file, &caller.line, &caller.column}) {
          if (current().kind != Token::Kind::Integer)
            return error("'inlined_at' is followed by file, line and column");
          *number = int(take().bits);
        }
        // The caller's own line was given by an earlier .loc if it was inlined too.
        for (int i = int(function.locations.size()) - 1; i >= 0 && caller.caller < 0; --i) {
          const Location &other = function.locations[i];
          if (other.file == caller.file && other.line == caller.line &&
              other.column == caller.column)
            caller.caller = other.caller;
        }
        function.locations.push_back(caller);
        location.caller = int(function.locations.size()) - 1;
      } else {
        return error(fmt::format("unknown '{}' in '.loc'", word));
      }
    }
    function.locations.push_back(location);
    return int(function.locations.size()) - 1;
  }

  /// .reg .b32 a, %r<10>; vectors become one register for each element, named a.x, a.y, …
  Status registers(Function &function, int scope) {
    INGOT_ASSIGN(const DeclaredType declared, declaredType());
    do {
      INGOT_ASSIGN(const std::string_view base, name("a register's name"));
      if (accept("<")) {
        INGOT_ASSIGN(const Operand count, constant(9)); // tighter than '>'
        INGOT_TRY(expect(">"));
        if (count.bits > 1 << 20)
          return error("too many registers");
        INGOT_TRY(
            declare(function, scope, fmt::format("{}<", base),
                    {Entity::Kind::Register, int(function.registers.size()), int(count.bits)}));
        for (uint64_t i = 0; i < count.bits; ++i)
          function.registers.push_back({fmt::format("{}{}", base, i), declared.type});
        continue;
      }
      const int index = int(function.registers.size());
      INGOT_TRY(
          declare(function, scope, base,
                  {declared.vector > 1 ? Entity::Kind::RegisterVector : Entity::Kind::Register,
                   index, declared.vector}));
      for (int i = 0; i < declared.vector; ++i)
        function.registers.push_back(
            {declared.vector > 1 ? fmt::format("{}.{}", base, "xyzw"[i]) : std::string(base),
             declared.type});
    } while (accept(","));
    return expect(";");
  }

  // Instructions.

  Status instruction(Function &function, int scope, int location) {
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

  Result<std::vector<Operand>> operands(const Function &function, int scope,
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

  Result<Operand> operand(const Function &function, int scope) {
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

  bool startsConstant() const {
    size_t i = 1;
    while (ahead(i).is("(") || ahead(i).is("-") || ahead(i).is("~"))
      ++i;
    return ahead(i).kind == Token::Kind::Integer || ahead(i).kind == Token::Kind::Dotted;
  }

  Result<Operand> named(const Function &function, int scope) {
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
};

} // namespace

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
