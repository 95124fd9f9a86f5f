#include "frontend/api/TrainedParameters.h"
#include "runtime/support/File.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Regex.h"
#include <algorithm>
#include <set>

namespace ingot {
namespace {

/// The model's parameters that a pattern takes.
Result<std::set<std::string>> namesOf(const std::set<std::string> &all, const std::string &pattern,
                                      const std::string &flag) {
  std::set<std::string> taken;
  if (pattern.starts_with('@')) {
    INGOT_ASSIGN(const std::string text, readFile(pattern.substr(1)));
    for (llvm::StringRef line : llvm::split(text, '\n')) {
      std::string name = line.trim().str();
      if (name.empty())
        continue;
      if (!all.contains(name))
        return failure(Error::Code::Usage, flag, "the model has no parameter '{}' ({})", name,
                       pattern.substr(1));
      taken.insert(std::move(name));
    }
  } else {
    const llvm::Regex regex("^(" + pattern + ")$");
    std::string why;
    if (!regex.isValid(why))
      return failure(Error::Code::Usage, flag, "'{}' is no regular expression: {}", pattern, why);
    for (const std::string &name : all)
      if (regex.match(name))
        taken.insert(name);
  }
  if (taken.empty())
    return failure(Error::Code::Usage, flag, "'{}' takes no parameter of the model", pattern);
  return taken;
}

} // namespace

Result<std::optional<ParameterGroup>> frozenGroup(const Model &model,
                                                  const std::vector<std::string> &trainOnly,
                                                  const std::vector<std::string> &freeze) {
  std::set<std::string> all, frozen;
  for (const ModelPort &port : model.ports())
    if (port.role == Role::Parameter)
      all.insert(port.name);
  if (!trainOnly.empty())
    frozen = all;
  for (const std::string &pattern : trainOnly) {
    INGOT_ASSIGN(const std::set<std::string> names, namesOf(all, pattern, "--train-only"));
    for (const std::string &name : names)
      frozen.erase(name);
  }
  for (const std::string &pattern : freeze) {
    INGOT_ASSIGN(const std::set<std::string> names, namesOf(all, pattern, "--freeze"));
    frozen.insert(names.begin(), names.end());
  }
  if (frozen.empty())
    return std::optional<ParameterGroup>();
  std::vector<std::string> escaped;
  for (const std::string &name : frozen)
    escaped.push_back(llvm::Regex::escape(name));
  return ParameterGroup{.pattern = fmt::format("{}", fmt::join(escaped, "|")), .frozen = true};
}

} // namespace ingot
