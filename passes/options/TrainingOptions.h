/// How a model is trained: the one place where these options and their defaults live.
#pragma once
#include "passes/options/ParameterGroup.h"
#include "runtime/support/OnNonFinite.h"
#include <array>
#include <optional>
#include <vector>

namespace ingot {

/// Loss, optimizer and their numbers; defaults are PyTorch's.
struct TrainingOptions {
  enum class Loss {
    None,         ///< @forward already returns the scalar loss
    CrossEntropy, ///< mean over positions of -log softmax(logits)[target]
    Mse,          ///< mean of (output - target)²
  };
  enum class Optimizer { AdamW, Sgd, Adam };

  Loss loss = Loss::CrossEntropy;
  Optimizer optimizer = Optimizer::AdamW;
  double beta1 = 0.9;    ///< AdamW's and Adam's decay of the first moment, in [0, 1)
  double beta2 = 0.999;  ///< theirs of the second moment, in [0, 1)
  double epsilon = 1e-8; ///< theirs, added outside the root
  /// On every trained tensor; AdamW: decoupled; others: added to the gradient. Unset: 0.01 and 0.
  std::optional<double> weightDecay;
  double momentum = 0; ///< SGD's; 0 keeps no state
  double clip = 0;     ///< largest global gradient norm; 0 switches clipping off
  int accumulate = 1;  ///< micro-batches a step; the batch has this many times the rows
  /// `Skip` is part of the compiled step: it needs every gradient before the first update.
  OnNonFinite onNonFinite = OnNonFinite::Stop;
  std::vector<ParameterGroup> groups = {}; ///< frozen parameters, other rates and decays
  /// The batch has `weights`, an f32 for each target (a row's, under mse): the loss is the mean
  /// with these weights.
  bool lossWeights = false;
  int64_t classAxis = -1;  ///< cross-entropy's: the output's dimension of classes; -1: the last
  std::string output = {}; ///< that the loss is of; empty: `logits` (`loss`), or the only one
  bool gradients = false;  ///< the step returns every gradient and the norm of each

  double decay() const { return weightDecay.value_or(optimizer == Optimizer::AdamW ? 0.01 : 0); }
  /// With the defaults that depend on other options filled in: what keys and files hold.
  TrainingOptions resolved() const {
    TrainingOptions options = *this;
    options.weightDecay = decay();
    return options;
  }

  static void fields(auto &self, auto &&visit) {
    visit(Field{"loss", "none: the model's output is the loss"}, self.loss);
    visit(Field{"optimizer", "its numbers are flags of their own"}, self.optimizer);
    visit(Field{"weight_decay", "default: adamw 0.01, others 0", atLeast(0)}, self.weightDecay);
    visit(Field{"beta1", "adamw's and adam's", belowOne}, self.beta1);
    visit(Field{"beta2", "adamw's and adam's", belowOne}, self.beta2);
    visit(Field{"epsilon", "adamw's and adam's", positive}, self.epsilon);
    visit(Field{"momentum", "sgd's", atLeast(0)}, self.momentum);
    visit(Field{"clip", "largest global gradient norm; 0: off", atLeast(0)}, self.clip);
    visit(Field{"accumulate", "micro-batches whose gradients make one update", atLeast(1)},
          self.accumulate);
    visit(Field{"on_nan",
                "a loss or gradient that is not finite: stop with an error, skip the step's "
                "update, or continue"},
          self.onNonFinite);
    visit(Field{.name = "groups",
                .help = "parameters trained differently, as "
                        "'REGEX;frozen=true' or 'REGEX;rate_factor=0.1;weight_decay=0': the first "
                        "group that matches a whole name takes it; may be given several times",
                .flag = "group"},
          self.groups);
    visit(Field{"loss_weights", "the batch has `weights`, an f32 for each target"},
          self.lossWeights);
    visit(Field{"class_axis", "cross_entropy's: the output's dimension of classes; -1: the last",
                atLeast(-1)},
          self.classAxis);
    visit(Field{.name = "output",
                .help = "the output that the loss is of; default: logits, or the only one",
                .flag = "loss_output"},
          self.output);
    visit(Field{"gradients"}, self.gradients);
  }
};

constexpr std::array<std::string_view, 3> enumNames(TrainingOptions::Loss) {
  return {"none", "cross_entropy", "mse"};
}
constexpr std::array<std::string_view, 3> enumNames(TrainingOptions::Optimizer) {
  return {"adamw", "sgd", "adam"};
}

} // namespace ingot
