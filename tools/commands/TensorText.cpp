#include "tools/commands/TensorText.h"
#include "ir/dialect/Elements.h"
#include "runtime/cpu/CpuInfo.h"
#include "runtime/data/Array.h"
#include <charconv>
#include <cmath>
#include <span>

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
  // Numbers are read as doubles first.
  const std::optional<size_t> bytes = checkedBytes(shape, 8);
  if (!bytes || *bytes > size_t(usableMemory()))
    return failure(Error::Code::Usage, std::string(flag), "'{}' is too large", text);
  return Tensor(*type, std::move(shape));
}

Result<std::vector<double>> parseNumbers(std::string_view flag, std::string_view text) {
  std::vector<double> numbers;
  while (!text.empty()) {
    size_t end = std::min(text.find(','), text.size());
    std::string word(text.substr(0, end));
    char *stop = nullptr;
    numbers.push_back(std::strtod(word.c_str(), &stop));
    if (word.empty() || *stop)
      return failure(Error::Code::Usage, std::string(flag), "'{}' is not a number", word);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return numbers;
}

/// The elements in row-major order; brackets around every dimension but the first, and around a
/// vector.
std::string printElements(const Tensor &tensor, std::span<const std::string> elements) {
  const Shape &shape = tensor.shape();
  if (shape.size() <= 1) {
    std::string joined = fmt::format("{}", fmt::join(elements, " "));
    return shape.empty() ? joined : "[" + joined + "]";
  }
  std::string text;
  for (size_t i = 0; i < elements.size(); ++i) {
    size_t opened = 0, closed = 0;
    int64_t stride = 1;
    for (size_t dimension = shape.size() - 1; dimension > 0; --dimension) {
      stride *= shape[dimension];
      opened += int64_t(i) % stride == 0;
      closed += int64_t(i + 1) % stride == 0;
    }
    text += opened ? std::string(opened, '[') : std::string(" ");
    text += elements[i] + std::string(closed, ']');
  }
  return text;
}

template <typename T> std::vector<std::string> printAll(const std::vector<T> &values) {
  std::vector<std::string> texts;
  for (T value : values)
    texts.push_back(fmt::format("{}", value));
  return texts;
}

std::vector<std::string> elementTexts(const Tensor &tensor) {
  if (tensor.type() == ElementType::F32)
    return printAll(std::vector<float>(tensor.as<float>(), tensor.as<float>() + tensor.size()));
  return graph::dispatch(tensor.type(),
                         [&](auto wide) { return printAll(graph::load<decltype(wide)>(tensor)); });
}

Result<Tensor> storeNumbers(std::string_view flag, ElementType type, const Shape &shape,
                            const std::vector<double> &numbers) {
  if (graph::kindOf(type) == graph::ElementKind::Float)
    return graph::store<double>(type, shape, numbers);
  for (double number : numbers)
    if (number != std::trunc(number))
      return failure(Error::Code::Usage, std::string(flag), "{} is not a whole number", number);
  return graph::store<int64_t>(type, shape, std::vector<int64_t>(numbers.begin(), numbers.end()));
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
  INGOT_ASSIGN(std::vector<double> numbers, parseNumbers(flag, text.substr(equals + 1)));
  if (numbers.size() == 1)
    numbers.resize(size_t(tensor.size()), numbers[0]);
  if (int64_t(numbers.size()) != tensor.size())
    return failure(Error::Code::Usage, std::string(flag), "{} values for {} elements",
                   numbers.size(), tensor.size());
  return storeNumbers(flag, tensor.type(), tensor.shape(), numbers);
}

std::string printTensor(const Tensor &tensor, int64_t limit) {
  std::string text;
  for (int64_t size : tensor.shape())
    text += fmt::format("{}x", size);
  text += fmt::format("{}=", name(tensor.type()));
  if (tensor.size() > limit)
    return text + fmt::format("… {} elements; --output=@FILE.npy holds them", tensor.size());
  return text + printElements(tensor, elementTexts(tensor));
}

} // namespace ingot
