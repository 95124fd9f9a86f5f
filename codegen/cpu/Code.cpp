#include "codegen/cpu/Code.h"
#include "codegen/kernel/ConvertFloat.h"

using namespace mlir;

namespace ingot {

Value Code::flat(Value buffer) {
  auto type = cast<MemRefType>(buffer.getType());
  if (type.getRank() == 1)
    return buffer;
  if (type.getRank() == 0) {
    auto flatType = MemRefType::get({1}, type.getElementType());
    return create<memref::ExpandShapeOp>(flatType, buffer, ArrayRef<ReassociationIndices>{});
  }
  ReassociationIndices all = llvm::to_vector(llvm::seq<int64_t>(0, type.getRank()));
  return create<memref::CollapseShapeOp>(buffer, ArrayRef<ReassociationIndices>{all});
}

Value Code::view(Value bytes, int64_t byteOffset, int64_t count, Type type) {
  return create<memref::ViewOp>(MemRefType::get({count}, type), bytes, index(byteOffset),
                                ValueRange{});
}

void Code::whileBelow(Value from, Value end, llvm::function_ref<Value(Value)> body) {
  create<scf::WhileOp>(
      from.getType(), from,
      [&](OpBuilder &, Location, ValueRange at) {
        Value below = create<arith::CmpIOp>(arith::CmpIPredicate::slt, at[0], end);
        create<scf::ConditionOp>(below, at);
      },
      [&](OpBuilder &, Location, ValueRange at) { create<scf::YieldOp>(body(at[0])); });
}

Value Code::maskBelow(Value count) {
  return create<vector::CreateMaskOp>(lanesOf(builder.getI1Type()), ValueRange{count});
}

Value Code::load(Value buffer, Value at) { return create<memref::LoadOp>(buffer, at); }
void Code::store(Value scalar, Value buffer, Value at) {
  create<memref::StoreOp>(scalar, buffer, at);
}

Value Code::loadVector(Value buffer, Value at, Value mask) {
  VectorType type = lanesOf(cast<MemRefType>(buffer.getType()).getElementType());
  if (!mask)
    return create<vector::LoadOp>(type, buffer, ValueRange{at});
  Value none = create<arith::ConstantOp>(builder.getZeroAttr(type));
  return create<vector::MaskedLoadOp>(type, buffer, ValueRange{at}, mask, none);
}

void Code::storeVector(Value vector, Value buffer, Value at, Value mask) {
  if (mask)
    create<vector::MaskedStoreOp>(buffer, ValueRange{at}, mask, vector);
  else
    create<vector::StoreOp>(vector, buffer, ValueRange{at});
}

void Code::prefetch(Value buffer, Value at, int level) {
  create<memref::PrefetchOp>(buffer, ValueRange{at}, /*isWrite=*/false, /*localityHint=*/4 - level,
                             /*isDataCache=*/true);
}

Value Code::splat(Value scalar) {
  return create<vector::BroadcastOp>(lanesOf(scalar.getType()), scalar);
}

Value Code::sumOfLanes(Value vector) {
  for (int64_t width = lanes / 2; width > 0; width /= 2) {
    auto half = [&](int64_t start) -> Value {
      return create<vector::ExtractStridedSliceOp>(vector, start, width, 1);
    };
    Value low = half(0), high = half(width);
    vector = create<arith::AddFOp>(low, high);
  }
  return create<vector::ExtractOp>(vector, 0);
}

Value Code::constant(Type type, double value) {
  TypedAttr scalar = builder.getFloatAttr(getElementTypeOrSelf(type), value);
  if (auto vector = dyn_cast<VectorType>(type))
    scalar = DenseElementsAttr::get(vector, ArrayRef<Attribute>{scalar});
  return create<arith::ConstantOp>(scalar);
}

Value Code::convert(Value value, Type element) { return convertFloat(*this, value, element); }

} // namespace ingot
