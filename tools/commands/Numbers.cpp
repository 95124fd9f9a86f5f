#include "tools/commands/Numbers.h"
#include <charconv>

namespace ingot {

template <typename T> Result<T> parseNumber(std::string_view text, const Bounds &bounds) {
  std::string_view digits = text;
  if (digits.starts_with('+'))
    digits.remove_prefix(1);
  T value{};
  const char *end = digits.data() + digits.size();
  auto [rest, error] = std::from_chars(digits.data(), end, value);
  const bool isWhole = rest == end && !digits.empty() && !digits.starts_with('+');
  if (isWhole && error == std::errc() && bounds.holds(value))
    return value;
  const bool overflows = isWhole && error == std::errc::result_out_of_range;
  return failure(Error::Code::Usage, "", "'{}' is not {}", text, describe<T>(bounds, overflows));
}

template Result<int> parseNumber(std::string_view, const Bounds &);
template Result<int64_t> parseNumber(std::string_view, const Bounds &);
template Result<uint64_t> parseNumber(std::string_view, const Bounds &);
template Result<double> parseNumber(std::string_view, const Bounds &);

Result<std::vector<double>> parseNumbers(std::string_view text, const Bounds &bounds) {
  std::vector<double> numbers;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    INGOT_ASSIGN(const double number, parseNumber<double>(text.substr(begin, end - begin), bounds));
    numbers.push_back(number);
    begin = end + 1;
  }
  return numbers;
}

CLI::Option *addNumbers(CLI::App &app, const std::string &name, std::vector<double> &slot,
                        const Bounds &bounds, const std::string &help) {
  CLI::Option *option = app.add_option_function<std::string>(
      name, [&slot, bounds](const std::string &text) { slot = *parseNumbers(text, bounds); }, help);
  option->type_name("NUMBERS");
  option->check([bounds](const std::string &text) {
    Result<std::vector<double>> numbers = parseNumbers(text, bounds);
    return numbers ? std::string() : numbers.error().message;
  });
  return option;
}

} // namespace ingot
