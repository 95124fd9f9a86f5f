/// What ports of role `scalar` are fed: the one place that knows their names.
#pragma once
#include "runtime/program/Program.h"

namespace ingot {

/// The numbers that drive a step, or the initial values of `init`.
struct Scalars {
  double learningRate = 0;
  int64_t step = 0; ///< updates done
  uint64_t seed = 0;
};

/// The value of a port of role `scalar`. An error for a name that nobody feeds, or another type.
Result<Tensor> scalarInput(const Port &port, const Scalars &scalars);
/// The values of all scalar ports of a function.
Result<std::vector<NamedTensor>> scalarInputs(const Function &function, const Scalars &scalars);

} // namespace ingot
