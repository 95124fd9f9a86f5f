#include "runtime/emulator/machine/Runs.h"
#include "runtime/emulator/arithmetic/VectorClones.h"
#include <algorithm>
#include <bit>

namespace ingot::emulator {
namespace {

/// Lanes whose address is that of the lane before, and those `bytes` behind it.
INGOT_VECTOR_CLONES void compareNeighbours(const uint64_t *addresses, uint64_t bytes,
                                           uint32_t &same, uint32_t &beside) {
  uint32_t equal = 0, next = 0;
  for (int lane = 1; lane < lanes; ++lane) {
    const uint64_t distance = addresses[lane] - addresses[lane - 1];
    equal |= uint32_t(distance == 0) << lane;
    next |= uint32_t(distance == bytes) << lane;
  }
  same = equal;
  beside = next;
}

INGOT_VECTOR_CLONES bool sameDistances(const uint64_t *addresses, const uint64_t *distances) {
  uint64_t other = 0;
  for (int lane = 0; lane < lanes; ++lane)
    other |= (addresses[lane] - addresses[0]) ^ distances[lane];
  return !other;
}

} // namespace

bool RecentRuns::fits(const Shape &shape, const uint64_t *addresses) {
  return sameDistances(addresses, shape.distances);
}

const Runs &RecentRuns::make(Shape &shape, uint32_t mask, uint32_t bytes,
                             const uint64_t *addresses) {
  shape.mask = mask;
  shape.bytes = bytes;
  shape.first = addresses[0];
  for (int lane = 0; lane < lanes; ++lane)
    shape.distances[lane] = addresses[lane] - shape.first;
  shape.runs = Runs(mask, bytes, addresses);
  return shape.runs;
}

Runs::Runs(uint32_t mask, uint32_t bytes, const uint64_t *addresses)
    : low(*std::min_element(addresses, addresses + lanes)),
      high(*std::max_element(addresses, addresses + lanes)) {
  for (int lane = 0; lane < lanes; ++lane)
    apart |= addresses[lane] - low;
  uint32_t same, beside;
  compareNeighbours(addresses, bytes, same, beside);
  constexpr uint32_t allButFirst = ~uint32_t(1);
  if (mask == allLanes && beside == allButFirst)
    pattern = LanePattern::SideBySide;
  else if (mask == allLanes && same == allButFirst)
    pattern = LanePattern::Together;
  for (uint32_t left = mask; left;) {
    const int first = std::countr_zero(left);
    // Lanes that follow the first one without a gap.
    const auto follow = [&](uint32_t alike) {
      return std::countr_one(uint64_t(left & alike) >> (first + 1));
    };
    const int equal = follow(same), next = follow(beside);
    const int more = std::max(equal, next);
    runs[count++] = {addresses[first], bytes * uint32_t(equal ? 1 : 1 + next), first, 1 + more,
                     equal > 0};
    left &= ~uint32_t(((uint64_t(2) << more) - 1) << first);
  }
}

} // namespace ingot::emulator
