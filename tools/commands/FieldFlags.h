/// Flags of options structs, from their lists of fields (Fields.h): name, help, bounds and default
/// stand there alone.
#pragma once
#include "runtime/support/FieldsJson.h"
#include "tools/commands/Numbers.h"
#include "tools/commands/Suggest.h"

namespace ingot {

/// The value of type T that a flag's whole text is, or why it is none.
template <typename T> Result<T> parseValue(std::string_view text, const Bounds &bounds) {
  if constexpr (NamedEnum<T>)
    return choose<T>("", text);
  else if constexpr (std::same_as<T, bool>) {
    if (text == "true" || text == "false")
      return text == "true";
    return failure(Error::Code::Usage, "", "'{}' is not true or false", text);
  } else if constexpr (std::is_arithmetic_v<T>)
    return parseNumber<T>(text, bounds);
  else if constexpr (requires(T optional) { optional.emplace(); })
    return parseValue<typename T::value_type>(text, bounds);
  else
    return T(text);
}

/// A struct as one word: its first field, then others as `;name=value`.
template <HasFields T> Result<T> parseFields(std::string_view text) {
  T options;
  for (bool isFirst = true; isFirst || !text.empty(); isFirst = false) {
    const std::string_view part = text.substr(0, text.find(';'));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    const std::string_view key = part.substr(0, part.find('='));
    std::optional<Error> problem;
    bool isKnown = false;
    std::vector<std::string> names;
    T::fields(options, [&]<typename V>(const Field &field, V &value) {
      const bool takesAll = isFirst && names.empty();
      names.emplace_back(field.name);
      if (isKnown || (isFirst ? !takesAll : field.name != key || part.size() == key.size()))
        return;
      isKnown = true;
      Result<V> parsed = parseValue<V>(isFirst ? part : part.substr(key.size() + 1), field.bounds);
      if (parsed)
        value = std::move(*parsed);
      else
        problem = Error{Error::Code::Usage, parsed.error().message, std::string(field.name)};
    });
    if (problem)
      return tl::unexpected(std::move(*problem));
    if (!isKnown)
      return failure(Error::Code::Usage, "", "'{}' is not NAME=VALUE with one of {}{}", part,
                     fmt::join(std::span(names).subspan(1), ", "),
                     didYouMean(std::string(key), names));
  }
  return options;
}

/// What `--help` says of a field: words to choose from, the list's text, the default.
template <typename T> std::string helpOf(const Field &field, const T &value) {
  std::string help;
  if constexpr (NamedEnum<T>)
    help = fmt::format("{}; ", fmt::join(enumNames(T()), ", "));
  help += field.help;
  constexpr bool hasDefault = NamedEnum<T> || (std::is_arithmetic_v<T> && !std::same_as<T, bool>);
  if (hasDefault && field.help.find("default") == field.help.npos)
    help += "; default " + fieldText(value);
  return help;
}

/// The flag of one field, which is set in `slot`.
template <typename T> void addField(CLI::App &app, const Field &field, T &slot, const char *group) {
  const std::string name = field.flagName(), help = helpOf(field, slot);
  if constexpr (std::same_as<T, bool>) {
    app.add_flag(name, slot, help)->group(group);
  } else if constexpr (ListOfFields<T>) {
    using Element = typename T::value_type;
    app.add_option_function<std::vector<std::string>>(
           name,
           [&slot](const std::vector<std::string> &texts) {
             slot.clear();
             for (const std::string &text : texts)
               slot.push_back(*parseFields<Element>(text));
           },
           help)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->allow_extra_args(false)
        ->check([](const std::string &text) {
          Result<Element> parsed = parseFields<Element>(text);
          return parsed ? std::string() : parsed.error().text();
        })
        ->group(group);
  } else if constexpr (std::same_as<T, std::vector<std::string>>) {
    app.add_option(name, slot, help)->delimiter(',')->group(group);
  } else if constexpr (NamedEnum<T>) {
    app.add_option_function<std::string>(
           name, [&slot](const std::string &text) { slot = *parseEnum<T>(text); }, help)
        ->check([](const std::string &text) {
          Result<T> parsed = choose<T>("", text);
          return parsed ? std::string() : parsed.error().message;
        })
        ->type_name("WORD")
        ->group(group);
  } else if constexpr (std::is_arithmetic_v<typename SlotValue<T>::Type>) {
    addNumber(app, name, slot, field.bounds, help)->group(group);
  } else if constexpr (std::same_as<typename SlotValue<T>::Type, std::string>) {
    app.add_option(name, slot, help)->group(group);
  }
}

/// A flag for every field with a help text, those of nested structs included.
template <HasFields T> void addFields(CLI::App &app, T &options, const char *group) {
  T::fields(options, [&]<typename V>(const Field &field, V &value) {
    if (!field.help.empty())
      addField(app, field, value, group);
    else if constexpr (HasFields<V>)
      addFields(app, value, group);
  });
}

/// The flags that `addFields` declares.
template <HasFields T> std::vector<std::string> fieldFlags() {
  std::vector<std::string> flags;
  T options;
  T::fields(options, [&]<typename V>(const Field &field, V &) {
    if (!field.help.empty())
      flags.push_back(field.flagName());
    else if constexpr (HasFields<V>)
      std::ranges::copy(fieldFlags<V>(), std::back_inserter(flags));
  });
  return flags;
}

} // namespace ingot
