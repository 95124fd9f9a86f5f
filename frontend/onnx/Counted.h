/// What rows do with tensors whose size depends on data: padding made harmless.
#pragma once
#include "frontend/onnx/Call.h"

namespace ingot::onnx {

/// What changes nothing in a sum, a product, a maximum, a minimum.
enum class Limit { Zero, One, Lowest, Highest };

Value limitLike(Call &c, const Value &x, Limit limit);
/// Whether an element of this shape lies before the padding of `counted`.
Value isThere(Call &c, const Item &counted, const Shape &shape);
/// A counted tensor with `filling` in place of its padding.
Value withPadding(Call &c, const Item &counted, Limit filling);

} // namespace ingot::onnx
