#include "codegen/kernel/ConvertFloat.h"

using namespace mlir;

namespace ingot {

Value convertFloat(IndexCode &code, Value value, Type element) {
  Type from = getElementTypeOrSelf(value.getType());
  if (from == element)
    return value;
  Type type = element;
  if (auto vector = dyn_cast<VectorType>(value.getType()))
    type = vector.clone(element);
  if (from.getIntOrFloatBitWidth() < element.getIntOrFloatBitWidth())
    return code.create<arith::ExtFOp>(type, value);
  return code.create<arith::TruncFOp>(type, value);
}

Value addElements(IndexCode &code, Value left, Value right) {
  Type element = getElementTypeOrSelf(left.getType());
  if (!isa<FloatType>(element))
    return code.create<arith::AddIOp>(left, right);
  if (element.getIntOrFloatBitWidth() >= 32)
    return code.create<arith::AddFOp>(left, right);
  Type f32 = code.builder.getF32Type();
  Value sum =
      code.create<arith::AddFOp>(convertFloat(code, left, f32), convertFloat(code, right, f32));
  return convertFloat(code, sum, element);
}

} // namespace ingot
