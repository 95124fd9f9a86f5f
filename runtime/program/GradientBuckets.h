/// Bytes that kernels read and nobody writes.
#pragma once
#include "runtime/program/TaskGraph.h"

namespace ingot {

/// The buckets of gradients in the arena, in order; those that touch are one range. An update walks
/// a bucket as a whole, with what lies between its tensors (Bucket.h). What it makes of those bytes
/// means nothing, but reading memory that was never written is an error of its own: a device clears
/// them before anything runs.
std::vector<ByteRange> gradientBuckets(const Program &program);

} // namespace ingot
