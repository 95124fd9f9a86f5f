/// Operations of Builder that move elements, in terms of its smaller ones: no kernel of their own.
#include "frontend/builder/BuilderImpl.h"
#include <algorithm>

namespace ingot {

using Value = Builder::Value;

namespace {

int64_t rankOf(const Value &value) { return int64_t(value.shape().size()); }

/// A dimension counted from the end if it is negative; none if there is no such.
std::optional<size_t> dimensionOf(const Value &x, int64_t dimension) {
  dimension += dimension < 0 ? rankOf(x) : 0;
  if (dimension < 0 || dimension >= rankOf(x))
    return std::nullopt;
  return size_t(dimension);
}

std::string noDimension(int64_t dimension) {
  return fmt::format("there is no dimension {}", dimension);
}

/// Whether a dimension is made of blocks of this size.
bool divides(int64_t block, int64_t size) {
  return block >= 1 && block <= std::max<int64_t>(size, 1) && size % block == 0;
}

/// One dimension of x continued before and after it.
Value continued(Builder &b, Value x, PadMode mode, int64_t dimension, int64_t low, int64_t high) {
  const int64_t size = x.shape()[size_t(dimension)];
  auto part = [&](Value from, int64_t begin, int64_t end) {
    return b.slice(from, dimension, begin, end);
  };
  if (mode == PadMode::Edge || size == 1) {
    auto repeated = [&](int64_t place, int64_t count) {
      Shape shape = x.shape();
      shape[size_t(dimension)] = count;
      return b.broadcast(part(x, place, place + 1), shape);
    };
    const Value parts[] = {repeated(0, low), x, repeated(size - 1, high)};
    return b.concat(parts, dimension);
  }
  // Whole periods, and what is before and after them.
  Value period = x;
  int64_t length = size;
  if (mode == PadMode::Reflect && size > 2) {
    const Value there[] = {x, b.reverse(part(x, 1, size - 1), {dimension})};
    period = b.concat(there, dimension);
    length = 2 * size - 2;
  }
  const int64_t before = low % length, end = size + high, after = end % length;
  std::vector<int64_t> counts(x.shape().size(), 1);
  counts[size_t(dimension)] = low / length + end / length;
  const Value parts[] = {part(period, length - before, length), b.tile(period, counts),
                         part(period, 0, after)};
  return b.concat(parts, dimension);
}

} // namespace

Value Builder::tile(Value x, const std::vector<int64_t> &counts) {
  if (!impl->usable("tile", {x}))
    return impl->invalid();
  if (counts.size() != x.shape().size())
    return impl->fail("tile", {x}, "there must be a count for each dimension");
  if (std::ranges::any_of(counts, [](int64_t count) { return count < 0; }))
    return impl->fail("tile", {x}, "a count is negative");
  Shape apart, repeated;
  for (size_t dim = 0; dim < counts.size(); ++dim) {
    apart.insert(apart.end(), {1, x.shape()[dim]});
    repeated.insert(repeated.end(), {counts[dim], x.shape()[dim]});
  }
  Value copies = broadcast(reshape(x, apart), repeated);
  if (!impl->valid(copies)) // too large
    return copies;
  Shape result;
  for (size_t dim = 0; dim < counts.size(); ++dim)
    result.push_back(counts[dim] * x.shape()[dim]);
  return reshape(copies, result);
}

Value Builder::roll(Value x, int64_t shift, int64_t dimension) {
  if (!impl->usable("roll", {x}))
    return impl->invalid();
  const std::optional<size_t> dim = dimensionOf(x, dimension);
  if (!dim)
    return impl->fail("roll", {x}, noDimension(dimension));
  const int64_t size = x.shape()[*dim];
  const int64_t leaving = size == 0 ? 0 : (shift % size + size) % size;
  if (leaving == 0)
    return x;
  const Value parts[] = {slice(x, dimension, size - leaving, size),
                         slice(x, dimension, 0, size - leaving)};
  return concat(parts, dimension);
}

std::vector<Value> Builder::split(Value x, const std::vector<int64_t> &sizes, int64_t dimension) {
  if (!impl->usable("split", {x}))
    return {};
  const std::optional<size_t> dim = dimensionOf(x, dimension);
  if (!dim) {
    impl->fail("split", {x}, noDimension(dimension));
    return {};
  }
  int64_t left = x.shape()[*dim];
  const bool fits = std::ranges::all_of(
      sizes, [&](int64_t size) { return size >= 0 && (left -= size, left >= 0); });
  if (!fits || left != 0) {
    impl->fail("split", {x},
               fmt::format("sizes [{}] do not fill dimension {}", fmt::join(sizes, ", "), *dim));
    return {};
  }
  std::vector<Value> parts;
  int64_t offset = 0;
  for (int64_t size : sizes) {
    parts.push_back(slice(x, dimension, offset, offset + size));
    offset += size;
  }
  return parts;
}

Value Builder::pad(Value x, PadMode mode, const std::vector<int64_t> &low,
                   const std::vector<int64_t> &high) {
  if (!impl->usable("pad", {x}))
    return impl->invalid();
  if (int64_t(low.size()) != rankOf(x) || int64_t(high.size()) != rankOf(x))
    return impl->fail("pad", {x}, "low and high need one entry for each dimension");
  constexpr int64_t most = int64_t(1) << 46; // no sum of these overflows
  for (int64_t dim = 0; dim < rankOf(x); ++dim) {
    const int64_t before = low[size_t(dim)], after = high[size_t(dim)];
    if (before < 0 || after < 0 || before > most || after > most)
      return impl->fail("pad", {x}, "padding must not be negative, nor more than 2^46 elements");
    if (before == 0 && after == 0)
      continue;
    if (x.shape()[size_t(dim)] == 0)
      return impl->fail("pad", {x}, fmt::format("dimension {} has no elements to continue", dim));
    Value wider = continued(*this, x, mode, dim, before, after);
    if (!impl->valid(wider))
      return wider;
    x = wider;
  }
  return x;
}

Value Builder::triangle(Value x, bool upper, int64_t diagonal) {
  if (!impl->usable("triangle", {x}))
    return impl->invalid();
  if (rankOf(x) < 2)
    return impl->fail("triangle", {x}, "the operand needs two dimensions");
  const Shape matrix(x.shape().end() - 2, x.shape().end());
  diagonal = std::clamp(diagonal, -matrix[0] - 1, matrix[1] + 1); // beyond, all or nothing
  Value column = iota(matrix, 1, ElementType::I64);
  Value edge = add(iota(matrix, 0, ElementType::I64), scalar(double(diagonal), ElementType::I64));
  Value isKept = compare(upper ? Comparison::GreaterEqual : Comparison::LessEqual, column, edge);
  return select(isKept, x, scalar(0, x.type()));
}

Value Builder::oneHot(Value indices, int64_t depth, double on, double off, ElementType type) {
  if (!impl->usable("one_hot", {indices}))
    return impl->invalid();
  if (depth < 0)
    return impl->fail("one_hot", {indices}, fmt::format("{} is no depth", depth));
  const graph::ElementKind kind = graph::kindOf(indices.type());
  if (kind == graph::ElementKind::Float || indices.type() == ElementType::I1)
    return impl->fail("one_hot", {indices}, "indices must be integers");
  Shape apart = indices.shape(), spread(apart.size() + 1, 1);
  apart.push_back(1);
  spread.back() = depth;
  const bool isSigned = kind == graph::ElementKind::Signed;
  const ElementType wide = isSigned ? ElementType::I64 : ElementType::U64;
  Value index = reshape(cast(indices, wide), apart);
  if (isSigned)
    index = select(compare(Comparison::Less, index, scalar(0, wide)),
                   add(index, scalar(double(depth), wide)), index);
  Value place = iota(spread, int64_t(spread.size()) - 1, wide);
  return select(compare(Comparison::Equal, index, place), scalar(on, type), scalar(off, type));
}

Value Builder::depthToSpace(Value x, int64_t block, bool depthFirst) {
  if (!impl->usable("depth_to_space", {x}))
    return impl->invalid();
  const Shape &s = x.shape();
  if (rankOf(x) != 4 || !divides(block, s[1]) || !divides(block, s[1] / block))
    return impl->fail("depth_to_space", {x},
                      fmt::format("needs [batch, channels, height, width], and channels that {} "
                                  "squared divides",
                                  block));
  const int64_t channels = s[1] / block / block;
  Value apart = depthFirst ? reshape(x, {s[0], block, block, channels, s[2], s[3]})
                           : reshape(x, {s[0], channels, block, block, s[2], s[3]});
  const std::vector<int64_t> order =
      depthFirst ? std::vector<int64_t>{0, 3, 4, 1, 5, 2} : std::vector<int64_t>{0, 1, 4, 2, 5, 3};
  return reshape(transpose(apart, order), {s[0], channels, s[2] * block, s[3] * block});
}

Value Builder::spaceToDepth(Value x, int64_t block) {
  if (!impl->usable("space_to_depth", {x}))
    return impl->invalid();
  const Shape &s = x.shape();
  if (rankOf(x) != 4 || !divides(block, s[2]) || !divides(block, s[3]))
    return impl->fail("space_to_depth", {x},
                      fmt::format("needs [batch, channels, height, width], and height and width "
                                  "that {} divides",
                                  block));
  const int64_t height = s[2] / block, width = s[3] / block;
  Value apart = reshape(x, {s[0], s[1], height, block, width, block});
  return reshape(transpose(apart, {0, 3, 5, 1, 2, 4}), {s[0], s[1] * block * block, height, width});
}

} // namespace ingot
