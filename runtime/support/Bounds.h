/// The numbers that an option takes, for flags and for the library alike.
#pragma once
#include <concepts>
#include <limits>
#include <string>

namespace ingot {

/// From `least` to `most`; NaN in no case, infinity neither.
struct Bounds {
  static constexpr double infinity = std::numeric_limits<double>::infinity();

  double least = -infinity, most = infinity;
  bool withoutLeast = false, withoutMost = false;

  template <typename T> constexpr bool holds(T value) const {
    if constexpr (std::floating_point<T>)
      if (!(value - value == 0)) // NaN and infinity
        return false;
    const auto number = static_cast<double>(value);
    return (withoutLeast ? number > least : number >= least) &&
           (withoutMost ? number < most : number <= most);
  }
};

constexpr Bounds atLeast(double least) { return {.least = least}; }
constexpr Bounds between(double least, double most) { return {.least = least, .most = most}; }
/// Numbers above 0.
inline constexpr Bounds positive = {.least = 0, .withoutLeast = true};
/// Shares and decay rates: 0 included, 1 not.
inline constexpr Bounds belowOne = {.least = 0, .most = 1, .withoutMost = true};

/// `a whole number, 0 or more`, `a number above 0`, for int, int64_t, uint64_t and double.
/// `withLimits`: where a side has no bound, the type's own.
template <typename T> std::string describe(const Bounds &bounds, bool withLimits = false);

} // namespace ingot
