#include "passes/training/Optimizers.h"
#include <cmath>

namespace ingot {
namespace {

using Options = TrainingOptions;
using Term = ElementUpdate::Term;
using Names = llvm::SmallVector<llvm::StringRef>;
using Functions = llvm::SmallVector<StepFunction>;
using Dims = llvm::SmallVector<int64_t>;
using Shape = llvm::ArrayRef<int64_t>;

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

/// Decoupled weight decay (Loshchilov and Hutter 2019).
void adamw(const Options &o, ElementUpdate &e) {
  auto decay = 1.0 - e.rate * e.weightDecay, stepSize = e.rate / e.ofStep[0];
  auto step = adamStep(o, e, e.gradient, stepSize);
  e.parameter = e.parameter * decay - step;
}

/// What LAMB multiplies by the rate and by the ratio of norms; it moves the moments.
Term lambStep(const Options &o, ElementUpdate &e) {
  auto m = follow(e.state[0], o.beta1, e.gradient) / e.ofStep[0];
  auto v = follow(e.state[1], *o.beta2, e.gradient * e.gradient) / e.ofStep[1];
  return m / (sqrt(v) + *o.epsilon) + e.parameter * e.weightDecay;
}

//===--------------------------------------------------------------------------------------------===//
// A whole parameter
//===--------------------------------------------------------------------------------------------===//

Term norm(Term x) { return sqrt(Term{x.build, x.build->sumAll((x * x).value)}); }

Term mean(Term x, Shape dimensions) { return {x.build, x.build->reduceMean(x.value, dimensions)}; }

/// The root of the mean square of all elements.
Term rms(Term x) {
  const int64_t elements = graph::tensorType(x.value).getNumElements();
  return norm(x) * (1 / std::sqrt(double(std::max<int64_t>(elements, 1))));
}

/// A mean over a dimension of x, repeated along it.
Term repeated(Term mean, Term x, int64_t dimension) {
  return {x.build, x.build->broadcastReducedLike(mean.value, x.value, dimension)};
}

bool any(Shape) { return true; }
bool isMatrix(Shape shape) { return shape.size() == 2 && shape[0] > 0 && shape[1] > 0; }

/// You et al. 2020, algorithm 2: steps as long as the parameter, times the rate.
const WholeRow lamb = {any, nullptr, [](const Options &o, WholeUpdate &w) {
                         ElementUpdate elements = w.elements();
                         Term size = norm(w.parameter), step = norm(lambStep(o, elements));
                         w.scalars.push_back(choose(size > 0.0 && step > 0.0, size / step, 1.0));
                       }};

/// Matrices (and stacks of them) have the mean squares of rows and columns as state.
llvm::SmallVector<StateTensor> adafactorState(const Options &, Shape shape) {
  if (shape.size() < 2)
    return {{"adafactor.v.", Dims(shape), /*ofWhole=*/true}};
  Dims rows(shape.drop_back()), columns(shape.drop_back(2));
  columns.push_back(shape.back());
  return {{"adafactor.rows.", rows, true}, {"adafactor.columns.", columns, true}};
}

/// Shazeer and Stern 2018, as PyTorch has it.
const WholeRow adafactor = {
    any, adafactorState, [](const Options &o, WholeUpdate &w) {
      const Term g = w.gradient, share = w.ofStep[0];
      const auto rank = int64_t(graph::shapeOf(g.value).size());
      auto move = [&](size_t part, Term x) {
        const Term mean = w.state[part];
        Term towards{x.build, x.build->broadcastLike(share.value, x.value)};
        return w.replace(part, mean + (x - mean) * towards);
      };
      Term square = g * g, estimate = square;
      if (rank < 2) {
        estimate = move(0, square);
      } else {
        Term rows = move(0, mean(square, rank - 1));
        Term columns = move(1, mean(square, rank - 2));
        Term all = maximum(mean(rows, rank - 2), *o.epsilon);
        estimate = repeated(rows / repeated(all, rows, rank - 2), g, rank - 1) *
                   repeated(columns, g, rank - 2);
      }
      Term update = g * rsqrt(maximum(estimate, *o.epsilon * *o.epsilon));
      Term scale = maximum(rms(w.parameter), o.leastScale) * minimum(w.rate, w.ofStep[1]);
      w.tensors.push_back(update);
      w.scalars.push_back(scale / maximum(rms(update) * (1 / o.updateLimit), 1.0));
    }};

/// The orthogonal factor of a matrix, about: five steps of an iteration that brings its singular
/// values near 1, on the side on which its products are smaller (Jordan et al. 2024). In the type
/// that updates compute in, where PyTorch rounds to bf16.
Term orthogonal(Term x) {
  constexpr double a = 3.4445, b = -4.775, c = 2.0315, least = 1e-7;
  graph::GraphBuilder &build = *x.build;
  const int64_t rows = graph::shapeOf(x.value)[0], columns = graph::shapeOf(x.value)[1];
  const int64_t inner = rows > columns ? 0 : 1; // the side that a product sums over
  auto like = [&](Term scalar) { return Term{&build, build.broadcastLike(scalar.value, x.value)}; };
  x = x / like(maximum(norm(x), least));
  for (int step = 0; step < 5; ++step) {
    Term square{&build, build.contract(x.value, x.value, {}, {}, {inner}, {inner})};
    Term fourth{&build, build.contract(square.value, square.value, {}, {}, {1}, {0})};
    Term factor = square * b + fourth * c;
    // factor · x, or x · factor where x is taller than wide: the factor is symmetric.
    Term product{&build, inner == 1 ? build.contract(factor.value, x.value, {}, {}, {1}, {0})
                                    : build.contract(x.value, factor.value, {}, {}, {1}, {0})};
    x = x * a + product;
  }
  return x;
}

/// Nesterov's momentum, orthogonal; its size is the rate's, by the matrix's sides.
const WholeRow muon = {
    isMatrix,
    [](const Options &, Shape shape) -> llvm::SmallVector<StateTensor> {
      return {{"muon.momentum.", Dims(shape), /*ofWhole=*/true}};
    },
    [](const Options &o, WholeUpdate &w) {
      const Shape shape = graph::shapeOf(w.parameter.value);
      const double momentum = *o.momentum, rows = double(shape[0]), columns = double(shape[1]);
      Term m = w.state[0];
      m = w.replace(0, follow(m, momentum, w.gradient));
      w.tensors.push_back(orthogonal(w.gradient * (1 - momentum) + m * momentum));
      const double size = o.matchRms ? 0.2 * std::sqrt(std::max(rows, columns))
                                     : std::sqrt(std::max(1.0, rows / columns));
      w.scalars.push_back(w.rate * size);
    }};

//===--------------------------------------------------------------------------------------------===//
// The table
//===--------------------------------------------------------------------------------------------===//

const OptimizerRow rows[] = {
    {Options::Optimizer::AdamW, [](const Options &) -> Names { return {"adam.m.", "adam.v."}; },
     bothSeen, adamw},
    {Options::Optimizer::Adam, [](const Options &) -> Names { return {"adam.m.", "adam.v."}; },
     bothSeen,
     [](const Options &o, ElementUpdate &e) {
       auto stepSize = e.rate / e.ofStep[0];
       e.parameter = e.parameter - adamStep(o, e, decayed(e), stepSize);
     }},
    // The first gradient enters the momentum whole.
    {Options::Optimizer::Sgd,
     [](const Options &o) -> Names { return *o.momentum == 0 ? Names() : Names{"sgd.momentum."}; },
     [](const Options &o) -> Functions {
       if (*o.momentum == 0 || o.dampening == 0)
         return {};
       return {[rest = 1 - o.dampening](Term t) {
         return choose(t > 1.0, graph::formulas::like(t, rest), 1.0);
       }};
     },
     [](const Options &o, ElementUpdate &e) {
       auto direction = decayed(e);
       if (!e.state.empty()) {
         auto entering = e.ofStep.empty() ? direction : direction * e.ofStep[0];
         auto &momentum = e.state[0] = e.state[0] * *o.momentum + entering;
         direction = o.nesterov ? direction + momentum * *o.momentum : momentum;
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
       if (*o.momentum != 0)
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
       if (*o.momentum != 0)
         e.state.back() = step = e.state.back() * *o.momentum + step;
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
    {Options::Optimizer::Lamb, [](const Options &) -> Names { return {"lamb.m.", "lamb.v."}; },
     bothSeen,
     [](const Options &o, ElementUpdate &e) {
       e.parameter = e.parameter - lambStep(o, e) * (e.rate * e.ofWhole[0]);
     },
     &lamb},
    {Options::Optimizer::Adafactor, nullptr,
     [](const Options &o) -> Functions {
       return {[decay = o.beta2Decay](Term t) { return exp(log(t) * decay); },
               [](Term t) { return rsqrt(t); }};
     },
     [](const Options &, ElementUpdate &e) {
       auto decay = 1.0 - e.rate * e.weightDecay;
       e.parameter = e.parameter * decay - e.tensors[0] * e.ofWhole[0];
     },
     &adafactor},
    // What is no matrix is AdamW's.
    {Options::Optimizer::Muon, [](const Options &) -> Names { return {"adam.m.", "adam.v."}; },
     bothSeen,
     [](const Options &o, ElementUpdate &e) {
       if (e.tensors.empty())
         return adamw(o, e);
       auto decay = 1.0 - e.rate * e.weightDecay;
       e.parameter = e.parameter * decay - e.tensors[0] * e.ofWhole[0];
     },
     &muon},
};

} // namespace

ElementUpdate WholeUpdate::elements() const {
  auto spread = [&](Term scalar) -> Term {
    return {scalar.build, scalar.build->broadcastLike(scalar.value, parameter.value)};
  };
  return {.parameter = parameter,
          .state = state,
          .gradient = gradient,
          .rate = spread(rate),
          .weightDecay = spread(weightDecay),
          .ofStep = llvm::map_to_vector(ofStep, spread)};
}

bool OptimizerRow::takesWhole(Shape shape) const { return whole && whole->takes(shape); }

llvm::SmallVector<StateTensor> OptimizerRow::state(const Options &options, Shape shape,
                                                   bool isWhole) const {
  if (isWhole && whole->state)
    return whole->state(options, shape);
  return llvm::map_to_vector(elementState(options), [&](llvm::StringRef prefix) {
    return StateTensor{prefix, Dims(shape)};
  });
}

const OptimizerRow &rowOf(Options::Optimizer optimizer) {
  for (const OptimizerRow &row : rows)
    if (row.optimizer == optimizer)
      return row;
  llvm_unreachable("an optimizer without a row");
}

} // namespace ingot
