/// Numbers in flags: one parser for the flags of all commands.
#pragma once
#include "runtime/support/Bounds.h"
#include "runtime/support/Result.h"
#include <CLI/CLI.hpp>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>

namespace ingot {

/// What stands in for a size of a model.
inline constexpr Bounds modelSize = between(1, int64_t(1) << 31);

/// The number that the whole text is, or why it is none within the bounds: `'x' is not a whole
/// number from 1 to 16`. Nothing saturates, wraps or is cut off.
template <typename T> Result<T> parseNumber(std::string_view text, const Bounds &bounds = {});
extern template Result<int> parseNumber(std::string_view, const Bounds &);
extern template Result<int64_t> parseNumber(std::string_view, const Bounds &);
extern template Result<uint64_t> parseNumber(std::string_view, const Bounds &);
extern template Result<double> parseNumber(std::string_view, const Bounds &);

/// What a slot that may be optional holds.
template <typename Slot> struct SlotValue {
  using Type = Slot;
};
template <typename T> struct SlotValue<std::optional<T>> {
  using Type = T;
};

/// A flag with a number; the slot may be optional. What does not fit is a usage error that names
/// flag, value and what is allowed.
template <typename Slot>
CLI::Option *addNumber(CLI::App &app, const std::string &name, Slot &slot, const Bounds &bounds,
                       const std::string &help) {
  using T = SlotValue<Slot>::Type;
  CLI::Option *option = app.add_option_function<std::string>(
      name, [&slot, bounds](const std::string &text) { slot = *parseNumber<T>(text, bounds); },
      help);
  option->type_name(std::integral<T> ? "INT" : "FLOAT");
  option->check([bounds](const std::string &text) {
    Result<T> number = parseNumber<T>(text, bounds);
    return number ? std::string() : number.error().message;
  });
  return option;
}

/// Numbers with commas between them, or why they are none.
Result<std::vector<double>> parseNumbers(std::string_view text, const Bounds &bounds = {});

/// A flag with such a list.
CLI::Option *addNumbers(CLI::App &app, const std::string &name, std::vector<double> &slot,
                        const Bounds &bounds, const std::string &help);

} // namespace ingot
