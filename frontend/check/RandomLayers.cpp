/// The layers of random graphs: one row each.
#include "frontend/check/RandomDraw.h"
#include <algorithm>

namespace ingot {
namespace {

constexpr Elements Numbers = Elements::Numbers, Floats = Elements::Floats;

//===--------------------------------------------------------------------------------------------===//
// Products, windows, layers
//===--------------------------------------------------------------------------------------------===//

void matmul(Draw &d) {
  Value a = d.pick(d.chance(0.9) ? Floats : Numbers, 2, 4);
  Shape shape = a.shape();
  shape[shape.size() - 2] = shape.back();
  shape.back() = d.size();
  if (d.chance(0.4))
    shape.erase(shape.begin(), shape.end() - 2);
  d.give(d.b.matmul(a, d.like(a.type(), shape)));
}

/// A dimension of each side is summed over, and sometimes one is a batch's.
void contract(Draw &d) {
  Value a = d.pick(Floats, 1, 3);
  const int64_t over = d.dimensionOf(a);
  std::vector<int64_t> batch;
  if (const int64_t other = d.dimensionOf(a); other != over && d.chance(0.5))
    batch = {other};
  Shape shape = d.shape(0, 1);
  const int64_t place = d.between(0, int64_t(shape.size()));
  shape.insert(shape.begin() + place, a.shape()[size_t(over)]);
  if (!batch.empty())
    shape.push_back(a.shape()[size_t(batch[0])]);
  const std::vector<int64_t> theirs(batch.size(), int64_t(shape.size()) - 1);
  d.give(d.b.contract(a, d.like(a.type(), shape), batch, theirs, {over}, {place}));
}

void linear(Draw &d) {
  Value x = d.pick(Floats, 1, 3);
  const int64_t out = d.size();
  Value weight = d.fresh(x.type(), {out, x.shape().back()});
  d.give(d.b.linear(x, weight, d.chance(0.5) ? d.fresh(x.type(), {out}) : Value()));
}

/// [batch, channels, …] with so many channels.
Value images(Draw &d, int64_t channels, int64_t rank) {
  Shape shape{d.between(1, 2), channels};
  for (int64_t i = 0; i < rank; ++i)
    shape.push_back(d.between(3, rank > 1 ? 7 : 12));
  return d.like(d.type(Floats), shape);
}

Convolution windows(Draw &d, int64_t rank, int64_t groups) {
  Convolution how;
  how.groups = groups;
  for (int64_t i = 0; i < rank; ++i) {
    how.strides.push_back(d.between(1, 2));
    how.dilations.push_back(d.chance(0.7) ? 1 : 2);
    how.low.push_back(d.between(0, 2));
    how.high.push_back(d.between(0, 2));
  }
  return how;
}

template <bool transposed> void convolution(Draw &d) {
  const int64_t rank = d.between(1, 2), groups = d.chance(0.6) ? 1 : 2;
  const int64_t in = groups * d.between(1, 3), out = groups * d.between(1, 3);
  Value x = images(d, in, rank);
  Shape kernel = transposed ? Shape{in, out / groups} : Shape{out, in / groups};
  for (int64_t i = 0; i < rank; ++i)
    kernel.push_back(d.between(1, 3));
  Value weight = d.fresh(x.type(), kernel);
  Value bias = d.chance(0.5) ? d.fresh(x.type(), {out}) : Value();
  const Convolution how = windows(d, rank, groups);
  d.give(transposed ? d.b.transposedConvolution(x, weight, bias, how)
                    : d.b.convolution(x, weight, bias, how));
}

Pooling pooling(Draw &d, int64_t rank) {
  Pooling how;
  for (int64_t i = 0; i < rank; ++i) {
    how.sizes.push_back(d.between(1, 3));
    how.strides.push_back(d.between(1, 3));
    how.dilations.push_back(d.chance(0.8) ? 1 : 2);
    how.low.push_back(d.between(0, how.sizes.back() / 2));
    how.high.push_back(d.between(0, how.sizes.back() / 2));
  }
  how.ceil = d.chance(0.3);
  how.countsPadding = d.chance(0.5);
  return how;
}

void maxPool(Draw &d) {
  const int64_t rank = d.between(1, 2);
  d.give(d.b.maxPool(images(d, d.between(1, 3), rank), pooling(d, rank)));
}
void maxPoolWithNumbers(Draw &d) {
  const int64_t rank = d.between(1, 2);
  d.give(d.b.maxPoolWithNumbers(images(d, d.between(1, 3), rank), pooling(d, rank)));
}
void averagePool(Draw &d) {
  const int64_t rank = d.between(1, 2);
  d.give(d.b.averagePool(images(d, d.between(1, 3), rank), pooling(d, rank)));
}
void lpPool(Draw &d) {
  const int64_t rank = d.between(1, 2);
  d.give(d.b.lpPool(d.into(images(d, 2, rank), Range::Nonzero), double(d.between(1, 3)),
                    pooling(d, rank)));
}

void window(Draw &d) {
  Value x = d.pick(Elements::Any, 1, 3);
  const int64_t at = d.dimensionOf(x), size = x.shape()[size_t(at)];
  d.give(d.b.window(x, {at}, {d.between(1, std::max<int64_t>(size / 2, 1))}, {d.between(1, 2)},
                    {d.between(1, 2)}));
}

void embedding(Draw &d) {
  Value table = d.fresh(d.type(Floats), {d.between(1, 9), d.size()});
  d.give(d.b.embedding(table, d.indices(d.shape(0, 2), table.shape()[0])));
}

//===--------------------------------------------------------------------------------------------===//
// Norms, relatives of softmax, losses
//===--------------------------------------------------------------------------------------------===//

void layerNorm(Draw &d) {
  Value x = d.pick(Floats, 1, 4);
  const Shape width{x.shape().back()};
  d.give(d.b.layerNorm(x, d.fresh(x.type(), width), d.fresh(x.type(), width)));
}
void rmsNorm(Draw &d) {
  Value x = d.pick(Floats, 1, 4);
  d.give(d.b.rmsNorm(x, d.fresh(x.type(), {x.shape().back()})));
}
void groupNorm(Draw &d) {
  Value x = images(d, 4, d.between(0, 2));
  d.give(d.b.groupNorm(x, d.oneOf<int64_t>({1, 2, 4}), d.fresh(x.type(), {4}),
                       d.fresh(x.type(), {4})));
}
void instanceNorm(Draw &d) {
  Value x = images(d, 3, d.between(1, 2));
  d.give(d.b.instanceNorm(x, d.fresh(x.type(), {3}), d.fresh(x.type(), {3})));
}
void batchNorm(Draw &d) {
  Value x = images(d, 3, d.between(0, 2));
  // Refused: state in a region, a channel without a variance.
  if (d.isInRegion() || elementCount(x.shape()) < 2 * x.shape()[1])
    return;
  auto channel = [&] { return d.fresh(x.type(), {3}); };
  Value scale = channel(), bias = channel();
  auto state = [&](const char *name, double start) {
    return d.b.state(fmt::format("{}{}", name, d.between(0, 1 << 30)), {3},
                     Initializer::constant(start), x.type());
  };
  Value mean = state("mean", 0), variance = state("variance", 1);
  d.give(d.b.batchNorm(x, scale, bias, mean, variance));
}
void localResponseNorm(Draw &d) {
  d.give(d.b.localResponseNorm(images(d, d.between(1, 5), d.between(0, 2)), d.between(1, 4), 0.1));
}
void softmax(Draw &d) {
  Value x = d.pick(Floats, 1);
  d.give(d.b.softmax(x, d.dimensionOf(x)));
}
void logSoftmax(Draw &d) {
  Value x = d.pick(Floats, 1);
  d.give(d.b.logSoftmax(x, d.dimensionOf(x)));
}
void hardmax(Draw &d) {
  Value x = d.pick(Floats, 1);
  d.give(d.b.hardmax(x, d.dimensionOf(x)));
}

void attention(Draw &d) {
  const Shape shape{d.between(1, 2), d.between(1, 2), d.between(1, 9), d.oneOf<int64_t>({1, 4, 8})};
  const ElementType type = d.type(Floats);
  Value q = d.like(type, shape), k = d.like(type, shape), v = d.like(type, shape);
  AttentionOptions how{.causal = d.chance(0.5)};
  if (d.chance(0.3)) {
    Shape mask = {shape[0], shape[1], shape[2], shape[2]};
    for (int64_t &size : mask)
      size = d.chance(0.5) ? size : 1;
    how.mask = d.like(d.chance(0.5) ? ElementType::I1 : type, mask);
  }
  auto place = [&] { return d.indices(d.chance(0.5) ? Shape{} : Shape{shape[0]}, shape[2] + 1); };
  if (d.chance(0.2))
    how.offset = place();
  if (d.chance(0.2))
    how.length = place();
  if (d.chance(0.2))
    how.softCap = 2;
  if (d.chance(0.2))
    how.window = d.between(1, 9);
  d.give(d.b.attention(q, k, v, how));
}

LossNumbers lossNumbers(Draw &d, Loss loss, int64_t classes) {
  LossNumbers numbers;
  numbers.reduction = Reduction(d.between(0, 3));
  const bool ofClasses =
      loss == Loss::CrossEntropy || loss == Loss::Nll || loss == Loss::MultiMargin;
  if (ofClasses && d.chance(0.4))
    for (int64_t i = 0; i < classes; ++i)
      numbers.classWeights.push_back(double(d.between(1, 8)) / 4);
  if ((loss == Loss::CrossEntropy || loss == Loss::Nll) && d.chance(0.4))
    numbers.ignoreIndex = d.between(0, classes - 1);
  if (loss == Loss::CrossEntropy && d.chance(0.4))
    numbers.labelSmoothing = 0.1;
  if (loss == Loss::CrossEntropy && !numbers.ignoreIndex && d.chance(0.3))
    numbers.softTargets = true;
  if (loss == Loss::MultiMargin && d.chance(0.5))
    numbers.power = 2;
  return numbers;
}

void loss(Draw &d) {
  const Loss loss = Loss(d.between(1, int64_t(enumNames(Loss()).size()) - 1));
  Shape shape = d.shape(1, 3);
  shape.back() = std::max<int64_t>(shape.back(), 1);
  Value x = d.into(d.like(d.chance(0.8) ? ElementType::F32 : d.type(Floats), shape),
                   loss == Loss::Bce ? Range::Share : Range::Unit);
  const LossNumbers numbers = lossNumbers(d, loss, shape.back());
  const bool ofClasses =
      loss == Loss::CrossEntropy || loss == Loss::Nll || loss == Loss::MultiMargin;
  Value targets = d.into(d.like(x.type(), shape), Range::Share);
  if (ofClasses && !numbers.softTargets) {
    shape.pop_back();
    targets = d.indices(shape, x.shape().back());
  } else if (loss == Loss::HingeEmbedding || loss == Loss::SoftMargin) {
    targets = d.b.sign(targets - d.b.scalar(0.5, x.type()));
  }
  d.give(d.b.loss(loss, x, targets, numbers));
}

void cosineEmbedding(Draw &d) {
  Value a = d.pick(Floats, 1, 3), b = d.like(a.type(), a.shape());
  Shape rows = a.shape();
  rows.pop_back();
  d.give(d.b.cosineEmbedding(a, b, d.b.sign(d.like(a.type(), rows)), 0.25));
}

void gaussianNll(Draw &d) {
  Value mean = d.pick(Floats, 0, 3);
  d.give(d.b.gaussianNll(mean, d.like(mean.type(), mean.shape()),
                         d.into(d.like(mean.type(), mean.shape()), Range::Positive), d.chance(0.5),
                         1e-6, Reduction(d.between(0, 3))));
}

void tripletMargin(Draw &d) {
  Value a = d.pick(Floats, 1, 3);
  auto other = [&] { return d.like(a.type(), a.shape()); };
  d.give(d.b.tripletMargin(a, other(), other(), 1, double(d.between(1, 2)), 1e-6, d.chance(0.5),
                           Reduction(d.between(0, 3))));
}

void ctc(Draw &d) {
  const int64_t time = d.between(1, 6), batch = d.between(1, 3), classes = d.between(2, 4),
                labels = d.between(0, 3);
  Value logs = d.b.logSoftmax(d.like(d.type(Floats), {time, batch, classes}), 2);
  Value targets = d.indices({batch, labels}, classes);
  Value inputs = d.indices({batch}, time + 1), lengths = d.indices({batch}, labels + 1);
  d.give(d.b.ctc(logs, targets, inputs, lengths, 0, d.chance(0.5), Reduction(d.between(0, 3))));
}

void crossEntropy(Draw &d) {
  Value x = d.like(ElementType::F32, {d.between(1, 5), d.between(1, 9)});
  d.give(d.b.crossEntropy(x, d.indices({x.shape()[0]}, x.shape()[1])));
}
void mse(Draw &d) {
  Value x = d.pick(Floats, 1);
  d.give(d.b.mse(x, d.like(x.type(), x.shape())));
}

} // namespace

const std::vector<RandomRow> &layerRows() {
  static const std::vector<RandomRow> rows = {
      {"matmul", matmul, 5},
      {"contract", contract, 5},
      {"linear", linear, 5},
      {"convolution", convolution<false>, 3},
      {"transposedConvolution", convolution<true>, 2},
      {"maxPool", maxPool, 2},
      {"maxPoolWithNumbers", maxPoolWithNumbers},
      {"averagePool", averagePool, 2},
      {"lpPool", lpPool},
      {"window", window, 2},
      {"embedding", embedding, 3},
      {"layerNorm", layerNorm, 3},
      {"rmsNorm", rmsNorm, 2},
      {"groupNorm", groupNorm},
      {"instanceNorm", instanceNorm},
      {"batchNorm", batchNorm, 2},
      {"localResponseNorm", localResponseNorm},
      {"softmax", softmax, 3},
      {"logSoftmax", logSoftmax, 2},
      {"hardmax", hardmax},
      {"attention", attention, 3},
      {"loss", loss, 5},
      {"cosineEmbedding", cosineEmbedding},
      {"gaussianNll", gaussianNll},
      {"tripletMargin", tripletMargin},
      {"ctc", ctc},
      {"crossEntropy", crossEntropy, 2},
      {"mse", mse},
  };
  return rows;
}

} // namespace ingot
