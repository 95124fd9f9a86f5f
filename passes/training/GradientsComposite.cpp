/// Gradients of composites, from the results their forward ops saved.
#include "ir/dialect/AttentionRule.h"
#include "ir/dialect/Diagnostics.h"
#include "ir/dialect/TransposedConvolution.h"
#include "passes/training/Gradients.h"
#include "llvm/ADT/Sequence.h"

using namespace mlir;
using namespace ingot::graph;

namespace ingot {
namespace {

using G = GradientBuilder;
using Dims = SmallVector<int64_t>;

/// All dimensions but the last.
Dims leadingDims(Value value) {
  return llvm::to_vector(llvm::seq<int64_t>(0, tensorType(value).getRank() - 1));
}

int64_t lastDim(Value value) { return tensorType(value).getRank() - 1; }
int64_t lastSize(Value value) { return tensorType(value).getShape().back(); }

/// The same rows without the structure above them: [rows, width].
Value flattenRows(G &g, Value value) {
  int64_t width = lastSize(value), rows = 1;
  for (int64_t size : tensorType(value).getShape().drop_back())
    rows *= size;
  return g.reshape(value, {rows, width});
}

void softmaxGradient(G &g, SoftmaxOp op, Value dy) {
  Value y = g.widen(op.getResult());
  dy = g.widen(dy);
  Dims dims = {int64_t(op.getDimension())};
  Value weighted = g.broadcastReducedLike(g.reduceSum(g.mul(dy, y), dims), y, dims);
  g.give(op.getOperand(), g.mul(y, g.sub(dy, weighted)));
}

void logSoftmaxGradient(G &g, LogSoftmaxOp op, Value dy) {
  Value y = g.widen(op.getResult());
  dy = g.widen(dy);
  Dims dims = {int64_t(op.getDimension())};
  Value total = g.broadcastReducedLike(g.reduceSum(dy, dims), y, dims);
  g.give(op.getOperand(), g.sub(dy, g.mul(g.exp(y), total)));
}

//===--------------------------------------------------------------------------------------------===//
// Layer norm
//===--------------------------------------------------------------------------------------------===//

/// With n = (x - mean)·rstd and d = dy·scale: dx = rstd·(d - mean(d) - n·mean(d·n)).
void layerNormGradient(G &g, LayerNormOp op) {
  Value x = g.widen(op.getOperand());
  Dims last = {lastDim(x)}, rows = leadingDims(x);
  auto spread = [&](Value row) { return g.broadcastReducedLike(row, x, last); };
  Value rstd = spread(op.getRstd());
  Value normal = g.mul(g.sub(x, spread(op.getMean())), rstd);
  if (Value narrow = g.cotangent(op.getResult())) {
    Value dy = g.widen(narrow);
    g.give(op.getScale(), g.reduceSum(g.mul(dy, normal), rows));
    g.give(op.getBias(), g.reduceSum(dy, rows));
    Value d = g.mul(dy, g.broadcastLike(g.widen(op.getScale()), x));
    Value mean = spread(g.reduceMean(d, last));
    Value projection = spread(g.reduceMean(g.mul(d, normal), last));
    g.give(op.getOperand(), g.mul(rstd, g.sub(g.sub(d, mean), g.mul(normal, projection))));
  }
  double share = 1.0 / lastSize(x);
  if (Value dmean = g.cotangent(op.getMean()))
    g.give(op.getOperand(), spread(g.mul(dmean, share)));
  // d rstd / dx = -rstd²·n / width.
  if (Value drstd = g.cotangent(op.getRstd()))
    g.give(op.getOperand(),
           g.mul(normal, spread(g.mul(g.mul(drstd, g.square(op.getRstd())), -share))));
}

/// As of a layer norm in training, over the elements of a channel; else the statistics are given.
LogicalResult batchNormGradient(G &g, BatchNormOp op) {
  for (Value statistic : op->getResults().drop_front())
    if (g.cotangent(statistic))
      return op.emitError("the loss depends on statistics of a batch norm: they have no gradient");
  Value x = g.widen(op.getOperand()), dy = g.widen(g.cotangent(op.getResult()));
  Dims reduced = {0};
  llvm::append_range(reduced, llvm::seq<int64_t>(2, tensorType(x).getRank()));
  auto spread = [&](Value channel) { return g.broadcastReducedLike(channel, x, reduced); };
  Value normal = g.mul(g.sub(x, spread(op.getUsedMean())), spread(op.getRstd()));
  Value byScale = g.reduceSum(g.mul(dy, normal), reduced), byBias = g.reduceSum(dy, reduced);
  g.give(op.getScale(), byScale);
  g.give(op.getBias(), byBias);
  if (op.getTraining()) {
    const double share =
        double(tensorType(x).getDimSize(1)) / double(tensorType(x).getNumElements());
    dy = g.sub(g.sub(dy, spread(g.mul(byBias, share))),
               g.mul(normal, spread(g.mul(byScale, share))));
  } else { // y = (x - mean)·rstd·scale + bias with rstd = (variance + epsilon)^-1/2
    Value slope = g.mul(g.widen(op.getScale()), op.getRstd());
    g.give(op.getMean(), g.mul(g.mul(byBias, slope), -1));
    g.give(op.getVariance(), g.mul(g.mul(g.mul(byScale, slope), op.getRstd()), -0.5));
  }
  g.give(op.getOperand(), g.mul(dy, spread(g.mul(g.widen(op.getScale()), op.getRstd()))));
  return success();
}

//===--------------------------------------------------------------------------------------------===//
// Linear and attention
//===--------------------------------------------------------------------------------------------===//

/// dX = dY·W, dW = dYᵀ·X, db = Σ_rows dY on flattened rows, dY rounded as the operands are.
void linearGradient(G &g, LinearOp op, Value dy) {
  Value x = op.getOperand(), weight = op.getWeight();
  Value rows = flattenRows(g, g.castAtSource(dy, tensorType(x).getElementType()));
  if (g.isActive(x)) {
    Value dx = g.contractWide(rows, weight, {}, {}, {1}, {0});
    g.give(x, g.reshape(dx, tensorType(x).getShape()));
  }
  if (g.isActive(weight))
    g.give(weight, g.contractWide(rows, flattenRows(g, x), {}, {}, {0}, {0}));
  if (Value bias = op.getBias())
    g.give(bias, g.reduceSum(g.widen(rows), {0}));
}

/// dX is the transposed convolution; dW contracts dY with x's windows over batch and positions.
void convolutionGradient(G &g, ConvolutionOp op, Value dy) {
  Value x = op.getOperand(), weight = op.getWeight();
  const int64_t groups = op.getGroups(), spatial = op.getStrides().size();
  ArrayRef<int64_t> sizes = shapeOf(weight).drop_front(2);
  if (g.isActive(x))
    g.give(x, transposedConvolution(g, dy, weight, op.getStrides(), op.getDilations(), op.getLow(),
                                    shapeOf(x).drop_front(2), groups));
  if (g.isActive(weight)) {
    Value windows = g.groupWindows(g.pad(x, 2, op.getLow(), op.getHigh()), sizes, op.getStrides(),
                                   op.getDilations(), groups);
    const bool isDepthwise = groups == shapeOf(weight)[0] && groups == shapeOf(x)[1];
    Value given = g.splitGroups(isDepthwise ? g.widen(dy) : dy, 1, groups);
    const int64_t channel = groups == 1 ? 1 : 2; // one group is no dimension
    SmallVector<int64_t> summed = {0};
    for (int64_t dim = 0; dim < spatial; ++dim)
      summed.push_back(channel + 1 + dim);
    if (isDepthwise) { // as a contraction it would have one row
      const auto places = llvm::to_vector(llvm::seq<int64_t>(0, channel + 1 + spatial));
      Value spread = g.broadcast(given, shapeOf(windows), places);
      Value dw = g.reduceSum(g.mul(g.widen(windows), spread), summed);
      return g.give(weight, g.reshape(dw, shapeOf(weight)));
    }
    const auto group = llvm::to_vector(llvm::seq<int64_t>(1, channel));
    Value dw = g.contract(given, windows, group, group, summed, summed);
    g.give(weight, g.reshape(dw, shapeOf(weight)));
  }
}

/// That of a mask that is added, and trained, by the definition: it is as large as the scores.
void attentionMaskGradient(G &g, AttentionOp op, Value dy) {
  Value mask = op.getMask();
  const AttentionScoreGradients scores = attentionScoreGradients(
      g, AttentionRule(op), g.widen(op.getQuery()), g.widen(op.getKey()), g.widen(op.getValue()),
      g.widen(op.getResult()), op.getLse(), g.widen(dy));
  Dims repeated;
  for (auto [dim, size] : llvm::enumerate(shapeOf(mask)))
    if (size == 1)
      repeated.push_back(int64_t(dim));
  g.give(mask, g.reshape(g.reduceSum(scores.masked, repeated), shapeOf(mask)));
}

LogicalResult attentionGradient(G &g, AttentionOp op) {
  if (g.cotangent(op.getLse()))
    return emitUnsupported(op.getLoc()) << "the log-sum-exp of attention cannot be differentiated";
  Value dy = g.cotangent(op.getResult());
  auto backward = AttentionBackwardOp::create(
      g.builder, g.location, op.getQuery(), op.getKey(), op.getValue(), op.getResult(), op.getLse(),
      dy, op.getMask(), op.getOffset(), op.getLength(), op.getScaleAttr(), op.getCausalAttr(),
      op.getSoftCapAttr(), op.getBeforeAttr(), op.getAfterAttr());
  g.give(op.getQuery(), backward.getQueryGradient());
  g.give(op.getKey(), backward.getKeyGradient());
  g.give(op.getValue(), backward.getValueGradient());
  if (op.getMask() && g.isActive(op.getMask()))
    attentionMaskGradient(g, op, dy);
  return success();
}

//===--------------------------------------------------------------------------------------------===//
// Losses
//===--------------------------------------------------------------------------------------------===//

/// dlogits = (softmax - onehot)·dloss/count, softmax = exp(logits - lse); a cotangent of lse adds
/// softmax·dlse.
void crossEntropyGradient(G &g, CrossEntropyOp op) {
  Value logits = g.widen(op.getLogits());
  auto type = tensorType(logits);
  Dims last = {lastDim(logits)};
  auto spread = [&](Value row) { return g.broadcastReducedLike(row, logits, last); };
  Value probability = g.exp(g.sub(logits, spread(op.getLse())));
  if (Value dloss = g.cotangent(op.getLoss())) {
    Type index = tensorType(op.getTargets()).getElementType();
    Value isTarget = g.compare(Comparison::Eq, g.iota(type.getShape(), index, last.front()),
                               spread(op.getTargets()));
    Value error = g.select(isTarget, g.sub(probability, 1.0), probability);
    int64_t count = tensorType(op.getTargets()).getNumElements();
    g.give(op.getLogits(), g.mul(error, g.broadcastLike(g.mul(dloss, 1.0 / count), logits)));
  }
  if (Value dlse = g.cotangent(op.getLse()))
    g.give(op.getLogits(), g.mul(probability, spread(dlse)));
}

void mseGradient(G &g, MseOp op, Value dloss) {
  Value difference = g.sub(g.widen(op.getPrediction()), g.widen(op.getTarget()));
  double share = 2.0 / tensorType(difference).getNumElements();
  Value gradient = g.mul(difference, g.broadcastLike(g.mul(dloss, share), difference));
  g.give(op.getPrediction(), gradient);
  g.give(op.getTarget(), g.neg(gradient));
}

} // namespace

ArrayRef<GradientRow> compositeGradients() {
  static const GradientRow rows[] = {
      gradientRow<SoftmaxOp>([](G &g, SoftmaxOp op, Value dy) { softmaxGradient(g, op, dy); }),
      gradientRow<LogSoftmaxOp>(
          [](G &g, LogSoftmaxOp op, Value dy) { logSoftmaxGradient(g, op, dy); }),
      gradientRow<PickOp>([](G &g, PickOp op, Value dy) {
        Value x = op.getOperand();
        const Dims dims = {int64_t(op.getDimension())};
        auto spread = [&](Value line) { return g.broadcastReducedLike(line, x, dims); };
        Value place =
            g.iota(shapeOf(x), tensorType(op.getIndices()).getElementType(), dims.front());
        Value isPicked = g.compare(Comparison::Eq, place, spread(op.getIndices()));
        g.give(x, g.select(isPicked, spread(dy), g.zerosLike(x)));
      }),
      gradientRow<LayerNormOp>([](G &g, LayerNormOp op) { layerNormGradient(g, op); }),
      gradientRow<BatchNormOp>([](G &g, BatchNormOp op) { return batchNormGradient(g, op); }),
      gradientRow<ConvolutionOp>(
          [](G &g, ConvolutionOp op, Value dy) { convolutionGradient(g, op, dy); }),
      gradientRow<LinearOp>([](G &g, LinearOp op, Value dy) { linearGradient(g, op, dy); }),
      gradientRow<EmbeddingOp>([](G &g, EmbeddingOp op, Value dy) {
        Value zeros = g.zerosLike(op.getTable());
        g.give(op.getTable(), g.scatterAdd(zeros, op.getIndices(), dy, 0));
      }),
      gradientRow<AttentionOp>([](G &g, AttentionOp op) { return attentionGradient(g, op); }),
      gradientRow<CrossEntropyOp>([](G &g, CrossEntropyOp op) { crossEntropyGradient(g, op); }),
      gradientRow<MseOp>([](G &g, MseOp op, Value dy) { mseGradient(g, op, dy); }),
  };
  return rows;
}

} // namespace ingot
