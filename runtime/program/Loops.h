/// What every device does in a loop.
#pragma once
#include "runtime/program/Program.h"

namespace ingot {

/// The number of a loop's iteration that comes after `done` others.
inline int64_t numberOf(const LoopStep &loop, int64_t done, int64_t trips) {
  return loop.reverse ? trips - 1 - done : done;
}

/// Whether the loop was made for a trip count read at run time.
Status checkTrips(const Function &function, const LoopStep &loop, int64_t trips);

} // namespace ingot
