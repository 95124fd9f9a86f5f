/// Elementwise graph ops as arith and math on scalars.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/linalg/GraphToLinalg.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace ingot {
namespace {

/// Scalar code at one location. Floats narrower than f32 are computed in f32.
class Scalars {
public:
  Scalars(OpBuilder &builder, Location location, bool isUnsigned)
      : builder(builder), location(location), isUnsigned(isUnsigned) {}

  template <typename Op, typename... Args> Value make(Args &&...args) {
    return Op::create(builder, location, std::forward<Args>(args)...);
  }
  Value constant(Type type, double value) {
    TypedAttr attr = isa<FloatType>(type) ? TypedAttr(builder.getFloatAttr(type, value))
                                          : TypedAttr(builder.getIntegerAttr(type, int64_t(value)));
    return make<arith::ConstantOp>(attr);
  }
  /// The float op or one of the integer ops.
  template <typename Float, typename Signed, typename Unsigned = Signed>
  Value pick(Value lhs, Value rhs) {
    if (isa<FloatType>(lhs.getType()))
      return make<Float>(lhs, rhs);
    return isUnsigned ? make<Unsigned>(lhs, rhs) : make<Signed>(lhs, rhs);
  }
  Value compare(graph::Comparison direction, Value lhs, Value rhs);
  Value select(Value condition, Value onTrue, Value onFalse) {
    return make<arith::SelectOp>(condition, onTrue, onFalse);
  }
  Value negate(Value x);
  Value absolute(Value x);
  Value sign(Value x);
  Value divide(Value x, Value y);
  Value remainder(Value x, Value y);
  Value cast(Value x, Type to, bool toUnsigned);
  Value widen(Value x);

private:
  Value castFloat(Value x, FloatType to);
  Value integerQuotient(Value x, Value y);

  OpBuilder &builder;
  Location location;
  bool isUnsigned;
};

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

} // namespace

Value emitScalar(OpBuilder &builder, Operation *op, ValueRange operands, Type result,
                 bool isUnsigned, bool resultUnsigned) {
  Scalars s(builder, op->getLoc(), isUnsigned);
  if (isa<graph::CastOp>(op))
    return s.cast(operands[0], result, resultUnsigned);
  SmallVector<Value> wide;
  for (Value operand : operands)
    wide.push_back(s.widen(operand));
  Value x = wide[0], y = wide.size() > 1 ? wide[1] : Value();
  Type type = x.getType();
  auto unit = [&] { return s.constant(type, 1); };
  auto zero = [&] { return s.constant(type, 0); };
  using namespace arith;
  Value value =
      TypeSwitch<Operation *, Value>(op)
          .Case([&](graph::NegOp) { return s.negate(x); })
          .Case([&](graph::AbsOp) { return s.absolute(x); })
          .Case([&](graph::SignOp) { return s.sign(x); })
          .Case([&](graph::ExpOp) { return s.make<math::ExpOp>(x); })
          .Case([&](graph::LogOp) { return s.make<math::LogOp>(x); })
          .Case([&](graph::Expm1Op) { return s.make<math::ExpM1Op>(x); })
          .Case([&](graph::Log1pOp) { return s.make<math::Log1pOp>(x); })
          .Case([&](graph::SqrtOp) { return s.make<math::SqrtOp>(x); })
          .Case([&](graph::RsqrtOp) { return s.make<math::RsqrtOp>(x); })
          .Case([&](graph::ReciprocalOp) { return s.make<DivFOp>(unit(), x); })
          .Case([&](graph::TanhOp) { return s.make<math::TanhOp>(x); })
          .Case([&](graph::ErfOp) { return s.make<math::ErfOp>(x); })
          .Case([&](graph::SinOp) { return s.make<math::SinOp>(x); })
          .Case([&](graph::CosOp) { return s.make<math::CosOp>(x); })
          .Case([&](graph::SigmoidOp) {
            Value decay = s.make<math::ExpOp>(s.negate(x));
            return s.make<DivFOp>(unit(), s.make<AddFOp>(unit(), decay));
          })
          .Case([&](graph::FloorOp) { return s.make<math::FloorOp>(x); })
          .Case([&](graph::CeilOp) { return s.make<math::CeilOp>(x); })
          .Case([&](graph::ReluOp) { return s.pick<MaximumFOp, MaxSIOp, MaxUIOp>(x, zero()); })
          .Case([&](graph::NotOp) { return s.make<XOrIOp>(x, s.constant(type, -1)); })
          .Case([&](graph::AddOp) { return s.pick<AddFOp, AddIOp>(x, y); })
          .Case([&](graph::SubOp) { return s.pick<SubFOp, SubIOp>(x, y); })
          .Case([&](graph::MulOp) { return s.pick<MulFOp, MulIOp>(x, y); })
          .Case([&](graph::DivOp) { return s.divide(x, y); })
          .Case([&](graph::RemainderOp) { return s.remainder(x, y); })
          .Case([&](graph::PowOp) { return s.make<math::PowFOp>(x, y); })
          .Case([&](graph::MaximumOp) { return s.pick<MaximumFOp, MaxSIOp, MaxUIOp>(x, y); })
          .Case([&](graph::MinimumOp) { return s.pick<MinimumFOp, MinSIOp, MinUIOp>(x, y); })
          .Case([&](graph::AndOp) { return s.make<AndIOp>(x, y); })
          .Case([&](graph::OrOp) { return s.make<OrIOp>(x, y); })
          .Case([&](graph::XorOp) { return s.make<XOrIOp>(x, y); })
          .Case([&](graph::CompareOp compare) { return s.compare(compare.getDirection(), x, y); })
          .Case([&](graph::SelectOp) { return s.select(x, y, wide[2]); })
          .Default(Value());
  if (value && value.getType() != result) // rounds once to the narrow type that is stored
    value = s.make<TruncFOp>(result, value);
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
