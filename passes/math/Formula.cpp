#include "passes/math/Formula.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include <limits>

using namespace mlir;

namespace ingot {

template <typename Op> static Term emit(Term a, Term b) {
  Formula *formula = a.formula;
  return {formula, Op::create(formula->builder, formula->location, a.value, b.value)};
}

template <typename FloatOp, typename IntOp> static Term emitEither(Term a, Term b) {
  bool integers = isa<IntegerType>(getElementTypeOrSelf(a.value.getType()));
  return integers ? emit<IntOp>(a, b) : emit<FloatOp>(a, b);
}

static Term compare(Term a, Term b, arith::CmpFPredicate predicate) {
  Formula *formula = a.formula;
  return {formula,
          arith::CmpFOp::create(formula->builder, formula->location, predicate, a.value, b.value)};
}

Term Term::operator+(Term other) const {
  return emitEither<arith::AddFOp, arith::AddIOp>(*this, other);
}
Term Term::operator-(Term other) const {
  return emitEither<arith::SubFOp, arith::SubIOp>(*this, other);
}
Term Term::operator*(Term other) const { return emit<arith::MulFOp>(*this, other); }
Term Term::operator/(Term other) const { return emit<arith::DivFOp>(*this, other); }
Term Term::operator-() const {
  return {formula, arith::NegFOp::create(formula->builder, formula->location, value)};
}
Term Term::operator+(double other) const { return *this + formula->number(other); }
Term Term::operator-(double other) const { return *this - formula->number(other); }
Term Term::operator*(double other) const { return *this * formula->number(other); }
Term operator-(double left, Term right) { return right.formula->number(left) - right; }
Term operator/(double left, Term right) { return right.formula->number(left) / right; }
Term Term::operator<(Term other) const { return compare(*this, other, arith::CmpFPredicate::OLT); }
Term Term::operator>(Term other) const { return compare(*this, other, arith::CmpFPredicate::OGT); }
Term Term::operator==(Term other) const { return compare(*this, other, arith::CmpFPredicate::OEQ); }
Term Term::operator<(double other) const { return *this < formula->number(other); }
Term Term::operator>(double other) const { return *this > formula->number(other); }
Term Term::operator==(double other) const { return *this == formula->number(other); }

Type Formula::integerType() const {
  Type integer = builder.getIntegerType(pick(32, 64));
  auto vector = dyn_cast<VectorType>(type);
  return vector ? Type(VectorType::get(vector.getShape(), integer)) : integer;
}

Value Formula::constant(Type type, Attribute element) {
  auto vector = dyn_cast<VectorType>(type);
  auto attr =
      vector ? TypedAttr(DenseElementsAttr::get(vector, element)) : cast<TypedAttr>(element);
  return arith::ConstantOp::create(builder, location, attr);
}

Term Formula::number(double value) {
  return term(constant(type, builder.getFloatAttr(getElementTypeOrSelf(type), value)));
}
Term Formula::infinity() { return number(std::numeric_limits<double>::infinity()); }
Term Formula::notANumber() { return number(std::numeric_limits<double>::quiet_NaN()); }
Term Formula::integer(int64_t value) {
  Type whole = integerType();
  return term(constant(whole, builder.getIntegerAttr(getElementTypeOrSelf(whole), value)));
}

Term Formula::fma(Term a, Term b, Term c) {
  return term(math::FmaOp::create(builder, location, a.value, b.value, c.value));
}
Term Formula::abs(Term x) { return term(math::AbsFOp::create(builder, location, x.value)); }
Term Formula::sqrt(Term x) { return term(math::SqrtOp::create(builder, location, x.value)); }
Term Formula::floor(Term x) { return term(math::FloorOp::create(builder, location, x.value)); }
Term Formula::copySign(Term magnitude, Term sign) {
  return term(math::CopySignOp::create(builder, location, magnitude.value, sign.value));
}
Term Formula::select(Term condition, Term onTrue, Term onFalse) {
  return term(
      arith::SelectOp::create(builder, location, condition.value, onTrue.value, onFalse.value));
}
Term Formula::logicalAnd(Term a, Term b) { return emit<arith::AndIOp>(a, b); }
Term Formula::logicalOr(Term a, Term b) { return emit<arith::OrIOp>(a, b); }

Term Formula::atMost(Term x, double high) { return select(x > high, number(high), x); }
Term Formula::clamp(Term x, double low, double high) {
  return atMost(select(x < low, number(low), x), high);
}

Term Formula::polynomial(Term x, ArrayRef<double> coefficients) {
  Term sum = number(coefficients.back());
  for (double coefficient : llvm::reverse(coefficients.drop_back()))
    sum = fma(sum, x, number(coefficient));
  return sum;
}

Term Formula::bits(Term x) {
  return term(arith::BitcastOp::create(builder, location, integerType(), x.value));
}
Term Formula::fromBits(Term bits) {
  return term(arith::BitcastOp::create(builder, location, type, bits.value));
}
Term Formula::shiftLeft(Term bits, int amount) {
  return emit<arith::ShLIOp>(bits, integer(amount));
}
Term Formula::shiftRight(Term bits, int amount) {
  return emit<arith::ShRSIOp>(bits, integer(amount));
}
Term Formula::bitAnd(Term bits, int64_t mask) { return emit<arith::AndIOp>(bits, integer(mask)); }
Term Formula::toFloat(Term whole) {
  return term(arith::SIToFPOp::create(builder, location, type, whole.value));
}
Term Formula::powerOfTwo(Term exponent) {
  return fromBits(shiftLeft(exponent + integer(exponentBias()), mantissaBits()));
}

/// Adding 1.5 · 2^mantissaBits leaves the rounded integer in the low bits. No conversion is needed,
/// whose result would be undefined for NaN.
std::pair<Term, Term> Formula::nearest(Term x, double factor) {
  double shift = 1.5 * double(int64_t(1) << mantissaBits());
  Term shifted = factor == 1 ? x + shift : fma(x, factor, number(shift));
  int64_t shiftBits = pick<int64_t>(0x4b400000, 0x4338000000000000);
  return {shifted - shift, bits(shifted) - integer(shiftBits)};
}

bool Formula::scalesAtOnce() const {
  auto vector = dyn_cast<VectorType>(type);
  return vectorBytes >= 64 && isSingle() && vector && vector.getShape() == ArrayRef<int64_t>{16};
}

/// Elsewhere two factors, so that subnormal results round once and large ones overflow.
Term Formula::scale(Term mantissa, Term exponent, Term count) {
  if (!scalesAtOnce()) {
    Term half = shiftRight(exponent, 1);
    return mantissa * powerOfTwo(half) * powerOfTwo(exponent - half);
  }
  auto constant = [&](IntegerAttr value) -> Value {
    return LLVM::ConstantOp::create(builder, location, value.getType(), value);
  };
  Value allLanes = constant(builder.getI16IntegerAttr(-1));
  constexpr int32_t currentRounding = 4;
  Value rounding = constant(builder.getI32IntegerAttr(currentRounding));
  auto name = builder.getStringAttr("llvm.x86.avx512.mask.scalef.ps.512");
  return term(LLVM::CallIntrinsicOp::create(
                  builder, location, type, name,
                  ValueRange{mantissa.value, count.value, mantissa.value, allLanes, rounding})
                  .getResult(0));
}

} // namespace ingot
