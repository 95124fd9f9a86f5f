/// Rows of ops that move elements, and of those that make tensors from shapes.
#include "frontend/onnx/Rows.h"
#include <algorithm>
#include <cmath>
#include <numeric>

namespace ingot::onnx {
namespace {

//===--------------------------------------------------------------------------------------------===//
// Other shapes of the same elements
//===--------------------------------------------------------------------------------------------===//

Items reshape(Call &c) {
  Value x = c.operand(0);
  Ints shape = c.intsOr(1, "shape");
  if (c.isRefused())
    return {};
  if (c.integer("allowzero", 0) == 0)
    for (size_t i = 0; i < shape.size(); ++i)
      if (shape[i] == 0 && i < x.shape().size())
        shape[i] = x.shape()[i];
  return {c.b.reshape(x, shape)};
}

/// Elements of the dimensions [first, end).
int64_t sizeOf(const Value &x, int64_t first, int64_t end) {
  int64_t size = 1;
  for (int64_t i = first; i < end; ++i)
    size *= x.shape()[size_t(i)];
  return size;
}

Items flatten(Call &c) {
  Value x = c.operand(0);
  int64_t axis = c.integer("axis", 1);
  axis += axis < 0 ? rank(x) : 0;
  if (axis < 0 || axis > rank(x))
    return {c.refuse(fmt::format("there is no axis {}", axis))};
  return {c.b.reshape(x, {sizeOf(x, 0, axis), sizeOf(x, axis, rank(x))})};
}

Items squeeze(Call &c) {
  Value x = c.padded(0);
  const Item &given = c.item(0);
  const bool isGiven = c.has(1) || c.attribute("axes");
  const Ints axes = c.axes(x, c.intsOr(1, "axes"));
  Shape shape;
  int64_t counted = given.counted;
  for (int64_t i = 0; i < rank(x); ++i) {
    const int64_t size = x.shape()[size_t(i)];
    if (given.isCounted() && i == given.counted &&
        (!isGiven || std::ranges::find(axes, i) != axes.end()))
      return {c.refuse(fmt::format("the size of dimension {} depends on data", i))};
    const bool isNamed = std::ranges::find(axes, i) != axes.end();
    if (isNamed && size != 1)
      return {c.refuse(fmt::format("dimension {} is {}, not 1", i, size))};
    if (isGiven ? !isNamed : size != 1)
      shape.push_back(size);
    else
      counted -= i < given.counted;
  }
  Value y = c.b.reshape(x, shape);
  return {given.isCounted() ? Item(y, given.count, counted) : Item(y)};
}

Items unsqueeze(Call &c) {
  Value x = c.padded(0);
  const Item &given = c.item(0);
  Ints axes = c.intsOr(1, "axes");
  const int64_t dimensions = rank(x) + int64_t(axes.size());
  for (int64_t &axis : axes) {
    axis += axis < 0 ? dimensions : 0;
    if (axis < 0 || axis >= dimensions)
      return {c.refuse(fmt::format("there is no axis {} in {} dimensions", axis, dimensions))};
  }
  std::ranges::sort(axes);
  Shape shape = x.shape();
  int64_t counted = given.counted;
  for (int64_t axis : axes) {
    shape.insert(shape.begin() + std::min<int64_t>(axis, int64_t(shape.size())), 1);
    counted += axis <= counted;
  }
  Value y = c.b.reshape(x, shape);
  return {given.isCounted() ? Item(y, given.count, counted) : Item(y)};
}

Items transpose(Call &c) {
  Value x = c.padded(0);
  Ints reversed(size_t(rank(x)));
  std::iota(reversed.rbegin(), reversed.rend(), 0);
  const Ints permutation = c.integers("perm", reversed);
  Value y = rank(x) == 0 ? x : c.b.transpose(x, permutation);
  if (!c.item(0).isCounted())
    return {y};
  return {Item(y, c.item(0).count,
               std::ranges::find(permutation, c.item(0).counted) - permutation.begin())};
}

/// Whether a dimension is made of blocks of this size.
bool divides(int64_t block, int64_t size) {
  return block >= 1 && block <= std::max<int64_t>(size, 1) && size % block == 0;
}

/// [N, C, H, W] by blocks; `DCR` and `CRD` say in which order depth holds them.
Items depthToSpace(Call &c) {
  Value x = c.operand(0);
  const int64_t block = c.integer("blocksize", 1);
  if (rank(x) != 4 || !divides(block, x.shape()[1]) || !divides(block, x.shape()[1] / block))
    return {c.refuse("its blocks do not divide the channels of an image")};
  const int64_t n = x.shape()[0], depth = x.shape()[1] / (block * block), h = x.shape()[2],
                w = x.shape()[3];
  const bool isDcr = c.text("mode", "DCR") == "DCR";
  Value parts = c.b.reshape(x, isDcr ? Shape{n, block, block, depth, h, w}
                                     : Shape{n, depth, block, block, h, w});
  Value moved = c.b.transpose(parts, isDcr ? Ints{0, 3, 4, 1, 5, 2} : Ints{0, 1, 4, 2, 5, 3});
  return {c.b.reshape(moved, {n, depth, h * block, w * block})};
}

Items spaceToDepth(Call &c) {
  Value x = c.operand(0);
  const int64_t block = c.integer("blocksize", 1);
  if (rank(x) != 4 || !divides(block, x.shape()[2]) || !divides(block, x.shape()[3]))
    return {c.refuse("its blocks do not divide an image")};
  const int64_t n = x.shape()[0], depth = x.shape()[1], h = x.shape()[2] / block,
                w = x.shape()[3] / block;
  Value parts = c.b.reshape(x, {n, depth, h, block, w, block});
  return {c.b.reshape(c.b.transpose(parts, {0, 3, 5, 1, 2, 4}), {n, depth * block * block, h, w})};
}

//===--------------------------------------------------------------------------------------------===//
// Parts and joins
//===--------------------------------------------------------------------------------------------===//

Items concat(Call &c) {
  std::vector<Value> parts = c.operands();
  if (parts.empty())
    return {c.refuse("it joins nothing")};
  // Before opset 4 there was a default.
  return {c.b.concat(parts, c.axis(parts[0], c.integer("axis", 1)))};
}

Items split(Call &c) {
  Value x = c.operand(0);
  const int64_t axis = c.axis(x, c.integer("axis", 0));
  Ints sizes = c.intsOr(1, "split");
  if (c.isRefused())
    return {};
  const int64_t size = x.shape()[size_t(axis)];
  if (sizes.empty()) {
    const auto parts = int64_t(c.outputs());
    if (parts == 0)
      return {c.refuse("it has no outputs")};
    const int64_t each = (size + parts - 1) / parts; // the last one may be smaller
    for (int64_t i = 0; i < parts; ++i)
      sizes.push_back(std::clamp<int64_t>(size - i * each, 0, each));
  }
  Items results;
  int64_t offset = 0;
  for (int64_t part : sizes) {
    results.emplace_back(c.b.slice(x, axis, offset, offset + part));
    offset += part;
  }
  if (offset != size)
    return {c.refuse(fmt::format("its parts are {} together, not {}", offset, size))};
  return results;
}

Items slice(Call &c) {
  Value x = c.padded(0);
  const Item &given = c.item(0);
  const Ints starts = c.intsOr(1, "starts"), ends = c.intsOr(2, "ends");
  Ints all(starts.size());
  std::iota(all.begin(), all.end(), 0);
  const Ints axes = c.axes(x, c.intsOr(3, "axes", all));
  const Ints steps = c.has(4) ? c.ints(4) : Ints(starts.size(), 1);
  if (c.isRefused())
    return {};
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size())
    return {c.refuse("its starts, ends, axes and steps differ in number")};
  if (given.isCounted() && std::ranges::find(axes, given.counted) != axes.end())
    return {c.refuse(fmt::format("the size of dimension {} depends on data", given.counted))};
  Ints offsets(size_t(rank(x)), 0), limits = x.shape(), strides(size_t(rank(x)), 1), reversed;
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto axis = size_t(axes[i]);
    const int64_t size = x.shape()[axis], step = steps[i];
    if (step == 0)
      return {c.refuse("a step is 0")};
    auto fromEnd = [&](int64_t index) { return index < 0 ? index + size : index; };
    int64_t start = fromEnd(starts[i]), end = fromEnd(ends[i]);
    if (step > 0) {
      offsets[axis] = std::clamp<int64_t>(start, 0, size);
      limits[axis] = std::max(std::clamp<int64_t>(end, 0, size), offsets[axis]);
      strides[axis] = std::min(step, std::max<int64_t>(size, 1));
      continue;
    }
    // Backwards: the same elements of the reversed dimension, counted from its end.
    start = std::clamp<int64_t>(start, -1, size - 1);
    end = std::clamp<int64_t>(ends[i] < -size ? -1 : end, -1, size - 1);
    reversed.push_back(axes[i]);
    offsets[axis] = size - 1 - start;
    limits[axis] = std::max(size - 1 - end, offsets[axis]);
    strides[axis] = step < -size ? std::max<int64_t>(size, 1) : -step;
  }
  Value turned = reversed.empty() ? x : c.b.reverse(x, reversed);
  Value y = c.b.slice(turned, offsets, limits, strides);
  return {given.isCounted() ? Item(y, given.count, given.counted) : Item(y)};
}

/// A dimension continued by indices into itself, for `edge`, `reflect` and `wrap`.
Value padByIndex(Call &c, Value x, int64_t axis, int64_t low, int64_t high,
                 const std::string &mode) {
  const int64_t size = x.shape()[size_t(axis)];
  if (size == 0)
    c.refuse(fmt::format("its dimension {} has no elements to continue", axis));
  if (size == 0 || !c.constantFits(low) || !c.constantFits(high) ||
      !c.constantFits(low + size + high))
    return x;
  Ints indices;
  for (int64_t i = -low; i < size + high; ++i) {
    int64_t index = i;
    if (mode == "edge") {
      index = std::clamp<int64_t>(i, 0, size - 1);
    } else if (mode == "wrap") {
      index = (i % size + size) % size;
    } else if (size > 1) {
      const int64_t period = 2 * (size - 1), inside = (i % period + period) % period;
      index = inside < size ? inside : period - inside;
    } else {
      index = 0;
    }
    indices.push_back(index);
  }
  return c.b.gather(x, c.constant(indices), axis);
}

Items pad(Call &c) {
  Value x = c.operand(0);
  const Ints pads = c.opset >= 2 ? c.intsOr(1, "pads") : c.integers("paddings");
  Ints axes(size_t(rank(x)));
  std::iota(axes.begin(), axes.end(), 0);
  if (c.has(3))
    axes = c.axes(x, c.ints(3));
  const std::string mode = c.text("mode", "constant");
  if (c.isRefused())
    return {};
  if (pads.size() != 2 * axes.size())
    return {c.refuse(fmt::format("it has {} pads for {} dimensions", pads.size(), axes.size()))};
  Ints low(size_t(rank(x)), 0), high(size_t(rank(x)), 0), offsets(size_t(rank(x)), 0),
      limits = x.shape();
  for (size_t i = 0; i < axes.size(); ++i) { // what is negative cuts off
    const auto axis = size_t(axes[i]);
    const int64_t before = pads[i], after = pads[i + axes.size()];
    low[axis] = std::max<int64_t>(before, 0);
    high[axis] = std::max<int64_t>(after, 0);
    offsets[axis] = std::max<int64_t>(-before, 0);
    limits[axis] -= std::max<int64_t>(-after, 0);
  }
  if (offsets != Ints(offsets.size(), 0) || limits != x.shape())
    x = c.b.slice(x, offsets, limits);
  if (mode != "constant") {
    for (int64_t axis = 0; axis < rank(x); ++axis)
      if (low[size_t(axis)] || high[size_t(axis)])
        x = padByIndex(c, x, axis, low[size_t(axis)], high[size_t(axis)], mode);
    return {x};
  }
  if (!c.has(2) || c.ifKnown(2))
    return {c.b.pad(x, c.has(2) ? c.numberAt(2, 0) : c.number("value", 0), low, high)};
  // A value that is computed: what is padded is told by a mask.
  Value inside = c.b.pad(c.b.broadcast(c.b.scalar(1, ElementType::I1), x.shape()), 0, low, high);
  return {c.b.select(inside, c.b.pad(x, 0, low, high), c.operand(2))};
}

//===--------------------------------------------------------------------------------------------===//
// Repetition
//===--------------------------------------------------------------------------------------------===//

/// The shape that x and `wanted` broadcast to: a 1 in `wanted` keeps x's size.
Items expand(Call &c) {
  Value x = c.operand(0);
  Shape target = c.ints(1);
  if (c.isRefused())
    return {};
  while (int64_t(target.size()) < rank(x))
    target.insert(target.begin(), 1);
  for (int64_t i = 1; i <= rank(x); ++i)
    if (int64_t &size = target[target.size() - size_t(i)]; size == 1)
      size = x.shape()[size_t(rank(x) - i)];
  return {c.b.broadcast(x, target)};
}

Items tile(Call &c) {
  Value x = c.operand(0);
  Ints repeats = c.ints(1);
  if (c.isRefused())
    return {};
  if (c.opset < 6) { // one axis, its number a third input
    const int64_t axis = c.axis(x, c.integerAt(2, 0));
    if (c.isRefused())
      return {};
    Ints each(size_t(rank(x)), 1);
    if (!repeats.empty())
      each[size_t(axis)] = repeats[0];
    repeats = each;
  }
  if (int64_t(repeats.size()) != rank(x))
    return {c.refuse("it needs a number for each dimension")};
  Shape apart, repeated, joined;
  for (size_t i = 0; i < repeats.size(); ++i) {
    apart.insert(apart.end(), {1, x.shape()[i]});
    repeated.insert(repeated.end(), {repeats[i], x.shape()[i]});
    joined.push_back(repeats[i] * x.shape()[i]);
  }
  return {c.b.reshape(c.b.broadcast(c.b.reshape(x, apart), repeated), joined)};
}

//===--------------------------------------------------------------------------------------------===//
// Tensors from shapes and numbers
//===--------------------------------------------------------------------------------------------===//

Items shape(Call &c) {
  Value x = c.padded(0);
  const int64_t dimensions = rank(x);
  auto bounded = [&](int64_t index) {
    return std::clamp<int64_t>(index < 0 ? index + dimensions : index, 0, dimensions);
  };
  const int64_t start = bounded(c.integer("start", 0)),
                end = std::max(start, bounded(c.integer("end", dimensions)));
  const Item &given = c.item(0);
  if (!given.isCounted() || given.counted < start || given.counted >= end)
    return {c.constant(Ints(x.shape().begin() + start, x.shape().begin() + end))};
  std::vector<Value> sizes;
  for (int64_t i = start; i < end; ++i)
    sizes.push_back(i == given.counted ? c.b.reshape(c.b.cast(given.count, ElementType::I64), {1})
                                       : c.constant({x.shape()[size_t(i)]}));
  return {c.b.concat(sizes, 0)};
}

Items size(Call &c) {
  Value x = c.padded(0);
  const Item &given = c.item(0);
  if (!given.isCounted())
    return {c.constant({elementCount(x.shape())}, {})};
  Shape others = x.shape();
  others[size_t(given.counted)] = 1;
  return {c.b.reshape(c.b.cast(given.count, ElementType::I64), {}) *
          c.constant({elementCount(others)}, {})};
}

Items constant(Call &c) {
  if (c.attribute("value"))
    return {c.b.constant(c.tensor("value"))};
  auto floats = [&](const std::vector<float> &values, Shape shape) {
    Tensor tensor(ElementType::F32, std::move(shape));
    std::copy(values.begin(), values.end(), tensor.as<float>());
    return c.b.constant(tensor);
  };
  if (const AttributeProto *value = c.attribute("value_float"))
    return {floats({value->f}, {})};
  if (const AttributeProto *value = c.attribute("value_floats"))
    return {floats(value->floats, {int64_t(value->floats.size())})};
  if (const AttributeProto *value = c.attribute("value_int"))
    return {c.constant({value->i}, {})};
  if (const AttributeProto *value = c.attribute("value_ints"))
    return {c.constant(value->ints)};
  return {c.refuse("its value is a string or sparse, which is not supported")};
}

Items constantOfShape(Call &c) {
  const Shape shape = c.ints(0);
  if (c.isRefused())
    return {};
  Value value = c.b.scalar(0);
  if (c.attribute("value"))
    value = c.b.reshape(c.b.constant(c.tensor("value")), {});
  return {c.b.broadcast(value, shape)};
}

Items range(Call &c) {
  const Value start = c.operand(0), step = c.operand(2);
  const std::vector<double> first = c.numbers(0), end = c.numbers(1), by = c.numbers(2);
  if (c.isRefused())
    return {};
  if (first.empty() || end.empty() || by.empty() || by[0] == 0)
    return {c.refuse("its step is 0")};
  const double steps = std::ceil((end[0] - first[0]) / by[0]);
  if (!(steps < 0x1p62))
    return {c.refuse(fmt::format("it has {} elements", steps))};
  const auto count = int64_t(std::max(steps, 0.0));
  constexpr int64_t mostOfShape = 64; // as many may be sizes or axes, which must be known
  if (start.type() == ElementType::I64 && count <= mostOfShape) {
    Ints values(size_t(count), c.ints(0)[0]);
    for (size_t i = 0; i < values.size(); ++i)
      values[i] += int64_t(i) * c.ints(2)[0];
    return {c.constant(values)};
  }
  return {c.b.iota({count}, 0, start.type()) * step + start};
}

/// Ones on a diagonal.
Items eyeLike(Call &c) {
  Value x = c.operand(0);
  if (rank(x) != 2)
    return {c.refuse("it needs a matrix")};
  Value row = c.b.iota(x.shape(), 0, ElementType::I64);
  Value column = c.b.iota(x.shape(), 1, ElementType::I64);
  Value isOn = c.b.compare(Comparison::Equal, row + c.constant({c.integer("k", 0)}, {}), column);
  return {c.b.cast(isOn, c.elementType("dtype", x.type()))};
}

Items trilu(Call &c) {
  Value x = c.operand(0);
  if (rank(x) < 2)
    return {c.refuse("it needs a matrix")};
  const int64_t k = c.integerAt(1, 0);
  const Shape matrix(x.shape().end() - 2, x.shape().end());
  Value row = c.b.iota(matrix, 0, ElementType::I64), column = c.b.iota(matrix, 1, ElementType::I64);
  const bool isUpper = c.integer("upper", 1) != 0;
  Value stays = c.b.compare(isUpper ? Comparison::GreaterEqual : Comparison::LessEqual, column,
                            row + c.constant({k}, {}));
  return {c.b.select(stays, x, c.scalarLike(x, 0))};
}

/// Indices that match a count along a new dimension; negative ones count from the end.
Items oneHot(Call &c) {
  Value indices = c.operand(0), values = c.operand(2);
  const Ints depth = c.ints(1);
  if (c.isRefused() || depth.empty())
    return {};
  Shape shape = indices.shape();
  int64_t axis = c.integer("axis", -1);
  axis += axis < 0 ? rank(indices) + 1 : 0;
  if (axis < 0 || axis > rank(indices))
    return {c.refuse(fmt::format("there is no axis {}", axis))};
  Shape apart = shape;
  apart.insert(apart.begin() + axis, 1);
  shape.insert(shape.begin() + axis, depth[0]);
  Value wanted = c.b.cast(c.b.reshape(indices, apart), ElementType::I64);
  Value zero = c.constant({0}, {}), count = c.constant({depth[0]}, {});
  Value turned = c.b.select(c.b.compare(Comparison::Less, wanted, zero), wanted + count, wanted);
  Value isHot = c.b.compare(Comparison::Equal, turned, c.b.iota(shape, axis, ElementType::I64));
  Value off = c.b.reshape(c.b.slice(values, 0, 0, 1), {});
  Value on = c.b.reshape(c.b.slice(values, 0, 1, 2), {});
  return {c.b.select(isHot, on, off)};
}

constexpr Row rows[] = {
    {"Concat", 1, newestOpset, concat},
    {"Constant", 1, newestOpset, constant},
    {"ConstantOfShape", 9, newestOpset, constantOfShape},
    {"DepthToSpace", 1, newestOpset, depthToSpace},
    {"Expand", 8, newestOpset, expand},
    {"EyeLike", 9, newestOpset, eyeLike},
    {"Flatten", 1, newestOpset, flatten},
    {"OneHot", 9, newestOpset, oneHot},
    {"Pad", 1, newestOpset, pad},
    {"Range", 11, newestOpset, range},
    {"Reshape", 1, newestOpset, reshape},
    {"Shape", 1, newestOpset, shape},
    {"Size", 1, newestOpset, size},
    {"Slice", 1, newestOpset, slice},
    {"SpaceToDepth", 1, newestOpset, spaceToDepth},
    {"Split", 1, newestOpset, split},
    {"Squeeze", 1, newestOpset, squeeze},
    {"Tile", 1, newestOpset, tile},
    {"Transpose", 1, newestOpset, transpose},
    {"Trilu", 14, newestOpset, trilu},
    {"Unsqueeze", 1, newestOpset, unsqueeze},
};

} // namespace

std::span<const Row> shapeRows() { return rows; }

} // namespace ingot::onnx
