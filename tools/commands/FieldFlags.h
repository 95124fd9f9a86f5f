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

/// Sets the field of that name; an error names the field, or those that there are.
template <HasFields T> Status setField(T &options, std::string_view name, std::string_view text) {
  std::vector<std::string> names;
  std::optional<Status> outcome;
  T::fields(options, [&]<typename V>(const Field &field, V &value) {
    names.emplace_back(field.name);
    if (field.name != name)
      return;
    Result<V> parsed = parseValue<V>(text, field.bounds);
    if (parsed)
      value = std::move(*parsed);
    outcome = parsed ? Status()
                     : failure(Error::Code::Usage, std::string(name), "{}", parsed.error().message);
  });
  return outcome ? *outcome
                 : failure(Error::Code::Usage, "", "there is no '{}'{}; there are {}", name,
                           didYouMean(name, names), fmt::join(names, ", "));
}

/// A struct as one word: its first field's value, then `;NAME=VALUE` of others.
template <HasFields T> Result<T> parseFields(std::string_view text) {
  T options;
  std::string_view first;
  T::fields(options,
            [&](const Field &field, auto &) { first = first.empty() ? field.name : first; });
  size_t end = std::min(text.find(';'), text.size());
  INGOT_TRY(setField(options, first, text.substr(0, end)));
  while (end < text.size()) {
    const size_t begin = end + 1;
    end = std::min(text.find(';', begin), text.size());
    const std::string_view part = text.substr(begin, end - begin);
    const size_t equals = part.find('=');
    if (equals == part.npos)
      return failure(Error::Code::Usage, "", "'{}' is not NAME=VALUE", part);
    INGOT_TRY(setField(options, part.substr(0, equals), part.substr(equals + 1)));
  }
  return options;
}

/// The words that give a flag this value: one, or one for each struct of a list.
template <typename T> std::vector<std::string> wordsOf(const T &value) {
  std::vector<std::string> words;
  if constexpr (ListOfFields<T>) {
    for (const auto &element : value) {
      const auto changed = differingFields(typename T::value_type(), element);
      std::string &word = words.emplace_back();
      bool isFirst = true;
      T::value_type::fields(element, [&](const Field &field, const auto &member) {
        if (isFirst)
          word += fieldText(member);
        else if (std::ranges::count(changed, field.name))
          word += fmt::format(";{}={}", field.name, fieldText(member));
        isFirst = false;
      });
      word = fmt::format("'{}'", word); // for a shell
    }
  } else if constexpr (std::same_as<T, std::vector<double>>) {
    words.push_back(fmt::format("{}", fmt::join(value, ",")));
  } else {
    words.push_back(fieldText(value));
  }
  return words;
}

/// The same field of another struct: of that name and type V.
template <typename V, HasFields T> const V &sameField(const T &options, const Field &field) {
  const V *found = nullptr;
  T::fields(options, [&]<typename W>(const Field &other, const W &value) {
    if constexpr (std::same_as<V, W>)
      found = other.name == field.name ? &value : found;
  });
  return *found;
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
  } else if constexpr (std::same_as<T, std::vector<double>>) {
    addNumbers(app, name, slot, field.bounds, help)->group(group);
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
