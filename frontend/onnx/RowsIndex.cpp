/// Rows of ops that pick or place elements by index. All but Gather flatten what they index, so
/// that one index stands for several: graph.gather and graph.scatter_add index one dimension.
#include "frontend/onnx/Counted.h"
#include "frontend/onnx/Rows.h"
#include <algorithm>

namespace ingot::onnx {
namespace {

/// Indices that may count from the end, as they are from the start.
Value fromStart(Call &c, Value indices, int64_t size) {
  if (indices.type() != ElementType::I64 && indices.type() != ElementType::I32)
    indices = c.b.cast(indices, ElementType::I64);
  Value isNegative = c.b.compare(Comparison::Less, indices, c.scalarLike(indices, 0));
  return c.b.select(isNegative, indices + c.scalarLike(indices, double(size)), indices);
}

int64_t product(Shape::const_iterator first, Shape::const_iterator last) {
  return elementCount(Shape(first, last));
}

/// An index of padding is 0.
Items gather(Call &c) {
  Value x = c.operand(0), indices = c.padded(1);
  const int64_t axis = c.axis(x, c.integer("axis", 0));
  if (c.isRefused())
    return {};
  Value y = c.b.gather(x, fromStart(c, indices, x.shape()[size_t(axis)]), axis);
  const Item &given = c.item(1);
  return {given.isCounted() ? Item(y, given.count, axis + given.counted) : Item(y)};
}

//===--------------------------------------------------------------------------------------------===//
// An index for each element
//===--------------------------------------------------------------------------------------------===//

/// Where, in x's row-major order, `indices` along `axis` point to, the other places being its own.
Value flatPlaces(Call &c, const Value &x, Value indices, int64_t axis) {
  const Shape &shape = indices.shape();
  Value places = c.constant({0}, {});
  int64_t stride = 1;
  for (int64_t i = rank(x) - 1; i >= 0; --i) {
    Value along = i == axis
                      ? c.b.cast(fromStart(c, indices, x.shape()[size_t(i)]), ElementType::I64)
                      : c.b.iota(shape, i, ElementType::I64);
    places = places + along * c.constant({stride}, {});
    stride *= x.shape()[size_t(i)];
  }
  return places;
}

Items gatherElements(Call &c) {
  Value x = c.operand(0), indices = c.operand(1);
  const int64_t axis = c.axis(x, c.integer("axis", 0));
  if (c.isRefused())
    return {};
  if (rank(indices) != rank(x))
    return {c.refuse("its indices have another rank than what they index")};
  return {c.b.gather(c.b.reshape(x, {-1}), flatPlaces(c, x, indices, axis), 0)};
}

/// Whether a node's indices and updates (inputs 1 and 2) are counted alike, or neither is.
bool areCountedAlike(Call &c) {
  const Item &indices = c.item(1), &updates = c.item(2);
  if (indices.count == updates.count && indices.counted == updates.counted)
    return true;
  c.refuse("its indices and updates have sizes that depend on different data");
  return false;
}

/// `updates` at `places` of the flat [n, …] `base`, combined as `reduction` says. `areThere` says
/// of each place whether its update is there; Value() where all are.
Value scatter(Call &c, Value base, Value places, Value updates, Value areThere,
              const std::string &reduction) {
  if (areThere.valid()) { // what is not changes nothing, wherever it may be
    Shape spread(size_t(rank(updates)), 1);
    spread[0] = places.shape()[0];
    const Limit nothing = reduction == "mul"   ? Limit::One
                          : reduction == "min" ? Limit::Highest
                          : reduction == "max" ? Limit::Lowest
                                               : Limit::Zero;
    updates = c.b.select(c.b.reshape(areThere, spread), updates, limitLike(c, updates, nothing));
  }
  if (reduction == "add")
    return c.b.scatterAdd(base, places, updates, 0);
  using Combine = Value (Builder::*)(Value, Value);
  const Combine combine = reduction == "mul"   ? &Builder::mul
                          : reduction == "min" ? &Builder::minimum
                          : reduction == "max" ? &Builder::maximum
                                               : nullptr;
  if (combine) { // one update after another, since several may be at one place
    auto one = [&](Value of, Value place) { return c.b.dynamicSlice(of, place, 0, 1); };
    auto body = [&](Value number, std::span<const Value> now) -> std::vector<Value> {
      Value place = c.b.reshape(one(places, number), {});
      Value combined = (c.b.*combine)(one(now[0], place), one(updates, number));
      return {c.b.dynamicUpdateSlice(now[0], combined, place, 0)};
    };
    return c.b.loop(places.shape()[0], std::vector{base}, body)[0];
  }
  if (reduction != "none") {
    c.refuse(fmt::format("the reduction {} is not supported", reduction));
    return base;
  }
  // Sums of nothing but the update, and how many there were: where two are at one place, the file
  // says that the result is undefined.
  const bool isBit = base.type() == ElementType::I1;
  const ElementType type = isBit ? ElementType::I32 : base.type();
  Value zero = c.b.broadcast(c.b.scalar(0, type), base.shape());
  Value none = c.b.broadcast(c.b.scalar(0, ElementType::I32), base.shape());
  Value one = c.b.broadcast(c.b.scalar(1, ElementType::I32), updates.shape());
  if (areThere.valid()) {
    Shape spread(size_t(rank(updates)), 1);
    spread[0] = places.shape()[0];
    one = c.b.cast(c.b.broadcast(c.b.reshape(areThere, spread), updates.shape()), ElementType::I32);
  }
  Value placed = c.b.cast(c.b.scatterAdd(zero, places, c.b.cast(updates, type), 0), base.type());
  Value count = c.b.scatterAdd(none, places, one, 0);
  return c.b.select(c.b.compare(Comparison::NotEqual, count, c.b.scalar(0, ElementType::I32)),
                    placed, base);
}

Items scatterElements(Call &c) {
  Value x = c.operand(0), indices = c.padded(1), updates = c.padded(2);
  const int64_t axis = c.axis(x, c.integer("axis", 0));
  if (c.isRefused() || !areCountedAlike(c))
    return {};
  if (rank(indices) != rank(x) || updates.shape() != indices.shape())
    return {c.refuse("its indices and updates do not fit what they index")};
  Value places = c.b.reshape(flatPlaces(c, x, indices, axis), {-1});
  Value areThere;
  if (c.item(1).isCounted())
    areThere = c.b.reshape(isThere(c, c.item(1), indices.shape()), {-1});
  return {c.b.reshape(scatter(c, c.b.reshape(x, {-1}), places, c.b.reshape(updates, {-1}), areThere,
                              c.text("reduction", "none")),
                      x.shape())};
}

//===--------------------------------------------------------------------------------------------===//
// Tuples of indices
//===--------------------------------------------------------------------------------------------===//

/// Tuples [batch…, tuples…, depth] that index the dimensions after `batches` of x: their places
/// [batch · tuples] in x as [places, rest].
struct Tuples {
  Value places, flat;
  Shape lead, rest; ///< of the indices without depth; of x after what is indexed
};

std::optional<Tuples> tuplesOf(Call &c, Value x, Value indices, int64_t batches) {
  const int64_t depth = rank(indices) ? indices.shape().back() : 0;
  if (batches < 0 || rank(indices) <= batches || batches + depth > rank(x) || depth < 1) {
    c.refuse("its indices do not fit what they index");
    return std::nullopt;
  }
  Tuples t;
  t.lead.assign(indices.shape().begin(), indices.shape().end() - 1);
  t.rest.assign(x.shape().begin() + batches + depth, x.shape().end());
  Value places = c.constant({0}, {});
  int64_t stride = 1;
  for (int64_t i = batches + depth - 1; i >= 0; --i) {
    Value along;
    if (i < batches) {
      along = c.b.iota(t.lead, i, ElementType::I64);
    } else {
      Value column = c.b.slice(indices, -1, i - batches, i - batches + 1);
      along = c.b.cast(fromStart(c, c.b.reshape(column, t.lead), x.shape()[size_t(i)]),
                       ElementType::I64);
    }
    places = places + along * c.constant({stride}, {});
    stride *= x.shape()[size_t(i)];
  }
  t.places = c.b.reshape(c.b.broadcast(places, t.lead), {-1});
  Shape flat = {product(x.shape().begin(), x.shape().begin() + batches + depth)};
  flat.insert(flat.end(), t.rest.begin(), t.rest.end());
  t.flat = c.b.reshape(x, flat);
  return t;
}

Items gatherNd(Call &c) {
  Value x = c.operand(0), indices = c.padded(1);
  const Item &given = c.item(1);
  if (given.isCounted() && given.counted + 1 == rank(indices))
    return {c.refuse("how many numbers an index has depends on data")};
  std::optional<Tuples> t = tuplesOf(c, x, indices, c.integer("batch_dims", 0));
  if (!t)
    return {};
  Shape result = t->lead;
  result.insert(result.end(), t->rest.begin(), t->rest.end());
  Value y = c.b.reshape(c.b.gather(t->flat, t->places, 0), result);
  return {given.isCounted() ? Item(y, given.count, given.counted) : Item(y)};
}

Items scatterNd(Call &c) {
  Value x = c.operand(0), indices = c.padded(1), updates = c.padded(2);
  if (c.isRefused() || !areCountedAlike(c))
    return {};
  const Item &given = c.item(1);
  if (given.isCounted() && given.counted + 1 == rank(indices))
    return {c.refuse("how many numbers an index has depends on data")};
  std::optional<Tuples> t = tuplesOf(c, x, indices, 0);
  if (!t)
    return {};
  Value areThere;
  if (given.isCounted())
    areThere = c.b.reshape(isThere(c, given, t->lead), {-1});
  Shape flat = {elementCount(t->lead)};
  flat.insert(flat.end(), t->rest.begin(), t->rest.end());
  return {c.b.reshape(scatter(c, t->flat, t->places, c.b.reshape(updates, flat), areThere,
                              c.text("reduction", "none")),
                      x.shape())};
}

/// The first `lengths[b]` steps of each sequence turned around.
Items reverseSequence(Call &c) {
  Value x = c.operand(0);
  const int64_t batch = c.axis(x, c.integer("batch_axis", 1)),
                time = c.axis(x, c.integer("time_axis", 0));
  if (c.isRefused() || rank(x) < 2)
    return {};
  Shape spread(size_t(rank(x)), 1);
  spread[size_t(batch)] = x.shape()[size_t(batch)];
  Value lengths = c.b.reshape(c.b.cast(c.operand(1), ElementType::I64), spread);
  Value step = c.b.iota(x.shape(), time, ElementType::I64);
  Value turned = lengths - c.constant({1}, {}) - step;
  Value from = c.b.select(c.b.compare(Comparison::Less, step, lengths), turned, step);
  return {c.b.gather(c.b.reshape(x, {-1}), flatPlaces(c, x, from, time), 0)};
}

constexpr Row rows[] = {
    {"Gather", 1, newestOpset, gather},
    {"GatherElements", 11, newestOpset, gatherElements},
    {"GatherND", 11, newestOpset, gatherNd},
    {"ReverseSequence", 10, newestOpset, reverseSequence},
    {"Scatter", 9, 10, scatterElements},
    {"ScatterElements", 11, newestOpset, scatterElements},
    {"ScatterND", 11, newestOpset, scatterNd},
};

} // namespace

std::span<const Row> indexRows() { return rows; }

} // namespace ingot::onnx
