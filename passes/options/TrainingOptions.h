/// How a model is trained: the one place where these options and their defaults live.
#pragma once
#include <optional>

namespace ingot {

/// Loss, optimizer and their numbers; defaults are PyTorch's.
struct TrainingOptions {
  enum class Loss {
    None,         ///< @forward already returns the scalar loss
    CrossEntropy, ///< mean over positions of -log softmax(logits)[target]
    Mse,          ///< mean of (output - target)²
  };
  enum class Optimizer { AdamW, Sgd };

  Loss loss = Loss::CrossEntropy;
  Optimizer optimizer = Optimizer::AdamW;
  double beta1 = 0.9;    ///< AdamW's decay of the first moment, in [0, 1)
  double beta2 = 0.999;  ///< AdamW's decay of the second moment, in [0, 1)
  double epsilon = 1e-8; ///< AdamW's, added outside the root
  /// On every trained tensor; AdamW: decoupled; SGD: added to the gradient. Unset: 0.01 and 0.
  std::optional<double> weightDecay;
  double momentum = 0; ///< SGD's; 0 keeps no state
  double clip = 0;     ///< largest global gradient norm; 0 switches clipping off
  int accumulate = 1;  ///< micro-batches a step; the batch has this many times the rows

  double decay() const { return weightDecay.value_or(optimizer == Optimizer::AdamW ? 0.01 : 0); }
};

} // namespace ingot
