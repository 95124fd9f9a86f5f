/// One list of an options struct's fields, from which flags, cache keys, checkpoints and
/// comparisons derive: a field that is added to the list is in all of them.
///
///     struct Options {
///       double rate = 1e-3;
///       static void fields(auto &self, auto &&visit) {
///         visit(Field{"rate", "per step", positive}, self.rate);
///       }
///     };
#pragma once
#include "runtime/support/Bounds.h"
#include <algorithm>
#include <cctype>
#include <concepts>
#include <fmt/format.h>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace ingot {

/// How a field is known outside the program.
struct Field {
  std::string_view name;      ///< snake_case: the key in files; the flag has `-` for `_`
  std::string_view help = {}; ///< what `--help` says; empty: the field has no flag
  Bounds bounds = {};         ///< of a number
  /// False for what changes neither the compiled program nor a run's result: where files go, how
  /// many threads work. Such a field is in no cache key and may differ on resuming.
  bool shapes = true;
  std::string_view flag = {}; ///< without `--`, where it is not the name

  /// `weightDecay` of `weight_decay`: the struct's member.
  std::string memberName() const {
    std::string text;
    for (size_t index = 0; index < name.size(); ++index)
      text += name[index] == '_' ? char(std::toupper(static_cast<unsigned char>(name[++index])))
                                 : name[index];
    return text;
  }
  std::string flagName() const {
    std::string text = fmt::format("--{}", flag.empty() ? name : flag);
    std::ranges::replace(text, '_', '-');
    return text;
  }
};

template <typename T>
concept HasFields = requires(T &options) { T::fields(options, [](const Field &, auto &) {}); };

/// An enum whose spellings `enumNames(E)` lists in the order of its values (found by its
/// namespace).
template <typename E>
concept NamedEnum = std::is_enum_v<E> && requires { enumNames(E()).size(); };

template <NamedEnum E> std::string_view enumName(E value) {
  return enumNames(value)[static_cast<size_t>(value)];
}

/// The inverse; nothing if no value is spelled so.
template <NamedEnum E> std::optional<E> parseEnum(std::string_view text) {
  size_t index = 0;
  for (std::string_view name : enumNames(E())) {
    if (name == text)
      return static_cast<E>(index);
    ++index;
  }
  return std::nullopt;
}

template <HasFields T> std::string fieldsText(const T &options);

/// A value as text that is different for different values; floats in shortest round-trip form.
template <typename T> std::string fieldText(const T &value) {
  if constexpr (NamedEnum<T>)
    return std::string(enumName(value));
  else if constexpr (HasFields<T>)
    return "{" + fieldsText(value) + "}";
  else if constexpr (requires { value.has_value(); })
    return value ? fieldText(*value) : "unset";
  else if constexpr (requires { value.text(); })
    return value.text();
  else if constexpr (requires { value.first; })
    return fieldText(value.first) + ": " + fieldText(value.second);
  else if constexpr (requires { value.begin(); } && !requires { value.c_str(); }) {
    std::string text;
    for (const auto &element : value)
      text += fieldText(element) + ", ";
    return text;
  } else
    return fmt::format("{}", value);
}

/// `name=value` of all fields that shape a result, in the struct's order.
template <HasFields T> std::string fieldsText(const T &options) {
  std::string text;
  T::fields(options, [&](const Field &field, const auto &value) {
    if (field.shapes)
      text += fmt::format("{}{}={}", text.empty() ? "" : " ", field.name, fieldText(value));
  });
  return text;
}

/// Names of the fields that shape a result and differ, in the struct's order.
template <HasFields T> std::vector<std::string> differingFields(const T &a, const T &b) {
  std::vector<std::string> other;
  T::fields(b, [&](const Field &, const auto &value) { other.push_back(fieldText(value)); });
  std::vector<std::string> names;
  size_t index = 0;
  T::fields(a, [&](const Field &field, const auto &value) {
    if (field.shapes && fieldText(value) != other[index])
      names.emplace_back(field.name);
    ++index;
  });
  return names;
}

} // namespace ingot
