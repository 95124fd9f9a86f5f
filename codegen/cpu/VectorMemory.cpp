#include "codegen/cpu/VectorMemory.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace ingot {
namespace {

Value zero(OpBuilder &builder, Location location, Type type) {
  return arith::ConstantOp::create(builder, location, builder.getZeroAttr(type));
}

Value allLanes(OpBuilder &builder, Location location, VectorType type) {
  auto flags = type.clone(builder.getI1Type());
  return arith::ConstantOp::create(builder, location, DenseElementsAttr::get(flags, true));
}

/// The instruction's offsets have 32 bits.
Value offsets(OpBuilder &builder, Location location, Value positions) {
  auto type = cast<VectorType>(positions.getType()).clone(builder.getI32Type());
  return arith::IndexCastOp::create(builder, location, type, positions);
}

} // namespace

Type VectorMemory::indexType(MLIRContext *context) const { return IndexType::get(context); }

/// The buffer in one dimension.
Value VectorMemory::flatten(OpBuilder &builder, Value buffer) {
  auto type = cast<MemRefType>(buffer.getType());
  if (type.getRank() == 1)
    return buffer;
  Value &line = flat[buffer];
  if (line)
    return line;
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointAfterValue(buffer);
  auto lineType = MemRefType::get({type.getNumElements()}, type.getElementType());
  line = memref::ReinterpretCastOp::create(builder, buffer.getLoc(), lineType, buffer, int64_t(0),
                                           lineType.getShape(), ArrayRef<int64_t>{1});
  return line;
}

Value VectorMemory::load(OpBuilder &builder, Location location, Value buffer, Type,
                         Value position) {
  return memref::LoadOp::create(builder, location, flatten(builder, buffer), position);
}

void VectorMemory::store(OpBuilder &builder, Location location, Value value, Value buffer,
                         Value position) {
  memref::StoreOp::create(builder, location, value, flatten(builder, buffer), position);
}

Value VectorMemory::loadRun(OpBuilder &builder, Location location, Value buffer, VectorType type,
                            Value start, bool, Value mask) {
  Value line = flatten(builder, buffer);
  if (!mask)
    return vector::LoadOp::create(builder, location, type, line, start);
  return vector::MaskedLoadOp::create(builder, location, type, line, start, mask,
                                      zero(builder, location, type));
}

void VectorMemory::storeRun(OpBuilder &builder, Location location, Value value, Value buffer,
                            Value start, bool, Value mask) {
  Value line = flatten(builder, buffer);
  if (mask)
    vector::MaskedStoreOp::create(builder, location, line, start, mask, value);
  else
    vector::StoreOp::create(builder, location, value, line, start);
}

Value VectorMemory::gather(OpBuilder &builder, Location location, Value buffer, VectorType type,
                           Value positions, Value mask) {
  Value line = flatten(builder, buffer);
  Value lanes = offsets(builder, location, positions);
  if (!mask)
    mask = allLanes(builder, location, type);
  Value origin = zero(builder, location, builder.getIndexType());
  return vector::GatherOp::create(builder, location, type, line, origin, lanes, mask,
                                  zero(builder, location, type));
}

void VectorMemory::scatter(OpBuilder &builder, Location location, Value value, Value buffer,
                           Value positions, Value mask) {
  Value line = flatten(builder, buffer);
  Value lanes = offsets(builder, location, positions);
  if (!mask)
    mask = allLanes(builder, location, cast<VectorType>(value.getType()));
  Value origin = zero(builder, location, builder.getIndexType());
  vector::ScatterOp::create(builder, location, Type(), line, origin, lanes, mask, value);
}

} // namespace ingot
