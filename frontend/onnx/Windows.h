/// How a kernel slides, as the attributes of convolutions and pooling say it.
#pragma once
#include "frontend/onnx/Call.h"

namespace ingot::onnx {

/// An entry for each dimension after batch and channels.
struct Windows {
  Ints sizes, strides, dilations, low, high;
};

/// Reads strides, dilations, pads and `auto_pad`; refuses what does not fit x.
Windows windowsOf(Call &c, const Value &x, const Ints &sizes);

} // namespace ingot::onnx
