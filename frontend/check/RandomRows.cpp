/// The ops of random graphs: one row each. Elementwise functions and reductions come from their
/// tables.
#include "frontend/check/RandomDraw.h"
#include <algorithm>

namespace ingot {
namespace {

//===--------------------------------------------------------------------------------------------===//
// Functions of elements
//===--------------------------------------------------------------------------------------------===//

constexpr Elements Numbers = Elements::Numbers, Floats = Elements::Floats,
                   Integers = Elements::Integers, Bits = Elements::Bits;

/// Where the operands of a function mostly are. Those that are not listed take anything.
struct Domain {
  std::string_view method;
  Range x, y = Range::Any;
};
constexpr Domain domains[] = {
    {"log", Range::Positive},
    {"log1p", Range::Positive},
    {"sqrt", Range::Positive},
    {"rsqrt", Range::Positive},
    {"reciprocal", Range::Nonzero},
    {"exp", Range::Unit},
    {"expm1", Range::Unit},
    {"sinh", Range::Unit},
    {"cosh", Range::Unit},
    {"asin", Range::Unit},
    {"acos", Range::Unit},
    {"atanh", Range::Unit},
    {"tan", Range::Unit},
    {"acosh", Range::AboveOne},
    {"bce", Range::Share, Range::Share},
    {"klDiv", Range::Any, Range::Share},
    {"klDivLog", Range::Any, Range::Unit},
    {"poissonNll", Range::Unit},
    {"pow", Range::Positive, Range::Unit},
    {"div", Range::Any, Range::Nonzero},
    {"remainder", Range::Any, Range::Nonzero},
    {"modulo", Range::Any, Range::Nonzero},
};

Domain domainOf(std::string_view method) {
  const auto *found = std::ranges::find(domains, method, &Domain::method);
  return found == std::end(domains) ? Domain{method, Range::Any} : *found;
}

template <typename Make> void unary(Draw &d, std::string_view method, Elements on, Make make) {
  d.give(make(d.b, d.pick(on, 0, 4, domainOf(method).x)));
}

template <typename Make> void binary(Draw &d, std::string_view method, Elements on, Make make) {
  const Domain domain = domainOf(method);
  Value x = d.pick(on, 0, 4, domain.x), y = d.mate(x, domain.y);
  // An integer that is divided by 0 ends the run: seldom.
  const bool divides = method == "div" || method == "remainder" || method == "modulo";
  if (divides && y.type() >= ElementType::I64 && !d.chance(0.03))
    y = d.b.bitOr(y, d.b.scalar(1, y.type()));
  d.give(d.chance(0.5) || domain.y != Range::Any ? make(d.b, x, y) : make(d.b, y, x));
}

void compare(Draw &d) {
  Value x = d.pick(d.chance(0.8) ? Numbers : Elements::Any);
  d.give(d.b.compare(Comparison(d.between(0, 5)), x, d.mate(x)));
}

void select(Draw &d) {
  Value x = d.pick(Elements::Any), y = d.mate(x);
  Value condition = d.like(ElementType::I1, x.shape());
  d.give(d.b.select(condition, x, y));
}

void cast(Draw &d) {
  // A float beyond an integer type's range has no one result.
  Value x = d.pick(Elements::Any);
  const bool isFloat = x.type() < ElementType::I64;
  const ElementType to = d.type(isFloat && !d.chance(0.15) ? Floats : Elements::Any);
  if (isFloat && to >= ElementType::I64)
    x = d.into(x, Range::Share);
  d.give(d.b.cast(x, to));
}

void isNan(Draw &d) { d.give(d.b.isNan(d.pick(Floats))); }
void isInf(Draw &d) { d.give(d.b.isInf(d.pick(Floats), d.chance(0.7), d.chance(0.7))); }

//===--------------------------------------------------------------------------------------------===//
// Movements
//===--------------------------------------------------------------------------------------------===//

/// The sizes in another order, some joined.
void reshape(Draw &d) {
  Value x = d.pick(Elements::Any, 1);
  Shape shape = x.shape();
  if (shape.size() > 1 && d.chance(0.6)) {
    const size_t at = size_t(d.between(0, int64_t(shape.size()) - 2));
    shape[at] *= shape[at + 1];
    shape.erase(shape.begin() + int64_t(at) + 1);
  } else if (const size_t at = size_t(d.dimensionOf(x)); shape[at] % 2 == 0 && shape[at] > 0) {
    shape[at] /= 2;
    shape.insert(shape.begin() + int64_t(at) + d.between(0, 1), 2);
  } else {
    shape.insert(shape.begin() + int64_t(at), 1);
  }
  d.give(d.b.reshape(x, shape));
}

void transpose(Draw &d) {
  Value x = d.pick(Elements::Any, 1);
  std::vector<int64_t> order(x.shape().size());
  for (size_t i = 0; i < order.size(); ++i)
    order[i] = int64_t(i);
  for (size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[size_t(d.between(0, int64_t(i) - 1))]);
  d.give(d.b.transpose(x, order));
}

void broadcast(Draw &d) {
  Value x = d.pick(Elements::Any, 0, 3);
  Shape shape = x.shape();
  for (int64_t &size : shape)
    if (size == 1)
      size = d.between(1, 4);
  shape.insert(shape.begin(), d.size());
  d.give(d.b.broadcast(x, shape));
}

void slice(Draw &d) {
  Value x = d.pick(Elements::Any, 1);
  std::vector<int64_t> low, high, strides;
  for (int64_t size : x.shape()) {
    low.push_back(d.between(0, size));
    high.push_back(d.between(low.back(), size));
    if (d.chance(0.6))
      low.back() = 0, high.back() = size;
    strides.push_back(d.chance(0.7) ? 1 : d.between(1, 4));
  }
  d.give(d.b.slice(x, low, high, strides));
}

void concat(Draw &d) {
  Value x = d.pick(Elements::Any, 1);
  const int64_t at = d.dimensionOf(x);
  Values parts{x};
  for (int64_t count = d.between(1, 2); count > 0; --count) {
    Shape shape = x.shape();
    if (d.chance(0.6))
      shape[size_t(at)] = d.size();
    parts.push_back(d.like(x.type(), shape));
  }
  d.give(d.b.concat(parts, at));
}

void reverse(Draw &d) {
  Value x = d.pick(Elements::Any, 1);
  d.give(d.b.reverse(x, d.dimensionsOf(x)));
}

void pad(Draw &d) {
  Value x = d.pick(Elements::Any, 1, 3);
  std::vector<int64_t> low, high, interior;
  for (size_t i = 0; i < x.shape().size(); ++i) {
    low.push_back(d.between(-1, 3));
    high.push_back(d.between(-1, 3));
    interior.push_back(d.chance(0.7) ? 0 : d.between(0, 2));
  }
  d.give(d.b.pad(x, d.chance(0.5) ? 0 : 1, low, high, interior));
}

void padByMode(Draw &d) {
  Value x = d.pick(Elements::Any, 1, 3);
  std::vector<int64_t> low, high;
  for (size_t i = 0; i < x.shape().size(); ++i) {
    low.push_back(d.between(0, 2));
    high.push_back(d.between(0, 2));
  }
  d.give(d.b.pad(x, PadMode(d.between(0, 2)), low, high));
}

void tile(Draw &d) {
  Value x = d.pick(Elements::Any, 1, 3);
  std::vector<int64_t> counts;
  for (size_t i = 0; i < x.shape().size(); ++i)
    counts.push_back(d.between(d.chance(0.05) ? 0 : 1, 2));
  d.give(d.b.tile(x, counts));
}

void roll(Draw &d) {
  Value x = d.pick(Elements::Any, 1);
  d.give(d.b.roll(x, d.between(-5, 5), d.dimensionOf(x)));
}

void split(Draw &d) {
  Value x = d.pick(Elements::Any, 1);
  const int64_t at = d.dimensionOf(x), size = x.shape()[size_t(at)], first = d.between(0, size);
  d.give(d.b.split(x, {first, size - first}, at));
}

void triangle(Draw &d) {
  d.give(d.b.triangle(d.pick(Elements::Any, 2), d.chance(0.5), d.between(-2, 2)));
}

void oneHot(Draw &d) {
  const int64_t classes = d.between(1, 6);
  d.give(d.b.oneHot(d.indices(d.shape(0, 2), classes), classes, 1, 0, d.type(Elements::Any)));
}

void depthToSpace(Draw &d) {
  Value x = d.like(d.type(Elements::Any), {d.between(1, 2), 8, d.between(1, 3), d.between(1, 3)});
  d.give(d.b.depthToSpace(x, 2, d.chance(0.5)));
}

void spaceToDepth(Draw &d) {
  Value x = d.like(d.type(Elements::Any), {1, d.between(1, 3), 2 * d.between(1, 3), 4});
  d.give(d.b.spaceToDepth(x, 2));
}

void gather(Draw &d) {
  Value x = d.pick(Elements::Any, 1, 3);
  const int64_t at = d.dimensionOf(x), size = x.shape()[size_t(at)];
  Shape shape = d.shape(0, 2);
  if (size == 0 && elementCount(shape) > 0)
    return;
  d.give(d.b.gather(x, d.indices(shape, size), at));
}

void scatterAdd(Draw &d) {
  Value x = d.pick(Numbers, 1, 3);
  const size_t at = size_t(d.dimensionOf(x));
  Shape indices = d.shape(0, 2), updates = x.shape();
  if (updates[at] == 0 && elementCount(indices) > 0)
    return;
  const int64_t limit = updates[at];
  updates.erase(updates.begin() + int64_t(at));
  updates.insert(updates.begin() + int64_t(at), indices.begin(), indices.end());
  if (elementCount(updates) > 5000)
    return;
  d.give(d.b.scatterAdd(x, d.indices(indices, limit), d.like(x.type(), updates), int64_t(at)));
}

void dynamicSlice(Draw &d) {
  Value x = d.pick(Elements::Any, 1);
  const int64_t at = d.dimensionOf(x), size = x.shape()[size_t(at)], taken = d.between(0, size);
  d.give(d.b.dynamicSlice(x, d.indices({}, size - taken + 1), at, taken));
}

void dynamicUpdateSlice(Draw &d) {
  Value x = d.pick(Elements::Any, 1);
  const int64_t at = d.dimensionOf(x), size = x.shape()[size_t(at)], taken = d.between(0, size);
  Shape shape = x.shape();
  shape[size_t(at)] = taken;
  d.give(d.b.dynamicUpdateSlice(x, d.like(x.type(), shape), d.indices({}, size - taken + 1), at));
}

//===--------------------------------------------------------------------------------------------===//
// Reductions, lines
//===--------------------------------------------------------------------------------------------===//

template <typename Make> void reduction(Draw &d, std::string_view method, Make make) {
  const bool ofBools = method == "any" || method == "all";
  Value x = d.pick(ofBools ? Elements::Bool : Numbers, 0, 4,
                   method == "product" ? Range::Nonzero : Range::Any);
  d.give(make(d.b, x, d.dimensionsOf(x), d.chance(0.5)));
}

template <typename Make> void tuples(Draw &d, Make make) {
  Value x = d.pick(d.chance(0.8) ? Floats : Numbers, 1, 4);
  d.give(make(d.b, x, d.dimensionsOf(x), d.chance(0.5)));
}

void mean(Draw &d) {
  Value x = d.pick(Floats);
  d.give(d.b.mean(x, d.dimensionsOf(x), d.chance(0.5)));
}
void logSumExp(Draw &d) {
  Value x = d.pick(Floats);
  d.give(d.b.logSumExp(x, d.dimensionsOf(x), d.chance(0.5)));
}
void variance(Draw &d) {
  Value x = d.pick(Floats);
  d.give(d.b.variance(x, d.dimensionsOf(x), d.chance(0.5), double(d.between(0, 1))));
}
void cumulativeSum(Draw &d) {
  Value x = d.pick(Numbers, 1);
  d.give(d.b.cumulativeSum(x, d.dimensionOf(x), d.chance(0.5), d.chance(0.5)));
}
void cumulativeProduct(Draw &d) {
  Value x = d.pick(Numbers, 1, 4, Range::Nonzero);
  d.give(d.b.cumulativeProduct(x, d.dimensionOf(x), d.chance(0.5), d.chance(0.5)));
}
void sort(Draw &d) {
  Value x = d.pick(Elements::Any, 1);
  d.give(d.b.sort(x, d.dimensionOf(x), d.chance(0.5)));
}
void topK(Draw &d) {
  Value x = d.pick(Elements::Any, 1);
  const int64_t at = d.dimensionOf(x);
  d.give(d.b.topK(x, d.between(0, x.shape()[size_t(at)]), at, d.chance(0.5)));
}

} // namespace

const std::vector<RandomRow> &smallRows() {
  static const std::vector<RandomRow> rows = {
#define INGOT_UNARY(METHOD, OP, ELEMENTS, ...)                                                     \
  {#METHOD,                                                                                        \
   [](Draw &d) { unary(d, #METHOD, ELEMENTS, [](Builder &b, Value x) { return b.METHOD(x); }); }},
#define INGOT_BINARY(METHOD, OP, ELEMENTS, ...)                                                    \
  {#METHOD, [](Draw &d) {                                                                          \
     binary(d, #METHOD, ELEMENTS, [](Builder &b, Value x, Value y) { return b.METHOD(x, y); });    \
   }},
#include "ir/formulas/Primitives.def"
#define INGOT_FORMULA(METHOD, ...)                                                                 \
  {#METHOD,                                                                                        \
   [](Draw &d) { unary(d, #METHOD, Floats, [](Builder &b, Value x) { return b.METHOD(x); }); }},
#define INGOT_FORMULA_1(METHOD, ...) INGOT_FORMULA(METHOD)
#define INGOT_FORMULA_2(METHOD, ...) INGOT_FORMULA(METHOD)
#define INGOT_FORMULA_XY(METHOD, ...)                                                              \
  {#METHOD, [](Draw &d) {                                                                          \
     binary(d, #METHOD, Floats, [](Builder &b, Value x, Value y) { return b.METHOD(x, y); });      \
   }},
#define INGOT_FORMULA_XY_1(METHOD, ...) INGOT_FORMULA_XY(METHOD)
#include "ir/formulas/Formulas.def"
#define INGOT_REDUCTION(METHOD, ...)                                                               \
  {#METHOD,                                                                                        \
   [](Draw &d) {                                                                                   \
     reduction(d, #METHOD, [](Builder &b, Value x, std::vector<int64_t> dimensions, bool keep) {   \
       return b.METHOD(x, std::move(dimensions), keep);                                            \
     });                                                                                           \
   },                                                                                              \
   3},
#define INGOT_TUPLE_REDUCTION(METHOD, ...)                                                         \
  {#METHOD,                                                                                        \
   [](Draw &d) {                                                                                   \
     tuples(d, [](Builder &b, Value x, std::vector<int64_t> dimensions, bool keep) {               \
       return b.METHOD(x, std::move(dimensions), keep);                                            \
     });                                                                                           \
   },                                                                                              \
   2},
#include "ir/formulas/Reductions.def"
      {"compare", compare, 2},
      {"select", select, 3},
      {"cast", cast, 4},
      {"isNan", isNan},
      {"isInf", isInf},
      {"reshape", reshape, 5},
      {"transpose", transpose, 5},
      {"broadcast", broadcast, 3},
      {"slice", slice, 4},
      {"concat", concat, 4},
      {"reverse", reverse, 3},
      {"pad", pad, 3},
      {"padByMode", padByMode, 2},
      {"tile", tile, 2},
      {"roll", roll, 2},
      {"split", split, 2},
      {"triangle", triangle, 2},
      {"oneHot", oneHot},
      {"depthToSpace", depthToSpace},
      {"spaceToDepth", spaceToDepth},
      {"gather", gather, 4},
      {"scatterAdd", scatterAdd, 4},
      {"dynamicSlice", dynamicSlice, 3},
      {"dynamicUpdateSlice", dynamicUpdateSlice, 3},
      {"mean", mean, 2},
      {"logSumExp", logSumExp},
      {"variance", variance, 2},
      {"cumulativeSum", cumulativeSum, 2},
      {"cumulativeProduct", cumulativeProduct, 2},
      {"sort", sort, 2},
      {"topK", topK, 2},
      {"loop", [](Draw &d) { d.loop(); }, 14},
      {"branch", [](Draw &d) { d.branch(); }, 8},
  };
  return rows;
}

} // namespace ingot
