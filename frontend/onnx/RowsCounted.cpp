/// Rows of ops whose results are as large as data decide. A result has room for all that there may
/// be, and a count of what is there.
#include "frontend/onnx/Rows.h"
#include <algorithm>
#include <limits>

namespace ingot::onnx {
namespace {

/// The places of what is not 0, [dimensions, count].
Items nonZero(Call &c) {
  Value x = c.operand(0);
  if (rank(x) == 0)
    return {c.refuse("a scalar has no places")};
  const int64_t size = elementCount(x.shape());
  if (!c.constantFits(size, rank(x)))
    return {};
  std::vector<Value> places;
  for (int64_t i = 0; i < rank(x); ++i)
    places.push_back(c.b.reshape(c.b.iota(x.shape(), i, ElementType::I64), {1, size}));
  Value isThere = c.b.compare(Comparison::NotEqual, x, c.scalarLike(x, 0));
  return {c.kept(c.b.concat(places, 0), c.b.reshape(isThere, {size}), 1)};
}

/// What a condition keeps, which says nothing of the last elements if it is short.
Items compress(Call &c) {
  Value x = c.operand(0), condition = c.operand(1);
  const bool isFlat = !c.attribute("axis");
  if (isFlat)
    x = c.b.reshape(x, {-1});
  const int64_t axis = isFlat ? 0 : c.axis(x, c.integer("axis", 0));
  if (c.isRefused())
    return {};
  const int64_t size = x.shape()[size_t(axis)];
  if (rank(condition) != 1 || condition.shape()[0] > size)
    return {c.refuse("its condition is no list of bits as long as what it keeps, or shorter")};
  if (!c.ifKnown(1))
    return {c.kept(x, c.b.pad(condition, 0, {0}, {size - condition.shape()[0]}), axis)};
  Ints kept;
  const Ints bits = c.ints(1);
  for (size_t i = 0; i < bits.size(); ++i)
    if (bits[i])
      kept.push_back(int64_t(i));
  return {c.b.gather(x, c.constant(kept), axis)};
}

//===--------------------------------------------------------------------------------------------===//
// Unique
//===--------------------------------------------------------------------------------------------===//

/// Rows [n, width] compared with each other: [i, j] tells of row i beside row j.
struct Comparisons {
  Value isSame, isGreater;
};

/// Rows in the order of their first elements that differ.
Comparisons compareRows(Call &c, const Value &rows) {
  const int64_t n = rows.shape()[0], width = rows.shape()[1];
  Value mine = c.b.reshape(rows, {n, 1, width}), other = c.b.reshape(rows, {1, n, width});
  Value differs = c.b.compare(Comparison::NotEqual, mine, other);
  Value first = c.b.cast(c.b.argmax(c.b.cast(differs, ElementType::I32), {2})[1], ElementType::I64);
  Value flat = c.b.reshape(rows, {-1});
  auto at = [&](const Shape &shape) {
    Value start = c.b.iota(shape, shape[0] == 1 ? 1 : 0, ElementType::I64);
    return c.b.gather(flat, start * c.constant({width}, {}) + first, 0);
  };
  Value mineAt = at({n, 1}), otherAt = at({1, n});
  return {c.b.compare(Comparison::Equal, mineAt, otherAt),
          c.b.compare(Comparison::Greater, mineAt, otherAt)};
}

/// The rows that are there once, the place of the first of each, which each row is, and how often
/// each is there.
Items unique(Call &c) {
  constexpr int64_t most = 4096; // each is compared with each
  Value x = c.operand(0);
  const bool isFlat = !c.attribute("axis"), isSorted = c.integer("sorted", 1) != 0;
  if (isFlat)
    x = c.b.reshape(x, {-1});
  const int64_t axis = isFlat ? 0 : c.axis(x, c.integer("axis", 0));
  if (c.isRefused())
    return {};
  Ints order{axis}, back;
  for (int64_t i = 0; i < rank(x); ++i)
    if (i != axis)
      order.push_back(i);
  for (int64_t i = 0; i < rank(x); ++i)
    back.push_back(i < axis ? i + 1 : i == axis ? 0 : i);
  Value turned = c.b.transpose(x, order);
  const int64_t n = x.shape()[size_t(axis)];
  if (n < 1 || n > most || elementCount(x.shape()) < 1)
    return {c.refuse(fmt::format("{} elements are not supported (1 to {})", n, most))};
  const Comparisons compared = compareRows(c, c.b.reshape(turned, {n, -1}));

  auto count = [&](Value bits) { return c.b.cast(bits, ElementType::I64); };
  Value column = c.b.iota({1, n}, 1, ElementType::I64), row = c.b.iota({n}, 0, ElementType::I64);
  Value firstOf = c.b.cast(c.b.argmax(count(compared.isSame), {1})[1], ElementType::I64);
  Value isFirst = c.b.compare(Comparison::Equal, firstOf, row);
  Value isBefore = isSorted ? compared.isGreater
                            : c.b.compare(Comparison::Less, column, c.b.reshape(firstOf, {n, 1}));
  Value place = c.b.sum(count(c.b.bitAnd(isBefore, c.b.reshape(isFirst, {1, n}))), {1});

  const Item rows = c.placed(turned, isFirst, place, 0), firsts = c.placed(row, isFirst, place, 0);
  Value ones = c.b.broadcast(c.constant({1}, {}), {n});
  Value often = c.b.scatterAdd(c.b.broadcast(c.constant({0}, {}), {n}), place, ones, 0);
  return {Item(c.b.transpose(rows.value, back), rows.count, axis), firsts, place,
          Item(often, rows.count, 0)};
}

//===--------------------------------------------------------------------------------------------===//
// NonMaxSuppression
//===--------------------------------------------------------------------------------------------===//

/// Corners of boxes [batch, n, 4], each [batch, n].
struct Boxes {
  Value top, left, bottom, right;
};

Boxes boxesOf(Call &c, const Value &given) {
  const Shape shape(given.shape().begin(), given.shape().end() - 1);
  auto number = [&](int64_t i) { return c.b.reshape(c.b.slice(given, -1, i, i + 1), shape); };
  Value a = number(0), b = number(1), d = number(2), e = number(3);
  if (c.integer("center_point_box", 0) == 0) // any two opposite corners
    return {c.b.minimum(a, d), c.b.minimum(b, e), c.b.maximum(a, d), c.b.maximum(b, e)};
  Value half = c.scalarLike(a, 0.5), width = d * half, height = e * half;
  return {b - height, a - width, b + height, a + width};
}

Value areaOf(const Boxes &boxes) { return (boxes.bottom - boxes.top) * (boxes.right - boxes.left); }

/// One box of each batch and class after another: the best of those that are left.
Items nonMaxSuppression(Call &c) {
  Value given = c.operand(0), scores = c.operand(1);
  const int64_t asked = c.integerAt(2, 0);
  if (c.isRefused())
    return {};
  const int64_t batch = rank(given) == 3 ? given.shape()[0] : 0,
                n = rank(given) == 3 ? given.shape()[1] : 0;
  if (batch < 1 || n < 1 || given.shape()[2] != 4 || rank(scores) != 3 ||
      scores.shape()[0] != batch || scores.shape()[2] != n || scores.shape()[1] < 1)
    return {c.refuse("its boxes are not [batch, n, 4], or its scores not [batch, classes, n]")};
  const int64_t classes = scores.shape()[1], rounds = std::clamp<int64_t>(asked, 0, n);
  if (!c.constantFits(batch * classes * std::max<int64_t>(rounds, 1), 3))
    return {};
  if (rounds == 0)
    return {c.b.broadcast(c.constant({0}, {}), {0, 3})};
  auto scalarAt = [&](size_t index) {
    return c.has(index) ? c.b.reshape(c.operand(index), {}) : c.scalarLike(scores, 0);
  };
  Value most = scalarAt(3), gone = c.scalarLike(scores, -std::numeric_limits<double>::infinity());
  Value least = c.has(4) ? scalarAt(4) : gone;

  const Boxes boxes = boxesOf(c, given);
  const Shape apart = {batch, 1, n}, perClass = {batch, classes, 1};
  Value starts = c.b.iota({batch, 1}, 0, ElementType::I64) * c.constant({n}, {});
  auto body = [&](Value, std::span<const Value> now) -> std::vector<Value> {
    const std::vector<Value> best = c.b.argmax(now[0], {2});
    Value place = c.b.cast(best[1], ElementType::I64);
    Value isTaken = c.b.bitAnd(c.b.compare(Comparison::Greater, best[0], gone),
                               c.b.compare(Comparison::Greater, best[0], least));
    auto mine = [&](Value side) {
      return c.b.reshape(c.b.gather(c.b.reshape(side, {-1}), place + starts, 0), perClass);
    };
    auto each = [&](Value side) { return c.b.reshape(side, apart); };
    const Boxes one{mine(boxes.top), mine(boxes.left), mine(boxes.bottom), mine(boxes.right)},
        all{each(boxes.top), each(boxes.left), each(boxes.bottom), each(boxes.right)};
    Value zero = c.scalarLike(given, 0);
    Value height = c.b.minimum(one.bottom, all.bottom) - c.b.maximum(one.top, all.top),
          width = c.b.minimum(one.right, all.right) - c.b.maximum(one.left, all.left);
    Value both = c.b.maximum(height, zero) * c.b.maximum(width, zero);
    // both / (one + all - both) > most, where boxes without an area cover nothing.
    Value covers = c.b.bitAnd(
        c.b.compare(Comparison::Greater, both, zero),
        c.b.compare(Comparison::Greater, both, most * (areaOf(one) + areaOf(all) - both)));
    Value isItself = c.b.compare(Comparison::Equal, c.b.iota({1, 1, n}, 2, ElementType::I64),
                                 c.b.reshape(place, perClass));
    return {c.b.select(c.b.bitOr(covers, isItself), gone, now[0]), place, isTaken};
  };
  const std::vector<Value> chosen = c.b.loop(rounds, std::vector{scores}, body);

  const Shape all = {batch, classes, rounds};
  const int64_t count = elementCount(all);
  auto column = [&](Value of) { return c.b.reshape(of, {count, 1}); };
  const std::vector<Value> columns = {column(c.b.iota(all, 0, ElementType::I64)),
                                      column(c.b.iota(all, 1, ElementType::I64)),
                                      column(c.b.transpose(chosen[1], {1, 2, 0}))};
  Value isTaken = c.b.reshape(c.b.transpose(chosen[2], {1, 2, 0}), {count});
  return {c.kept(c.b.concat(columns, 1), isTaken, 0)};
}

constexpr Row rows[] = {
    {"Compress", 9, newestOpset, compress},
    {"NonMaxSuppression", 10, newestOpset, nonMaxSuppression},
    {"NonZero", 9, newestOpset, nonZero},
    {"Unique", 11, newestOpset, unique},
};

} // namespace

std::span<const Row> countedRows() { return rows; }

} // namespace ingot::onnx
