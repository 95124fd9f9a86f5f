/// How a kernel slides, as the attributes of convolutions and pooling say it.
#pragma once
#include "frontend/onnx/Call.h"

namespace ingot::onnx {

/// An entry for each dimension after batch and channels.
struct Windows {
  Ints sizes, strides, dilations, low, high;
  Ints declaredHigh; ///< without what `ceil_mode` adds

  /// The dimensions of single windows in what `windowed` gives.
  Ints inner(const Value &x) const;
  /// With zeros for batch and channels.
  Ints lead(const Ints &entries) const;
};

/// Reads strides, dilations, pads, `auto_pad` and `ceil_mode`; refuses what does not fit x.
Windows windowsOf(Call &c, const Value &x, const Ints &sizes);

/// Every window of x surrounded by `padding`; their own dimensions come last.
Value windowed(Call &c, Value x, const Windows &windows, double padding);

/// The least value of a type, or of floats the one that stands for -∞ in padding.
double lowest(ElementType type);

} // namespace ingot::onnx
