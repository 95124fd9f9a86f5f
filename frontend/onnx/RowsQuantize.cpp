/// Rows of quantised ops. Products of 8-bit integers are computed in f32 or f64, where they are
/// exact, and are integers again.
#include "frontend/onnx/Rows.h"
#include "frontend/onnx/Windows.h"
#include <algorithm>

namespace ingot::onnx {
namespace {

struct Range {
  double low, high;
};

Range rangeOf(ElementType type) {
  switch (type) {
  case ElementType::U8:
    return {0, 255};
  case ElementType::I8:
    return {-128, 127};
  case ElementType::U16:
    return {0, 65535};
  case ElementType::I16:
    return {-32768, 32767};
  case ElementType::U4:
    return {0, 15};
  case ElementType::I4:
    return {-8, 7};
  default:
    return {-2147483648.0, 2147483647.0};
  }
}

/// A scale or zero point beside x: a scalar, or one for each index of `axis`.
Value beside(Call &c, Value x, Value each, int64_t axis) {
  if (rank(each) != 1 || rank(x) < 1)
    return each;
  if (each.shape()[0] == 1)
    return c.b.reshape(each, {});
  Shape shape(size_t(rank(x)), 1);
  shape[size_t(axis)] = each.shape()[0];
  return c.b.reshape(each, shape);
}

/// saturate(round(x / scale) + zero) as `type`.
Value quantized(Call &c, Value x, Value scale, Value zero, ElementType type,
                bool isRounded = false) {
  // Divided in f64: f32's quotient may be computed by a reciprocal, and a tie decides a whole step.
  Value y = x;
  if (!isRounded)
    y = c.b.round(
        c.b.cast(c.b.cast(x, ElementType::F64) / c.b.cast(scale, ElementType::F64), x.type()));
  if (zero.valid())
    y = y + c.b.cast(zero, y.type());
  const Range range = rangeOf(type);
  Value bounded =
      c.b.minimum(c.b.maximum(y, c.scalarLike(y, range.low)), c.scalarLike(y, range.high));
  return c.b.cast(bounded, type);
}

Items quantizeLinear(Call &c) {
  Value x = c.operand(0), scale = c.operand(1);
  const int64_t axis = rank(scale) == 1 && rank(x) > 0 ? c.axis(x, c.integer("axis", 1)) : 0;
  if (c.isRefused())
    return {};
  if (c.integer("block_size", 0) != 0)
    return {c.refuse("blocks of scales are not supported")};
  Value zero = c.optional(2);
  const ElementType type =
      zero.valid() ? zero.type() : c.elementType("output_dtype", ElementType::U8);
  if (isFloat(type))
    return {c.refuse("quantisation to floats is not supported")};
  x = c.b.cast(x, ElementType::F32);
  return {quantized(c, x, beside(c, x, c.b.cast(scale, ElementType::F32), axis),
                    zero.valid() ? beside(c, x, zero, axis) : zero, type)};
}

Items dequantizeLinear(Call &c) {
  Value x = c.operand(0), scale = c.operand(1);
  const int64_t axis = rank(scale) == 1 && rank(x) > 0 ? c.axis(x, c.integer("axis", 1)) : 0;
  if (c.isRefused())
    return {};
  if (c.integer("block_size", 0) != 0)
    return {c.refuse("blocks of scales are not supported")};
  Value y = c.b.cast(x, ElementType::F32);
  if (c.has(2))
    y = y - c.b.cast(beside(c, x, c.operand(2), axis), ElementType::F32);
  Value wide = y * c.b.cast(beside(c, x, scale, axis), ElementType::F32);
  return {c.b.cast(wide, scale.type())};
}

/// u8 over the range of x, which holds 0.
Items dynamicQuantizeLinear(Call &c) {
  Value x = c.operand(0);
  Value zero = c.scalarLike(x, 0);
  Value largest = c.b.maximum(c.b.max(x), zero), least = c.b.minimum(c.b.min(x), zero);
  Value scale = (largest - least) / c.scalarLike(x, 255);
  Value place = c.b.neg(least) / scale;
  Value point = c.b.cast(c.b.round(c.b.minimum(c.b.maximum(place, zero), c.scalarLike(x, 255))),
                         ElementType::U8);
  return {quantized(c, x, scale, point, ElementType::U8), scale, point};
}

/// x - zero in the type of products.
Value centred(Call &c, Value x, Value zero, int64_t axis) {
  Value wide = c.b.cast(x, ElementType::F64);
  return zero.valid() ? wide - c.b.cast(beside(c, x, zero, axis), ElementType::F64) : wide;
}

/// A zero point for each row of the left matrix, for each column of the right one.
Value matmulOf(Call &c, Value a, Value zeroA, Value b, Value zeroB) {
  Value left = centred(c, a, zeroA, std::max<int64_t>(rank(a) - 2, 0)),
        right = centred(c, b, zeroB, std::max<int64_t>(rank(b) - 1, 0));
  return c.b.matmul(left, right);
}

Items matmulInteger(Call &c) {
  return {c.b.cast(matmulOf(c, c.operand(0), c.optional(2), c.operand(1), c.optional(3)),
                   ElementType::I32)};
}

Items qlinearMatmul(Call &c) {
  Value product = matmulOf(c, c.operand(0), c.operand(2), c.operand(3), c.operand(5));
  Value scale = c.b.cast(c.operand(1), ElementType::F32) *
                c.b.cast(c.operand(4), ElementType::F32) / c.b.cast(c.operand(6), ElementType::F32);
  Value y = c.b.round(c.b.cast(product, ElementType::F32) * scale);
  return {quantized(c, y, Value(), c.operand(7), c.operand(7).type(), /*isRounded=*/true)};
}

Value convolutionOf(Call &c, Value x, Value zeroX, Value weight, Value zeroW) {
  if (rank(x) < 3 || rank(weight) != rank(x)) {
    c.refuse("it needs [batch, channels, …] and a weight of that rank");
    return x;
  }
  const Windows w = windowsOf(c, x, Shape(weight.shape().begin() + 2, weight.shape().end()));
  return c.isRefused()
             ? x
             : c.b.convolution(centred(c, x, zeroX, 1), centred(c, weight, zeroW, 0), Value(),
                               {w.strides, w.dilations, w.low, w.high, c.integer("group", 1)});
}

Items convInteger(Call &c) {
  return {c.b.cast(convolutionOf(c, c.operand(0), c.optional(2), c.operand(1), c.optional(3)),
                   ElementType::I32)};
}

Items qlinearConv(Call &c) {
  Value sum = convolutionOf(c, c.operand(0), c.operand(2), c.operand(3), c.operand(5));
  if (c.isRefused())
    return {};
  if (c.has(8))
    sum = sum + beside(c, sum, c.b.cast(c.operand(8), ElementType::F64), 1);
  Value weightScale = beside(c, sum, c.b.cast(c.operand(4), ElementType::F32), 1);
  Value scale = c.b.cast(c.operand(1), ElementType::F32) * weightScale /
                c.b.cast(c.operand(6), ElementType::F32);
  Value y = c.b.round(c.b.cast(sum, ElementType::F32) * scale);
  return {quantized(c, y, Value(), c.operand(7), c.operand(7).type(), /*isRounded=*/true)};
}

constexpr Row rows[] = {
    {"ConvInteger", 10, newestOpset, convInteger},
    {"DequantizeLinear", 10, newestOpset, dequantizeLinear},
    {"DynamicQuantizeLinear", 11, newestOpset, dynamicQuantizeLinear},
    {"MatMulInteger", 10, newestOpset, matmulInteger},
    {"QLinearConv", 10, newestOpset, qlinearConv},
    {"QLinearMatMul", 10, newestOpset, qlinearMatmul},
    {"QuantizeLinear", 10, newestOpset, quantizeLinear},
};

} // namespace

std::span<const Row> quantizeRows() { return rows; }

} // namespace ingot::onnx
