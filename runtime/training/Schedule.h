/// The learning rate as a function of the step, computed on the host and fed as a scalar.
#pragma once
#include "runtime/support/Fields.h"
#include "runtime/support/Result.h"
#include <array>
#include <cstdint>
#include <string_view>

namespace ingot {

/// warmup: peak·(step + 1)/warmup while step < warmup. Then, with p = (step − warmup)/(steps −
/// warmup) in [0, 1], constant: peak; linear: final + (peak − final)·(1 − p); cosine: final + (peak
/// − final)·(1 + cos πp)/2.
struct Schedule {
  enum class Kind : uint8_t { Constant, Linear, Cosine };
  Kind kind = Kind::Constant;
  double peak = 1e-3;
  double final = 0;   ///< rate at the end of `linear` and `cosine`
  int64_t warmup = 0; ///< steps
  int64_t steps = 0;  ///< where the decay ends; usually the run's total
  /// The rate of a step, counted from 0.
  double at(int64_t step) const;

  static void fields(auto &self, auto &&visit) {
    visit(Field{"kind", "constant (default), linear or cosine"}, self.kind);
    visit(Field{"peak", "learning rate; default 1e-3"}, self.peak);
    visit(Field{"final", "learning rate at the end of linear and cosine"}, self.final);
    visit(Field{"warmup", "steps of linear warm-up"}, self.warmup);
    visit(Field{"steps", "where the decay ends"}, self.steps);
  }
};

constexpr std::array<std::string_view, 3> enumNames(Schedule::Kind) {
  return {"constant", "linear", "cosine"};
}

/// `constant`, `linear` or `cosine`; Usage error otherwise.
Result<Schedule::Kind> parseScheduleKind(std::string_view text);

} // namespace ingot
