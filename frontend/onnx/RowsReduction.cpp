/// Rows of ops that combine the elements of dimensions.
#include "frontend/onnx/Counted.h"
#include "frontend/onnx/Rows.h"
#include <algorithm>
#include <cmath>
#include <numeric>

namespace ingot::onnx {
namespace {

/// What a reduction is over; nothing where it leaves its operand alone.
struct Reduction {
  Value x;
  Ints axes;
  bool keeps = true, isNothing = false;
  Item given; ///< the operand, of which a count of elements may be meant

  bool isOverCounted() const {
    return given.isCounted() && std::ranges::find(axes, given.counted) != axes.end();
  }
  /// The result, whose padding is that of a dimension which is left.
  Item result(Value y) const {
    if (!given.isCounted() || (isOverCounted() && !isNothing))
      return y;
    const auto before =
        std::ranges::count_if(axes, [&](int64_t axis) { return axis < given.counted; });
    return {y, given.count, given.counted - (keeps || isNothing ? 0 : int64_t(before))};
  }
};

/// `neutral` is what padding becomes where the reduction would see it.
Reduction reductionOf(Call &c, Limit neutral = Limit::Zero) {
  Reduction r;
  r.x = c.padded(0);
  r.keeps = c.integer("keepdims", 1) != 0;
  r.given = c.item(0);
  r.axes = c.axes(r.x, c.intsOr(1, "axes"));
  const bool isEmpty = r.axes.empty();
  r.isNothing = isEmpty && c.integer("noop_with_empty_axes", 0) != 0;
  if (isEmpty) {
    r.axes.resize(size_t(rank(r.x)));
    std::iota(r.axes.begin(), r.axes.end(), 0);
  }
  if (r.isOverCounted() && !r.isNothing)
    r.x = withPadding(c, r.given, neutral);
  return r;
}

using Reduce = Value (Builder::*)(Value, std::vector<int64_t>, bool);

/// before(x), reduced, after(…).
template <Reduce method> Value reduce(Call &c, const Reduction &r, Value x) {
  return r.isNothing || rank(x) == 0 ? x : (c.b.*method)(x, r.axes, r.keeps);
}

template <Reduce method, Limit neutral> Items plain(Call &c) {
  Reduction r = reductionOf(c, neutral);
  return {r.result(reduce<method>(c, r, r.x))};
}

Items mean(Call &c) {
  Reduction r = reductionOf(c);
  if (!r.isOverCounted() || r.isNothing)
    return {r.result(reduce<&Builder::mean>(c, r, r.x))};
  int64_t others = 1;
  for (int64_t axis : r.axes)
    others *= axis == r.given.counted ? 1 : r.x.shape()[size_t(axis)];
  Value elements = c.b.cast(r.given.count, r.x.type()) * c.scalarLike(r.x, double(others));
  return {reduce<&Builder::sum>(c, r, r.x) / elements};
}

/// Bits are numbers to a maximum.
template <Reduce method, Limit neutral> Items extremum(Call &c) {
  Reduction r = reductionOf(c, neutral);
  const bool isBit = r.x.type() == ElementType::I1;
  Value y = reduce<method>(c, r, isBit ? c.b.cast(r.x, ElementType::U8) : r.x);
  return {r.result(c.b.cast(y, r.x.type()))};
}

Items sumSquare(Call &c) {
  Reduction r = reductionOf(c);
  return {r.result(reduce<&Builder::sum>(c, r, r.x * r.x))};
}

Items l1(Call &c) {
  Reduction r = reductionOf(c);
  return {r.result(reduce<&Builder::sum>(c, r, c.b.abs(r.x)))};
}

Items l2(Call &c) {
  Reduction r = reductionOf(c);
  return {r.result(c.b.sqrt(reduce<&Builder::sum>(c, r, r.x * r.x)))};
}

Items logSum(Call &c) {
  Reduction r = reductionOf(c);
  return {r.result(c.b.log(reduce<&Builder::sum>(c, r, r.x)))};
}

//===--------------------------------------------------------------------------------------------===//
// Where the largest is
//===--------------------------------------------------------------------------------------------===//

template <bool ofLargest> Items arg(Call &c) {
  Value x = c.operand(0);
  const int64_t axis = c.axis(x, c.integer("axis", 0));
  const bool keeps = c.integer("keepdims", 1) != 0, isLast = c.integer("select_last_index", 0) != 0;
  if (c.isRefused())
    return {};
  const Ints along = {axis};
  if (isLast)
    x = c.b.reverse(x, along);
  Value place = (ofLargest ? c.b.argmax(x, along, keeps) : c.b.argmin(x, along, keeps))[1];
  place = c.b.cast(place, ElementType::I64);
  return {isLast ? c.constant({x.shape()[size_t(axis)] - 1}, {}) - place : place};
}

//===--------------------------------------------------------------------------------------------===//
// Softmax
//===--------------------------------------------------------------------------------------------===//

Value logSoftmaxOf(Call &c, Value x, int64_t axis) { return c.logSoftmax(x, axis); }

Value hardmaxOf(Call &c, Value x, int64_t axis) {
  Value first = c.b.argmax(x, {axis}, true)[1];
  Value places = c.b.iota(x.shape(), axis, first.type());
  return c.b.cast(c.b.compare(Comparison::Equal, places, first), x.type());
}

Value softmaxOf(Call &c, Value x, int64_t axis) { return c.b.softmax(x, axis); }

/// Before opset 13 all dimensions from `axis` on were one.
template <Value (*of)(Call &, Value, int64_t)> Items alongAxis(Call &c) {
  Value x = c.operand(0);
  const bool isOld = c.opset < 13;
  const int64_t axis = c.axis(x, c.integer("axis", isOld ? 1 : -1));
  if (c.isRefused())
    return {};
  if (!isOld || axis + 1 == rank(x))
    return {of(c, x, axis)};
  Shape matrix = {1, 1};
  for (int64_t i = 0; i < rank(x); ++i)
    matrix[i < axis ? 0 : 1] *= x.shape()[size_t(i)];
  return {c.b.reshape(of(c, c.b.reshape(x, matrix), 1), x.shape())};
}

Items cumulativeSum(Call &c) {
  Value x = c.operand(0);
  const int64_t axis = c.axis(x, c.integerAt(1, 0));
  if (c.isRefused())
    return {};
  const bool isExclusive = c.integer("exclusive", 0) != 0, isReverse = c.integer("reverse", 0) != 0;
  Value y = c.runningSum(isReverse ? c.b.reverse(x, {axis}) : x, axis);
  if (isExclusive) { // what is before each place is the sum up to the place before
    Ints low(size_t(rank(x)), 0);
    low[size_t(axis)] = 1;
    y = c.b.slice(c.b.pad(y, 0, low, Ints(low.size(), 0)), axis, 0, x.shape()[size_t(axis)]);
  }
  return {isReverse ? c.b.reverse(y, {axis}) : y};
}

/// An element's rank is how many are better, or as good and before it: with that, each of the k
/// best is known by a sum, without a sort.
Items topK(Call &c) {
  Value x = c.operand(0);
  const int64_t axis = c.axis(x, c.integer("axis", -1));
  const int64_t k = c.opset >= 10 ? c.integerAt(1, 0) : c.integer("k", 0);
  if (c.isRefused())
    return {};
  constexpr int64_t longest = 4096;
  const int64_t size = x.shape()[size_t(axis)];
  if (k < 1 || k > size || size > longest)
    return {c.refuse(
        fmt::format("{} of {} elements are not supported (of at most {})", k, size, longest))};
  const bool isLargest = c.integer("largest", 1) != 0;
  Shape mine = x.shape(), others = x.shape(), both = x.shape();
  mine.insert(mine.begin() + axis + 1, 1); // […, i, 1, …]
  others.insert(others.begin() + axis, 1); // […, 1, j, …]
  both.insert(both.begin() + axis, size);  // […, i, j, …]
  Value a = c.b.broadcast(c.b.reshape(x, mine), both),
        b = c.b.broadcast(c.b.reshape(x, others), both);
  Value i = c.b.iota(both, axis, ElementType::I64), j = c.b.iota(both, axis + 1, ElementType::I64);
  Value isBetter = c.b.compare(isLargest ? Comparison::Greater : Comparison::Less, b, a);
  Value isBefore =
      c.b.bitAnd(c.b.compare(Comparison::Equal, b, a), c.b.compare(Comparison::Less, j, i));
  Value ranks = c.b.sum(c.b.cast(c.b.bitOr(isBetter, isBefore), ElementType::I64), {axis + 1});
  Shape chosen = both; // […, place, element, …]
  chosen[size_t(axis)] = k;
  Value isChosen = c.b.compare(Comparison::Equal, c.b.broadcast(c.b.reshape(ranks, others), chosen),
                               c.b.iota(chosen, axis, ElementType::I64));
  Value element = c.b.iota(chosen, axis + 1, ElementType::I64);
  Value values = c.b.sum(
      c.b.select(isChosen, c.b.broadcast(c.b.reshape(x, others), chosen), c.scalarLike(x, 0)),
      {axis + 1});
  return {values, c.b.sum(c.b.select(isChosen, element, c.constant({0}, {})), {axis + 1})};
}

constexpr Row rows[] = {
    {"ArgMax", 1, newestOpset, arg<true>},
    {"ArgMin", 1, newestOpset, arg<false>},
    {"CumSum", 11, newestOpset, cumulativeSum},
    {"Hardmax", 1, newestOpset, alongAxis<hardmaxOf>},
    {"LogSoftmax", 1, newestOpset, alongAxis<logSoftmaxOf>},
    {"ReduceL1", 1, newestOpset, l1},
    {"ReduceL2", 1, newestOpset, l2},
    {"ReduceLogSum", 1, newestOpset, logSum},
    {"ReduceLogSumExp", 1, newestOpset, plain<&Builder::logSumExp, Limit::Lowest>},
    {"ReduceMax", 1, newestOpset, extremum<&Builder::max, Limit::Lowest>},
    {"ReduceMean", 1, newestOpset, mean},
    {"ReduceMin", 1, newestOpset, extremum<&Builder::min, Limit::Highest>},
    {"ReduceProd", 1, newestOpset, plain<&Builder::product, Limit::One>},
    {"ReduceSum", 1, newestOpset, plain<&Builder::sum, Limit::Zero>},
    {"ReduceSumSquare", 1, newestOpset, sumSquare},
    {"Softmax", 1, newestOpset, alongAxis<softmaxOf>},
    {"TopK", 1, newestOpset, topK},
};

} // namespace

std::span<const Row> reductionRows() { return rows; }

} // namespace ingot::onnx
