/// Rows of ops on images beyond convolution and pooling.
#include "frontend/onnx/Rows.h"
#include "frontend/onnx/Windows.h"
#include <algorithm>

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

Items gridSample(Call &c) {
  Value x = c.operand(0), grid = c.operand(1);
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
  return {c.b.transpose(y, {0, 3, 1, 2})};
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

constexpr Row rows[] = {
    {"GridSample", 16, newestOpset, gridSample},
    {"MaxUnpool", 9, newestOpset, maxUnpool},
};

} // namespace

std::span<const Row> visionRows() { return rows; }

} // namespace ingot::onnx
