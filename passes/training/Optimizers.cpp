#include "passes/training/Optimizers.h"

namespace ingot {
namespace {

using Options = TrainingOptions;
using Names = llvm::SmallVector<llvm::StringRef>;
using Numbers = llvm::SmallVector<double>;

Names moments(const Options &) { return {"adam.m.", "adam.v."}; }
Numbers betas(const Options &options) { return {options.beta1, options.beta2}; }

/// The step of Adam's moments, which it updates; epsilon is added outside the root (Kingma and Ba
/// 2015, as PyTorch computes it).
ElementUpdate::Term adamStep(const Options &o, ElementUpdate &e, ElementUpdate::Term g,
                             ElementUpdate::Term stepSize) {
  auto inverse = reciprocal(e.corrections[1]);
  auto &m = e.state[0], &v = e.state[1];
  m = m * o.beta1 + g * (1 - o.beta1);
  v = v * o.beta2 + g * g * (1 - o.beta2);
  auto denominator = sqrt(v * inverse) + o.epsilon;
  return m * stepSize / denominator;
}

const OptimizerRow rows[] = {
    // Decoupled weight decay (Loshchilov and Hutter 2019).
    {Options::Optimizer::AdamW, moments, betas,
     [](const Options &o, ElementUpdate &e) {
       auto decay = 1.0 - e.rate * e.weightDecay, stepSize = e.rate / e.corrections[0];
       auto step = adamStep(o, e, e.gradient, stepSize);
       e.parameter = e.parameter * decay - step;
     }},
    // Weight decay is part of the gradient.
    {Options::Optimizer::Adam, moments, betas,
     [](const Options &o, ElementUpdate &e) {
       auto stepSize = e.rate / e.corrections[0];
       auto g = e.gradient + e.parameter * e.weightDecay;
       e.parameter = e.parameter - adamStep(o, e, g, stepSize);
     }},
    // The same.
    {Options::Optimizer::Sgd,
     [](const Options &o) -> Names { return o.momentum == 0 ? Names() : Names{"sgd.momentum."}; },
     [](const Options &) -> Numbers { return {}; },
     [](const Options &o, ElementUpdate &e) {
       auto direction = e.gradient + e.parameter * e.weightDecay;
       if (!e.state.empty())
         e.state[0] = direction = e.state[0] * o.momentum + direction;
       e.parameter = e.parameter - direction * e.rate;
     }},
};

} // namespace

const OptimizerRow &rowOf(Options::Optimizer optimizer) {
  for (const OptimizerRow &row : rows)
    if (row.optimizer == optimizer)
      return row;
  llvm_unreachable("an optimizer without a row");
}

} // namespace ingot
