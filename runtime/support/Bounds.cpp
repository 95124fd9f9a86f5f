#include "runtime/support/Bounds.h"
#include <cstdint>
#include <fmt/format.h>

namespace ingot {

template <typename T> std::string describe(const Bounds &bounds, bool withLimits) {
  const char *kind = std::integral<T> ? "a whole number" : "a number";
  const bool bounded[] = {bounds.least != -Bounds::infinity, bounds.most != Bounds::infinity};
  const bool hasLeast = bounded[0] || std::unsigned_integral<T> || withLimits;
  const bool hasMost = bounded[1] || withLimits;
  const T least = bounded[0] ? static_cast<T>(bounds.least) : std::numeric_limits<T>::lowest();
  const T most = bounded[1] ? static_cast<T>(bounds.most) : std::numeric_limits<T>::max();
  if (hasLeast && hasMost)
    return fmt::format("{} {} {} to {}{}", kind, bounds.withoutLeast ? "above" : "from", least,
                       bounds.withoutMost ? "below " : "", most);
  if (hasLeast)
    return bounds.withoutLeast ? fmt::format("{} above {}", kind, least)
                               : fmt::format("{}, {} or more", kind, least);
  return std::integral<T> ? kind : "a finite number";
}

template std::string describe<int>(const Bounds &, bool);
template std::string describe<int64_t>(const Bounds &, bool);
template std::string describe<uint64_t>(const Bounds &, bool);
template std::string describe<double>(const Bounds &, bool);

} // namespace ingot
