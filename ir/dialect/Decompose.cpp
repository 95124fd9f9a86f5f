/// The definition of each composite in smaller graph ops: the only one. Narrow floats are widened
/// first (accumulationType) and the results rounded once, as a fused kernel does.
#include "ir/dialect/GraphBuilder.h"
#include "ir/formulas/Formulas.h"
#include <cmath>
#include <limits>
#include <numbers>

using namespace mlir;

namespace ingot::graph {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

Value widen(GraphBuilder &build, Value x) {
  return build.cast(x, accumulationType(tensorType(x).getElementType()));
}

/// Rounds `x` to the element type of `like`, which is a result of the composite.
Value roundTo(GraphBuilder &build, Value x, Value like) {
  return build.cast(x, tensorType(like).getElementType());
}

/// exp(x - max) along `dimension` with its sum and log-sum-exp, without overflow.
struct Exponentials {
  Value values, sum, lse;
};

Exponentials shiftedExponentials(GraphBuilder &build, Value x, int64_t dimension) {
  Value max = build.reduceMax(x, dimension);
  Value values = build.exp(build.sub(x, build.broadcastReducedLike(max, x, dimension)));
  Value sum = build.reduceSum(values, dimension);
  return {values, sum, build.add(build.log(sum), max)};
}

} // namespace

SmallVector<Value> FormulaOp::decompose(OpBuilder &builder) {
  GraphBuilder build(builder, getLoc());
  auto terms = llvm::map_to_vector(
      getOperands(), [&](Value x) { return formulas::Term{&build, widen(build, x)}; });
  Value result = findFormula(getName())->expand(terms, getParameters()).value;
  return {roundTo(build, result, getResult())};
}

SmallVector<Value> SoftmaxOp::decompose(OpBuilder &builder) {
  GraphBuilder build(builder, getLoc());
  int64_t dimension = getDimension();
  Exponentials e = shiftedExponentials(build, widen(build, getOperand()), dimension);
  Value factor = build.make<ReciprocalOp>(e.sum);
  Value result = build.mul(e.values, build.broadcastReducedLike(factor, e.values, dimension));
  return {roundTo(build, result, getResult())};
}

SmallVector<Value> LayerNormOp::decompose(OpBuilder &builder) {
  GraphBuilder build(builder, getLoc());
  Value x = widen(build, getOperand());
  int64_t last = tensorType(x).getRank() - 1;
  Value mean = build.reduceMean(x, last);
  Value centered = build.sub(x, build.broadcastReducedLike(mean, x, last));
  Value variance = build.reduceMean(build.square(centered), last);
  Value square = build.add(variance, getEpsilon().convertToDouble());
  // The difference is 0 and changes no bit, or NaN where the variance overflowed: 1/√∞ would make
  // such a row 0.
  Value rstd = build.add(build.rsqrt(square), build.sub(square, square));
  Value normal = build.mul(centered, build.broadcastReducedLike(rstd, x, last));
  Value scaled = build.mul(normal, build.broadcastLike(widen(build, getScale()), x));
  Value result = build.add(scaled, build.broadcastLike(widen(build, getBias()), x));
  return {roundTo(build, result, getResult()), mean, rstd};
}

SmallVector<Value> LinearOp::decompose(OpBuilder &builder) {
  GraphBuilder build(builder, getLoc());
  auto type = tensorType(getOperand());
  int64_t rows = 1;
  for (int64_t size : type.getShape().drop_back())
    rows = ShapedType::isDynamic(size) || ShapedType::isDynamic(rows) ? ShapedType::kDynamic
                                                                      : rows * size;
  Value matrix = build.reshape(getOperand(), {rows, type.getShape().back()});
  Value product = build.contract(matrix, getWeight(), {}, {}, {1}, {1});
  if (getBias())
    product = build.add(product, build.broadcastLike(getBias(), product));
  return {build.reshape(product, tensorType(getResult()).getShape())};
}

SmallVector<Value> EmbeddingOp::decompose(OpBuilder &builder) {
  return {GraphBuilder(builder, getLoc()).gather(getTable(), getIndices(), 0)};
}

/// scale·q·kᵀ [batch, heads, queries, keys], -inf where a causal mask hides the key.
static Value attentionScores(GraphBuilder &build, Value query, Value key, double scale,
                             bool causal) {
  Value scores = build.mul(build.contract(query, key, {0, 1}, {0, 1}, {3}, {3}), scale);
  if (!causal)
    return scores;
  ArrayRef<int64_t> shape = tensorType(scores).getShape();
  int64_t queries = shape[2], keys = shape[3];
  Type index = build.builder.getI32Type();
  Value lastVisible = build.add(build.iota({queries, keys}, index, 0), double(keys - queries));
  Value visible = build.compare(Comparison::Le, build.iota({queries, keys}, index, 1), lastVisible);
  return build.select(build.broadcastLike(visible, scores), scores,
                      build.splatLike(scores, -infinity));
}

SmallVector<Value> AttentionOp::decompose(OpBuilder &builder) {
  GraphBuilder build(builder, getLoc());
  Value query = widen(build, getQuery()), key = widen(build, getKey()),
        value = widen(build, getValue());
  Value scores = attentionScores(build, query, key, getScale().convertToDouble(), getCausal());
  Exponentials e = shiftedExponentials(build, scores, 3);
  Value weighted = build.contract(e.values, value, {0, 1}, {0, 1}, {3}, {2});
  Value factor = build.make<ReciprocalOp>(e.sum);
  Value result = build.mul(weighted, build.broadcastReducedLike(factor, weighted, 3));
  return {roundTo(build, result, getResult()), e.lse};
}

SmallVector<Value> AttentionBackwardOp::decompose(OpBuilder &builder) {
  GraphBuilder build(builder, getLoc());
  Value query = widen(build, getQuery()), key = widen(build, getKey()),
        value = widen(build, getValue());
  Value output = widen(build, getOutput()), gradient = widen(build, getGradient());
  double scale = getScale().convertToDouble();
  Value scores = attentionScores(build, query, key, scale, getCausal());
  Value probabilities =
      build.exp(build.sub(scores, build.broadcastReducedLike(getLse(), scores, 3)));
  Value byProbability = build.contract(gradient, value, {0, 1}, {0, 1}, {3}, {3});
  Value delta = build.reduceSum(build.mul(gradient, output), 3);
  Value byScore =
      build.mul(build.mul(probabilities,
                          build.sub(byProbability, build.broadcastReducedLike(delta, scores, 3))),
                scale);
  Value byQuery = build.contract(byScore, key, {0, 1}, {0, 1}, {3}, {2});
  Value byKey = build.contract(byScore, query, {0, 1}, {0, 1}, {2}, {2});
  Value byValue = build.contract(probabilities, gradient, {0, 1}, {0, 1}, {2}, {2});
  return {roundTo(build, byQuery, getQueryGradient()), roundTo(build, byKey, getKeyGradient()),
          roundTo(build, byValue, getValueGradient())};
}

SmallVector<Value> CrossEntropyOp::decompose(OpBuilder &builder) {
  GraphBuilder build(builder, getLoc());
  Value logits = widen(build, getLogits());
  auto type = tensorType(logits);
  int64_t classes = type.getRank() - 1;
  Exponentials e = shiftedExponentials(build, logits, classes);
  Value classIndex =
      build.iota(type.getShape(), tensorType(getTargets()).getElementType(), classes);
  Value isTarget = build.compare(Comparison::Eq, classIndex,
                                 build.broadcastReducedLike(getTargets(), logits, classes));
  Value targetLogit =
      build.reduceSum(build.select(isTarget, logits, build.zerosLike(logits)), classes);
  SmallVector<int64_t> positions = llvm::to_vector(llvm::seq<int64_t>(0, classes));
  return {build.reduceMean(build.sub(e.lse, targetLogit), positions), e.lse};
}

SmallVector<Value> MseOp::decompose(OpBuilder &builder) {
  GraphBuilder build(builder, getLoc());
  Value error = build.sub(widen(build, getPrediction()), widen(build, getTarget()));
  SmallVector<int64_t> all = llvm::to_vector(llvm::seq<int64_t>(0, tensorType(error).getRank()));
  return {build.reduceMean(build.square(error), all)};
}

/// What an update stores: `after`, rounded to the type of `before`, which it replaces; with `skips`
/// `before` itself where the gradient scale is NaN.
static Value replacement(GraphBuilder &build, bool skips, Value scale, Value before, Value after) {
  after = roundTo(build, after, before);
  if (!skips)
    return after;
  Value applies = build.broadcastLike(build.compare(Comparison::Eq, scale, scale), after);
  return build.select(applies, after, before);
}

SmallVector<Value> AdamWOp::decompose(OpBuilder &builder) {
  GraphBuilder build(builder, getLoc());
  double beta1 = getBeta1().convertToDouble(), beta2 = getBeta2().convertToDouble();
  SmallVector<Value> parameters, firsts, seconds;
  for (auto [parameter, gradient, first, second] :
       llvm::zip_equal(getParameters(), getGradients(), getFirstMoments(), getSecondMoments())) {
    Type type = accumulationType(tensorType(parameter).getElementType());
    Value p = widen(build, parameter);
    auto spread = [&](Value scalar) { return build.broadcastLike(build.cast(scalar, type), p); };
    Value rate = build.cast(getLearningRate(), type);
    Value decay = build.sub(1, build.mul(rate, getWeightDecay().convertToDouble()));
    Value stepSize = build.div(rate, build.cast(getCorrection1(), type));
    Value inverse2 = build.make<ReciprocalOp>(build.cast(getCorrection2(), type));

    Value g = build.mul(widen(build, gradient), spread(getGradientScale()));
    Value m = build.add(build.mul(widen(build, first), beta1), build.mul(g, 1 - beta1));
    Value v =
        build.add(build.mul(widen(build, second), beta2), build.mul(build.square(g), 1 - beta2));
    Value denominator =
        build.add(build.sqrt(build.mul(v, spread(inverse2))), getEpsilon().convertToDouble());
    Value step = build.div(build.mul(m, spread(stepSize)), denominator);
    auto replace = [&](Value before, Value after) {
      return replacement(build, getSkips(), getGradientScale(), before, after);
    };
    parameters.push_back(replace(parameter, build.sub(build.mul(p, spread(decay)), step)));
    firsts.push_back(replace(first, m));
    seconds.push_back(replace(second, v));
  }
  llvm::append_range(parameters, firsts);
  llvm::append_range(parameters, seconds);
  return parameters;
}

SmallVector<Value> SgdOp::decompose(OpBuilder &builder) {
  GraphBuilder build(builder, getLoc());
  double momentum = getMomentum().convertToDouble();
  SmallVector<Value> parameters, momenta;
  for (auto [index, parameter] : llvm::enumerate(getParameters())) {
    Value p = widen(build, parameter);
    auto spread = [&](Value scalar) {
      return build.broadcastLike(build.cast(scalar, tensorType(p).getElementType()), p);
    };
    Value g = build.mul(widen(build, getGradients()[index]), spread(getGradientScale()));
    Value direction = build.add(g, build.mul(p, getWeightDecay().convertToDouble()));
    if (!getMomenta().empty()) {
      Value buffer = getMomenta()[index];
      direction = build.add(build.mul(widen(build, buffer), momentum), direction);
      momenta.push_back(replacement(build, getSkips(), getGradientScale(), buffer, direction));
    }
    Value step = build.mul(direction, spread(getLearningRate()));
    parameters.push_back(
        replacement(build, getSkips(), getGradientScale(), parameter, build.sub(p, step)));
  }
  llvm::append_range(parameters, momenta);
  return parameters;
}

} // namespace ingot::graph
