#include "passes/math/NarrowFloats.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
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

/// A float of one byte: a sign, an exponent and a mantissa of so many bits.
struct ByteFormat {
  int mantissa, bias;
  int64_t beyond; ///< the least word, the sign aside, that is no finite number
  int64_t nan;

  bool hasInfinity() const { return beyond != nan; }
};

std::optional<ByteFormat> byteFormat(Type element) {
  if (isa<Float8E4M3FNType>(element))
    return ByteFormat{3, 7, 0x7F, 0x7F};
  if (isa<Float8E5M2Type>(element))
    return ByteFormat{2, 15, 0x7C, 0x7E};
  return std::nullopt;
}

/// The upper bits of an f32's exponent and mantissa, rounded by the lower ones; below the least
/// normal number an addition rounds.
Value toByte(Bits &code, Value single, const ByteFormat &format, Type element) {
  Type f32 = code.of(code.builder.getF32Type()), i32 = code.of(code.builder.getI32Type());
  const int shift = 23 - format.mantissa, leastExponent = 1 - format.bias;
  Value bits = code.make<arith::BitcastOp>(i32, single);
  Value size = code.make<arith::AndIOp>(bits, code.word(0x7FFFFFFF));
  Value even =
      code.make<arith::AndIOp>(code.make<arith::ShRUIOp>(size, code.word(shift)), code.word(1));
  Value carry = code.make<arith::AddIOp>(even, code.word((1 << (shift - 1)) - 1));
  Value rounded =
      code.make<arith::ShRUIOp>(code.make<arith::AddIOp>(size, carry), code.word(shift));
  Value normal =
      code.make<arith::SubIOp>(rounded, code.word(int64_t(127 - format.bias) << format.mantissa));
  // A number whose last bit counts the least subnormal ones.
  Value ruler = code.word(int64_t(127 + leastExponent + shift) << 23);
  Value sum = code.make<arith::AddFOp>(code.make<arith::BitcastOp>(f32, size),
                                       code.make<arith::BitcastOp>(f32, ruler));
  Value subnormal = code.make<arith::SubIOp>(code.make<arith::BitcastOp>(i32, sum), ruler);
  Value isSmall = code.make<arith::CmpIOp>(arith::CmpIPredicate::slt, size,
                                           code.word(int64_t(127 + leastExponent) << 23));
  Value word =
      code.make<arith::MinSIOp>(code.select(isSmall, subnormal, normal), code.word(format.beyond));
  Value isNan = code.make<arith::CmpFOp>(arith::CmpFPredicate::UNO, single, single);
  word = code.select(isNan, code.word(format.nan), word);
  Value sign =
      code.make<arith::AndIOp>(code.make<arith::ShRUIOp>(bits, code.word(24)), code.word(0x80));
  Value byte = code.make<arith::TruncIOp>(code.of(code.builder.getI8Type()),
                                          code.make<arith::OrIOp>(word, sign));
  return code.make<arith::BitcastOp>(code.of(element), byte);
}

/// Exponent and mantissa in an f32's place, times what the biases differ by: subnormal ones too.
Value fromByte(Bits &code, Value byte, const ByteFormat &format) {
  Type f32 = code.of(code.builder.getF32Type()), i32 = code.of(code.builder.getI32Type());
  Value word = code.make<arith::ExtUIOp>(
      i32, code.make<arith::BitcastOp>(code.of(code.builder.getI8Type()), byte));
  Value size = code.make<arith::AndIOp>(word, code.word(0x7F));
  Value placed = code.make<arith::ShLIOp>(size, code.word(23 - format.mantissa));
  Value factor =
      code.make<arith::BitcastOp>(f32, code.word(int64_t(127 + 127 - format.bias) << 23));
  Value finite = code.make<arith::MulFOp>(code.make<arith::BitcastOp>(f32, placed), factor);
  auto is = [&](arith::CmpIPredicate predicate) {
    return code.make<arith::CmpIOp>(predicate, size, code.word(format.beyond));
  };
  constexpr int64_t infinity = 0x7F800000, nan = 0x7FC00000;
  Value other = code.word(nan);
  if (format.hasInfinity())
    other = code.select(is(arith::CmpIPredicate::eq), code.word(infinity), other);
  Value bits =
      code.select(is(arith::CmpIPredicate::sge), other, code.make<arith::BitcastOp>(i32, finite));
  Value sign =
      code.make<arith::ShLIOp>(code.make<arith::AndIOp>(word, code.word(0x80)), code.word(24));
  return code.make<arith::BitcastOp>(f32, code.make<arith::OrIOp>(bits, sign));
}

/// A float as f32: exactly, or an f64 so that rounding it once more rounds right.
Value toSingle(Bits &code, Value value) {
  Type element = getElementTypeOrSelf(value), f32 = code.of(code.builder.getF32Type());
  if (element.isF32())
    return value;
  if (element.isF64())
    return roundToOdd(code, value);
  if (auto format = byteFormat(element))
    return fromByte(code, value, *format);
  if (!element.isBF16())
    return code.make<arith::ExtFOp>(f32, value);
  Value half = code.make<arith::BitcastOp>(code.of(code.builder.getI16Type()), value);
  Value word = code.make<arith::ExtUIOp>(code.of(code.builder.getI32Type()), half);
  return code.make<arith::BitcastOp>(f32, code.make<arith::ShLIOp>(word, code.word(16)));
}

/// An f32 as a float of another type.
Value fromSingle(Bits &code, Value single, Type element) {
  if (element.isF32())
    return single;
  if (auto format = byteFormat(element))
    return toByte(code, single, *format, element);
  if (element.isBF16())
    return toBf16(code, single);
  if (element.isF64())
    return code.make<arith::ExtFOp>(code.of(element), single);
  return code.make<arith::TruncFOp>(code.of(element), single);
}

} // namespace

bool needsExpansion(Operation *op) {
  if (!isa<arith::ExtFOp, arith::TruncFOp, arith::SIToFPOp, arith::UIToFPOp, arith::FPToSIOp,
           arith::FPToUIOp>(op))
    return false;
  Type from = getElementTypeOrSelf(op->getOperand(0)), to = getElementTypeOrSelf(op->getResult(0));
  if (byteFormat(from) || byteFormat(to))
    return true;
  return (isa<arith::ExtFOp>(op) && from.isBF16()) ||
         (isa<arith::SIToFPOp, arith::UIToFPOp>(op) && to.isBF16()) ||
         (isa<arith::TruncFOp>(op) && (to.isBF16() || (from.isF64() && to.isF16())));
}

Value expandConversion(Operation *op) {
  Value from = op->getOperand(0);
  Type type = op->getResult(0).getType(), to = getElementTypeOrSelf(type);
  Bits code{OpBuilder(op), op->getLoc(), type};
  if (isa<arith::SIToFPOp, arith::UIToFPOp>(op)) {
    // f32 holds integers of 24 bits, f64 those of 53.
    const bool isShort = getElementTypeOrSelf(from).getIntOrFloatBitWidth() <= 24;
    Type exact =
        code.of(isShort ? Type(code.builder.getF32Type()) : Type(code.builder.getF64Type()));
    Value number = isa<arith::SIToFPOp>(op) ? code.make<arith::SIToFPOp>(exact, from)
                                            : code.make<arith::UIToFPOp>(exact, from);
    return fromSingle(code, toSingle(code, number), to);
  }
  Value single = toSingle(code, from);
  if (isa<arith::FPToSIOp>(op))
    return code.make<arith::FPToSIOp>(type, single);
  if (isa<arith::FPToUIOp>(op))
    return code.make<arith::FPToUIOp>(type, single);
  return fromSingle(code, single, to);
}

} // namespace ingot
