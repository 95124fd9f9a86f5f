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

} // namespace ingot
