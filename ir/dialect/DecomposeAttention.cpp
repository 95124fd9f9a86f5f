/// The definition of attention and of its gradients in smaller graph ops, which hold all scores:
/// what kernels compute block by block.
#include "ir/dialect/AttentionRule.h"
#include <limits>

using namespace mlir;

namespace ingot::graph {

double AttentionRule::share() const {
  if (keys <= 0)
    return 1;
  const double all = double(keys);
  double seen = all;
  if (after) // half of the keys come after a query, on average
    seen = std::min(all, all / 2 + double(*after));
  if (before)
    seen = std::min(seen, double(*before) + (after ? double(*after) + 1 : all / 2));
  return seen / all;
}

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// Rounds `x` to the element type of `like`, which is a result of the composite.
Value roundTo(GraphBuilder &build, Value x, Value like) {
  return build.cast(x, tensorType(like).getElementType());
}

/// [batch, heads, …] as [batch, key heads, group, …] where heads share keys.
Value splitByKeys(GraphBuilder &build, Value x, Value key) {
  SmallVector<int64_t> shape(shapeOf(x));
  const int64_t keyHeads = shapeOf(key)[1];
  if (shape[1] == keyHeads)
    return x;
  shape.insert(shape.begin() + 2, shape[1] / keyHeads);
  shape[1] = keyHeads;
  return build.reshape(x, shape);
}

/// left [batch, heads, queries, n] times right [batch, key heads, …], summed over n and a dimension
/// of the latter.
Value headProduct(GraphBuilder &build, Value left, Value right, int64_t dimension) {
  Value split = splitByKeys(build, left, right);
  Value product =
      build.contract(split, right, {0, 1}, {0, 1}, {tensorType(split).getRank() - 1}, {dimension});
  SmallVector<int64_t> shape(shapeOf(left));
  shape.back() = shapeOf(product).back();
  return build.reshape(product, shape);
}

/// Σ left·right over the queries of the heads that share keys, [batch, key heads, …].
Value sumOverQueries(GraphBuilder &build, Value left, Value right, Value key) {
  Value split = splitByKeys(build, left, key), other = splitByKeys(build, right, key);
  SmallVector<int64_t> summed = {2};
  if (split != left)
    summed.push_back(3);
  return build.contract(split, other, {0, 1}, {0, 1}, summed, summed);
}

Value both(GraphBuilder &build, Value a, Value b) {
  return a && b ? build.make<AndOp>(a, b) : a ? a : b;
}

/// An operand whose dimensions of size 1 stand for all of them.
Value spread(GraphBuilder &build, Value x, ArrayRef<int64_t> shape) {
  SmallVector<int64_t> sizes, places;
  for (auto [dim, size] : llvm::enumerate(shapeOf(x)))
    if (size != 1) {
      sizes.push_back(size);
      places.push_back(int64_t(dim));
    }
  return build.broadcast(build.reshape(x, sizes), shape, places);
}

/// Which keys the places of queries and keys show; null for all.
Value seenByPlace(GraphBuilder &build, const AttentionRule &rule, ArrayRef<int64_t> scores) {
  const int64_t shape[] = {scores[0], rule.queries, rule.keys};
  Type index = build.builder.getI64Type();
  Value column = build.iota(shape, index, 2), seen;
  /// An integer, or one for each of the batch.
  auto ofBatch = [&](Value given) {
    Value wide = build.cast(given, index);
    return tensorType(wide).getRank() ? build.broadcast(wide, shape, {0})
                                      : build.broadcast(wide, shape, {});
  };
  if (rule.isBanded()) {
    Value distance = build.sub(column, build.iota(shape, index, 1)), offset;
    if (rule.offset)
      offset = build.make<MaximumOp>(
          build.make<MinimumOp>(ofBatch(rule.offset),
                                build.splatLike(column, double(rule.mostOffset()))),
          build.splatLike(column, double(rule.leastOffset())));
    else
      offset = build.splatLike(column, double(rule.place()));
    if (rule.after)
      seen = build.compare(Comparison::Le, distance, build.add(offset, double(*rule.after)));
    if (rule.before)
      seen = both(build, seen,
                  build.compare(Comparison::Ge, distance, build.sub(offset, double(*rule.before))));
  }
  if (rule.length)
    seen = both(build, seen, build.compare(Comparison::Lt, column, ofBatch(rule.length)));
  return seen ? build.broadcast(seen, scores, {0, 2, 3}) : Value();
}

/// scale·q·kᵀ [batch, heads, queries, keys] under soft cap and mask, -inf where a key is hidden.
struct Scores {
  Value values;
  Value tanh; ///< of the soft cap; null without
  Value seen; ///< which are not hidden; null for all
};

Scores scoresOf(GraphBuilder &build, const AttentionRule &rule, Value query, Value key) {
  Scores scores{build.mul(headProduct(build, query, key, 3), rule.scale), {}, {}};
  if (rule.softCap != 0) {
    scores.tanh = build.tanh(build.div(scores.values, rule.softCap));
    scores.values = build.mul(scores.tanh, rule.softCap);
  }
  ArrayRef<int64_t> shape = shapeOf(scores.values);
  Value &seen = scores.seen = seenByPlace(build, rule, shape);
  if (rule.isBooleanMask()) {
    seen = both(build, seen, spread(build, rule.mask, shape));
  } else if (rule.mask) {
    Value mask = build.cast(rule.mask, tensorType(scores.values).getElementType());
    Value shown = build.compare(Comparison::Ne, mask, build.splatLike(mask, -infinity));
    seen = both(build, seen, spread(build, shown, shape));
    scores.values = build.add(scores.values, spread(build, mask, shape));
  }
  if (seen)
    scores.values = build.select(seen, scores.values, build.splatLike(scores.values, -infinity));
  return scores;
}

} // namespace

SmallVector<Value> AttentionOp::decompose(OpBuilder &builder) {
  GraphBuilder build(builder, getLoc());
  const AttentionRule rule(*this);
  Value query = build.widen(getQuery()), key = build.widen(getKey()),
        value = build.widen(getValue());
  Value scores = scoresOf(build, rule, query, key).values;
  Value max = build.reduceMax(scores, 3), sees;
  if (rule.mayHideAll()) { // a query that sees no key gets 0
    sees = build.compare(Comparison::Ne, max, build.splatLike(max, -infinity));
    max = build.select(sees, max, build.zerosLike(max));
  }
  Value values = build.exp(build.sub(scores, build.broadcastReducedLike(max, scores, 3)));
  Value sum = build.reduceSum(values, 3);
  Value weighted = headProduct(build, values, value, 2);
  Value factor = build.make<ReciprocalOp>(sum);
  if (sees)
    factor = build.select(sees, factor, build.zerosLike(factor));
  Value result = build.mul(weighted, build.broadcastReducedLike(factor, weighted, 3));
  return {roundTo(build, result, getResult()), build.add(build.log(sum), max)};
}

AttentionScoreGradients attentionScoreGradients(GraphBuilder &build, const AttentionRule &rule,
                                                Value query, Value key, Value value, Value output,
                                                Value lse, Value gradient) {
  const Scores scores = scoresOf(build, rule, query, key);
  auto byRow = [&](Value row) { return build.broadcastReducedLike(row, scores.values, 3); };
  if (rule.mayHideAll()) { // a query that sees no key gives no gradient
    Value sees = build.compare(Comparison::Ne, lse, build.splatLike(lse, -infinity));
    lse = build.select(sees, lse, build.splatLike(lse, infinity));
  }
  AttentionScoreGradients found;
  found.probabilities = build.exp(build.sub(scores.values, byRow(lse)));
  Value byProbability = headProduct(build, gradient, value, 3);
  Value delta = build.reduceSum(build.mul(gradient, output), 3);
  found.masked = build.mul(found.probabilities, build.sub(byProbability, byRow(delta)));
  if (scores.seen) // a hidden value may be infinite or NaN, which 0 times does not remove
    found.masked = build.select(scores.seen, found.masked, build.zerosLike(found.masked));
  found.raw = build.mul(found.masked, rule.scale);
  if (scores.tanh)
    found.raw = build.mul(found.raw, build.sub(1.0, build.square(scores.tanh)));
  return found;
}

SmallVector<Value> AttentionBackwardOp::decompose(OpBuilder &builder) {
  GraphBuilder build(builder, getLoc());
  Value query = build.widen(getQuery()), key = build.widen(getKey()),
        gradient = build.widen(getGradient());
  const AttentionScoreGradients scores =
      attentionScoreGradients(build, AttentionRule(*this), query, key, build.widen(getValue()),
                              build.widen(getOutput()), getLse(), gradient);
  Value byQuery = headProduct(build, scores.raw, key, 2);
  Value byKey = sumOverQueries(build, scores.raw, query, key);
  Value byValue = sumOverQueries(build, scores.probabilities, gradient, key);
  return {roundTo(build, byQuery, getQueryGradient()), roundTo(build, byKey, getKeyGradient()),
          roundTo(build, byValue, getValueGradient())};
}

} // namespace ingot::graph
