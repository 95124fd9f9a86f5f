#include "tools/commands/TensorText.h"
#include "ir/dialect/Elements.h"
#include "runtime/data/Array.h"
#include "runtime/program/TensorTools.h"
#include "runtime/support/UsableMemory.h"
#include <charconv>
#include <cmath>

namespace ingot {
namespace {

/// `2x3xf32` or `f32`.
Result<Tensor> parseType(std::string_view flag, std::string_view text) {
  size_t lastX = text.rfind('x');
  std::string_view element = lastX == text.npos ? text : text.substr(lastX + 1);
  Result<ElementType> type = parseElementType(element);
  if (!type)
    return failure(Error::Code::Usage, std::string(flag), "{}", type.error().message);
  Shape shape;
  for (std::string_view rest = lastX == text.npos ? "" : text.substr(0, lastX); !rest.empty();) {
    size_t end = std::min(rest.find('x'), rest.size());
    int64_t size = 0;
    auto [stop, error] = std::from_chars(rest.data(), rest.data() + end, size);
    if (error != std::errc() || stop != rest.data() + end || size < 0)
      return failure(Error::Code::Usage, std::string(flag), "'{}' is not a shape and a type", text);
    shape.push_back(size);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  // Elements are read as 64 bits first.
  const std::optional<size_t> bytes = checkedBytes(shape, 8);
  if (!bytes || *bytes > size_t(usableMemory()))
    return failure(Error::Code::Usage, std::string(flag), "'{}' is too large", text);
  return Tensor(*type, std::move(shape));
}

std::vector<std::string_view> splitWords(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const size_t end = std::min(text.find(','), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

template <typename T> bool parseWhole(std::string_view word, T &value) {
  auto [rest, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  return error == std::errc() && rest == word.data() + word.size();
}

tl::unexpected<Error> doesNotFit(std::string_view flag, std::string_view word, ElementType type) {
  return failure(Error::Code::Usage, std::string(flag), "'{}' does not fit {}", word, name(type));
}

/// Floats: `inf` and `nan` as they are; what rounds to infinity does not fit.
Result<double> parseElement(std::string_view flag, std::string_view word, ElementType type,
                            double) {
  double value = 0;
  auto [rest, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  const bool isNumber = rest == word.data() + word.size() && !word.empty();
  if (isNumber && error == std::errc::result_out_of_range)
    return doesNotFit(flag, word, type);
  if (!isNumber || error != std::errc())
    return failure(Error::Code::Usage, std::string(flag), "'{}' is not a number", word);
  // What is too large becomes infinite, NaN or the largest value; that depends on the type.
  const double stored = graph::load<double>(graph::store<double>(type, {}, {value}))[0];
  if (std::abs(value) > 1 && std::isfinite(value) &&
      !(std::abs(stored) >= std::abs(value) / 2 && std::isfinite(stored)))
    return doesNotFit(flag, word, type);
  return value;
}

/// Integers, also as whole floats such as `1e3`.
template <typename Wide>
Result<Wide> parseElement(std::string_view flag, std::string_view word, ElementType type, Wide) {
  Wide value = 0;
  if (!parseWhole(word, value)) {
    INGOT_ASSIGN(double number, parseElement(flag, word, ElementType::F64, 0.0));
    if (number != std::trunc(number) || !std::isfinite(number))
      return failure(Error::Code::Usage, std::string(flag), "{} is not a whole number", word);
    if (std::abs(number) > 0x1p53 || (std::unsigned_integral<Wide> && number < 0))
      return doesNotFit(flag, word, type);
    value = Wide(number);
  }
  if (graph::load<Wide>(graph::store<Wide>(type, {}, {value}))[0] != value)
    return doesNotFit(flag, word, type);
  return value;
}

Result<Tensor> parseElements(std::string_view flag, ElementType type, const Shape &shape,
                             std::string_view text) {
  return graph::dispatch(type, [&](auto zero) -> Result<Tensor> {
    std::vector<decltype(zero)> values;
    for (std::string_view word : splitWords(text)) {
      INGOT_ASSIGN(auto value, parseElement(flag, word, type, zero));
      values.push_back(value);
    }
    const int64_t wanted = elementCount(shape);
    if (values.size() == 1)
      values.resize(size_t(wanted), values[0]);
    if (int64_t(values.size()) != wanted)
      return failure(Error::Code::Usage, std::string(flag), "{} values for {} elements",
                     values.size(), wanted);
    return graph::store(type, shape, values);
  });
}

} // namespace

Result<Tensor> parseTensor(std::string_view flag, std::string_view text) {
  if (text.starts_with('@'))
    return readArray(std::string(text.substr(1)));
  size_t equals = text.find('=');
  if (equals == text.npos)
    return failure(Error::Code::Usage, std::string(flag),
                   "'{}' is neither @FILE nor like 2x2xf32=1,2,3,4", text);
  INGOT_ASSIGN(Tensor tensor, parseType(flag, text.substr(0, equals)));
  return parseElements(flag, tensor.type(), tensor.shape(), text.substr(equals + 1));
}

std::string printTensor(const Tensor &tensor) {
  constexpr int64_t limit = 1024;
  return toString(tensor, limit) + (tensor.size() > limit ? "; --output=@FILE.npy holds them" : "");
}

} // namespace ingot
