/// The losses and their numbers: the one place where these and their defaults live.
#pragma once
#include "runtime/support/Fields.h"
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace ingot {

/// What a training minimises, by PyTorch's definitions: Losses.def is the table.
enum class Loss {
#define INGOT_NUMBER(...)
#define INGOT_LOSS(NAME, ...) NAME,
#include "passes/options/Losses.def"
};
constexpr auto enumNames(Loss) {
  return std::to_array<std::string_view>({
#define INGOT_NUMBER(...)
#define INGOT_LOSS(NAME, TEXT, ...) TEXT,
#include "passes/options/Losses.def"
  });
}

/// How the losses of a batch's targets become one.
enum class Reduction : uint8_t {
  Mean,      ///< over those that count, by the weights of their classes
  Sum,       ///< of all
  BatchMean, ///< the sum over the size of the first dimension
  None,      ///< they stay as they are
};
constexpr auto enumNames(Reduction) {
  return std::to_array<std::string_view>({"mean", "sum", "batch_mean", "none"});
}

struct LossNumbers {
  Reduction reduction = Reduction::Mean;
  /// Of classes, in cross_entropy, nll and multi_margin; of positive targets in bce_with_logits, by
  /// the last dimension. Empty: all 1.
  std::vector<double> classWeights = {};
  std::optional<int64_t> ignoreIndex = {}; ///< targets of this number count nothing
  double labelSmoothing = 0;               ///< share of a target that all classes have in common
  bool softTargets = false;                ///< targets are probabilities of the classes
  bool logTargets = false;                 ///< kl_div's are logarithms
  double beta = 1;                         ///< smooth_l1: where the square ends
  double delta = 1;                        ///< huber: the same
  double margin = 1;                       ///< hinge_embedding, multi_margin
  int64_t power = 1;                       ///< multi_margin: of a class's share

  static void fields(auto &self, auto &&visit) {
    visit(Field{.name = "reduction", .help = "of the losses of a batch", .flag = "loss_reduction"},
          self.reduction);
    visit(
        Field{"class_weights",
              "W,W,…: cross_entropy's, nll's and multi_margin's, one a class; bce_with_logits', of "
              "positive targets",
              atLeast(0)},
        self.classWeights);
    visit(Field{"ignore_index", "targets of this class number count nothing"}, self.ignoreIndex);
    visit(Field{"label_smoothing", "cross_entropy's share of a target that all classes have",
                between(0, 1)},
          self.labelSmoothing);
    visit(Field{"soft_targets", "cross_entropy's targets are probabilities of the classes"},
          self.softTargets);
    visit(Field{"log_targets", "kl_div's targets are logarithms of probabilities"},
          self.logTargets);
    visit(Field{.name = "beta",
                .help = "smooth_l1's distance at which the square ends",
                .bounds = positive,
                .flag = "loss_beta"},
          self.beta);
    visit(Field{.name = "delta",
                .help = "huber's distance at which the square ends",
                .bounds = positive,
                .flag = "loss_delta"},
          self.delta);
    visit(Field{"margin", "hinge_embedding's and multi_margin's"}, self.margin);
    visit(Field{.name = "power",
                .help = "multi_margin's, of what a class falls short of the margin",
                .bounds = between(1, 2),
                .flag = "margin_power"},
          self.power);
  }
  bool operator==(const LossNumbers &) const = default;
};

} // namespace ingot
