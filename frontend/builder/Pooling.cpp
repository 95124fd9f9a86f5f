/// Pooling as reductions of windows.
#include "frontend/builder/BuilderImpl.h"
#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>

namespace ingot {

using Value = Builder::Value;

namespace {

/// One dimension of a pooled tensor.
struct Axis {
  int64_t size, window, stride, dilation, low, high;
  int64_t positions = 0;
  int64_t padding = 0; ///< after the last element, as far as windows see it; negative: cut off

  int64_t reach() const { return (window - 1) * dilation; }
  bool countPositions(bool ceil);
  /// Places of window `position` inside [0, size), or inside its padding too.
  int64_t placesOf(int64_t position, bool countsPadding) const;
};

/// False if no window fits.
bool Axis::countPositions(bool ceil) {
  const int64_t room = low + size + high - reach() - 1;
  if (room < 0 && !(ceil && room + stride > 0))
    return false;
  positions = room < 0 ? 1 : room / stride + 1;
  if (ceil && room > 0 && room % stride)
    ++positions;
  if (ceil && (positions - 1) * stride >= size + low)
    --positions;
  padding = (positions - 1) * stride + reach() + 1 - low - size;
  return positions > 0;
}

int64_t Axis::placesOf(int64_t position, bool countsPadding) const {
  const int64_t begin = countsPadding ? -low : 0, end = countsPadding ? size + high : size;
  int64_t count = 0;
  for (int64_t place = 0; place < window; ++place) {
    const int64_t at = position * stride - low + place * dilation;
    count += at >= begin && at < end;
  }
  return count;
}

/// Of `entries`, or what stands for those left out.
int64_t entryOf(const std::vector<int64_t> &entries, size_t index, int64_t absent) {
  return entries.empty() ? absent : entries[index];
}

} // namespace

/// The axes of a pooling; none after an error.
static std::vector<Axis> axesOf(const Shape &shape, const Pooling &how, std::string &problem) {
  const size_t spatial = shape.size() < 2 ? 0 : shape.size() - 2;
  if (spatial == 0) {
    problem = "pooling needs batch, channels and at least one dimension more";
    return {};
  }
  for (const auto *entries : {&how.sizes, &how.strides, &how.dilations, &how.low, &how.high})
    if (!entries->empty() && entries->size() != spatial) {
      problem = fmt::format("pooling needs {} entries for its dimensions, not {}", spatial,
                            entries->size());
      return {};
    }
  std::vector<Axis> axes;
  for (size_t dim = 0; dim < spatial; ++dim) {
    const int64_t size = shape[dim + 2], window = entryOf(how.sizes, dim, size);
    Axis axis{size,
              window,
              entryOf(how.strides, dim, how.sizes.empty() ? 1 : window),
              entryOf(how.dilations, dim, 1),
              entryOf(how.low, dim, 0),
              entryOf(how.high, dim, 0)};
    if (axis.window < 1 || axis.stride < 1 || axis.dilation < 1 || axis.low < 0 || axis.high < 0) {
      problem = "sizes, strides and dilations are 1 or more, padding is not negative";
      return {};
    }
    constexpr int64_t largest = int64_t(1) << 40; // no sum of these overflows
    if (std::max({axis.window, axis.stride, axis.dilation, axis.low, axis.high}) > largest ||
        axis.window > largest / axis.dilation || !axis.countPositions(how.ceil)) {
      problem = fmt::format("a window of {} does not fit dimension {}", axis.window, dim + 2);
      return {};
    }
    axes.push_back(axis);
  }
  return axes;
}

Value Builder::Impl::poolWindows(Value x, Value padding, const Pooling &how) {
  std::string problem;
  const std::vector<Axis> axes = axesOf(x.shape(), how, problem);
  if (axes.empty())
    return fail("pool", {x}, problem);
  std::vector<int64_t> none(x.shape().size(), 0), low(none), high(none), dimensions, sizes, strides,
      dilations;
  bool isPadded = false;
  for (auto [index, axis] : llvm::enumerate(axes)) {
    low[index + 2] = axis.low;
    high[index + 2] = std::max<int64_t>(axis.padding, 0);
    isPadded |= axis.low > 0 || axis.padding > 0;
    dimensions.push_back(int64_t(index) + 2);
    sizes.push_back(axis.window);
    strides.push_back(axis.stride);
    dilations.push_back(axis.dilation);
  }
  if (isPadded)
    x = infer<graph::PadOp>(
        {x, padding}, {integers("low", low), integers("high", high), integers("interior", none)});
  return owner.window(x, dimensions, sizes, strides, dilations);
}

static std::vector<int64_t> windowDimensions(Value windows) {
  std::vector<int64_t> dimensions((windows.shape().size() - 2) / 2);
  std::iota(dimensions.begin(), dimensions.end(), int64_t(dimensions.size()) + 2);
  return dimensions;
}

std::vector<Value> Builder::maxPoolWithNumbers(Value x, const Pooling &how) {
  const std::vector<Value> invalid(2, impl->invalid());
  if (!impl->usable("pool", {x}))
    return invalid;
  Tensor lowest = graph::dispatch(x.type(), [&](auto zero) {
    using Wide = decltype(zero);
    const Wide value = graph::inRange(graph::reference::lowest<Wide>(), graph::bitWidth(x.type()));
    return graph::store(x.type(), {}, std::vector<Wide>{value});
  });
  Value windows = impl->poolWindows(x, constant(lowest), how);
  if (!impl->valid(windows))
    return invalid;
  if (elementCount(Shape(x.shape().begin() + 2, x.shape().end())) >
      std::numeric_limits<int32_t>::max())
    return {impl->fail("pool", {x}, "a channel has too many elements to be numbered"),
            impl->invalid()};
  Value number = broadcast(scalar(0, ElementType::I32), x.shape());
  int64_t stride = 1;
  for (int64_t dimension = int64_t(x.shape().size()) - 1; dimension >= 2; --dimension) {
    number = add(number, mul(iota(x.shape(), dimension), scalar(double(stride), ElementType::I32)));
    stride *= x.shape()[dimension];
  }
  constexpr int32_t last = std::numeric_limits<int32_t>::max(); // no element has it
  Value numbers = impl->poolWindows(number, scalar(last, ElementType::I32), how);
  return impl->reduceTuples(*graph::findTupleReduction("argmax"), {windows, numbers},
                            windowDimensions(windows));
}

Value Builder::maxPool(Value x, const Pooling &how) { return maxPoolWithNumbers(x, how)[0]; }

Value Builder::averagePool(Value x, const Pooling &how) {
  if (!impl->usable("pool", {x}))
    return impl->invalid();
  Value windows = impl->poolWindows(x, scalar(0, x.type()), how);
  if (!impl->valid(windows))
    return windows;
  Value total = sum(windows, windowDimensions(windows));
  std::string problem;
  double count = 1;
  Value counts; // of axes whose windows differ
  for (auto [index, axis] : llvm::enumerate(axesOf(x.shape(), how, problem))) {
    Shape shape(x.shape().size(), 1);
    shape[index + 2] = axis.positions;
    std::vector<double> places;
    for (int64_t position = 0; position < axis.positions; ++position)
      places.push_back(double(axis.placesOf(position, how.countsPadding)));
    if (std::adjacent_find(places.begin(), places.end(), std::not_equal_to<>()) == places.end()) {
      count *= places.front();
      continue;
    }
    Value factor = constant(graph::store(x.type(), shape, places));
    counts = counts.owner ? mul(counts, factor) : factor;
  }
  Value divisor = scalar(count, x.type());
  return div(total, counts.owner ? mul(counts, divisor) : divisor);
}

Value Builder::lpPool(Value x, double p, const Pooling &how) {
  if (!impl->usable("pool", {x}))
    return impl->invalid();
  if (!(p > 0))
    return impl->fail("pool", {x}, fmt::format("the power {} is not positive", p));
  Value power = p == 1 ? abs(x) : p == 2 ? square(x) : pow(abs(x), scalar(p, x.type()));
  Value windows = impl->poolWindows(power, scalar(0, x.type()), how);
  if (!impl->valid(windows))
    return windows;
  Value total = sum(windows, windowDimensions(windows));
  if (p == 1)
    return total;
  // A root's slope is infinite at 0: there the gradient is 0, as PyTorch says.
  Value zero = scalar(0, x.type()), isZero = compare(Comparison::Equal, total, zero);
  Value away = select(isZero, scalar(1, x.type()), total);
  Value root = p == 2 ? sqrt(away) : pow(away, scalar(1 / p, x.type()));
  return select(isZero, zero, root);
}

} // namespace ingot
