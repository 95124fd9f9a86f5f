/// What the compiler may do to save memory: the one place where these options live.
#pragma once
#include <cstdint>

namespace ingot {

struct MemoryOptions {
  /// Results of contractions with more bytes are made and used block by block of their rows.
  int64_t largestTensor = 64 << 20;
};

} // namespace ingot
