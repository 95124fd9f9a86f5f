/// Floating-point formulas as IR: `a * b + c` builds arith ops on scalars and vectors alike.
#pragma once
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Builders.h"
#include <initializer_list>

namespace ingot {

class Formula;

/// A float or integer value of a formula; operators emit code without fast-math flags, so that each
/// rounds where it is written.
struct Term {
  Formula *formula = nullptr;
  mlir::Value value;

  Term operator+(Term other) const;
  Term operator-(Term other) const;
  Term operator*(Term other) const;
  Term operator/(Term other) const;
  Term operator-() const;
  Term operator+(double other) const;
  Term operator-(double other) const;
  Term operator*(double other) const;
  // Ordered comparisons: false if either side is NaN.
  Term operator<(Term other) const;
  Term operator>(Term other) const;
  Term operator==(Term other) const;
  Term operator<(double other) const;
  Term operator>(double other) const;
  Term operator==(double other) const;
};
Term operator-(double left, Term right);
Term operator/(double left, Term right);

/// Where a formula is written: a builder and the type (f32 or f64, scalar or vector) of its floats.
class Formula {
public:
  /// `vectorBytes`: of the target CPU's widest register, 0 for any device.
  Formula(mlir::OpBuilder &builder, mlir::Location location, mlir::Type type,
          int64_t vectorBytes = 0)
      : builder(builder), location(location), type(type), vectorBytes(vectorBytes) {}

  bool isSingle() const { return mlir::getElementTypeOrSelf(type).isF32(); }
  /// `single` in f32, `wide` in f64.
  template <typename T> T pick(T single, T wide) const { return isSingle() ? single : wide; }
  int mantissaBits() const { return pick(23, 52); }
  int exponentBias() const { return pick(127, 1023); }

  Term term(mlir::Value value) { return {this, value}; }
  Term number(double value);
  Term infinity();
  Term notANumber();
  /// Integer constant as wide as the floats.
  Term integer(int64_t value);

  /// a·b + c, rounded once.
  Term fma(Term a, Term b, Term c);
  Term fma(Term a, double b, Term c) { return fma(a, number(b), c); }
  Term abs(Term x);
  Term sqrt(Term x);
  Term floor(Term x);
  Term copySign(Term magnitude, Term sign);
  Term select(Term condition, Term onTrue, Term onFalse);
  Term logicalAnd(Term a, Term b);
  Term logicalOr(Term a, Term b);
  /// x between bounds; NaN stays NaN.
  Term clamp(Term x, double low, double high);
  Term atMost(Term x, double high);
  /// Σ coefficients[i] · xⁱ by Horner's rule with fma.
  Term polynomial(Term x, llvm::ArrayRef<double> coefficients);

  Term bits(Term x);
  Term fromBits(Term bits);
  Term shiftLeft(Term bits, int amount);
  Term shiftRight(Term bits, int amount);
  Term bitAnd(Term bits, int64_t mask);
  /// Integer to float.
  Term toFloat(Term integer);
  /// 2^exponent for an integer exponent of a normal number.
  Term powerOfTwo(Term exponent);
  /// The integer nearest to factor·x, ties to even, as a float and an integer; |factor·x| < 2^21
  /// (f32), 2^50 (f64).
  std::pair<Term, Term> nearest(Term x, double factor = 1);
  /// mantissa · 2^exponent, rounded once: subnormal results, zero and infinity are right for any
  /// mantissa of [1/2, 2] and |exponent| < 253 (f32), 2045 (f64). `count` is the exponent as a
  /// float.
  Term scale(Term mantissa, Term exponent, Term count);
  /// Whether `scale` is one instruction, which takes the same time for every result.
  bool scalesAtOnce() const;

  mlir::OpBuilder &builder;
  mlir::Location location;
  mlir::Type type;
  int64_t vectorBytes;

private:
  mlir::Type integerType() const;
  mlir::Value constant(mlir::Type type, mlir::Attribute element);
};

} // namespace ingot
