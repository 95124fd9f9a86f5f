/// Rows of ops that take elements one by one.
#include "frontend/stablehlo/Op.h"
#include <cmath>
#include <map>

namespace ingot::stablehlo {
namespace {

template <Value (Builder::*method)(Value)> Values unary(Op &c) {
  return {(c.b.*method)(c.operand(0))};
}

template <Value (Builder::*method)(Value, Value)> Values binary(Op &c) {
  return {(c.b.*method)(c.operand(0), c.operand(1))};
}

/// Of bits a sum is whether one of them is set, a product whether both are.
template <Value (Builder::*method)(Value, Value), Value (Builder::*ofBits)(Value, Value)>
Values numberOrBit(Op &c) {
  const bool isBit = c.operand(0).valid() && c.operand(0).type() == ElementType::I1;
  return {(c.b.*(isBit ? ofBits : method))(c.operand(0), c.operand(1))};
}

Value like(Op &c, Value x, double value) { return c.b.scalar(value, x.type()); }

Values compare(Op &c) {
  static const std::map<std::string, Comparison> directions = {
      {"EQ", Comparison::Equal},   {"NE", Comparison::NotEqual},
      {"LT", Comparison::Less},    {"LE", Comparison::LessEqual},
      {"GT", Comparison::Greater}, {"GE", Comparison::GreaterEqual}};
  const std::string word = c.word(0).empty() ? c.text("comparison_direction") : c.word(0);
  auto found = directions.find(word);
  if (found == directions.end())
    return c.refuse("its direction is unknown");
  return {c.b.compare(found->second, c.operand(0), c.operand(1))};
}

Values select(Op &c) { return {c.b.select(c.operand(0), c.operand(1), c.operand(2))}; }

Values clamp(Op &c) { return {c.b.minimum(c.b.maximum(c.operand(1), c.operand(0)), c.operand(2))}; }

Values convert(Op &c) {
  Value x = c.operand(0);
  if (c.type() == ElementType::I1)
    return {c.b.compare(Comparison::NotEqual, x, like(c, x, 0))};
  return {c.b.cast(x, *c.type())};
}

Values isFinite(Op &c) {
  Value x = c.operand(0);
  return {c.b.bitNot(c.b.bitOr(c.b.isNan(x), c.b.isInf(x)))};
}

Values cubeRoot(Op &c) {
  Value x = c.operand(0);
  return {c.b.sign(x) * c.b.pow(c.b.abs(x), like(c, x, 1.0 / 3))};
}

Values complementOfErf(Op &c) {
  Value x = c.operand(0);
  return {like(c, x, 1) - c.b.erf(x)};
}

Values itself(Op &c) { return {c.operands().begin(), c.operands().end()}; }

constexpr Row rows[] = {
    {"abs", unary<&Builder::abs>},
    {"acos", unary<&Builder::acos>},
    {"acosh", unary<&Builder::acosh>},
    {"add", numberOrBit<&Builder::add, &Builder::bitOr>},
    {"and", binary<&Builder::bitAnd>},
    {"asin", unary<&Builder::asin>},
    {"asinh", unary<&Builder::asinh>},
    {"atan", unary<&Builder::atan>},
    {"atanh", unary<&Builder::atanh>},
    {"cbrt", cubeRoot},
    {"ceil", unary<&Builder::ceil>},
    {"clamp", clamp},
    {"compare", compare},
    {"convert", convert},
    {"cosh", unary<&Builder::cosh>},
    {"cosine", unary<&Builder::cos>},
    {"divide", binary<&Builder::div>},
    {"erf", unary<&Builder::erf>},
    {"erfc", complementOfErf},
    {"exponential", unary<&Builder::exp>},
    {"exponential_minus_one", unary<&Builder::expm1>},
    {"floor", unary<&Builder::floor>},
    {"is_finite", isFinite},
    {"log", unary<&Builder::log>},
    {"log_plus_one", unary<&Builder::log1p>},
    {"logistic", unary<&Builder::sigmoid>},
    {"maximum", numberOrBit<&Builder::maximum, &Builder::bitOr>},
    {"minimum", numberOrBit<&Builder::minimum, &Builder::bitAnd>},
    {"multiply", numberOrBit<&Builder::mul, &Builder::bitAnd>},
    {"negate", unary<&Builder::neg>},
    {"not", unary<&Builder::bitNot>},
    {"optimization_barrier", itself},
    {"or", binary<&Builder::bitOr>},
    {"power", binary<&Builder::pow>},
    {"remainder", binary<&Builder::remainder>},
    {"round_nearest_even", unary<&Builder::round>},
    {"rsqrt", unary<&Builder::rsqrt>},
    {"select", select},
    {"shift_left", binary<&Builder::shiftLeft>},
    {"sign", unary<&Builder::sign>},
    {"sine", unary<&Builder::sin>},
    {"sinh", unary<&Builder::sinh>},
    {"sqrt", unary<&Builder::sqrt>},
    {"square", unary<&Builder::square>},
    {"subtract", binary<&Builder::sub>},
    {"tan", unary<&Builder::tan>},
    {"tanh", unary<&Builder::tanh>},
    {"xor", binary<&Builder::bitXor>},
};

} // namespace

std::span<const Row> elementwiseRows() { return rows; }

} // namespace ingot::stablehlo
