/// How a model is trained: the one place where these options and their defaults live.
#pragma once
#include "passes/options/LossNumbers.h"
#include "passes/options/ParameterGroup.h"
#include "runtime/support/OnNonFinite.h"
#include <array>
#include <optional>
#include <vector>

namespace ingot {

/// Loss, optimizer and their numbers; defaults are PyTorch's.
struct TrainingOptions {
  using Loss = ingot::Loss; ///< None: @forward already returns the scalar loss
  enum class Optimizer {
#define INGOT_NUMBER(...)
#define INGOT_OPTIMIZER(NAME, ...) NAME,
#include "passes/options/Optimizers.def"
  };

  /// What is multiplied in linear layers, contractions and attention: as it is in the model, or
  /// rounded to bf16. Weights, state, norms, losses and all sums stay as they are.
  enum class Dtype { F32, BF16 };

  Loss loss = Loss::CrossEntropy;
  LossNumbers lossNumbers = {};
  Optimizer optimizer = Optimizer::AdamW;
  // The optimizers' numbers: Optimizers.def says which have them, and what they are where unset.
  double beta1 = 0.9;            ///< decay of the first moment, in [0, 1)
  std::optional<double> beta2;   ///< of the second moment, in [0, 1)
  std::optional<double> epsilon; ///< keeps denominators from 0
  /// On every trained tensor; AdamW, Lion, LAMB, Adafactor, Muon: decoupled; others: added to the
  /// gradient.
  std::optional<double> weightDecay;
  std::optional<double> momentum; ///< 0 keeps no state; Muon's is in [0, 1)
  double dampening = 0;        ///< how much less of a gradient than all of it enters the momentum
  bool nesterov = false;       ///< the gradient and the momentum that it has made
  double alpha = 0.99;         ///< decay of the mean square, in [0, 1)
  bool centered = false;       ///< the variance instead of the mean square
  double rho = 0.9;            ///< decay of both mean squares, in [0, 1)
  double rateDecay = 0;        ///< the rate is divided by 1 + this times the steps so far
  double momentumDecay = 4e-3; ///< how fast the first steps' smaller momentum grows to beta1
  double beta2Decay = -0.8;    ///< the second moment of step t takes t^this of a new square
  double leastScale = 1e-3;    ///< of the parameter's root mean square, by which steps grow
  double updateLimit = 1;      ///< largest root mean square of an update before its rate
  bool matchRms = false;       ///< matrices' steps are as large as AdamW's
  double clip = 0;             ///< largest global gradient norm; 0 switches clipping off
  int accumulate = 1;          ///< micro-batches a step; the batch has this many times the rows
  /// `Skip` is part of the compiled step: it needs every gradient before the first update.
  OnNonFinite onNonFinite = OnNonFinite::Stop;
  std::vector<ParameterGroup> groups = {}; ///< frozen parameters, other rates and decays
  /// The batch has `weights`, an f32 for each target (a row's, under mse): the loss is the mean
  /// with these weights.
  bool lossWeights = false;
  int64_t classAxis =
      -1; ///< the output's dimension of classes (cosine's: of vectors); -1: the last
  std::string output = {}; ///< that the loss is of; empty: `logits` (`loss`), or the only one
  bool gradients = false;  ///< the step returns every gradient and the norm of each
  Dtype dtype = Dtype::F32;

  /// With the defaults that depend on other options filled in: what keys and files hold.
  TrainingOptions resolved() const {
    TrainingOptions options = *this;
    [[maybe_unused]] auto fill = []<typename T>(T &field, auto number) {
      if constexpr (std::same_as<T, std::optional<double>>)
        field = field.value_or(number);
    };
    // What is not filled in has one default for all optimizers: the member's, and every row's.
#define INGOT_NUMBER(FIELD, DEFAULT) fill(options.FIELD, DEFAULT);
#define INGOT_OPTIMIZER(NAME, TEXT, RATE, ...)                                                     \
  if (optimizer == Optimizer::NAME) {                                                              \
    __VA_ARGS__                                                                                    \
  }
#include "passes/options/Optimizers.def"
    return options;
  }

  /// The learning rate where none is given.
  double defaultRate() const {
    constexpr double rates[] = {
#define INGOT_NUMBER(...)
#define INGOT_OPTIMIZER(NAME, TEXT, RATE, ...) RATE,
#include "passes/options/Optimizers.def"
    };
    return rates[static_cast<size_t>(optimizer)];
  }

  static void fields(auto &self, auto &&visit) {
    visit(Field{"loss", "none: the model's output is the loss"}, self.loss);
    visit(Field{"loss_numbers"}, self.lossNumbers);
    visit(Field{"optimizer", "its numbers are flags of their own"}, self.optimizer);
    visit(Field{"weight_decay", "default: adamw and lamb 0.01, muon 0.1, others 0", atLeast(0)},
          self.weightDecay);
    visit(Field{"beta1", "decay of the first moment: adam…, nadam, radam, lion, lamb, muon",
                belowOne},
          self.beta1);
    visit(Field{"beta2", "of the second moment; default: 0.999, lion 0.99", belowOne}, self.beta2);
    visit(Field{"epsilon", "default: 1e-8, adagrad 1e-10, adadelta and lamb 1e-6, adafactor 2^-23",
                positive},
          self.epsilon);
    visit(
        Field{"momentum", "sgd's, rmsprop's and muon's; default: muon 0.95, others 0", atLeast(0)},
        self.momentum);
    visit(Field{"dampening", "sgd's, of gradients that enter the momentum", atLeast(0)},
          self.dampening);
    visit(Field{"nesterov", "sgd's: needs --momentum"}, self.nesterov);
    visit(Field{"alpha", "rmsprop's decay of the mean square", belowOne}, self.alpha);
    visit(Field{"centered", "rmsprop's: divides by the deviation"}, self.centered);
    visit(Field{"rho", "adadelta's decay of the mean squares", belowOne}, self.rho);
    visit(Field{"rate_decay", "adagrad's: divides the rate by 1 + this · steps", atLeast(0)},
          self.rateDecay);
    visit(Field{"momentum_decay", "nadam's", atLeast(0)}, self.momentumDecay);
    visit(Field{"beta2_decay",
                "adafactor's: the second moment of step t takes t^this of a new square",
                between(-100, 0)},
          self.beta2Decay);
    visit(Field{"least_scale",
                "adafactor's: least RMS of a parameter, which its rate is "
                "multiplied by",
                atLeast(0)},
          self.leastScale);
    visit(Field{"update_limit", "adafactor's: largest RMS of an update before its rate", positive},
          self.updateLimit);
    visit(Field{"match_rms", "muon's: updates of matrices have the RMS of adamw's"}, self.matchRms);
    visit(Field{"clip", "largest global gradient norm; 0: off", atLeast(0)}, self.clip);
    visit(Field{"dtype",
                "of what linear layers, matrix products and attention multiply, forward and "
                "backward; weights, optimizer state, norms, losses and sums stay f32"},
          self.dtype);
    visit(Field{"accumulate", "micro-batches whose gradients make one update", atLeast(1)},
          self.accumulate);
    visit(Field{"on_nan",
                "a loss or gradient that is not finite: stop with an error, skip the step's "
                "update, or continue"},
          self.onNonFinite);
    visit(Field{.name = "groups",
                .help = "parameters trained differently, as "
                        "'REGEX;frozen=true' or 'REGEX;rate_factor=0.1;weight_decay=0': the first "
                        "group that matches a whole name takes it; 'REGEX;adamw=true' trains "
                        "matrices as adamw does under muon; may be given several times",
                .flag = "group"},
          self.groups);
    visit(Field{"loss_weights", "the batch has `weights`, an f32 for each target"},
          self.lossWeights);
    visit(Field{"class_axis",
                "the output's dimension of classes, or cosine's of vectors; -1: the last",
                atLeast(-1)},
          self.classAxis);
    visit(Field{.name = "output",
                .help = "the output that the loss is of; default: logits, or the only one",
                .flag = "loss_output"},
          self.output);
    visit(Field{"gradients"}, self.gradients);
  }
};

constexpr auto enumNames(TrainingOptions::Optimizer) {
  return std::to_array<std::string_view>({
#define INGOT_NUMBER(...)
#define INGOT_OPTIMIZER(NAME, TEXT, ...) TEXT,
#include "passes/options/Optimizers.def"
  });
}

constexpr auto enumNames(TrainingOptions::Dtype) {
  return std::to_array<std::string_view>({"f32", "bf16"});
}

} // namespace ingot
