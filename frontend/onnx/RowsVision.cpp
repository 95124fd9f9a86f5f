/// Rows of ops on images beyond convolution and pooling.
#include "frontend/onnx/Rows.h"
#include "frontend/onnx/Windows.h"
#include <algorithm>
#include <limits>

namespace ingot::onnx {
namespace {

//===--------------------------------------------------------------------------------------------===//
// GridSample
//===--------------------------------------------------------------------------------------------===//

enum class Edge { Zeros, Border, Reflection };

/// One axis of an image: its size, and where its elements' outermost coordinates are.
struct Side {
  int64_t size;
  double low, high;
};

struct Grid {
  Call &c;
  Value pixels; ///< [batch · height · width, channels]
  Value batch;  ///< [batch, 1, 1]: where each image's pixels begin
  Side height, width;
  Edge edge;

  Value number(Value like, double value) const { return c.scalarLike(like, value); }
  Value clamp(Value x, double low, double high) const {
    return c.b.minimum(c.b.maximum(x, number(x, low)), number(x, high));
  }
  /// Mirrored at both ends until it is inside.
  Value reflect(Value x, const Side &side) const {
    const double span = side.high - side.low;
    if (span <= 0)
      return number(x, 0) * x;
    Value from = c.b.abs(x - number(x, side.low));
    Value turns = c.b.floor(from / number(x, span));
    Value rest = from - turns * number(x, span);
    Value isOdd = c.b.compare(Comparison::Equal,
                              turns - c.b.floor(turns / number(x, 2)) * number(x, 2), number(x, 1));
    Value inside = c.b.select(isOdd, number(x, span) - rest, rest);
    return inside + number(x, side.low);
  }
  Value placed(Value x, const Side &side) const {
    if (edge == Edge::Reflection)
      x = reflect(x, side);
    return edge == Edge::Zeros ? x : clamp(x, 0, double(side.size - 1));
  }
  /// The pixels at whole coordinates [batch, h, w]: [batch, h, w, channels].
  Value at(Value y, Value x) const {
    Value row = placed(y, height), column = placed(x, width);
    Value places = c.b.cast(clamp(row, 0, double(height.size - 1)), ElementType::I64) *
                       c.constant({width.size}, {}) +
                   c.b.cast(clamp(column, 0, double(width.size - 1)), ElementType::I64) + batch;
    Value picked = c.b.gather(pixels, places, 0);
    if (edge != Edge::Zeros)
      return picked;
    auto isInside = [&](Value v, const Side &side) {
      return c.b.bitAnd(c.b.compare(Comparison::GreaterEqual, v, number(v, 0)),
                        c.b.compare(Comparison::LessEqual, v, number(v, double(side.size - 1))));
    };
    return c.b.select(last(c.b.bitAnd(isInside(y, height), isInside(x, width))), picked,
                      number(picked, 0));
  }
  /// With a dimension of channels behind.
  Value last(Value x) const {
    Shape shape = x.shape();
    shape.push_back(1);
    return c.b.reshape(x, shape);
  }
};

Value bilinear(const Grid &g, Value y, Value x) {
  Value top = g.c.b.floor(y), left = g.c.b.floor(x);
  Value one = g.number(x, 1), down = y - top, right = x - left;
  auto corner = [&](Value row, Value column, Value weight) {
    return g.at(row, column) * g.last(weight);
  };
  return corner(top, left, (one - down) * (one - right)) +
         corner(top, left + one, (one - down) * right) +
         corner(top + one, left, down * (one - right)) +
         corner(top + one, left + one, down * right);
}

Value bicubic(const Grid &g, Value y, Value x) {
  constexpr double a = -0.75;
  auto weights = [&](Value t) {
    auto n = [&](double value) { return g.number(t, value); };
    auto outer = [&](Value d) { return ((n(a) * d - n(5 * a)) * d + n(8 * a)) * d - n(4 * a); };
    auto inner = [&](Value d) { return (n(a + 2) * d - n(a + 3)) * d * d + n(1); };
    return std::vector<Value>{outer(t + n(1)), inner(t), inner(n(1) - t), outer(n(2) - t)};
  };
  Value top = g.c.b.floor(y), left = g.c.b.floor(x);
  const std::vector<Value> down = weights(y - top), right = weights(x - left);
  Value total;
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j) {
      Value part = g.at(top + g.number(y, i - 1), left + g.number(x, j - 1)) *
                   g.last(down[size_t(i)] * right[size_t(j)]);
      total = total.valid() ? total + part : part;
    }
  return total;
}

/// Of coordinates: a narrower type holds no whole numbers beyond 256 or 2048.
ElementType coordinateType(ElementType type) {
  return type == ElementType::F64 ? ElementType::F64 : ElementType::F32;
}

Items gridSample(Call &c) {
  const ElementType type = c.operand(0).type();
  // Pixels too, which coordinates are multiplied with.
  Value x = c.b.cast(c.operand(0), coordinateType(type)),
        grid = c.b.cast(c.operand(1), coordinateType(type));
  if (rank(x) != 4 || rank(grid) != 4)
    return {c.refuse("only images [batch, channels, height, width] are supported")};
  const bool aligns = c.integer("align_corners", 0) != 0;
  const std::string mode = c.text("mode", "bilinear"), edges = c.text("padding_mode", "zeros");
  const Shape &shape = x.shape();
  auto side = [&](int64_t size) {
    return aligns ? Side{size, 0, double(size - 1)} : Side{size, -0.5, double(size) - 0.5};
  };
  Value images = c.b.iota({grid.shape()[0], 1, 1}, 0, ElementType::I64);
  Grid g{c,
         c.b.reshape(c.b.transpose(x, {0, 2, 3, 1}), {-1, shape[1]}),
         images * c.constant({shape[2] * shape[3]}, {}),
         side(shape[2]),
         side(shape[3]),
         edges == "border"       ? Edge::Border
         : edges == "reflection" ? Edge::Reflection
                                 : Edge::Zeros};
  auto coordinate = [&](int64_t index, const Side &s) {
    Value part = c.b.slice(grid, 3, index, index + 1);
    Value v = c.b.reshape(part, {grid.shape()[0], grid.shape()[1], grid.shape()[2]});
    const double half = (s.high - s.low) / 2;
    return (v + c.scalarLike(v, 1)) * c.scalarLike(v, half) + c.scalarLike(v, s.low);
  };
  Value column = coordinate(0, g.width), row = coordinate(1, g.height);
  Value y;
  if (mode == "bicubic" || mode == "cubic") {
    y = bicubic(g, row, column);
  } else {
    row = g.placed(row, g.height);
    column = g.placed(column, g.width);
    y = mode == "nearest" ? g.at(c.b.round(row), c.b.round(column)) : bilinear(g, row, column);
  }
  return {c.b.cast(c.b.transpose(y, {0, 3, 1, 2}), type)};
}

/// Where an affine map puts the places of an image, from -1 to 1 along each of its dimensions.
Items affineGrid(Call &c) {
  const ElementType type = c.operand(0).type();
  Value theta = c.b.cast(c.operand(0), coordinateType(type));
  const Ints size = c.ints(1);
  if (c.isRefused() || rank(theta) != 3 || !isFloat(type) ||
      int64_t(size.size()) != theta.shape()[2] + 1 || theta.shape()[1] + 1 != theta.shape()[2] ||
      theta.shape()[0] != size[0] || elementCount(size) < 1)
    return {c.refuse("its maps or its size do not fit")};
  const bool aligns = c.integer("align_corners", 0) != 0;
  const Shape image(size.begin() + 2, size.end());
  const int64_t count = int64_t(image.size());
  std::vector<Value> coordinates;
  for (int64_t axis = count - 1; axis >= 0; --axis) { // the last dimension comes first
    const auto length = double(image[size_t(axis)]);
    const double step = aligns ? length > 1 ? 2 / (length - 1) : 0 : 2 / length;
    Value number = c.b.iota(image, axis, theta.type());
    coordinates.push_back((number - c.scalarLike(theta, (length - 1) / 2)) *
                          c.scalarLike(theta, step));
  }
  coordinates.push_back(c.b.broadcast(c.scalarLike(theta, 1), image));
  Value places = c.b.reshape(c.stack(coordinates, count), {1, -1, count + 1});
  Shape result = {size[0]};
  result.insert(result.end(), image.begin(), image.end());
  result.push_back(count);
  Value y = c.b.reshape(c.b.matmul(places, c.b.transpose(theta, {0, 2, 1})), result);
  return {c.b.cast(y, type)};
}

//===--------------------------------------------------------------------------------------------===//
// DeformConv
//===--------------------------------------------------------------------------------------------===//

/// A convolution whose every product reads its pixel, between four, at an offset of its own.
Items deformConv(Call &c) {
  const ElementType type = c.operand(0).type();
  auto operand = [&](size_t index) { return c.b.cast(c.operand(index), coordinateType(type)); };
  Value x = operand(0), weight = operand(1), offsets = operand(2);
  if (rank(x) != 4 || rank(weight) != 4 || rank(offsets) != 4)
    return {c.refuse("only images [batch, channels, height, width] are supported")};
  const Ints kernel = {weight.shape()[2], weight.shape()[3]};
  const Ints strides = c.integers("strides", {1, 1}), dilations = c.integers("dilations", {1, 1}),
             pads = c.integers("pads", {0, 0, 0, 0});
  const int64_t groups = c.integer("group", 1), offsetGroups = c.integer("offset_group", 1);
  const Shape &shape = x.shape(), &out = offsets.shape();
  const int64_t images = shape[0], points = kernel[0] * kernel[1], outputs = weight.shape()[0],
                places = out[2] * out[3];
  if (strides.size() != 2 || dilations.size() != 2 || pads.size() != 4 || groups < 1 ||
      offsetGroups < 1 || shape[1] % groups || shape[1] % offsetGroups || outputs % groups ||
      weight.shape()[1] != shape[1] / groups || out[0] != images ||
      out[1] != 2 * points * offsetGroups || elementCount(shape) < 1 || elementCount(out) < 1)
    return {c.refuse("its weight, its offsets or its numbers do not fit")};
  const int64_t channels = shape[1] / offsetGroups, parts = images * offsetGroups;
  Grid g{
      c,
      c.b.reshape(c.b.transpose(c.b.reshape(x, {parts, channels, shape[2] * shape[3]}), {0, 2, 1}),
                  {-1, channels}),
      c.b.iota({parts, 1, 1}, 0, ElementType::I64) * c.constant({shape[2] * shape[3]}, {}),
      {shape[2], 0, double(shape[2] - 1)},
      {shape[3], 0, double(shape[3] - 1)},
      Edge::Zeros};
  Value moved = c.b.reshape(offsets, {parts, points, 2, out[2], out[3]});
  // Of each product: the place without its offset, and the offset.
  auto coordinate = [&](int64_t axis) {
    Value offset =
        c.b.reshape(c.b.slice(moved, 2, axis, axis + 1), {parts, points, out[2], out[3]});
    const Shape each = {1, points, out[2], out[3]};
    Value window =
        c.b.iota(each, 2 + axis, x.type()) * c.scalarLike(x, double(strides[size_t(axis)]));
    Value point = c.b.iota(each, 1, ElementType::I64);
    Value inWindow = axis == 0 ? point / c.constant({kernel[1]}, {})
                               : c.b.remainder(point, c.constant({kernel[1]}, {}));
    Value start = window - c.scalarLike(x, double(pads[size_t(axis)])) +
                  c.b.cast(inWindow, x.type()) * c.scalarLike(x, double(dilations[size_t(axis)]));
    return c.b.reshape(start + offset, {parts, points, places});
  };
  Value read = bilinear(g, coordinate(0), coordinate(1)); // [parts, points, places, channels]
  if (c.has(4))
    read = read * c.b.reshape(operand(4), {parts, points, places, 1});
  Value columns = c.b.reshape(c.b.transpose(read, {0, 3, 1, 2}),
                              {images, groups, shape[1] / groups * points, places});
  Value y = c.b.matmul(c.b.reshape(weight, {1, groups, outputs / groups, -1}), columns);
  y = c.b.reshape(y, {images, outputs, out[2], out[3]});
  return {c.b.cast(c.has(3) ? y + c.alongChannels(y, operand(3)) : y, type)};
}

//===--------------------------------------------------------------------------------------------===//
// Col2Im, CenterCropPad
//===--------------------------------------------------------------------------------------------===//

/// Sums the elements of windows, [batch, channels · window, windows], where they were cut out.
Items col2Im(Call &c) {
  Value x = c.operand(0);
  const Ints image = c.ints(1), block = c.ints(2);
  const size_t count = image.size();
  const Ints strides = c.integers("strides", Ints(count, 1)),
             dilations = c.integers("dilations", Ints(count, 1)),
             pads = c.integers("pads", Ints(2 * count, 0));
  if (c.isRefused() || rank(x) != 3 || block.size() != count || strides.size() != count ||
      dilations.size() != count || pads.size() != 2 * count)
    return {c.refuse("its attributes do not have a number for each dimension")};
  Shape padded, windows;
  for (size_t i = 0; i < count; ++i) {
    padded.push_back(image[i] + pads[i] + pads[i + count]);
    windows.push_back((padded[i] - dilations[i] * (block[i] - 1) - 1) / strides[i] + 1);
  }
  const int64_t inBlock = elementCount(block), cut = elementCount(windows);
  if (cut != x.shape()[2] || inBlock < 1 || x.shape()[1] % inBlock)
    return {c.refuse("its windows are not those of its image")};
  if (!c.constantFits(inBlock, cut))
    return {Item::refused()};
  Ints places; // in the padded image, of each element of each window
  for (int64_t element = 0; element < inBlock; ++element)
    for (int64_t window = 0; window < cut; ++window) {
      int64_t place = 0, inner = 1, e = element, w = window;
      for (size_t i = count; i-- > 0;) {
        place += inner * (w % windows[i] * strides[i] + e % block[i] * dilations[i]);
        inner *= padded[i];
        w /= windows[i], e /= block[i];
      }
      places.push_back(place);
    }
  const int64_t batch = x.shape()[0], channels = x.shape()[1] / inBlock;
  Value zeros = c.b.broadcast(c.scalarLike(x, 0), {batch * channels, elementCount(padded)});
  Value sums = c.b.scatterAdd(zeros, c.constant(places),
                              c.b.reshape(x, {batch * channels, inBlock * cut}), 1);
  Shape whole = {batch, channels};
  whole.insert(whole.end(), padded.begin(), padded.end());
  Value y = c.b.reshape(sums, whole);
  for (size_t i = 0; i < count; ++i)
    y = c.b.slice(y, int64_t(i) + 2, pads[i], pads[i] + image[i]);
  return {y};
}

/// Cuts or pads dimensions to sizes, the middle staying there.
Items centerCropPad(Call &c) {
  Value x = c.operand(0);
  const Ints sizes = c.ints(1);
  Ints axes = c.integers("axes");
  if (axes.empty())
    for (int64_t axis = 0; axis < rank(x); ++axis)
      axes.push_back(axis);
  axes = c.axes(x, axes);
  if (c.isRefused() || axes.size() != sizes.size())
    return {c.refuse("there must be a size for each axis")};
  Ints low(size_t(rank(x)), 0), high = low;
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t axis = axes[i], missing = sizes[i] - x.shape()[size_t(axis)];
    if (missing < 0) {
      const int64_t first = -missing / 2;
      x = c.b.slice(x, axis, first, first + sizes[i]);
    } else {
      low[size_t(axis)] = missing / 2;
      high[size_t(axis)] = missing - missing / 2;
    }
  }
  return {c.b.pad(x, 0, low, high)};
}

//===--------------------------------------------------------------------------------------------===//
// MaxUnpool
//===--------------------------------------------------------------------------------------------===//

/// The inverse of a pooling: elements at the places where they came from.
Items maxUnpool(Call &c) {
  Value x = c.operand(0);
  const Ints kernel = c.integers("kernel_shape");
  const size_t count = kernel.size();
  const Ints strides = c.integers("strides", Ints(count, 1)),
             pads = c.integers("pads", Ints(2 * count, 0));
  if (rank(x) != int64_t(count) + 2 || strides.size() != count || pads.size() != 2 * count)
    return {c.refuse("its attributes do not have a number for each dimension")};
  Shape shape = x.shape();
  for (size_t i = 0; i < count; ++i)
    shape[i + 2] = (shape[i + 2] - 1) * strides[i] + kernel[i] - pads[i] - pads[i + count];
  if (std::ranges::any_of(shape, [](int64_t size) { return size < 1; }))
    return {c.refuse("its result would be empty")};
  Value zeros = c.b.broadcast(c.scalarLike(x, 0), {elementCount(shape)});
  Value places = c.b.reshape(c.operand(1), {-1});
  Value y = c.b.reshape(c.b.scatterAdd(zeros, places, c.b.reshape(x, {-1}), 0), shape);
  if (!c.has(2))
    return {y};
  const Ints wanted = c.ints(2); // places count as without it; what is beyond is 0
  if (c.isRefused() || wanted.size() != shape.size())
    return {c.refuse("its output shape has another rank")};
  Ints low(shape.size(), 0), high;
  for (size_t i = 0; i < shape.size(); ++i)
    high.push_back(wanted[i] - shape[i]);
  if (std::ranges::any_of(high, [](int64_t size) { return size < 0; }))
    return {c.refuse("its output shape is smaller than its result")};
  return {c.b.pad(y, 0, low, high)};
}

//===--------------------------------------------------------------------------------------------===//
// RoiAlign
//===--------------------------------------------------------------------------------------------===//

/// One axis of regions: places of samples in an image, [regions, bins].
struct RegionSide {
  Call &c;
  Value start, bin, samples; ///< [regions, 1]: in pixels; samples a bin
  int64_t bins, size;

  /// The sample `number` of each bin.
  Value at(Value number) const {
    Value place = c.b.cast(number, start.type()) + c.scalarLike(start, 0.5);
    return start + c.b.iota({1, bins}, 1, start.type()) * bin + place * bin / samples;
  }
};

/// A sample's neighbours along an axis and their weights.
struct Neighbours {
  Value low, high, lowWeight, highWeight;
};

/// Samples up to a pixel outside belong to the border, those beyond it to nothing.
Neighbours neighboursOf(Call &c, const RegionSide &side, Value place) {
  Value zero = c.scalarLike(place, 0), one = c.scalarLike(place, 1),
        end = c.scalarLike(place, double(side.size - 1));
  Value isInside =
      c.b.bitAnd(c.b.compare(Comparison::GreaterEqual, place, c.scalarLike(place, -1)),
                 c.b.compare(Comparison::LessEqual, place, c.scalarLike(place, double(side.size))));
  Value inside = c.b.minimum(c.b.maximum(place, zero), end);
  Value low = c.b.floor(inside), part = inside - low;
  auto weight = [&](Value w) { return c.b.select(isInside, w, zero); };
  auto index = [&](Value x) { return c.b.cast(x, ElementType::I64); };
  return {index(low), index(c.b.minimum(low + one, end)), weight(one - part), weight(part)};
}

/// Means, or maxima, of samples in bins of regions; a sample is between four pixels.
Items roiAlign(Call &c) {
  const ElementType type = c.operand(0).type();
  Value x = c.b.cast(c.operand(0), coordinateType(type)),
        regions = c.b.cast(c.operand(1), coordinateType(type)), images = c.operand(2);
  const int64_t rows = c.integer("output_height", 1), columns = c.integer("output_width", 1),
                ratio = c.integer("sampling_ratio", 0);
  const bool isMax = c.text("mode", "avg") == "max";
  const bool isHalf = c.opset >= 16 && c.text("coordinate_transformation_mode", "half_pixel") ==
                                           "half_pixel"; // else pixels begin at their number
  if (rank(x) != 4 || rank(regions) != 2 || regions.shape()[1] != 4 || rank(images) != 1 ||
      images.shape()[0] != regions.shape()[0] || rows < 1 || columns < 1 || ratio < 0 ||
      elementCount(x.shape()) < 1)
    return {c.refuse("its images, regions or sizes do not fit")};
  const Shape &shape = x.shape();
  const int64_t count = regions.shape()[0];
  Value one = c.scalarLike(x, 1), zero = c.scalarLike(x, 0);
  auto sideOf = [&](int64_t first, int64_t bins, int64_t size) {
    auto corner = [&](int64_t i) {
      return c.b.slice(regions, 1, i, i + 1) * c.scalarLike(x, c.number("spatial_scale", 1)) -
             c.scalarLike(x, isHalf ? 0.5 : 0);
    };
    Value start = corner(first), length = corner(first + 2) - start;
    length = isHalf ? length : c.b.maximum(length, one);
    Value bin = length / c.scalarLike(x, double(bins));
    Value samples = ratio ? c.b.broadcast(c.scalarLike(x, double(ratio)), {count, 1})
                          : c.b.maximum(c.b.ceil(bin), one);
    return RegionSide{c, start, bin, samples, bins, size};
  };
  const RegionSide down = sideOf(1, rows, shape[2]), right = sideOf(0, columns, shape[3]);
  Value pixels = c.b.reshape(c.b.transpose(x, {0, 2, 3, 1}), {-1, shape[1]});
  Value starts = c.b.reshape(c.b.cast(images, ElementType::I64), {count, 1, 1}) *
                 c.constant({shape[2] * shape[3]}, {});

  // As many iterations as the largest region has samples; smaller ones leave some out.
  auto most = [&](const RegionSide &side) {
    return ratio ? c.constant({ratio}, {}) : c.b.cast(c.b.max(side.samples), ElementType::I64);
  };
  Value mostRight = most(right), trips = most(down) * mostRight;
  const Shape bins = {count, rows, columns, 1};
  auto body = [&](Value number, std::span<const Value> now) -> std::vector<Value> {
    Value y = number / mostRight, z = number - y * mostRight;
    const Neighbours v = neighboursOf(c, down, down.at(y)), h = neighboursOf(c, right, right.at(z));
    auto corner = [&](Value row, Value rowWeight, Value column, Value columnWeight) {
      Value place = starts + c.b.reshape(row, {count, rows, 1}) * c.constant({shape[3]}, {}) +
                    c.b.reshape(column, {count, 1, columns});
      Value weight = c.b.reshape(rowWeight, {count, rows, 1, 1}) *
                     c.b.reshape(columnWeight, {count, 1, columns, 1});
      return c.b.gather(pixels, place, 0) * weight;
    };
    const Value parts[] = {corner(v.low, v.lowWeight, h.low, h.lowWeight),
                           corner(v.low, v.lowWeight, h.high, h.highWeight),
                           corner(v.high, v.highWeight, h.low, h.lowWeight),
                           corner(v.high, v.highWeight, h.high, h.highWeight)};
    Value sample =
        isMax ? c.b.maximum(c.b.maximum(parts[0], parts[1]), c.b.maximum(parts[2], parts[3]))
              : parts[0] + parts[1] + parts[2] + parts[3];
    auto isIn = [&](Value at, const RegionSide &side) {
      Value is = c.b.compare(Comparison::Less, c.b.cast(at, x.type()), side.samples);
      return c.b.reshape(is, {count, 1, 1, 1});
    };
    Value counts = c.b.bitAnd(isIn(y, down), isIn(z, right));
    Value next = isMax ? c.b.maximum(now[0], sample) : now[0] + sample;
    return {c.b.select(counts, next, now[0])};
  };
  Shape result = bins;
  result[3] = shape[1];
  Value start = c.b.broadcast(
      isMax ? c.scalarLike(x, -std::numeric_limits<double>::infinity()) : zero, result);
  Value total = c.b.loop(trips, std::vector{start}, body)[0];
  if (!isMax)
    total = total / c.b.reshape(down.samples * right.samples, {count, 1, 1, 1});
  return {c.b.cast(c.b.transpose(total, {0, 3, 1, 2}), type)};
}

constexpr Row rows[] = {
    {"AffineGrid", 20, newestOpset, affineGrid}, {"CenterCropPad", 18, newestOpset, centerCropPad},
    {"Col2Im", 18, newestOpset, col2Im},         {"DeformConv", 19, newestOpset, deformConv},
    {"GridSample", 16, newestOpset, gridSample}, {"MaxUnpool", 9, newestOpset, maxUnpool},
    {"RoiAlign", 10, newestOpset, roiAlign},
};

} // namespace

std::span<const Row> visionRows() { return rows; }

} // namespace ingot::onnx
