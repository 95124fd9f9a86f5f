/// What every device does in a loop.
#pragma once
#include "runtime/program/Program.h"
#include <algorithm>

namespace ingot {

/// The number of a loop's iteration that comes after `done` others.
inline int64_t numberOf(const LoopStep &loop, int64_t done, int64_t trips) {
  return loop.reverse ? trips - 1 - done : done;
}

/// Whether the loop was made for a trip count read at run time.
Status checkTrips(const Function &function, const LoopStep &loop, int64_t trips);

/// Whether the steps may call a kernel. What calls none does nothing, however often it runs.
inline bool callsKernels(std::span<const Step> steps) {
  return std::ranges::any_of(steps, [](const Step &step) {
    if (const auto *loop = std::get_if<LoopStep>(&step.node))
      return loop->trips > 0 && callsKernels(loop->body);
    if (const auto *branch = std::get_if<IfStep>(&step.node))
      return callsKernels(branch->thenBody) || callsKernels(branch->elseBody);
    return true;
  });
}

} // namespace ingot
