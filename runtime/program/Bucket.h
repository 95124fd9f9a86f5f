/// How a bucket holds its tensors: flattened, one after the other, each from a multiple of 32
/// elements and of 64 bytes on, as every tensor of a program lies. The same tensors in bf16 are a
/// bucket of as many elements. What lies between them means nothing.
#pragma once
#include "runtime/support/Align.h"
#include <algorithm>
#include <cstdint>

namespace ingot {

/// Elements that a tensor of `count`, of so many bytes each, takes in a bucket.
constexpr int64_t elementsInBucket(int64_t count, int64_t bytes) {
  return alignedTo(std::max<int64_t>(32, 64 / bytes), count);
}

} // namespace ingot
