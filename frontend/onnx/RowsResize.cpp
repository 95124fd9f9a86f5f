/// Rows of Resize and Upsample. Each axis on its own is a product with a matrix that is known when
/// the model is compiled: the weights of the elements that a result is interpolated from.
#include "frontend/onnx/Rows.h"
#include <algorithm>
#include <cmath>

namespace ingot::onnx {
namespace {

/// How one axis is resized.
struct Axis {
  int64_t from, to;
  double scale, start = 0, end = 1; ///< `start` and `end`: the region of interest, as shares
};

struct Style {
  std::string mode, place, nearest; ///< place: coordinate_transformation_mode
  double cubic = -0.75, outside = 0;
  bool excludesOutside = false;
};

double coordinate(const Axis &axis, const Style &style, int64_t index) {
  const auto x = double(index), from = double(axis.from);
  const double size = axis.scale * from; // before it was rounded
  if (style.place == "asymmetric")
    return x / axis.scale;
  if (style.place == "align_corners")
    return size == 1 ? 0 : x * (from - 1) / (size - 1);
  if (style.place == "pytorch_half_pixel")
    return axis.to <= 1 ? 0 : (x + 0.5) / axis.scale - 0.5;
  if (style.place == "tf_half_pixel_for_nn")
    return (x + 0.5) / axis.scale;
  if (style.place == "tf_crop_and_resize")
    return axis.to > 1 ? axis.start * (from - 1) +
                             x * (axis.end - axis.start) * (from - 1) / (double(axis.to) - 1)
                       : 0.5 * (axis.start + axis.end) * (from - 1);
  if (style.place == "half_pixel_symmetric") {
    const double adjustment = double(axis.to) / size, centre = from / 2;
    return centre * (1 - adjustment) + (x + 0.5) / axis.scale - 0.5;
  }
  return (x + 0.5) / axis.scale - 0.5; // half_pixel
}

int64_t nearest(const std::string &mode, double x) {
  if (mode == "floor")
    return int64_t(std::floor(x));
  if (mode == "ceil")
    return int64_t(std::ceil(x));
  if (mode == "round_prefer_ceil")
    return int64_t(std::floor(x + 0.5));
  return int64_t(std::ceil(x - 0.5)); // round_prefer_floor
}

/// The weights of the four or two neighbours from `first` on.
std::vector<double> neighbours(const Style &style, double x, int64_t &first) {
  const double floor = std::floor(x), part = x - floor, a = style.cubic;
  if (style.mode == "nearest") {
    first = nearest(style.nearest, x);
    return {1};
  }
  if (style.mode == "linear") {
    first = int64_t(floor);
    return {1 - part, part};
  }
  first = int64_t(floor) - 1;
  auto outer = [&](double d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
  auto inner = [&](double d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
  return {outer(part + 1), inner(part), inner(1 - part), outer(2 - part)};
}

/// One axis of x; results whose coordinate is outside are `style.outside` where cropping says so.
Value resizeAxis(Call &c, Value x, int64_t axis, const Axis &sizes, const Style &style) {
  Tensor matrix(ElementType::F64, {sizes.to, sizes.from}), offsets(ElementType::F64, {sizes.to});
  for (int64_t i = 0; i < sizes.to; ++i) {
    double place = coordinate(sizes, style, i);
    const bool isOutside =
        style.place == "tf_crop_and_resize" && (place < 0 || place > double(sizes.from - 1));
    int64_t first = 0;
    if (style.mode == "linear") // what is outside is the edge, whose neighbour has no weight
      place = std::clamp(place, 0.0, double(sizes.from - 1));
    std::vector<double> weights = neighbours(style, place, first);
    double total = 0;
    for (size_t k = 0; k < weights.size(); ++k) {
      const int64_t at = first + int64_t(k);
      if (style.excludesOutside && (at < 0 || at >= sizes.from))
        weights[k] = 0;
      total += weights[k];
    }
    for (size_t k = 0; k < weights.size() && !isOutside; ++k) {
      const int64_t at = std::clamp<int64_t>(first + int64_t(k), 0, sizes.from - 1);
      matrix.as<double>()[i * sizes.from + at] +=
          style.excludesOutside && total != 0 ? weights[k] / total : weights[k];
    }
    offsets.as<double>()[i] = isOutside ? style.outside : 0;
  }
  const ElementType type = x.type();
  const ElementType computed = isFloat(type) ? type : ElementType::F64;
  Value weights = c.b.cast(c.b.constant(matrix), computed);
  Value y = c.b.contract(c.b.cast(x, computed), weights, {}, {}, {axis}, {1}); // […, rest, to]
  Ints back;
  for (int64_t i = 0; i < rank(x); ++i)
    back.push_back(i < axis ? i : i == axis ? rank(x) - 1 : i - 1);
  Shape along(size_t(rank(x)), 1);
  along[size_t(axis)] = sizes.to;
  y = c.b.transpose(y, back);
  if (style.place == "tf_crop_and_resize")
    y = y + c.b.reshape(c.b.cast(c.b.constant(offsets), computed), along);
  return c.b.cast(y, type);
}

/// Nearest neighbours are picked, not computed: they stay what they are, in every type.
Value pickAxis(Call &c, Value x, int64_t axis, const Axis &sizes, const Style &style) {
  Ints places;
  for (int64_t i = 0; i < sizes.to; ++i)
    places.push_back(std::clamp<int64_t>(nearest(style.nearest, coordinate(sizes, style, i)), 0,
                                         sizes.from - 1));
  return c.b.gather(x, c.constant(places), axis);
}

Items resizeBy(Call &c, const std::vector<double> &scales, const Ints &sizes,
               const std::vector<double> &region, const Ints &axes, const Style &style) {
  Value x = c.operand(0);
  const bool hasSizes = !sizes.empty();
  if ((hasSizes ? sizes.size() : scales.size()) != axes.size())
    return {c.refuse("it needs a scale or a size for each axis")};
  if (style.mode != "nearest" && style.mode != "linear" && style.mode != "cubic")
    return {c.refuse(fmt::format("the mode {} is not supported", style.mode))};
  const std::string policy = c.text("keep_aspect_ratio_policy", "stretch");
  double common = 0; // the scale that all axes share
  if (hasSizes && policy != "stretch")
    for (size_t i = 0; i < axes.size(); ++i) {
      const double scale = double(sizes[i]) / double(x.shape()[size_t(axes[i])]);
      common = i == 0                   ? scale
               : policy == "not_larger" ? std::min(common, scale)
                                        : std::max(common, scale);
    }
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t from = x.shape()[size_t(axes[i])];
    Axis axis{from, 0, 1};
    axis.scale = common != 0 ? common : hasSizes ? double(sizes[i]) / double(from) : scales[i];
    axis.to = common != 0 ? int64_t(std::floor(common * double(from) + 0.5))
              : hasSizes  ? sizes[i]
                          : int64_t(std::floor(double(from) * axis.scale));
    if (region.size() == 2 * axes.size())
      axis.start = region[i], axis.end = region[i + axes.size()];
    if (axis.to < 1 || from < 1 || !(axis.scale > 0))
      return {c.refuse(fmt::format("an axis of {} would become {}", from, axis.to))};
    if (axis.to == from && axis.scale == 1 && style.place != "tf_crop_and_resize")
      continue;
    const bool isPicked = style.mode == "nearest" && style.place != "tf_crop_and_resize";
    if (!c.constantFits(axis.to, isPicked ? 1 : from))
      return {};
    x = isPicked ? pickAxis(c, x, axes[i], axis, style) : resizeAxis(c, x, axes[i], axis, style);
    if (!x.valid())
      break;
  }
  return {x};
}

Ints allAxes(const Value &x) {
  Ints axes;
  for (int64_t i = 0; i < rank(x); ++i)
    axes.push_back(i);
  return axes;
}

Items resize(Call &c) {
  Value x = c.operand(0);
  Style style{c.text("mode", "nearest"),
              c.text("coordinate_transformation_mode", "half_pixel"),
              c.text("nearest_mode", "round_prefer_floor"),
              c.number("cubic_coeff_a", -0.75),
              c.number("extrapolation_value", 0),
              c.integer("exclude_outside", 0) != 0};
  if (c.integer("antialias", 0) != 0)
    return {c.refuse("antialiasing is not supported")};
  Ints axes = c.axes(x, c.integers("axes", allAxes(x)));
  const bool isOld = c.opset < 11; // scales come second, and places as Upsample has them
  if (isOld)
    style.place = "asymmetric", style.nearest = "floor";
  const size_t scalesAt = isOld ? 1 : 2;
  const Ints sizes = !isOld && c.has(3) ? c.ints(3) : Ints();
  const std::vector<double> scales =
      sizes.empty() && c.has(scalesAt) ? c.numbers(scalesAt) : std::vector<double>();
  const std::vector<double> region = !isOld && c.has(1) && style.place == "tf_crop_and_resize"
                                         ? c.numbers(1)
                                         : std::vector<double>();
  return c.isRefused() ? Items() : resizeBy(c, scales, sizes, region, axes, style);
}

Items upsample(Call &c) {
  Value x = c.operand(0);
  std::vector<double> scales;
  if (c.opset >= 9)
    scales = c.numbers(1);
  else if (const AttributeProto *given = c.attribute("scales"))
    scales.assign(given->floats.begin(), given->floats.end());
  if (c.isRefused())
    return {};
  return resizeBy(c, scales, {}, {}, allAxes(x),
                  {c.text("mode", "nearest"), "asymmetric", "floor", -0.75, 0, false});
}

constexpr Row rows[] = {
    {"Resize", 10, newestOpset, resize},
    {"Upsample", 7, 9, upsample},
};

} // namespace

std::span<const Row> resizeRows() { return rows; }

} // namespace ingot::onnx
