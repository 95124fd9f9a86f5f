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

/// x/y towards zero without a trap: x/0 is x, and the smallest integer over -1 wraps. Masked lanes
/// hold zeros, so that a plain division could trap where no element needs it.
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
  Value quotient = make<math::TruncOp>(make<arith::DivFOp>(x, y));
  return make<math::FmaOp>(negate(quotient), y, x);
}

Value Scalars::castFloat(Value x, FloatType to) {
  auto from = mlir::cast<FloatType>(x.getType());
  if (from == to)
    return x;
  if (from.getWidth() < to.getWidth())
    return make<arith::ExtFOp>(to, x);
  if (from.getWidth() == to.getWidth()) // f16 ↔ bf16, f8 ↔ f8
    x = make<arith::ExtFOp>(builder.getF32Type(), x);
  return make<arith::TruncFOp>(to, x);
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
  if (to.isInteger(1))
    return from.isInteger(1) ? x : compare(graph::Comparison::Ne, x, constant(from, 0));
  if (isa<FloatType>(from)) {
    x = widen(x);
    return toUnsigned ? make<arith::FPToUIOp>(to, x) : make<arith::FPToSIOp>(to, x);
  }
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
  root->walk(
      [&](arith::ArithFastMathInterface op) { op->setAttr(op.getFastMathAttrName(), flags); });
}

} // namespace ingot
