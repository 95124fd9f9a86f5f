/// The learning rate as a function of the step, computed on the host and fed as a scalar.
#pragma once
#include "runtime/support/Fields.h"
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
  /// Rates are 0 or more, and the step takes them as an f32.
  static constexpr Bounds rates = between(0, std::numeric_limits<float>::max());
  static bool isRate(double rate) { return rates.holds(rate); }

  static void fields(auto &self, auto &&visit) {
    visit(Field{.name = "peak",
                .help = "learning rate; default: PyTorch's for the optimizer",
                .bounds = rates,
                .flag = "lr"},
          self.peak);
    visit(Field{.name = "kind", .help = "of the learning rate after warm-up", .flag = "schedule"},
          self.kind);
    visit(Field{.name = "final",
                .help = "learning rate at the end of linear and cosine",
                .bounds = rates,
                .flag = "final_lr"},
          self.final);
    visit(Field{"warmup", "steps of linear warm-up", atLeast(0)}, self.warmup);
    visit(Field{.name = "steps",
                .help = "step at which linear and cosine end; default: --steps",
                .bounds = atLeast(1),
                .flag = "decay_steps"},
          self.steps);
  }
};

constexpr std::array<std::string_view, 3> enumNames(Schedule::Kind) {
  return {"constant", "linear", "cosine"};
}

} // namespace ingot
