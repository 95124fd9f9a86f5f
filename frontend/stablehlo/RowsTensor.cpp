/// Rows of ops that move, join, contract and combine elements.
#include "frontend/stablehlo/Op.h"
#include <algorithm>
#include <cmath>
#include <numeric>

namespace ingot::stablehlo {
namespace {

int64_t rank(const Value &x) { return int64_t(x.shape().size()); }

Values broadcastInDim(Op &c) {
  Value x = c.operand(0);
  Ints dims = c.ints("dims").empty() ? c.ints("broadcast_dimensions") : c.ints("dims");
  if (int64_t(dims.size()) != rank(x))
    return c.refuse("it does not say where each dimension goes");
  if (!std::ranges::is_sorted(dims)) {
    Ints order(dims.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::sort(order, {}, [&](int64_t at) { return dims[size_t(at)]; });
    x = c.b.transpose(x, order);
    std::ranges::sort(dims);
  }
  Shape apart(c.shape().size(), 1);
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] < 0 || dims[i] >= int64_t(apart.size()))
      return c.refuse("it does not say where each dimension goes");
    apart[size_t(dims[i])] = x.shape()[i];
  }
  return {c.b.broadcast(c.b.reshape(x, apart), c.shape())};
}

Values reshape(Op &c) { return {c.b.reshape(c.operand(0), c.shape())}; }

Values transpose(Op &c) {
  const Ints order = c.ints("dims").empty() ? c.ints("permutation") : c.ints("dims");
  return {order.empty() ? c.operand(0) : c.b.transpose(c.operand(0), order)};
}

Values reverse(Op &c) {
  return {
      c.b.reverse(c.operand(0), c.ints("dims").empty() ? c.ints("dimensions") : c.ints("dims"))};
}

Values slice(Op &c) {
  const bool isLong = bool(c.attribute("start_indices"));
  return {c.b.slice(c.operand(0), c.ints(isLong ? "start_indices" : "starts"),
                    c.ints(isLong ? "limit_indices" : "limits"), c.ints("strides"))};
}

Values concatenate(Op &c) {
  return {c.b.concat(c.operands(), c.integer("dim", c.integer("dimension", 0)))};
}

Values iota(Op &c) {
  return {c.b.iota(c.shape(), c.integer("dim", c.integer("iota_dimension", 0)), *c.type())};
}

Values pad(Op &c) {
  Value x = c.operand(0);
  const std::optional<Tensor> value = c.b.constantOf(c.operand(1));
  Ints low = c.ints(c.attribute("low") ? "low" : "edge_padding_low"),
       high = c.ints(c.attribute("high") ? "high" : "edge_padding_high"),
       interior = c.ints(c.attribute("interior") ? "interior" : "interior_padding");
  if (low.size() != x.shape().size() || high.size() != low.size() || interior.size() != low.size())
    return c.refuse("it does not say how much goes where");
  Ints offsets(low.size(), 0), limits, ones(low.size(), 1);
  for (size_t i = 0; i < low.size(); ++i) { // what is negative cuts off
    const int64_t size = x.shape()[i] + std::max<int64_t>(x.shape()[i] - 1, 0) * interior[i];
    offsets[i] = std::max<int64_t>(-low[i], 0);
    limits.push_back(size + std::max<int64_t>(low[i], 0) + std::min<int64_t>(high[i], 0));
    low[i] = std::max<int64_t>(low[i], 0), high[i] = std::max<int64_t>(high[i], 0);
  }
  const bool cuts = offsets != Ints(offsets.size(), 0) || c.shape() != [&] {
    Shape padded = limits;
    for (size_t i = 0; i < padded.size(); ++i)
      padded[i] += high[i];
    return padded;
  }();
  Value y;
  if (value) {
    y = c.b.pad(x, loadScalar(*value), low, high, interior);
  } else { // a mask tells what is padding
    Value inside =
        c.b.pad(c.b.broadcast(c.b.scalar(1, ElementType::I1), x.shape()), 0, low, high, interior);
    y = c.b.select(inside, c.b.pad(x, 0, low, high, interior), c.operand(1));
  }
  if (!cuts)
    return {y};
  for (size_t i = 0; i < limits.size(); ++i)
    limits[i] = offsets[i] + c.shape()[i];
  return {c.b.slice(y, offsets, limits, ones)};
}

Values dotGeneral(Op &c) {
  const mlir::DictionaryAttr numbers = c.dictionary("dot_dimension_numbers");
  auto dims = [&](const char *brief, const char *full) {
    return numbers ? c.ints(full, numbers) : c.ints(brief);
  };
  Value left = c.operand(0), right = c.operand(1);
  if (left.type() != *c.type()) // products of narrow numbers, summed in wide ones
    left = c.b.cast(left, *c.type());
  if (right.type() != *c.type())
    right = c.b.cast(right, *c.type());
  return {c.b.contract(left, right, dims("batching_dims", "lhs_batching_dimensions"),
                       dims("batching_dims_of_rhs", "rhs_batching_dimensions"),
                       dims("contracting_dims", "lhs_contracting_dimensions"),
                       dims("contracting_dims_of_rhs", "rhs_contracting_dimensions"))};
}

//===--------------------------------------------------------------------------------------------===//
// Reductions
//===--------------------------------------------------------------------------------------------===//

struct Reduction {
  llvm::StringRef combiner;
  Value (Builder::*over)(Value, std::vector<int64_t>, bool);
  Value (Builder::*both)(Value, Value);
  double neutral;
};

constexpr Reduction reductions[] = {
    {"add", &Builder::sum, &Builder::add, 0},
    {"multiply", &Builder::product, &Builder::mul, 1},
    {"maximum", &Builder::max, &Builder::maximum, -HUGE_VAL},
    {"minimum", &Builder::min, &Builder::minimum, HUGE_VAL},
    {"and", &Builder::all, &Builder::bitAnd, 1},
    {"or", &Builder::any, &Builder::bitOr, 0},
};

const Reduction *reductionOf(Op &c) {
  const std::string combiner = c.combiner();
  auto found = std::ranges::find(reductions, llvm::StringRef(combiner), &Reduction::combiner);
  return found == std::end(reductions) ? nullptr : found;
}

bool isNeutral(Op &c, const Reduction &reduction, Value start) {
  const std::optional<Tensor> known = c.b.constantOf(start);
  return known && known->size() == 1 && loadScalar(*known) == reduction.neutral;
}

/// The bodies with which JAX finds the largest or smallest element and its place.
bool choosesBy(Op &c, const char *direction) {
  static constexpr const char *expected[] = {"compare", "compare", "or",     "compare", "compare",
                                             "and",     "or",      "select", "select"};
  const std::string words[] = {direction, "NE", "", "EQ", "LT", "", "", "", ""};
  if (c.op->getNumRegions() != 1 || c.op->getRegion(0).empty())
    return false;
  size_t at = 0;
  mlir::Block &body = c.op->getRegion(0).front();
  if (body.empty())
    return false;
  for (mlir::Operation &each : llvm::make_range(body.begin(), std::prev(body.end()))) {
    Op inner = Op(c, &each);
    if (at == std::size(expected) || each.getName().stripDialect() != expected[at] ||
        inner.word(0) != words[at])
      return false;
    ++at;
  }
  return at == std::size(expected);
}

Values reduceWithPlace(Op &c, const Ints &dims) {
  Value x = c.operand(0);
  mlir::Operation *places = c.op->getOperand(1).getDefiningOp();
  const bool counts = places && places->getName().stripDialect() == "iota" && dims.size() == 1 &&
                      Op(c, places).integer("dim", -1) == dims[0];
  const bool isLargest = choosesBy(c, "GT");
  if (!counts || !(isLargest || choosesBy(c, "LT")))
    return c.refuse("a reduction of several tensors by this body is not supported");
  Values found = isLargest ? c.b.argmax(x, dims) : c.b.argmin(x, dims);
  return {found[0], c.b.cast(found[1], *c.type(1))};
}

Values reduce(Op &c) {
  const Ints dims = c.ints("dimensions");
  if (c.size() == 4)
    return reduceWithPlace(c, dims);
  const Reduction *reduction = reductionOf(c);
  if (c.size() != 2 || !reduction)
    return c.refuse("its body is more than one op");
  Value x = c.operand(0), start = c.operand(1);
  Value y = dims.empty() ? x : (c.b.*reduction->over)(x, dims, false);
  return {isNeutral(c, *reduction, start) ? y : (c.b.*reduction->both)(y, start)};
}

/// Windows of one dimension that begin before it are running sums.
Values reduceWindow(Op &c) {
  Value x = c.operand(0), start = c.operand(1);
  const Reduction *reduction = reductionOf(c);
  const size_t dimensions = x.shape().size();
  const Ints sizes = c.ints("window_dimensions");
  auto orOnes = [&](const char *name) {
    Ints found = c.ints(name);
    return found.empty() ? Ints(dimensions, 1) : found;
  };
  const Ints strides = orOnes("window_strides"), dilations = orOnes("window_dilations");
  Ints padding = c.ints("padding");
  if (padding.size() != 2 * dimensions)
    padding.assign(2 * dimensions, padding.empty() ? 0 : padding[0]);
  if (c.size() != 2 || !reduction || sizes.size() != dimensions ||
      orOnes("base_dilations") != Ints(dimensions, 1) || !isNeutral(c, *reduction, start))
    return c.refuse("windows of this form are not supported");
  Ints low, high, slid, over;
  for (size_t i = 0; i < dimensions; ++i) {
    low.push_back(padding[2 * i]), high.push_back(padding[2 * i + 1]);
    if (sizes[i] != 1 || strides[i] != 1)
      slid.push_back(int64_t(i));
  }
  const Ints ones(dimensions, 1);
  if (slid.size() == 1 && reduction->combiner == "add" && strides == ones && dilations == ones) {
    const auto along = size_t(slid[0]);
    const int64_t size = x.shape()[along];
    if (sizes[along] == size && low[along] + high[along] == size - 1 &&
        (low[along] == 0 || high[along] == 0))
      return {c.b.cumulativeSum(x, slid[0], false, /*reverse=*/high[along] != 0)};
  }
  Ints windowSizes, windowStrides, windowDilations;
  for (int64_t dim : slid) {
    windowSizes.push_back(sizes[size_t(dim)]);
    windowStrides.push_back(strides[size_t(dim)]);
    windowDilations.push_back(dilations[size_t(dim)]);
    over.push_back(int64_t(dimensions + over.size()));
  }
  Value padded = c.b.pad(x, reduction->neutral, low, high);
  if (slid.empty())
    return {padded};
  Value windows = c.b.window(padded, slid, windowSizes, windowStrides, windowDilations);
  return {(c.b.*reduction->over)(windows, over, false)};
}

Values topK(Op &c) {
  const Values found = c.b.topK(c.operand(0), c.integer("k", 0));
  return {found[0], c.b.cast(found[1], *c.type(1))};
}

constexpr Row rows[] = {
    {"broadcast_in_dim", broadcastInDim},
    {"concatenate", concatenate},
    {"dot_general", dotGeneral},
    {"iota", iota},
    {"pad", pad},
    {"reduce", reduce},
    {"reduce_window", reduceWindow},
    {"reshape", reshape},
    {"reverse", reverse},
    {"slice", slice},
    {"top_k", topK},
    {"transpose", transpose},
};

} // namespace

std::span<const Row> tensorRows() { return rows; }

} // namespace ingot::stablehlo
