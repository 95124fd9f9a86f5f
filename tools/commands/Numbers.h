/// Numbers in flags: one parser for the flags of all commands.
#pragma once
#include "runtime/support/Result.h"
#include <CLI/CLI.hpp>
#include <concepts>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace ingot {

/// The numbers that a flag takes: `least` to `most`. A floating-point number is finite in any case.
template <typename T> struct Range {
  T least = std::numeric_limits<T>::lowest();
  T most = std::numeric_limits<T>::max();
  bool withoutLeast = false, withoutMost = false;

  bool holds(T value) const { // false for NaN
    return (withoutLeast ? value > least : value >= least) &&
           (withoutMost ? value < most : value <= most);
  }
};

template <typename T> constexpr Range<T> atLeast(T least) { return {.least = least}; }
template <typename T> constexpr Range<T> between(T least, T most) {
  return {.least = least, .most = most};
}
/// Numbers above 0.
inline constexpr Range<double> positive = {.least = 0, .withoutLeast = true};
/// Shares and decay rates: 0 included, 1 not.
inline constexpr Range<double> belowOne = {.least = 0, .most = 1, .withoutMost = true};

/// What stands in for a size of a model.
inline constexpr Range<int64_t> modelSize = {.least = 1, .most = int64_t(1) << 31};

/// The number that the whole text is, or why it is none that the range holds: `'x' is not a whole
/// number from 1 to 16`. Nothing saturates, wraps or is cut off.
template <typename T> Result<T> parseNumber(std::string_view text, const Range<T> &range);
extern template Result<int> parseNumber(std::string_view, const Range<int> &);
extern template Result<int64_t> parseNumber(std::string_view, const Range<int64_t> &);
extern template Result<uint64_t> parseNumber(std::string_view, const Range<uint64_t> &);
extern template Result<double> parseNumber(std::string_view, const Range<double> &);

/// A flag with a number of type T; `slot` is a T or an optional one. What does not fit is a usage
/// error that names flag, value and what is allowed.
template <typename T, typename Slot>
CLI::Option *addNumber(CLI::App &app, const std::string &name, Slot &slot, const Range<T> &range,
                       const std::string &help) {
  CLI::Option *option = app.add_option_function<std::string>(
      name, [&slot, range](const std::string &text) { slot = *parseNumber(text, range); }, help);
  option->type_name(std::integral<T> ? "INT" : "FLOAT");
  option->check([range](const std::string &text) {
    Result<T> number = parseNumber(text, range);
    return number ? std::string() : number.error().message;
  });
  return option;
}

} // namespace ingot
