#include "passes/math/NarrowFloats.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace ingot {
namespace {

/// Writes operations on scalars and vectors of one shape.
struct Bits {
  OpBuilder builder;
  Location location;
  Type shape; ///< a scalar type, or a vector type of any element

  Type of(Type element) const {
    auto shaped = dyn_cast<ShapedType>(shape);
    return shaped ? Type(shaped.clone(element)) : element;
  }
  template <typename Op, typename... Args> Value make(Args &&...args) {
    return Op::create(builder, location, std::forward<Args>(args)...);
  }
  Value word(int64_t value) {
    Type type = of(builder.getI32Type());
    TypedAttr attribute = builder.getI32IntegerAttr(int32_t(value));
    if (auto shaped = dyn_cast<ShapedType>(type))
      attribute = DenseElementsAttr::get(shaped, attribute);
    return make<arith::ConstantOp>(attribute);
  }
  Value select(Value condition, Value yes, Value no) {
    return make<arith::SelectOp>(condition, yes, no);
  }
};

/// f64 to f32 rounded to odd: what does not fit sets the last bit. Rounding that once more, to at
/// least two bits less, gives what rounding the f64 itself gives (Boldo and Melquiond 2008).
Value roundToOdd(Bits &code, Value wide) {
  Type f32 = code.of(code.builder.getF32Type()), i32 = code.of(code.builder.getI32Type());
  Value near = code.make<arith::TruncFOp>(f32, wide);
  Value back = code.make<arith::ExtFOp>(wide.getType(), near);
  Value inexact = code.make<arith::CmpFOp>(arith::CmpFPredicate::ONE, back, wide);
  Value beyond = code.make<arith::CmpFOp>(arith::CmpFPredicate::OGT, code.make<math::AbsFOp>(back),
                                          code.make<math::AbsFOp>(wide));
  Value bits = code.make<arith::BitcastOp>(i32, near);
  bits = code.select(beyond, code.make<arith::SubIOp>(bits, code.word(1)), bits);
  bits = code.select(inexact, code.make<arith::OrIOp>(bits, code.word(1)), bits);
  return code.make<arith::BitcastOp>(f32, bits);
}

/// The upper half of an f32's bits, rounded by the lower half.
Value toBf16(Bits &code, Value single) {
  Value bits = code.make<arith::BitcastOp>(code.of(code.builder.getI32Type()), single);
  Value upper = code.make<arith::ShRUIOp>(bits, code.word(16));
  Value even = code.make<arith::AndIOp>(upper, code.word(1));
  Value carry = code.make<arith::AddIOp>(even, code.word(0x7FFF));
  Value rounded = code.make<arith::ShRUIOp>(code.make<arith::AddIOp>(bits, carry), code.word(16));
  Value isNan = code.make<arith::CmpFOp>(arith::CmpFPredicate::UNO, single, single);
  Value quiet = code.make<arith::OrIOp>(upper, code.word(0x40));
  Value result = code.make<arith::TruncIOp>(code.of(code.builder.getI16Type()),
                                            code.select(isNan, quiet, rounded));
  return code.make<arith::BitcastOp>(code.of(code.builder.getBF16Type()), result);
}

} // namespace

bool needsExpansion(arith::ExtFOp op) { return getElementTypeOrSelf(op.getIn()).isBF16(); }

Value expandWidening(arith::ExtFOp op) {
  Bits code{OpBuilder(op), op.getLoc(), op.getType()};
  Value half = code.make<arith::BitcastOp>(code.of(code.builder.getI16Type()), op.getIn());
  Value word = code.make<arith::ExtUIOp>(code.of(code.builder.getI32Type()), half);
  Value bits = code.make<arith::ShLIOp>(word, code.word(16));
  Value single = code.make<arith::BitcastOp>(code.of(code.builder.getF32Type()), bits);
  return getElementTypeOrSelf(op.getType()).isF32()
             ? single
             : code.make<arith::ExtFOp>(op.getType(), single);
}

bool needsExpansion(arith::TruncFOp op) {
  Type from = getElementTypeOrSelf(op.getIn()), to = getElementTypeOrSelf(op.getType());
  return to.isBF16() || (from.isF64() && to.isF16());
}

Value expandNarrowing(arith::TruncFOp op) {
  Bits code{OpBuilder(op), op.getLoc(), op.getType()};
  Value value = op.getIn();
  if (getElementTypeOrSelf(value).isF64())
    value = roundToOdd(code, value);
  if (getElementTypeOrSelf(op.getType()).isBF16())
    return toBf16(code, value);
  return code.make<arith::TruncFOp>(op.getType(), value);
}

} // namespace ingot
