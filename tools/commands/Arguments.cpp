#include "tools/commands/Arguments.h"

namespace ingot {
namespace {

/// Options for which "" is a value as good as any.
bool takesEmptyValue(const CLI::Option &option) { return option.check_lname("prompt"); }

/// Options that name a directory: `-`, elsewhere a stream, is none.
bool takesDirectory(const CLI::Option &option) {
  return option.check_lname("out") || option.check_lname("cache") || option.check_lname("dump-dir");
}

bool takesValue(const CLI::Option &option) { return option.get_items_expected_max() > 0; }

/// A word of the form `--name`, `--name=value`, `-n` or `-n=value`.
struct OptionWord {
  std::string name;
  std::optional<std::string> value;
};

OptionWord splitWord(const std::string &word) {
  const size_t equals = word.find('=');
  if (equals == word.npos)
    return {word, std::nullopt};
  return {word.substr(0, equals), word.substr(equals + 1)};
}

/// The command's option that a word names; null for values and for what is not known.
const CLI::Option *optionOf(const CLI::App &command, const std::string &word) {
  const std::string name = splitWord(word).name;
  const bool isLong = name.size() > 2 && name.starts_with("--");
  const bool isShort = name.size() == 2 && name[0] == '-' && name[1] != '-';
  return isLong || isShort ? command.get_option_no_throw(name) : nullptr;
}

const CLI::App *findCommand(const CLI::App &app, const std::string &name) {
  const auto found =
      app.get_subcommands([&](const CLI::App *command) { return command->get_name() == name; });
  return found.empty() ? nullptr : found.front();
}

tl::unexpected<Error> valueMissing(const std::string &name) {
  return failure(Error::Code::Usage, name, "a value is missing");
}

} // namespace

Result<std::vector<std::string>> prepareArguments(const CLI::App &app,
                                                  std::span<char *const> words) {
  std::vector<std::string> arguments;
  const CLI::App *command = nullptr;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string word = words[i];
    if (word == "--") { // what follows are values
      arguments.insert(arguments.end(), words.begin() + ptrdiff_t(i), words.end());
      break;
    }
    const CLI::Option *option = command ? optionOf(*command, word) : nullptr;
    if (!option) {
      if (!command && !word.starts_with('-'))
        command = findCommand(app, word);
      arguments.push_back(word);
      continue;
    }
    auto [name, value] = splitWord(word);
    const bool hasNext = i + 1 < words.size() && !optionOf(*command, words[i + 1]);
    if (!value && takesValue(*option) && hasNext)
      value = words[++i];
    if (value ? value->empty() && !takesEmptyValue(*option) : takesValue(*option))
      return valueMissing(name);
    if (value == "-" && takesDirectory(*option))
      return failure(Error::Code::Usage, name, "a directory is needed, and '-' is a stream");
    if (!value || !takesValue(*option)) {
      arguments.push_back(word);
    } else {
      arguments.push_back(name);
      arguments.push_back(*value);
    }
  }
  return arguments;
}

} // namespace ingot
