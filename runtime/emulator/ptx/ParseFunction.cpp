/// Functions: signatures, bodies, labels, registers and locations.
#include "runtime/emulator/ptx/Parser.h"

namespace ingot::emulator::ptx {

Result<std::vector<Signature::Parameter>> Parser::parameters(Function *function) {
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

Status Parser::function(const Linkage &link) {
  auto owned = std::make_unique<Function>();
  Function &function = *owned;
  function.line = current().line;
  function.isKernel = take().text == "entry";
  function.isVisible = link.isVisible;
  function.scopes.emplace_back();
  inlined.clear();
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

Status Parser::performance(Function &function) {
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

Status Parser::body(Function &function) {
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

Status Parser::declare(Function &function, int scope, std::string_view name, Entity entity) {
  if (!function.scopes[scope].names.emplace(std::string(name), entity).second)
    return error(fmt::format("'{}' is declared twice", name));
  return {};
}

Status Parser::label(Function &function, int scope) {
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
  return declare(function, scope, label, {Entity::Kind::Label, int(function.instructions.size())});
}

Status Parser::directive(Function &function, int scope, int &location) {
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

Result<int> Parser::locationDirective(Function &function) {
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
      const auto earlier = inlined.find({caller.file, caller.line, caller.column});
      if (earlier != inlined.end())
        caller.caller = earlier->second;
      location.caller = addLocation(function, caller);
    } else {
      return error(fmt::format("unknown '{}' in '.loc'", word));
    }
  }
  return addLocation(function, location);
}

int Parser::addLocation(Function &function, const Location &location) {
  if (location.caller >= 0)
    inlined[{location.file, location.line, location.column}] = location.caller;
  function.locations.push_back(location);
  return int(function.locations.size()) - 1;
}

Status Parser::registers(Function &function, int scope) {
  INGOT_ASSIGN(const DeclaredType declared, declaredType());
  do {
    INGOT_ASSIGN(const std::string_view base, name("a register's name"));
    if (accept("<")) {
      INGOT_ASSIGN(const Operand count, constant(9)); // tighter than '>'
      INGOT_TRY(expect(">"));
      if (count.bits > 1 << 20)
        return error("too many registers");
      INGOT_TRY(declare(function, scope, fmt::format("{}<", base),
                        {Entity::Kind::Register, int(function.registers.size()), int(count.bits)}));
      for (uint64_t i = 0; i < count.bits; ++i)
        function.registers.push_back({fmt::format("{}{}", base, i), declared.type});
      continue;
    }
    const int index = int(function.registers.size());
    INGOT_TRY(declare(function, scope, base,
                      {declared.vector > 1 ? Entity::Kind::RegisterVector : Entity::Kind::Register,
                       index, declared.vector}));
    for (int i = 0; i < declared.vector; ++i)
      function.registers.push_back(
          {declared.vector > 1 ? fmt::format("{}.{}", base, "xyzw"[i]) : std::string(base),
           declared.type});
  } while (accept(","));
  return expect(";");
}

} // namespace ingot::emulator::ptx
