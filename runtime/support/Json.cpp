#include "runtime/support/Json.h"
#include <set>

namespace ingot {

using nlohmann::json;

Result<json> parseJson(std::string_view text, const std::string &place) {
  std::vector<std::set<std::string>> keys; // of the objects that are open
  std::string repeated;
  auto watch = [&](int, json::parse_event_t event, json &parsed) {
    if (event == json::parse_event_t::object_start)
      keys.emplace_back();
    else if (event == json::parse_event_t::object_end)
      keys.pop_back();
    else if (event == json::parse_event_t::key &&
             !keys.back().insert(parsed.get<std::string>()).second)
      repeated = parsed.get<std::string>();
    return true;
  };
  json document = json::parse(text, watch, /*allow_exceptions=*/false);
  if (document.is_discarded())
    return failure(Error::Code::BadInput, place, "damaged: not valid JSON");
  if (!repeated.empty())
    return failure(Error::Code::BadInput, place, "damaged: '{}' stands twice in one JSON object",
                   repeated);
  return document;
}

std::string toText(const json &value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

void JsonReader::requireObject() const {
  if (!value->is_object())
    fail("must be a JSON object");
}

JsonReader JsonReader::at(const char *key) const {
  static const json null;
  JsonReader child(null, *error, fmt::format("{}: {}", place, key));
  if (!value->is_object())
    requireObject();
  else if (auto field = value->find(key); field == value->end())
    child.fail("is missing");
  else
    child.value = &*field;
  return child;
}

double JsonReader::asNumber() const {
  if (value->is_number())
    return value->get<double>();
  fail("must be a number");
  return 0;
}

bool JsonReader::boolean(const char *key) const {
  JsonReader child = at(key);
  if (child.value->is_boolean())
    return child.value->get<bool>();
  child.fail("must be true or false");
  return false;
}

std::vector<JsonReader> JsonReader::list(const char *key) const {
  JsonReader child = at(key);
  std::vector<JsonReader> elements;
  if (!child.value->is_array()) {
    child.fail("must be a list");
    return elements;
  }
  elements.reserve(child.value->size());
  for (const json &element : *child.value)
    elements.emplace_back(element, *error, fmt::format("{}[{}]", child.place, elements.size()));
  return elements;
}

std::vector<int64_t> JsonReader::integers(const char *key) const {
  std::vector<int64_t> result;
  for (const JsonReader &element : list(key))
    result.push_back(element.asInteger());
  return result;
}

std::vector<double> JsonReader::numbers(const char *key) const {
  std::vector<double> result;
  for (const JsonReader &element : list(key))
    result.push_back(element.asNumber());
  return result;
}

std::vector<std::string> JsonReader::texts(const char *key) const {
  std::vector<std::string> result;
  for (const JsonReader &element : list(key))
    result.push_back(element.asText());
  return result;
}

std::string JsonReader::asText() const {
  if (value->is_string())
    return value->get<std::string>();
  fail("must be a string");
  return {};
}

int64_t JsonReader::asInteger() const {
  if (value->is_number_unsigned()) {
    if (uint64_t number = value->get<uint64_t>(); number <= uint64_t(INT64_MAX))
      return static_cast<int64_t>(number);
  } else if (value->is_number_integer()) {
    return value->get<int64_t>();
  }
  fail("must be a whole number below 2^63");
  return 0;
}

void JsonReader::fail(std::string_view message) const {
  if (!*error)
    *error = Error{Error::Code::BadInput, std::string(message), place};
}

} // namespace ingot
