/// Reading of JSON that may be damaged: no exceptions, and errors that name the field.
#pragma once
#include "runtime/support/Result.h"
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <vector>

namespace ingot {

/// Parses one JSON document; objects must not repeat a key. `place` is what errors name.
Result<nlohmann::json> parseJson(std::string_view text, const std::string &place);

/// Compact text with sorted keys; bytes that are not UTF-8 are replaced.
std::string toText(const nlohmann::json &value);

/// One value of a document and the path to it. Getters return a default after an error, so that
/// straight-line code reads a structure and asks `status` once at its end; the first error stays.
/// The document and the error's slot must outlive the reader.
class JsonReader {
public:
  JsonReader(const nlohmann::json &value, std::optional<Error> &error, std::string place)
      : value(&value), error(&error), place(std::move(place)) {}

  bool has(const char *key) const { return value->is_object() && value->contains(key); }
  void requireObject() const;
  JsonReader at(const char *key) const;
  std::string text(const char *key) const { return at(key).asText(); }
  int64_t integer(const char *key) const { return at(key).asInteger(); }
  double number(const char *key) const { return at(key).asNumber(); }
  bool boolean(const char *key) const;
  bool isNull(const char *key) const { return has(key) && value->at(key).is_null(); }
  std::vector<int64_t> integers(const char *key) const;
  std::vector<double> numbers(const char *key) const;
  std::vector<std::string> texts(const char *key) const;
  std::vector<JsonReader> list(const char *key) const;
  std::string asText() const;
  int64_t asInteger() const;
  double asNumber() const;

  /// Records an error about this value, unless there is one already.
  void fail(std::string_view message) const;
  bool failed() const { return error->has_value(); }
  Status status() const {
    if (*error)
      return tl::unexpected(**error);
    return {};
  }

private:
  const nlohmann::json *value;
  std::optional<Error> *error;
  std::string place; ///< file, then the path inside it
};

} // namespace ingot
