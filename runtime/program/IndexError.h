/// What a run says of an index outside its range: one i64, written by the program, read by the
/// runtime.
#pragma once
#include <cstdint>
#include <limits>

namespace ingot {

/// The first such index in row-major order. The word is position * perPosition + index -
/// leastIndex, so that the smallest word is the first position's; `none` where all indices are
/// inside.
struct IndexError {
  static constexpr int64_t none = std::numeric_limits<int64_t>::max();
  static constexpr int64_t perPosition = int64_t(1) << 32;
  /// Indices beyond these are told as these.
  static constexpr int64_t leastIndex = std::numeric_limits<int32_t>::min(),
                           largestIndex = std::numeric_limits<int32_t>::max();

  int64_t position, index;

  static IndexError decode(int64_t word) {
    return {word / perPosition, word % perPosition + leastIndex};
  }
};

} // namespace ingot
