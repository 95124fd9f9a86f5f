/// Options structs as JSON objects, by their lists of fields.
#pragma once
#include "runtime/support/Fields.h"
#include "runtime/support/Json.h"

namespace ingot {

template <typename T>
concept ListOfFields =
    HasFields<typename T::value_type> && requires(T &list) { list.emplace_back(); };

template <HasFields T> nlohmann::json fieldsToJson(const T &options) {
  nlohmann::json object = nlohmann::json::object();
  T::fields(options, [&]<typename V>(const Field &field, const V &value) {
    nlohmann::json &to = object[std::string(field.name)];
    if constexpr (NamedEnum<V>)
      to = enumName(value);
    else if constexpr (HasFields<V>)
      to = fieldsToJson(value);
    else if constexpr (ListOfFields<V>) {
      to = nlohmann::json::array();
      for (const auto &element : value)
        to.push_back(fieldsToJson(element));
    } else if constexpr (requires { value.has_value(); })
      to = value ? nlohmann::json(*value) : nlohmann::json();
    else
      to = value;
  });
  return object;
}

template <typename V> void readField(const JsonReader &json, const char *key, V &value) {
  if constexpr (NamedEnum<V>) {
    std::optional<V> parsed = parseEnum<V>(json.text(key));
    if (!parsed)
      json.at(key).fail("is not one that Ingot knows");
    value = parsed.value_or(V());
  } else if constexpr (HasFields<V>) {
    readFields(json.at(key), value);
  } else if constexpr (ListOfFields<V>) {
    value.clear();
    for (const JsonReader &element : json.list(key))
      readFields(element, value.emplace_back());
  } else if constexpr (requires { value.has_value(); }) {
    if (json.isNull(key))
      value.reset();
    else
      readField(json, key, value.emplace());
  } else if constexpr (std::same_as<V, std::vector<double>>) {
    value = json.numbers(key);
  } else if constexpr (std::same_as<V, bool>) {
    value = json.boolean(key);
  } else if constexpr (std::floating_point<V>) {
    value = static_cast<V>(json.number(key));
  } else if constexpr (std::integral<V>) {
    const int64_t read = json.integer(key);
    value = static_cast<V>(read);
    if (static_cast<int64_t>(value) != read)
      json.at(key).fail("is out of range");
  } else {
    value = json.text(key);
  }
}

/// Reads the fields of the list that are there: a file that was written before a field existed
/// means its default. The reader's `status` says what is wrong.
template <HasFields T> void readFields(const JsonReader &json, T &options) {
  T::fields(options, [&](const Field &field, auto &value) {
    if (const std::string name(field.name); json.has(name.c_str()))
      readField(json, name.c_str(), value);
  });
}

} // namespace ingot
