#include "passes/training/Optimizers.h"
#include <cmath>

namespace ingot {
namespace {

using Options = TrainingOptions;
using Term = ElementUpdate::Term;
using Names = llvm::SmallVector<llvm::StringRef>;
using Functions = llvm::SmallVector<StepFunction>;

Functions none(const Options &) { return {}; }

//===--------------------------------------------------------------------------------------------===//
// Scalars of a step
//===--------------------------------------------------------------------------------------------===//

Term power(double base, Term exponent) { return exp(exponent * std::log(base)); }

/// 1 - beta^t: what a mean that starts at 0 has seen of t gradients.
StepFunction seen(double beta) {
  return [beta](Term t) { return 1.0 - power(beta, t); };
}
Functions bothSeen(const Options &o) { return {seen(o.beta1), seen(*o.beta2)}; }

/// NAdam's momentum of step t, which grows to beta1 (Dozat 2016).
Term nadamMomentum(const Options &o, Term t) {
  return (1.0 - power(0.96, t * o.momentumDecay) * 0.5) * o.beta1;
}

/// The product of those of the steps 1 to t. With q = 0.96^decay, its logarithm is t·log beta1 plus
/// Σᵢ log(1 - qⁱ/2) = -Σₖ 2⁻ᵏ/k · Σᵢ qᵏⁱ, whose inner sums are geometric; 40 outer ones are more
/// than f64 tells apart from all.
Term nadamProduct(const Options &o, Term t) {
  const double logQ = std::log(0.96) * o.momentumDecay;
  Term logarithm = t * std::log(o.beta1);
  for (int k = 1; k <= 40; ++k) {
    const double share = std::ldexp(1.0 / k, -k);
    logarithm = logarithm - (logQ == 0 ? t * share
                                       : expm1(t * (k * logQ)) *
                                             (share * std::exp(k * logQ) / std::expm1(k * logQ)));
  }
  return exp(logarithm);
}

/// RAdam's factor of √v̂'s reciprocal, 0 while the variance cannot be told (Liu et al. 2020).
Term radamFactor(const Options &o, Term t) {
  const double limit = 2 / (1 - *o.beta2) - 1;
  Term share = seen(*o.beta2)(t);
  Term length = limit - t * 2.0 * (1.0 - share) / share, safe = choose(length > 5.0, length, 6.0);
  Term rectified = (safe - 4.0) * (safe - 2.0) * limit / (safe * ((limit - 4) * (limit - 2)));
  return choose(length > 5.0, sqrt(rectified * share), 0.0);
}

//===--------------------------------------------------------------------------------------------===//
// An element
//===--------------------------------------------------------------------------------------------===//

/// Weight decay as part of the gradient.
Term decayed(const ElementUpdate &e) { return e.gradient + e.parameter * e.weightDecay; }

/// Moves a mean towards x.
Term follow(Term &mean, double decay, Term x) { return mean = mean * decay + x * (1 - decay); }

/// The step of Adam's moments, which it updates; epsilon is added outside the root (Kingma and Ba
/// 2015, as PyTorch computes it).
Term adamStep(const Options &o, ElementUpdate &e, Term g, Term stepSize) {
  auto inverse = reciprocal(e.ofStep[1]);
  auto &m = e.state[0], &v = e.state[1];
  m = m * o.beta1 + g * (1 - o.beta1);
  v = v * *o.beta2 + g * g * (1 - *o.beta2);
  auto denominator = sqrt(v * inverse) + *o.epsilon;
  return m * stepSize / denominator;
}

const OptimizerRow rows[] = {
    // Decoupled weight decay (Loshchilov and Hutter 2019).
    {Options::Optimizer::AdamW, [](const Options &) -> Names { return {"adam.m.", "adam.v."}; },
     bothSeen,
     [](const Options &o, ElementUpdate &e) {
       auto decay = 1.0 - e.rate * e.weightDecay, stepSize = e.rate / e.ofStep[0];
       auto step = adamStep(o, e, e.gradient, stepSize);
       e.parameter = e.parameter * decay - step;
     }},
    {Options::Optimizer::Adam, [](const Options &) -> Names { return {"adam.m.", "adam.v."}; },
     bothSeen,
     [](const Options &o, ElementUpdate &e) {
       auto stepSize = e.rate / e.ofStep[0];
       e.parameter = e.parameter - adamStep(o, e, decayed(e), stepSize);
     }},
    // The first gradient enters the momentum whole.
    {Options::Optimizer::Sgd,
     [](const Options &o) -> Names { return o.momentum == 0 ? Names() : Names{"sgd.momentum."}; },
     [](const Options &o) -> Functions {
       if (o.momentum == 0 || o.dampening == 0)
         return {};
       return {[rest = 1 - o.dampening](Term t) {
         return choose(t > 1.0, graph::formulas::like(t, rest), 1.0);
       }};
     },
     [](const Options &o, ElementUpdate &e) {
       auto direction = decayed(e);
       if (!e.state.empty()) {
         auto entering = e.ofStep.empty() ? direction : direction * e.ofStep[0];
         auto &momentum = e.state[0] = e.state[0] * o.momentum + entering;
         direction = o.nesterov ? direction + momentum * o.momentum : momentum;
       }
       e.parameter = e.parameter - direction * e.rate;
     }},
    // The largest gradient, which decays, instead of the second moment (Kingma and Ba 2015).
    {Options::Optimizer::Adamax,
     [](const Options &) -> Names { return {"adamax.m.", "adamax.norm."}; },
     [](const Options &o) -> Functions { return {seen(o.beta1)}; },
     [](const Options &o, ElementUpdate &e) {
       auto g = decayed(e), m = follow(e.state[0], o.beta1, g);
       auto norm = e.state[1] = maximum(e.state[1] * *o.beta2, abs(g) + *o.epsilon);
       e.parameter = e.parameter - m * (e.rate / e.ofStep[0]) / norm;
     }},
    {Options::Optimizer::NAdam, [](const Options &) -> Names { return {"nadam.m.", "nadam.v."}; },
     [](const Options &o) -> Functions {
       return {seen(*o.beta2),
               [o](Term t) { return (1.0 - nadamMomentum(o, t)) / (1.0 - nadamProduct(o, t)); },
               [o](Term t) {
                 Term next = nadamMomentum(o, t + 1.0);
                 return next / (1.0 - nadamProduct(o, t) * next);
               }};
     },
     [](const Options &o, ElementUpdate &e) {
       auto g = decayed(e), m = follow(e.state[0], o.beta1, g);
       auto v = follow(e.state[1], *o.beta2, g * g);
       auto denominator = sqrt(v / e.ofStep[0]) + *o.epsilon;
       e.parameter = e.parameter - (g * e.ofStep[1] + m * e.ofStep[2]) * e.rate / denominator;
     }},
    {Options::Optimizer::RAdam, [](const Options &) -> Names { return {"radam.m.", "radam.v."}; },
     [](const Options &o) -> Functions {
       return {seen(o.beta1), [o](Term t) { return radamFactor(o, t); }};
     },
     [](const Options &o, ElementUpdate &e) {
       auto g = decayed(e), m = follow(e.state[0], o.beta1, g);
       auto v = follow(e.state[1], *o.beta2, g * g);
       auto adaptive = e.ofStep[1] / (sqrt(v) + *o.epsilon);
       auto factor = choose(e.ofStep[1] > 0.0, adaptive, 1.0);
       e.parameter = e.parameter - m * (e.rate / e.ofStep[0]) * factor;
     }},
    // Duchi et al. 2011.
    {Options::Optimizer::Adagrad, [](const Options &) -> Names { return {"adagrad.sum."}; },
     [](const Options &o) -> Functions {
       if (o.rateDecay == 0)
         return {};
       return {[decay = o.rateDecay](Term t) { return (t - 1.0) * decay + 1.0; }};
     },
     [](const Options &o, ElementUpdate &e) {
       auto g = decayed(e), sum = e.state[0] = e.state[0] + g * g;
       auto rate = e.ofStep.empty() ? e.rate : e.rate / e.ofStep[0];
       e.parameter = e.parameter - g * rate / (sqrt(sum) + *o.epsilon);
     }},
    // Zeiler 2012.
    {Options::Optimizer::Adadelta,
     [](const Options &) -> Names { return {"adadelta.square.", "adadelta.step."}; }, none,
     [](const Options &o, ElementUpdate &e) {
       auto g = decayed(e), square = follow(e.state[0], o.rho, g * g);
       auto step = sqrt(e.state[1] + *o.epsilon) / sqrt(square + *o.epsilon) * g;
       follow(e.state[1], o.rho, step * step);
       e.parameter = e.parameter - step * e.rate;
     }},
    // Tieleman and Hinton 2012; centered: Graves 2013.
    {Options::Optimizer::RmsProp,
     [](const Options &o) {
       Names names{"rmsprop.square."};
       if (o.centered)
         names.push_back("rmsprop.mean.");
       if (o.momentum != 0)
         names.push_back("rmsprop.momentum.");
       return names;
     },
     none,
     [](const Options &o, ElementUpdate &e) {
       auto g = decayed(e), square = follow(e.state[0], o.alpha, g * g);
       if (o.centered) {
         auto mean = follow(e.state[1], o.alpha, g);
         square = square - mean * mean;
       }
       auto step = g / (sqrt(square) + *o.epsilon);
       if (o.momentum != 0)
         e.state.back() = step = e.state.back() * o.momentum + step;
       e.parameter = e.parameter - step * e.rate;
     }},
    // Decoupled weight decay (Chen et al. 2023).
    {Options::Optimizer::Lion, [](const Options &) -> Names { return {"lion.m."}; }, none,
     [](const Options &o, ElementUpdate &e) {
       auto &m = e.state[0];
       auto direction = sign(m * o.beta1 + e.gradient * (1 - o.beta1));
       m = m * *o.beta2 + e.gradient * (1 - *o.beta2);
       e.parameter = e.parameter - (direction + e.parameter * e.weightDecay) * e.rate;
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
