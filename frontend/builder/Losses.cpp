/// Losses of more than a prediction and its targets, in terms of Builder's smaller operations.
#include "frontend/builder/BuilderImpl.h"
#include <cmath>

namespace ingot {

using Value = Builder::Value;

namespace {

Value like(Builder &b, Value x, double value) { return b.scalar(value, x.type()); }

bool isFloat(Value x) { return graph::kindOf(x.type()) == graph::ElementKind::Float; }
bool isIndex(Value x) { return x.type() == ElementType::I32 || x.type() == ElementType::I64; }

Value reduced(Builder &b, Value losses, Reduction reduction) {
  const Shape &shape = losses.shape();
  switch (reduction) {
  case Reduction::Mean:
    return b.mean(losses);
  case Reduction::Sum:
    return b.sum(losses);
  case Reduction::BatchMean:
    return b.div(b.sum(losses), like(b, losses, shape.empty() ? 1 : double(shape[0])));
  case Reduction::None:
    break;
  }
  return losses;
}

} // namespace

//===--------------------------------------------------------------------------------------------===//
// Of elements and rows
//===--------------------------------------------------------------------------------------------===//

Value Builder::gaussianNll(Value mean, Value target, Value variance, bool full, double epsilon,
                           Reduction reduction) {
  if (!impl->usable("gaussian_nll", {mean, target, variance}))
    return impl->invalid();
  if (!isFloat(mean) || target.type() != mean.type() || variance.type() != mean.type() ||
      target.shape() != mean.shape())
    return impl->fail("gaussian_nll", {mean, target, variance},
                      "mean and target need one shape, all three one type of floats");
  // PyTorch's clamp passes gradients on: a variance below epsilon is replaced by epsilon plus the
  // variance less what no gradient flows through, the same number.
  constexpr double scale = 0x1p80;
  Value constant =
      mul(floor(mul(variance, like(*this, variance, scale))), like(*this, variance, 1 / scale));
  Value least = like(*this, variance, epsilon);
  Value clamped = select(compare(Comparison::Less, variance, least),
                         add(least, sub(variance, constant)), variance);
  Value squares = square(sub(mean, target));
  Value losses = mul(add(log(clamped), div(squares, clamped)), like(*this, mean, 0.5));
  if (full)
    losses = add(losses, like(*this, losses, 0.5 * std::log(2 * M_PI)));
  return impl->valid(losses) ? reduced(*this, losses, reduction) : losses;
}

Value Builder::tripletMargin(Value anchor, Value positive, Value negative, double margin, double p,
                             double epsilon, bool swap, Reduction reduction) {
  if (!impl->usable("triplet_margin", {anchor, positive, negative}))
    return impl->invalid();
  if (!isFloat(anchor) || anchor.shape().empty() || positive.shape() != anchor.shape() ||
      negative.shape() != anchor.shape() || positive.type() != anchor.type() ||
      negative.type() != anchor.type())
    return impl->fail("triplet_margin", {anchor, positive, negative},
                      "needs vectors of floats, of one shape and type");
  if (!(p >= 1))
    return impl->fail("triplet_margin", {anchor}, fmt::format("there is no norm of order {}", p));
  auto distance = [&](Value a, Value b) {
    Value lengths = abs(add(sub(a, b), like(*this, a, epsilon)));
    if (p == 1)
      return sum(lengths, {-1});
    if (p == 2)
      return sqrt(sum(square(lengths), {-1}));
    return pow(sum(pow(lengths, like(*this, a, p)), {-1}), like(*this, a, 1 / p));
  };
  Value apart = distance(anchor, negative);
  if (swap)
    apart = minimum(apart, distance(positive, negative));
  Value lack = add(sub(distance(anchor, positive), apart), like(*this, anchor, margin));
  return reduced(*this, relu(lack), reduction);
}

//===--------------------------------------------------------------------------------------------===//
// Connectionist temporal classification
//===--------------------------------------------------------------------------------------------===//

namespace {

/// log(e^a + e^b + e^c) where -inf stands for nothing at all: its gradient is 0, not NaN.
Value logSum(Builder &b, Value x, Value y, Value z) {
  const Value zero = like(b, x, 0), none = like(b, x, -INFINITY);
  Value largest = b.maximum(b.maximum(x, y), z);
  Value shift = b.select(b.compare(Comparison::Equal, largest, none), zero, largest);
  auto share = [&](Value part) { return b.exp(b.sub(part, shift)); };
  Value total = b.add(b.add(share(x), share(y)), share(z));
  Value isNone = b.compare(Comparison::Equal, total, zero);
  return b.select(isNone, none, b.add(shift, b.log(b.select(isNone, like(b, x, 1), total))));
}

/// Graves et al. 2006: the logarithms of the probabilities of all ways to the labels so far, a row
/// of 2·labels + 1 places for each example, with blanks around the labels.
class Alignment {
public:
  Alignment(Builder &b, Value logs, Value targets, Value targetLengths, int64_t blank)
      : b(b), logs(logs), examples(targets.shape()[0]), places(2 * targets.shape()[1] + 1) {
    Value empty = b.scalar(double(blank), targets.type());
    Value column = b.iota(targets.shape(), 1, targets.type());
    // What follows a target's end may be anything.
    Value isThere = b.compare(Comparison::Less, column,
                              b.reshape(b.cast(targetLengths, targets.type()), {examples, 1}));
    Value labels = b.select(isThere, targets, empty);
    between = interleaved(b.broadcast(empty, labels.shape()), labels, empty);
    Value before =
        b.concat(std::vector<Value>{b.broadcast(empty, {examples, labels.shape()[1] ? 1 : 0}),
                                    shortened(labels)},
                 1);
    Value differs = b.bitAnd(b.compare(Comparison::NotEqual, labels, empty),
                             b.compare(Comparison::NotEqual, labels, before));
    Value no = b.constant(Tensor(ElementType::I1, {}));
    skips = interleaved(b.broadcast(no, labels.shape()), differs, no);
  }

  /// -log of the probability of each example's targets.
  Value losses(Value inputLengths, Value targetLengths) {
    const Value none = like(b, logs, -INFINITY);
    const Shape row{examples, places};
    Value isFirst = b.compare(Comparison::Equal, b.iota(row, 1, ElementType::I32),
                              b.scalar(0, ElementType::I32));
    Value start = b.select(isFirst, like(b, logs, 0), b.broadcast(none, row));
    Value emitted = ofLabels();
    const Value lengths = b.reshape(b.cast(inputLengths, ElementType::I64), {examples, 1});
    const Value initial[] = {start};
    Value last = b.loop(logs.shape()[0], initial, [&](Value time, std::span<const Value> carried) {
      Value here = carried[0];
      Value now = b.reshape(b.dynamicSlice(emitted, time, 0, 1), row);
      Value skipped = b.select(skips, moved(here, 2, none), b.broadcast(none, row));
      Value next = b.add(logSum(b, here, moved(here, 1, none), skipped), now);
      return std::vector<Value>{b.select(
          b.compare(Comparison::Less, b.cast(time, ElementType::I64), lengths), next, here)};
    })[0];
    return b.neg(atEnd(last, b.cast(targetLengths, ElementType::I64)));
  }

private:
  /// even, odd, even, odd, …, end along the last dimension.
  Value interleaved(Value even, Value odd, Value end) {
    const int64_t labels = odd.shape()[1];
    auto apart = [&](Value x) { return b.reshape(x, {examples, labels, 1}); };
    Value pairs =
        b.reshape(b.concat(std::vector<Value>{apart(even), apart(odd)}, 2), {examples, 2 * labels});
    return b.concat(std::vector<Value>{pairs, b.broadcast(end, {examples, 1})}, 1);
  }
  /// Without the last label.
  Value shortened(Value labels) {
    const int64_t size = labels.shape()[1];
    return b.slice(labels, 1, 0, size ? size - 1 : 0);
  }
  /// Elements `by` places on; `none` where there were none.
  Value moved(Value x, int64_t by, Value none) {
    if (by >= places)
      return b.broadcast(none, x.shape());
    Value start = b.broadcast(none, {examples, by});
    return b.concat(std::vector<Value>{start, b.slice(x, 1, 0, places - by)}, 1);
  }
  /// [time, examples, places]: the logarithm of each place's label.
  Value ofLabels() {
    const Shape &shape = logs.shape();
    const int64_t classes = shape[2];
    Value number = b.add(b.mul(b.iota(between.shape(), 0, ElementType::I64),
                               b.scalar(double(classes), ElementType::I64)),
                         b.cast(between, ElementType::I64));
    Value flat = b.reshape(logs, {shape[0], examples * classes});
    return b.gather(flat, number, 1);
  }
  /// Where the targets end: at the last label, or at the blank after it.
  Value atEnd(Value last, Value lengths) {
    Value place = b.mul(lengths, b.scalar(2, ElementType::I64));
    auto at = [&](Value column) {
      Value row = b.mul(b.iota({examples}, 0, ElementType::I64),
                        b.scalar(double(places), ElementType::I64));
      return b.gather(b.reshape(last, {examples * places}), b.add(row, column), 0);
    };
    Value isEmpty = b.compare(Comparison::Equal, place, b.scalar(0, ElementType::I64));
    Value before = b.sub(
        place, b.select(isEmpty, b.scalar(0, ElementType::I64), b.scalar(1, ElementType::I64)));
    Value none = b.broadcast(like(b, last, -INFINITY), {examples});
    return logSum(b, at(place), b.select(isEmpty, none, at(before)), none);
  }

  Builder &b;
  Value logs;
  int64_t examples, places;
  Value between, skips;
};

} // namespace

Value Builder::ctc(Value logs, Value targets, Value inputLengths, Value targetLengths,
                   int64_t blank, bool zeroInfinity, Reduction reduction) {
  if (!impl->usable("ctc", {logs, targets, inputLengths, targetLengths}))
    return impl->invalid();
  auto fail = [&](const std::string &why) {
    return impl->fail("ctc", {logs, targets, inputLengths, targetLengths}, why);
  };
  const Shape shape = logs.shape();
  if (shape.size() != 3 || !isFloat(logs))
    return fail("needs logarithms of probabilities, [time, batch, classes]");
  if (blank < 0 || blank >= shape[2])
    return fail(fmt::format("blank {} is none of {} classes", blank, shape[2]));
  if (!isIndex(targets) || targets.shape().size() != 2 || targets.shape()[0] != shape[1])
    return fail("targets must be [batch, labels], i32 or i64");
  for (Value lengths : {inputLengths, targetLengths})
    if (!isIndex(lengths) || lengths.shape() != Shape{shape[1]})
      return fail("there must be two lengths for each example, i32 or i64");
  Value wide = cast(logs, logs.type() == ElementType::F64 ? ElementType::F64 : ElementType::F32);
  Value losses =
      Alignment(*this, wide, targets, targetLengths, blank).losses(inputLengths, targetLengths);
  if (!impl->valid(losses))
    return losses;
  if (zeroInfinity)
    losses = select(compare(Comparison::Equal, losses, like(*this, losses, INFINITY)),
                    like(*this, losses, 0), losses);
  if (reduction == Reduction::Mean) {
    Value lengths = maximum(cast(targetLengths, losses.type()), like(*this, losses, 1));
    losses = div(losses, lengths);
  }
  return reduced(*this, losses, reduction);
}

} // namespace ingot
