/// Rows of losses, and of the updates that ONNX's training domain defines.
#include "frontend/onnx/Rows.h"
#include <algorithm>

namespace ingot::onnx {
namespace {

//===--------------------------------------------------------------------------------------------===//
// Losses over [batch, classes, …]
//===--------------------------------------------------------------------------------------------===//

Value reduced(Call &c, Value losses, Value weights) {
  const std::string reduction = c.text("reduction", "mean");
  if (reduction == "none")
    return losses;
  Value total = c.b.sum(losses);
  if (reduction == "sum")
    return total;
  return weights.valid() ? total / c.b.sum(weights) : c.b.mean(losses);
}

/// -weight · logs[target], and the weights where not all are 1.
struct Likelihood {
  Value losses, weights;
};

Likelihood likelihoodOf(Call &c, Value logs, Value targets, Value weight) {
  targets = c.b.cast(targets, ElementType::I64);
  Shape apart = targets.shape();
  apart.insert(apart.begin() + 1, 1);
  Value isTarget = c.b.compare(Comparison::Equal, c.b.reshape(targets, apart),
                               c.b.iota(logs.shape(), 1, ElementType::I64));
  auto pick = [&](Value x) { return c.b.sum(c.b.select(isTarget, x, c.scalarLike(logs, 0)), {1}); };
  Likelihood result{c.b.neg(pick(logs)), {}};
  if (weight.valid()) {
    Shape channels(size_t(rank(logs)), 1);
    channels[1] = logs.shape()[1];
    result.weights = pick(c.b.broadcast(c.b.reshape(weight, channels), logs.shape()));
  }
  if (const AttributeProto *ignored = c.attribute("ignore_index")) {
    Value counts = c.b.cast(
        c.b.compare(Comparison::NotEqual, targets, c.constant({ignored->i}, {})), logs.type());
    result.weights = result.weights.valid() ? result.weights * counts : counts;
  }
  if (result.weights.valid())
    result.losses = result.losses * result.weights;
  return result;
}

Items negativeLogLikelihood(Call &c) {
  Value logs = c.operand(0);
  if (rank(logs) < 2)
    return {c.refuse("it needs [batch, classes, …]")};
  const Likelihood l = likelihoodOf(c, logs, c.operand(1), c.optional(2));
  return {reduced(c, l.losses, l.weights)};
}

Items softmaxCrossEntropy(Call &c) {
  Value scores = c.operand(0);
  if (rank(scores) < 2)
    return {c.refuse("it needs [batch, classes, …]")};
  Value logs = c.logSoftmax(scores, 1);
  const Likelihood l = likelihoodOf(c, logs, c.operand(1), c.optional(2));
  return {reduced(c, l.losses, l.weights), logs};
}

//===--------------------------------------------------------------------------------------------===//
// Updates
//===--------------------------------------------------------------------------------------------===//

/// Inputs are the rate, the number of updates so far, then as many tensors of each kind as there
/// are parameters; outputs are the new tensors of the kinds that change.
using Update = std::vector<Value> (*)(Call &, Value rate, Value count, const std::vector<Value> &);

Items updateAll(Call &c, size_t kinds, Update update) {
  Value rate = c.operand(0), count = c.operand(1);
  if (c.inputs() < 2 + kinds || (c.inputs() - 2) % kinds)
    return {c.refuse("its inputs do not come in groups")};
  const size_t parameters = (c.inputs() - 2) / kinds;
  std::vector<Items> results;
  for (size_t i = 0; i < parameters; ++i) {
    std::vector<Value> of;
    for (size_t kind = 0; kind < kinds; ++kind)
      of.push_back(c.operand(2 + kind * parameters + i));
    std::vector<Value> changed = update(c, rate, count, of);
    results.resize(changed.size());
    for (size_t kind = 0; kind < changed.size(); ++kind)
      results[kind].emplace_back(changed[kind]);
  }
  Items all;
  for (const Items &kind : results)
    all.insert(all.end(), kind.begin(), kind.end());
  return all;
}

Value regularized(Call &c, Value x, Value gradient) {
  return gradient + x * c.scalarLike(x, c.number("norm_coefficient", 0));
}

std::vector<Value> adagradOf(Call &c, Value rate, Value count, const std::vector<Value> &of) {
  Value x = of[0], gradient = regularized(c, x, of[1]);
  Value step =
      rate / (c.b.cast(count, rate.type()) * c.scalarLike(rate, c.number("decay_factor", 0)) +
              c.scalarLike(rate, 1));
  Value sum = of[2] + gradient * gradient;
  Value root = c.b.sqrt(sum) + c.scalarLike(x, c.number("epsilon", 1e-6));
  return {x - step * gradient / root, sum};
}

std::vector<Value> momentumOf(Call &c, Value rate, Value count, const std::vector<Value> &of) {
  Value x = of[0], gradient = regularized(c, x, of[1]);
  // The first update takes the gradient whole.
  const double alpha = c.number("alpha", 0), beta = c.number("beta", 0);
  Value isFirst = c.b.compare(Comparison::Equal, count, c.scalarLike(count, 0));
  Value share = c.b.select(isFirst, c.scalarLike(x, 1), c.scalarLike(x, beta));
  Value velocity = of[2] * c.scalarLike(x, alpha) + gradient * share;
  const bool isNesterov = c.text("mode", "standard") == "nesterov";
  Value step = isNesterov ? gradient + velocity * c.scalarLike(x, alpha) : velocity;
  return {x - rate * step, velocity};
}

std::vector<Value> adamOf(Call &c, Value rate, Value count, const std::vector<Value> &of) {
  Value x = of[0], gradient = regularized(c, x, of[1]);
  const double alpha = c.number("alpha", 0.9), beta = c.number("beta", 0.999);
  auto moved = [&](Value moment, Value now, double decay) {
    return moment * c.scalarLike(x, decay) + now * c.scalarLike(x, 1 - decay);
  };
  Value first = moved(of[2], gradient, alpha), second = moved(of[3], gradient * gradient, beta);
  Value root = c.b.sqrt(second) + c.scalarLike(x, c.number("epsilon", 1e-6));
  Value t = c.b.cast(count, rate.type()), one = c.scalarLike(rate, 1);
  Value corrected = rate * c.b.sqrt(one - c.b.pow(c.scalarLike(rate, beta), t)) /
                    (one - c.b.pow(c.scalarLike(rate, alpha), t));
  Value isFirst = c.b.compare(Comparison::Equal, count, c.scalarLike(count, 0));
  Value next = x - c.b.select(isFirst, rate, corrected) * first / root;
  return {next * c.scalarLike(x, 1 - c.number("norm_coefficient_post", 0)), first, second};
}

Items adagrad(Call &c) { return updateAll(c, 3, adagradOf); }
Items momentum(Call &c) { return updateAll(c, 3, momentumOf); }
Items adam(Call &c) { return updateAll(c, 4, adamOf); }

constexpr Row losses[] = {
    {"NegativeLogLikelihoodLoss", 12, newestOpset, negativeLogLikelihood},
    {"SoftmaxCrossEntropyLoss", 12, newestOpset, softmaxCrossEntropy},
};

constexpr Row updates[] = {
    {"Adagrad", 1, newestOpset, adagrad},
    {"Adam", 1, newestOpset, adam},
    {"Momentum", 1, newestOpset, momentum},
};

} // namespace

std::span<const Row> lossRows() { return losses; }
std::span<const Row> updateRows() { return updates; }

} // namespace ingot::onnx
