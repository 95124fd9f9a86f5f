#include "runtime/training/Schedule.h"
#include <algorithm>
#include <cmath>
#include <numbers>

namespace ingot {

double Schedule::at(int64_t step) const {
  if (step < warmup)
    return peak * double(step + 1) / double(warmup);
  if (kind == Kind::Constant)
    return peak;
  double progress =
      steps > warmup ? std::clamp(double(step - warmup) / double(steps - warmup), 0.0, 1.0) : 1.0;
  double rest =
      kind == Kind::Linear ? 1 - progress : (1 + std::cos(std::numbers::pi * progress)) / 2;
  return final + (peak - final) * rest;
}

} // namespace ingot
