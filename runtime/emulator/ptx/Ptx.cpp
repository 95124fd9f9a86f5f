#include "runtime/emulator/ptx/Ptx.h"
#include <algorithm>
#include <charconv>
#include <fmt/format.h>

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

} // namespace ingot::emulator::ptx
