/// Elementwise graph ops as arith and math on scalars.
#include "passes/linalg/GraphToLinalg.h"
#include "passes/linalg/ScalarOps.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace ingot {

Value Scalars::compare(graph::Comparison direction, Value lhs, Value rhs) {
  using F = arith::CmpFPredicate;
  using I = arith::CmpIPredicate;
  struct Row {
    F ordered;
    I isSigned, isUnsigned;
  };
  // Indexed by graph::Comparison; NaN compares false but for ne.
  static constexpr Row rows[] = {{F::OEQ, I::eq, I::eq},   {F::UNE, I::ne, I::ne},
                                 {F::OLT, I::slt, I::ult}, {F::OLE, I::sle, I::ule},
                                 {F::OGT, I::sgt, I::ugt}, {F::OGE, I::sge, I::uge}};
  const Row &row = rows[uint32_t(direction)];
  if (isa<FloatType>(lhs.getType()))
    return make<arith::CmpFOp>(row.ordered, lhs, rhs);
  bool compareUnsigned = isUnsigned || lhs.getType().isInteger(1);
  return make<arith::CmpIOp>(compareUnsigned ? row.isUnsigned : row.isSigned, lhs, rhs);
}

Value Scalars::negate(Value x) {
  if (isa<FloatType>(x.getType()))
    return make<arith::NegFOp>(x);
  return make<arith::SubIOp>(constant(x.getType(), 0), x);
}

Value Scalars::absolute(Value x) {
  if (isa<FloatType>(x.getType()))
    return make<math::AbsFOp>(x);
  return isUnsigned ? x : make<math::AbsIOp>(x);
}

/// Zeros and NaN stay what they are.
Value Scalars::sign(Value x) {
  Value zero = constant(x.getType(), 0), one = constant(x.getType(), 1);
  Value positive = compare(graph::Comparison::Gt, x, zero);
  if (isUnsigned)
    return select(positive, one, zero);
  Value negative = compare(graph::Comparison::Lt, x, zero);
  return select(positive, one, select(negative, constant(x.getType(), -1), x));
}

/// x/y towards zero without a trap: x/0 is x, until check-indices' word ends the run, and the
/// smallest integer over -1 wraps. Masked lanes hold zeros, so that a plain division could trap
/// where no element needs it.
Value Scalars::integerQuotient(Value x, Value y) {
  Type type = x.getType();
  Value isZero = make<arith::CmpIOp>(arith::CmpIPredicate::eq, y, constant(type, 0));
  Value one = constant(type, 1);
  if (isUnsigned)
    return make<arith::DivUIOp>(x, select(isZero, one, y));
  Value isMinusOne = make<arith::CmpIOp>(arith::CmpIPredicate::eq, y, constant(type, -1));
  Value safe = select(make<arith::OrIOp>(isZero, isMinusOne), one, y);
  return select(isMinusOne, negate(x), make<arith::DivSIOp>(x, safe));
}

Value Scalars::divide(Value x, Value y) {
  return isa<FloatType>(x.getType()) ? make<arith::DivFOp>(x, y) : integerQuotient(x, y);
}

Value Scalars::remainder(Value x, Value y) {
  if (!isa<FloatType>(x.getType()))
    return make<arith::SubIOp>(x, make<arith::MulIOp>(integerQuotient(x, y), y));
  return make<arith::RemFOp>(x, y);
}

/// The remainder, or that and the divisor where their signs differ.
Value Scalars::modulo(Value x, Value y) {
  Value rest = remainder(x, y);
  if (isUnsigned)
    return rest;
  using graph::Comparison;
  Value zero = constantLike(x, 0);
  Value differ =
      make<arith::XOrIOp>(compare(Comparison::Lt, rest, zero), compare(Comparison::Lt, y, zero));
  Value isShort = make<arith::AndIOp>(compare(Comparison::Ne, rest, zero), differ);
  return select(isShort, pick<arith::AddFOp, arith::AddIOp>(rest, y), rest);
}

/// Integers by squaring, a bit of the exponent at a time.
Value Scalars::power(Value x, Value y) {
  if (isa<FloatType>(x.getType()))
    return make<math::PowFOp>(x, y);
  using graph::Comparison;
  Value zero = constantLike(x, 0), one = constantLike(x, 1);
  const unsigned width = x.getType().getIntOrFloatBitWidth();
  const unsigned bits = isUnsigned ? width : width - 1;
  auto isSet = [&](unsigned bit) {
    Value shifted = make<arith::ShRUIOp>(y, constantLike(x, bit));
    return compare(Comparison::Ne, make<arith::AndIOp>(shifted, one), zero);
  };
  Value result = one, square = x;
  for (unsigned bit = 0; bit < bits; ++bit) {
    result = make<arith::MulIOp>(result, select(isSet(bit), square, one));
    if (bit + 1 < bits)
      square = make<arith::MulIOp>(square, square);
  }
  if (isUnsigned)
    return result;
  Value minusOne = constantLike(x, -1);
  Value isUnit =
      make<arith::OrIOp>(compare(Comparison::Eq, x, one), compare(Comparison::Eq, x, minusOne));
  Value inverse = select(isUnit, select(isSet(0), x, one), zero);
  return select(compare(Comparison::Lt, y, zero), inverse, result);
}

/// Also where a signed shift is negative.
Value Scalars::isPastWidth(Value shift) {
  Value width = constantLike(shift, shift.getType().getIntOrFloatBitWidth());
  return make<arith::CmpIOp>(arith::CmpIPredicate::uge, shift, width);
}

Value Scalars::shiftLeft(Value x, Value y) {
  Value zero = constantLike(x, 0), isPast = isPastWidth(y);
  return select(isPast, zero, make<arith::ShLIOp>(x, select(isPast, zero, y)));
}

Value Scalars::shiftRight(Value x, Value y) {
  Value isPast = isPastWidth(y);
  Value most = constantLike(x, x.getType().getIntOrFloatBitWidth() - 1);
  Value shifted = pick<arith::ShRUIOp, arith::ShRSIOp, arith::ShRUIOp>(x, select(isPast, most, y));
  return isUnsigned ? select(isPast, constantLike(x, 0), shifted) : shifted;
}

Value Scalars::castFloat(Value x, FloatType to) {
  auto from = mlir::cast<FloatType>(x.getType());
  if (from == to)
    return x;
  if (from.getWidth() < 32 && to.getWidth() < 32) { // not each holds the other's numbers
    x = make<arith::ExtFOp>(builder.getF32Type(), x);
    from = builder.getF32Type();
  }
  if (from.getWidth() < to.getWidth())
    return make<arith::ExtFOp>(to, x);
  return make<arith::TruncFOp>(to, x);
}

/// Towards zero, at most the integer type's limits; NaN is 0. The conversion itself is undefined
/// for what the type does not hold.
Value Scalars::saturate(Value x, Type to, bool toUnsigned) {
  using graph::Comparison;
  const unsigned width = to.getIntOrFloatBitWidth();
  const double limit = std::ldexp(1.0, int(toUnsigned ? width : width - 1));
  auto integer = [&](const APInt &value) -> Value {
    return make<arith::ConstantOp>(builder.getIntegerAttr(to, value));
  };
  Value tooLarge = compare(Comparison::Ge, x, constantLike(x, limit));
  Value largest = integer(toUnsigned ? APInt::getMaxValue(width) : APInt::getSignedMaxValue(width));
  Value above = compare(toUnsigned ? Comparison::Gt : Comparison::Ge, x,
                        constantLike(x, toUnsigned ? -1 : -limit));
  Value below = compare(Comparison::Lt, x, constantLike(x, limit));
  Value safe = select(make<arith::AndIOp>(above, below), x, constantLike(x, 0));
  if (toUnsigned)
    return select(tooLarge, largest, make<arith::FPToUIOp>(to, safe));
  Value tooSmall = compare(Comparison::Lt, x, constantLike(x, -limit));
  Value value =
      select(tooSmall, integer(APInt::getSignedMinValue(width)), make<arith::FPToSIOp>(to, safe));
  return select(tooLarge, largest, value);
}

Value Scalars::cast(Value x, Type to, bool toUnsigned) {
  Type from = x.getType();
  bool fromUnsigned = isUnsigned || from.isInteger(1);
  if (auto type = dyn_cast<FloatType>(to)) {
    if (isa<FloatType>(from))
      return castFloat(x, type);
    Type wide = type.getWidth() < 32 ? builder.getF32Type() : to;
    x = fromUnsigned ? make<arith::UIToFPOp>(wide, x) : make<arith::SIToFPOp>(wide, x);
    return castFloat(x, type);
  }
  if (to.isInteger(1)) {
    Value wide = widen(x);
    return from.isInteger(1) ? x : compare(graph::Comparison::Ne, wide, constantLike(wide, 0));
  }
  if (isa<FloatType>(from))
    return saturate(widen(x), to, toUnsigned);
  unsigned narrow = from.getIntOrFloatBitWidth(), wide = to.getIntOrFloatBitWidth();
  if (narrow == wide)
    return x;
  if (narrow > wide)
    return make<arith::TruncIOp>(to, x);
  return fromUnsigned ? make<arith::ExtUIOp>(to, x) : make<arith::ExtSIOp>(to, x);
}

Value Scalars::widen(Value x) {
  auto type = dyn_cast<FloatType>(x.getType());
  return type && type.getWidth() < 32 ? make<arith::ExtFOp>(builder.getF32Type(), x) : x;
}

Value emitScalar(OpBuilder &builder, Operation *op, ValueRange operands, Type result,
                 bool isUnsigned, bool resultUnsigned) {
  Scalars s(builder, op->getLoc(), isUnsigned);
  if (isa<graph::CastOp>(op))
    return s.cast(operands[0], result, resultUnsigned);
  SmallVector<Value> wide;
  for (Value operand : operands)
    wide.push_back(s.widen(operand));
  Value x = wide[0], y = wide.size() > 1 ? wide[1] : Value();
  Value value =
      TypeSwitch<Operation *, Value>(op)
#define INGOT_UNARY(METHOD, OP, ELEMENTS, REFERENCE, LOWERING, ...)                                \
  .Case([&](graph::OP) -> Value { return LOWERING; })
#define INGOT_BINARY(METHOD, OP, ELEMENTS, REFERENCE, LOWERING, ...)                               \
  .Case([&](graph::OP) -> Value { return LOWERING; })
#include "ir/formulas/Primitives.def"
          .Case([&](graph::CompareOp compare) { return s.compare(compare.getDirection(), x, y); })
          .Case([&](graph::SelectOp) { return s.select(x, y, wide[2]); })
          .Default(Value());
  if (value && value.getType() != result) // rounds once to the narrow type that is stored
    value = s.make<arith::TruncFOp>(result, value);
  return value;
}

void setFastMath(Operation *root) {
  using arith::FastMathFlags;
  auto flags = arith::FastMathFlagsAttr::get(
      root->getContext(), FastMathFlags::contract | FastMathFlags::arcp | FastMathFlags::nsz);
  root->walk([&](arith::ArithFastMathInterface op) {
    if (!isa<arith::ExtFOp, arith::TruncFOp>(op)) // a rounding that was decided on stays
      op->setAttr(op.getFastMathAttrName(), flags);
  });
}

} // namespace ingot
