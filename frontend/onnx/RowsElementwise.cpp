/// Rows of ops that work element by element.
#include "frontend/onnx/Rows.h"
#include "runtime/support/HalfFloat.h"
#include <cmath>

namespace ingot::onnx {
namespace {

template <Value (Builder::*method)(Value)> Items unary(Call &c) {
  return {(c.b.*method)(c.operand(0))};
}

/// A formula whose number is an attribute.
template <Value (Builder::*method)(Value, double)>
Items withNumber(Call &c, const char *attribute, double otherwise) {
  return {(c.b.*method)(c.operand(0), c.number(attribute, otherwise))};
}

//===--------------------------------------------------------------------------------------------===//
// Two operands
//===--------------------------------------------------------------------------------------------===//

/// The second operand as the first's dimensions want it. Before opset 7 it was repeated along the
/// dimensions from `axis` on, and only where `broadcast` said so.
Value second(Call &c, Value x) {
  Value y = c.operand(1);
  if (c.opset >= 7 || c.integer("broadcast", 0) == 0 || !c.attribute("axis"))
    return y;
  const int64_t axis = c.axis(x, c.integer("axis", 0));
  Shape shape = y.shape();
  while (axis + int64_t(shape.size()) < rank(x))
    shape.push_back(1);
  return c.b.reshape(y, shape);
}

template <Value (Builder::*method)(Value, Value)> Items binary(Call &c) {
  Value x = c.operand(0);
  return {(c.b.*method)(x, second(c, x))};
}

template <Comparison direction> Items compare(Call &c) {
  Value x = c.operand(0);
  return {c.b.compare(direction, x, second(c, x))};
}

/// Max, Min, Sum: of one operand or more.
template <Value (Builder::*method)(Value, Value)> Value combine(Call &c) {
  Value result = c.operand(0);
  for (size_t i = 1; i < c.inputs(); ++i)
    result = (c.b.*method)(result, c.operand(i));
  return result;
}

template <Value (Builder::*method)(Value, Value)> Items variadic(Call &c) {
  return {combine<method>(c)};
}

Items mean(Call &c) {
  Value total = combine<&Builder::add>(c);
  return {c.b.div(total, c.scalarLike(total, double(c.inputs())))};
}

/// Python's remainder has the divisor's sign, C's (`fmod`) the dividend's.
Items mod(Call &c) {
  Value x = c.operand(0), y = c.operand(1);
  return {c.integer("fmod", 0) != 0 ? c.b.remainder(x, y) : c.b.modulo(x, y)};
}

/// The type that formulas of floats have integers in.
ElementType floatTypeOf(const Value &x) { return isFloat(x.type()) ? x.type() : ElementType::F64; }

/// PyTorch's pow knows these exponents, and so do the gradients of what they become.
Value powerOf(Call &c, Value x, double exponent) {
  if (exponent == 1)
    return x;
  if (exponent == 2)
    return x * x;
  if (exponent == 3)
    return x * x * x;
  if (exponent == 0.5)
    return c.b.sqrt(x);
  if (exponent == -0.5)
    return c.b.rsqrt(x);
  if (exponent == -1)
    return c.b.reciprocal(x);
  return c.b.pow(x, c.scalarLike(x, exponent));
}

Items pow(Call &c) {
  Value x = c.operand(0), y = second(c, x);
  const ElementType type = x.type();
  const ElementType computed = floatTypeOf(x);
  Value base = c.b.cast(x, computed);
  // A power that is whole but for its last bits is whole.
  auto restored = [&](Value power) {
    if (isFloat(type))
      return power;
    Value whole = c.b.round(power), off = c.b.abs(power - whole);
    Value isClose = c.b.compare(Comparison::Less, off, c.b.abs(whole) * c.scalarLike(whole, 1e-12));
    return c.b.cast(c.b.select(isClose, whole, power), type);
  };
  if (std::optional<Tensor> known = c.b.constantOf(y); known && known->size() == 1 && rank(y) == 0)
    return {restored(powerOf(c, base, loadElement(known->type(), known->data(), 0)))};
  return {restored(c.b.pow(base, c.b.cast(y, computed)))};
}

Items bitShift(Call &c) {
  Value x = c.operand(0), count = c.operand(1);
  return {c.text("direction", "") == "LEFT" ? c.b.shiftLeft(x, count) : c.b.shiftRight(x, count)};
}

Items where(Call &c) { return {c.b.select(c.operand(0), c.operand(1), c.operand(2))}; }

//===--------------------------------------------------------------------------------------------===//
// Activations
//===--------------------------------------------------------------------------------------------===//

/// A slope each channel; before opset 7 its shape was [channels] whatever the rank.
Items prelu(Call &c) {
  Value x = c.operand(0), slope = c.operand(1);
  if (c.opset < 7 && rank(slope) == 1 && rank(x) > 2) {
    Shape shape(size_t(rank(x)) - 1, 1);
    shape[0] = slope.shape()[0];
    slope = c.b.reshape(slope, shape);
  }
  const ElementType computed = floatTypeOf(x);
  return {c.b.cast(c.b.prelu(c.b.cast(x, computed), c.b.cast(slope, computed)), x.type())};
}

Items gelu(Call &c) {
  Value x = c.operand(0);
  return {c.text("approximate", "none") == "tanh" ? c.b.geluTanh(x) : c.b.gelu(x)};
}

Items leakyRelu(Call &c) { return withNumber<&Builder::leakyRelu>(c, "alpha", 0.01); }
Items elu(Call &c) { return withNumber<&Builder::elu>(c, "alpha", 1); }
Items celu(Call &c) { return withNumber<&Builder::celu>(c, "alpha", 1); }

Items selu(Call &c) {
  const double alpha = c.number("alpha", 1.67326319217681884765625);
  Value y = c.b.elu(c.operand(0), alpha);
  return {y * c.scalarLike(y, c.number("gamma", 1.05070102214813232421875))};
}

Items thresholdedRelu(Call &c) { return {c.b.threshold(c.operand(0), c.number("alpha", 1), 0)}; }

Items hardSigmoid(Call &c) {
  return {c.b.clippedLine(c.operand(0), c.number("alpha", 0.2), c.number("beta", 0.5))};
}

Items shrink(Call &c) {
  Value x = c.operand(0);
  Value wide = c.b.cast(x, floatTypeOf(x));
  return {c.b.cast(c.b.shrink(wide, c.number("lambd", 0.5), c.number("bias", 0)), x.type())};
}

Items swish(Call &c) { return withNumber<&Builder::swish>(c, "alpha", 1); }

Items clip(Call &c) {
  Value x = c.operand(0);
  if (c.opset >= 11) { // bounds are scalars that may be computed
    for (size_t i : {1, 2})
      if (c.has(i))
        x = i == 1 ? c.b.maximum(x, c.operand(i)) : c.b.minimum(x, c.operand(i));
    return {x};
  }
  if (c.attribute("min"))
    x = c.b.maximum(x, c.scalarLike(x, c.number("min", 0)));
  if (c.attribute("max"))
    x = c.b.minimum(x, c.scalarLike(x, c.number("max", 0)));
  return {x};
}

//===--------------------------------------------------------------------------------------------===//
// Functions over several primitives
//===--------------------------------------------------------------------------------------------===//

Items isInf(Call &c) {
  Value x = c.operand(0);
  const bool negative = c.integer("detect_negative", 1) != 0,
             positive = c.integer("detect_positive", 1) != 0;
  if (!negative && !positive)
    return {c.b.broadcast(c.b.scalar(0, ElementType::I1), x.shape())};
  return {c.b.isInf(x, negative, positive)};
}

Items cast(Call &c) {
  Value x = c.operand(0);
  return {c.b.cast(x, c.elementType("to", x.type()))};
}

Items castLike(Call &c) { return {c.b.cast(c.operand(0), c.operand(1).type())}; }

Items identity(Call &c) { return {c.item(0)}; }

/// In inference, and in training with a ratio of 0, nothing is dropped.
Items dropout(Call &c) {
  Items results = {c.item(0)};
  const bool trains = c.has(2) && c.numberAt(2, 0) != 0;
  const double ratio = c.opset >= 12 ? c.numberAt(1, 0.5) : c.number("ratio", 0.5);
  if (trains && ratio != 0)
    return {c.refuse("dropout that drops is not supported in a model from a file")};
  if (c.wants(1)) {
    Value kept = c.b.broadcast(c.b.scalar(1, ElementType::I1), c.operand(0).shape());
    // Before opset 10 the mask had the operand's type.
    results.push_back(c.opset >= 10 ? kept : c.b.cast(kept, c.operand(0).type()));
  }
  return results;
}

constexpr Row rows[] = {
    {"Abs", 1, newestOpset, unary<&Builder::abs>},
    {"Acos", 7, newestOpset, unary<&Builder::acos>},
    {"Acosh", 9, newestOpset, unary<&Builder::acosh>},
    {"Add", 1, newestOpset, binary<&Builder::add>},
    {"And", 1, newestOpset, binary<&Builder::bitAnd>},
    {"Asin", 7, newestOpset, unary<&Builder::asin>},
    {"Asinh", 9, newestOpset, unary<&Builder::asinh>},
    {"Atan", 7, newestOpset, unary<&Builder::atan>},
    {"Atanh", 9, newestOpset, unary<&Builder::atanh>},
    {"BitShift", 11, newestOpset, bitShift},
    {"BitwiseAnd", 18, newestOpset, binary<&Builder::bitAnd>},
    {"BitwiseNot", 18, newestOpset, unary<&Builder::bitNot>},
    {"BitwiseOr", 18, newestOpset, binary<&Builder::bitOr>},
    {"BitwiseXor", 18, newestOpset, binary<&Builder::bitXor>},
    {"Cast", 6, newestOpset, cast},
    {"CastLike", 15, newestOpset, castLike},
    {"Ceil", 1, newestOpset, unary<&Builder::ceil>},
    {"Celu", 12, newestOpset, celu},
    {"Clip", 1, newestOpset, clip},
    {"Cos", 7, newestOpset, unary<&Builder::cos>},
    {"Cosh", 9, newestOpset, unary<&Builder::cosh>},
    {"Div", 1, newestOpset, binary<&Builder::div>},
    {"Dropout", 1, newestOpset, dropout},
    {"Elu", 1, newestOpset, elu},
    {"Equal", 1, newestOpset, compare<Comparison::Equal>},
    {"Erf", 9, newestOpset, unary<&Builder::erf>},
    {"Exp", 1, newestOpset, unary<&Builder::exp>},
    {"Floor", 1, newestOpset, unary<&Builder::floor>},
    {"Gelu", 20, newestOpset, gelu},
    {"Greater", 1, newestOpset, compare<Comparison::Greater>},
    {"GreaterOrEqual", 12, newestOpset, compare<Comparison::GreaterEqual>},
    {"HardSigmoid", 1, newestOpset, hardSigmoid},
    {"HardSwish", 14, newestOpset, unary<&Builder::hardSwish>},
    {"Identity", 1, newestOpset, identity},
    {"IsInf", 10, newestOpset, isInf},
    {"IsNaN", 9, newestOpset, unary<&Builder::isNan>},
    {"LeakyRelu", 1, newestOpset, leakyRelu},
    {"Less", 1, newestOpset, compare<Comparison::Less>},
    {"LessOrEqual", 12, newestOpset, compare<Comparison::LessEqual>},
    {"Log", 1, newestOpset, unary<&Builder::log>},
    {"Max", 1, newestOpset, variadic<&Builder::maximum>},
    {"Mean", 1, newestOpset, mean},
    {"Min", 1, newestOpset, variadic<&Builder::minimum>},
    {"Mish", 18, newestOpset, unary<&Builder::mish>},
    {"Mod", 10, newestOpset, mod},
    {"Mul", 1, newestOpset, binary<&Builder::mul>},
    {"Neg", 1, newestOpset, unary<&Builder::neg>},
    {"Not", 1, newestOpset, unary<&Builder::bitNot>},
    {"Or", 1, newestOpset, binary<&Builder::bitOr>},
    {"Pow", 1, newestOpset, pow},
    {"PRelu", 1, newestOpset, prelu},
    {"Reciprocal", 1, newestOpset, unary<&Builder::reciprocal>},
    {"Relu", 1, newestOpset, unary<&Builder::relu>},
    {"Round", 11, newestOpset, unary<&Builder::round>},
    {"Selu", 1, newestOpset, selu},
    {"Shrink", 9, newestOpset, shrink},
    {"Sigmoid", 1, newestOpset, unary<&Builder::sigmoid>},
    {"Sign", 9, newestOpset, unary<&Builder::sign>},
    {"Sin", 7, newestOpset, unary<&Builder::sin>},
    {"Sinh", 9, newestOpset, unary<&Builder::sinh>},
    {"Softplus", 1, newestOpset, unary<&Builder::softplus>},
    {"Softsign", 1, newestOpset, unary<&Builder::softsign>},
    {"Sqrt", 1, newestOpset, unary<&Builder::sqrt>},
    {"Sub", 1, newestOpset, binary<&Builder::sub>},
    {"Sum", 1, newestOpset, variadic<&Builder::add>},
    {"Swish", 24, newestOpset, swish},
    {"Tan", 7, newestOpset, unary<&Builder::tan>},
    {"Tanh", 1, newestOpset, unary<&Builder::tanh>},
    {"ThresholdedRelu", 10, newestOpset, thresholdedRelu},
    {"Where", 9, newestOpset, where},
    {"Xor", 1, newestOpset, binary<&Builder::bitXor>},
};

} // namespace

std::span<const Row> elementwiseRows() { return rows; }

} // namespace ingot::onnx
