#include "tools/commands/Numbers.h"
#include <charconv>
#include <cmath>

namespace ingot {
namespace {

/// `a whole number, 0 or more`, `a number above 0`. `bounded`: with the largest one too.
template <typename T> std::string describe(const Range<T> &range, bool bounded) {
  const char *kind = std::integral<T> ? "a whole number" : "a number";
  const bool hasLeast =
      std::unsigned_integral<T> || bounded || range.least != std::numeric_limits<T>::lowest();
  const bool hasMost = bounded || range.most != std::numeric_limits<T>::max();
  if (hasLeast && hasMost)
    return fmt::format("{} {} {} to {}{}", kind, range.withoutLeast ? "above" : "from", range.least,
                       range.withoutMost ? "below " : "", range.most);
  if (hasLeast)
    return range.withoutLeast ? fmt::format("{} above {}", kind, range.least)
                              : fmt::format("{}, {} or more", kind, range.least);
  return std::integral<T> ? kind : "a finite number";
}

} // namespace

template <typename T> Result<T> parseNumber(std::string_view text, const Range<T> &range) {
  std::string_view digits = text;
  if (digits.starts_with('+'))
    digits.remove_prefix(1);
  T value{};
  const char *end = digits.data() + digits.size();
  auto [rest, error] = std::from_chars(digits.data(), end, value);
  const bool isWhole = rest == end && !digits.empty() && !digits.starts_with('+');
  bool isFinite = true;
  if constexpr (std::floating_point<T>)
    isFinite = std::isfinite(value);
  if (isWhole && error == std::errc() && isFinite && range.holds(value))
    return value;
  const bool overflows = isWhole && error == std::errc::result_out_of_range;
  return failure(Error::Code::Usage, "", "'{}' is not {}", text, describe(range, overflows));
}

template Result<int> parseNumber(std::string_view, const Range<int> &);
template Result<int64_t> parseNumber(std::string_view, const Range<int64_t> &);
template Result<uint64_t> parseNumber(std::string_view, const Range<uint64_t> &);
template Result<double> parseNumber(std::string_view, const Range<double> &);

} // namespace ingot
