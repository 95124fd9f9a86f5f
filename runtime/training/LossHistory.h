/// The losses of a run, kept beside its checkpoints so that a plot shows the whole run after a
/// resume.
#pragma once
#include "runtime/support/Result.h"
#include <cstdint>
#include <string>
#include <vector>

namespace ingot {

struct LossPoint {
  int64_t step = 0; ///< of training losses from 1; of validation losses the updates done
  double loss = 0;
  bool operator==(const LossPoint &) const = default;
};

struct LossHistory {
  std::vector<LossPoint> training, validation;

  /// Forgets what lies beyond a step: a resumed run computes it again.
  void truncate(int64_t step);
  std::string toJson() const;
  static Result<LossHistory> parse(std::string_view json, const std::string &place);
};

} // namespace ingot
