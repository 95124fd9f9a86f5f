/// Which memory a launch, a copy or a fill has touched.
#pragma once
#include <cstdint>
#include <vector>

namespace ingot::emulator {

struct TouchedRange {
  uint64_t address = 0, end = 0;
  bool writes = false;
  bool strong = false; ///< atomic for the whole device
};

/// By address, reads before writes; neighbours of one kind are one range.
using Footprint = std::vector<TouchedRange>;

/// Sorts and joins.
void normaliseFootprint(Footprint &footprint);

} // namespace ingot::emulator
