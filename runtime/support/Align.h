/// Sizes that keep what follows them aligned.
#pragma once
#include <cstdint>

namespace ingot {

/// The least multiple of `alignment` that is not below `bytes`.
constexpr int64_t alignedTo(int64_t alignment, int64_t bytes) {
  return (bytes + alignment - 1) / alignment * alignment;
}

} // namespace ingot
