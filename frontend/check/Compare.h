/// How far two tensors are apart.
#pragma once
#include "runtime/program/Tensor.h"

namespace ingot {

struct Difference {
  double norm = 0;      ///< of actual - expected (Euclidean)
  double reference = 0; ///< of expected
  double largest = 0;   ///< of |actual - expected|
  int64_t where = 0;    ///< index of the largest

  /// `norm` relative to the reference's, or to `floor` where that is larger.
  double relative(double floor = 0) const;
};

/// For tensors of one shape. NaN equals NaN and infinities equal themselves; against anything else
/// they are infinitely far.
Difference compareTensors(const Tensor &actual, const Tensor &expected);

} // namespace ingot
