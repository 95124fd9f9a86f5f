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

Result<Schedule::Kind> parseScheduleKind(std::string_view text) {
  if (std::optional<Schedule::Kind> kind = parseEnum<Schedule::Kind>(text))
    return *kind;
  return failure(Error::Code::Usage, "Schedule::kind", "'{}' is not constant, linear or cosine",
                 text);
}

} // namespace ingot
