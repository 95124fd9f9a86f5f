#include "passes/linalg/RandomNumbers.h"
#include "ir/dialect/Random.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace ingot {
namespace {

/// The formulas of ir/dialect/Random.h, operation by operation. No op carries fast-math flags: the
/// results are the same bits everywhere.
class Philox {
public:
  Philox(OpBuilder &builder, Location location) : builder(builder), location(location) {}

  Value word(Value seed, Value step, Value id, Value element);
  Value uniform(Value word, FloatType type);
  Value normal(Value word);

private:
  using Words = std::array<Value, 4>;

  template <typename Op, typename... Args> Value make(Args &&...args) {
    return Op::create(builder, location, std::forward<Args>(args)...);
  }
  Value i32(uint32_t value) {
    return make<arith::ConstantOp>(builder.getI32IntegerAttr(int32_t(value)));
  }
  Value i64(uint64_t value) {
    return make<arith::ConstantOp>(builder.getI64IntegerAttr(int64_t(value)));
  }
  Value f32(float value) { return make<arith::ConstantOp>(builder.getF32FloatAttr(value)); }
  Value low(Value wide) { return make<arith::TruncIOp>(builder.getI32Type(), wide); }
  Value high(Value wide) { return make<arith::ShRUIOp>(wide, i64(32)); }
  Value exclusiveOr(Value a, Value b) { return make<arith::XOrIOp>(a, b); }
  Value add(Value a, Value b) { return make<arith::AddFOp>(a, b); }
  Value sub(Value a, Value b) { return make<arith::SubFOp>(a, b); }
  Value mul(Value a, Value b) { return make<arith::MulFOp>(a, b); }
  Value widen(Value x) {
    return x.getType().isInteger(64) ? x : make<arith::ExtUIOp>(builder.getI64Type(), x);
  }

  void round(Words &counter, Value key0, Value key1);
  Value logarithm(Value v);
  template <size_t N> Value horner(const std::array<float, N> &coefficients, Value x) {
    Value sum = f32(coefficients[0]);
    for (size_t i = 1; i < N; ++i)
      sum = add(mul(sum, x), f32(coefficients[i]));
    return sum;
  }

  OpBuilder &builder;
  Location location;
};

/// Words are the low halves of i64, whatever the high ones hold: x86 has one instruction for the
/// product of two low halves, and the round needs no conversion.
void Philox::round(Words &counter, Value key0, Value key1) {
  auto product = [&](uint32_t multiplier, Value word) -> Value {
    return make<arith::MulIOp>(i64(multiplier), make<arith::AndIOp>(word, i64(0xFFFFFFFF)));
  };
  Value first = product(random::multipliers[0], counter[0]);
  Value second = product(random::multipliers[1], counter[2]);
  counter = {exclusiveOr(exclusiveOr(high(second), counter[1]), key0), second,
             exclusiveOr(exclusiveOr(high(first), counter[3]), key1), first};
}

Value Philox::word(Value seed, Value step, Value id, Value element) {
  Value block = make<arith::ShRUIOp>(element, i64(2));
  Words counter{block, high(block), widen(step), widen(id)};
  Value key0 = widen(seed), key1 = high(key0);
  for (int index = 0; index < random::rounds; ++index) {
    round(counter, key0, key1);
    key0 = make<arith::AddIOp>(key0, i64(random::keyIncrements[0]));
    key1 = make<arith::AddIOp>(key1, i64(random::keyIncrements[1]));
  }
  Value which = make<arith::AndIOp>(low(element), i32(3));
  Value result = low(counter[3]);
  for (int index = 2; index >= 0; --index) {
    Value isThis = make<arith::CmpIOp>(arith::CmpIPredicate::eq, which, i32(index));
    result = make<arith::SelectOp>(isThis, low(counter[index]), result);
  }
  return result;
}

/// The top bits as an integer, scaled by a power of two: exact.
Value Philox::uniform(Value word, FloatType type) {
  int precision = std::min<int>(type.getFPMantissaWidth(), 32);
  Type wide = type.getWidth() < 32 ? builder.getF32Type() : type;
  Value bits = make<arith::ShRUIOp>(word, i32(32 - precision));
  Value number = make<arith::UIToFPOp>(wide, bits);
  Value scale = make<arith::ConstantOp>(builder.getFloatAttr(wide, std::ldexp(1.0, -precision)));
  Value result = mul(number, scale);
  return wide == type ? result : make<arith::TruncFOp>(type, result);
}

Value Philox::logarithm(Value v) {
  Type real = builder.getF32Type();
  Value half = i32(random::sqrtHalfBits);
  Value offset = make<arith::SubIOp>(make<arith::BitcastOp>(builder.getI32Type(), v), half);
  Value mantissa = make<arith::AddIOp>(make<arith::AndIOp>(offset, i32(0x7FFFFF)), half);
  Value f = sub(make<arith::BitcastOp>(real, mantissa), f32(1));
  Value exponent = make<arith::SIToFPOp>(real, make<arith::ShRSIOp>(offset, i32(23)));
  return add(mul(horner(random::logCoefficients, f), f), mul(exponent, f32(random::ln2)));
}

Value Philox::normal(Value word) {
  Value low = make<arith::AndIOp>(word, i32(0x7FFFFF));
  Value odd = make<arith::AddIOp>(make<arith::MulIOp>(low, i32(2)), i32(1));
  Value p = mul(make<arith::SIToFPOp>(builder.getF32Type(), odd), f32(0x1p-25f));
  Value w = sub(f32(0), logarithm(mul(mul(p, f32(4)), sub(f32(1), p))));
  Value centre = horner(random::centreCoefficients, sub(w, f32(random::centreShift)));
  Value tail = horner(random::tailCoefficients, sub(make<math::SqrtOp>(w), f32(random::tailShift)));
  Value isCentre = make<arith::CmpFOp>(arith::CmpFPredicate::OLT, w, f32(random::tailStart));
  Value magnitude = mul(sub(f32(1), mul(p, f32(2))), make<arith::SelectOp>(isCentre, centre, tail));
  Value isNegative = make<arith::CmpIOp>(arith::CmpIPredicate::slt, word, i32(0));
  return make<arith::SelectOp>(isNegative, make<arith::NegFOp>(magnitude), magnitude);
}

} // namespace

Value emitRandom(OpBuilder &builder, Location location, RankedTensorType type, Value seed,
                 Value step, Value id, bool isNormal) {
  // The element's row-major position: Horner's rule over the loops.
  Value element = arith::ConstantIndexOp::create(builder, location, 0);
  for (auto [dim, size] : llvm::enumerate(type.getShape())) {
    Value extent = arith::ConstantIndexOp::create(builder, location, size);
    Value index = linalg::IndexOp::create(builder, location, dim);
    element = arith::AddIOp::create(
        builder, location, arith::MulIOp::create(builder, location, element, extent), index);
  }
  element = arith::IndexCastOp::create(builder, location, builder.getI64Type(), element);
  Philox philox(builder, location);
  Value word = philox.word(seed, step, id, element);
  auto real = cast<FloatType>(type.getElementType());
  if (!isNormal)
    return philox.uniform(word, real);
  Value normal = philox.normal(word);
  if (real.getWidth() > 32)
    return arith::ExtFOp::create(builder, location, real, normal);
  return real.getWidth() < 32 ? arith::TruncFOp::create(builder, location, real, normal) : normal;
}

} // namespace ingot
