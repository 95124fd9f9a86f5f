/// A graph of many ops, for tests of how compile time grows.
#pragma once
#include "frontend/api/Model.h"

namespace ingot {

/// @forward with at least `ops` ops: blocks of a contraction, long elementwise chains, a softmax, a
/// column sum and scalars, each of which reads the block before and now and then one far back.
Model largeGraph(int64_t ops);

} // namespace ingot
