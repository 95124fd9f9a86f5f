/// How a bucket holds its tensors: flattened, one after the other, each from a multiple of
/// `bucketAlignment` elements on. What lies between them means nothing.
#pragma once
#include <cstdint>

namespace ingot {

constexpr int64_t bucketAlignment = 16;

/// Elements that a tensor of `count` takes in a bucket.
constexpr int64_t elementsInBucket(int64_t count) {
  return (count + bucketAlignment - 1) / bucketAlignment * bucketAlignment;
}

} // namespace ingot
