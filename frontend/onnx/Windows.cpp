#include "frontend/onnx/Windows.h"
#include <limits>
#include <numeric>

namespace ingot::onnx {

Ints Windows::inner(const Value &x) const {
  Ints dimensions(sizes.size());
  std::iota(dimensions.begin(), dimensions.end(), rank(x));
  return dimensions;
}

Ints Windows::lead(const Ints &entries) const {
  Ints all = {0, 0};
  all.insert(all.end(), entries.begin(), entries.end());
  return all;
}

Windows windowsOf(Call &c, const Value &x, const Ints &sizes) {
  const size_t count = rank(x) < 2 ? 0 : size_t(rank(x)) - 2;
  Windows w{sizes,
            c.integers("strides", Ints(count, 1)),
            c.integers("dilations", Ints(count, 1)),
            Ints(count, 0),
            Ints(count, 0),
            {}};
  const Ints pads = c.integers("pads", Ints(2 * count, 0));
  const std::string automatic = c.text("auto_pad", "NOTSET");
  const bool roundsUp = c.integer("ceil_mode", 0) != 0;
  if (count == 0 || sizes.size() != count || w.strides.size() != count ||
      w.dilations.size() != count || pads.size() != 2 * count) {
    c.refuse("its attributes do not have a number for each dimension after batch and channels");
    return w;
  }
  for (size_t i = 0; i < count; ++i) {
    const int64_t size = x.shape()[i + 2], window = (sizes[i] - 1) * w.dilations[i] + 1;
    if (w.strides[i] < 1 || w.dilations[i] < 1 || sizes[i] < 1 || pads[i] < 0 ||
        pads[i + count] < 0) {
      c.refuse("a stride, dilation, size or pad is out of range");
      return w;
    }
    w.low[i] = automatic == "VALID" ? 0 : pads[i];
    w.high[i] = automatic == "VALID" ? 0 : pads[i + count];
    if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
      const int64_t positions = (size + w.strides[i] - 1) / w.strides[i];
      const int64_t total = std::max<int64_t>((positions - 1) * w.strides[i] + window - size, 0);
      w.low[i] = automatic == "SAME_UPPER" ? total / 2 : total - total / 2;
      w.high[i] = total - w.low[i];
    }
    w.declaredHigh.push_back(w.high[i]);
    // One position more that begins inside, if it does.
    const int64_t padded = size + w.low[i] + w.high[i];
    if (const int64_t rest = padded < window ? 0 : (padded - window) % w.strides[i];
        roundsUp && rest && padded - rest - window + w.strides[i] < size + w.low[i])
      w.high[i] += w.strides[i] - rest;
  }
  return w;
}

Value windowed(Call &c, Value x, const Windows &windows, double padding) {
  Ints dimensions(windows.sizes.size());
  std::iota(dimensions.begin(), dimensions.end(), 2);
  Value padded = x;
  if (windows.low != Ints(windows.low.size(), 0) || windows.high != Ints(windows.high.size(), 0))
    padded = c.b.pad(x, padding, windows.lead(windows.low), windows.lead(windows.high));
  return c.b.window(padded, dimensions, windows.sizes, windows.strides, windows.dilations);
}

double lowest(ElementType type) {
  switch (type) {
  case ElementType::F64:
    return std::numeric_limits<double>::lowest();
  case ElementType::F16:
    return -65504;
  case ElementType::I8:
    return -128;
  case ElementType::I16:
    return -32768;
  case ElementType::I32:
    return std::numeric_limits<int32_t>::min();
  case ElementType::I64:
    return double(std::numeric_limits<int64_t>::min());
  case ElementType::U8:
  case ElementType::U16:
  case ElementType::U32:
  case ElementType::U64:
  case ElementType::U4:
    return 0;
  default:
    return double(std::numeric_limits<float>::lowest());
  }
}

} // namespace ingot::onnx
