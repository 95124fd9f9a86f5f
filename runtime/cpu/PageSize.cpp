#include "runtime/cpu/PageSize.h"

namespace ingot {

namespace {

constexpr int64_t longStretch = 8;
/// Ten times what it takes to clear a huge page that is there.
constexpr double dearHugePage = 1e-3;
/// Small pages make every step 1 to 2 % slower: they must be worth it.
constexpr double leastGain = 2;

} // namespace

PageSizeChoice::Stretch PageSizeChoice::next() const {
  if (huge < 0)
    return {.huge = true, .count = 1};
  if (small < 0)
    return {.huge = false, .count = 1};
  if (small * leastGain < huge)
    return {.huge = false, .count = longStretch};
  // Small pages may have become cheaper: other processes give back smaller blocks.
  if (huge > dearHugePage && lastWasHuge)
    return {.huge = false, .count = 1};
  return {.huge = true, .count = longStretch};
}

void PageSizeChoice::took(const Stretch &stretch, double seconds) {
  (stretch.huge ? huge : small) = seconds / double(stretch.count);
  lastWasHuge = stretch.huge;
}

} // namespace ingot
