#include "frontend/onnx/Windows.h"
#include <algorithm>

namespace ingot::onnx {

Windows windowsOf(Call &c, const Value &x, const Ints &sizes) {
  const size_t count = rank(x) < 2 ? 0 : size_t(rank(x)) - 2;
  Windows w{sizes, c.integers("strides", Ints(count, 1)), c.integers("dilations", Ints(count, 1)),
            Ints(count, 0), Ints(count, 0)};
  const Ints pads = c.integers("pads", Ints(2 * count, 0));
  const std::string automatic = c.text("auto_pad", "NOTSET");
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
  }
  return w;
}

} // namespace ingot::onnx
