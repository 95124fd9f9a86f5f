/// The words in which Primitives.def says what scalar op an element's op becomes.
#pragma once
#include "ir/dialect/Graph.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Builders.h"

namespace ingot {

/// Scalar code at one location. Floats narrower than f32 are computed in f32.
class Scalars {
public:
  Scalars(mlir::OpBuilder &builder, mlir::Location location, bool isUnsigned)
      : builder(builder), location(location), isUnsigned(isUnsigned) {}

  template <typename Op, typename... Args> mlir::Value make(Args &&...args) {
    return Op::create(builder, location, std::forward<Args>(args)...);
  }
  mlir::Value constant(mlir::Type type, double value) {
    mlir::TypedAttr attr = mlir::isa<mlir::FloatType>(type)
                               ? mlir::TypedAttr(builder.getFloatAttr(type, value))
                               : mlir::TypedAttr(builder.getIntegerAttr(type, int64_t(value)));
    return make<mlir::arith::ConstantOp>(attr);
  }
  /// The float op or one of the integer ops.
  template <typename Float, typename Signed, typename Unsigned = Signed>
  mlir::Value pick(mlir::Value lhs, mlir::Value rhs) {
    if (mlir::isa<mlir::FloatType>(lhs.getType()))
      return make<Float>(lhs, rhs);
    return isUnsigned ? make<Unsigned>(lhs, rhs) : make<Signed>(lhs, rhs);
  }
  mlir::Value constantLike(mlir::Value x, double value) { return constant(x.getType(), value); }
  mlir::Value maximum(mlir::Value x, mlir::Value y) {
    return pick<mlir::arith::MaximumFOp, mlir::arith::MaxSIOp, mlir::arith::MaxUIOp>(x, y);
  }
  mlir::Value minimum(mlir::Value x, mlir::Value y) {
    return pick<mlir::arith::MinimumFOp, mlir::arith::MinSIOp, mlir::arith::MinUIOp>(x, y);
  }
  /// 1/(1 + e^-x).
  mlir::Value logistic(mlir::Value x) {
    mlir::Value decay = make<mlir::math::ExpOp>(negate(x));
    return make<mlir::arith::DivFOp>(constantLike(x, 1),
                                     make<mlir::arith::AddFOp>(constantLike(x, 1), decay));
  }
  mlir::Value compare(graph::Comparison direction, mlir::Value lhs, mlir::Value rhs);
  mlir::Value select(mlir::Value condition, mlir::Value onTrue, mlir::Value onFalse) {
    return make<mlir::arith::SelectOp>(condition, onTrue, onFalse);
  }
  mlir::Value negate(mlir::Value x);
  mlir::Value absolute(mlir::Value x);
  mlir::Value sign(mlir::Value x);
  mlir::Value divide(mlir::Value x, mlir::Value y);
  mlir::Value remainder(mlir::Value x, mlir::Value y);
  mlir::Value modulo(mlir::Value x, mlir::Value y);
  mlir::Value power(mlir::Value x, mlir::Value y);
  mlir::Value shiftLeft(mlir::Value x, mlir::Value y);
  mlir::Value shiftRight(mlir::Value x, mlir::Value y);
  mlir::Value cast(mlir::Value x, mlir::Type to, bool toUnsigned);
  mlir::Value widen(mlir::Value x);

private:
  mlir::Value saturate(mlir::Value x, mlir::Type to, bool toUnsigned);
  mlir::Value castFloat(mlir::Value x, mlir::FloatType to);
  mlir::Value integerQuotient(mlir::Value x, mlir::Value y);
  mlir::Value isPastWidth(mlir::Value shift);

  mlir::OpBuilder &builder;
  mlir::Location location;
  bool isUnsigned;
};

} // namespace ingot
