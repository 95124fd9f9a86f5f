#include "codegen/kernel/VectorMemory.h"
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

/// Offsets of type `index` as 32 bits, which is what a CPU's instruction takes.
Value offsets(OpBuilder &builder, Location location, Value positions) {
  auto type = cast<VectorType>(positions.getType());
  if (!type.getElementType().isIndex())
    return positions;
  return arith::IndexCastOp::create(builder, location, type.clone(builder.getI32Type()), positions);
}

} // namespace

Type VectorMemory::indexType(MLIRContext *context) const {
  return position ? Type(position) : IndexType::get(context);
}

Value VectorMemory::place(OpBuilder &builder, Location location, Value position) {
  if (position.getType().isIndex())
    return position;
  return arith::IndexCastOp::create(builder, location, builder.getIndexType(), position);
}

llvm::MaybeAlign VectorMemory::alignment(VectorType type, bool isAligned) const {
  const int64_t bytes = type.getNumElements() * type.getElementTypeBitWidth() / 8;
  return position && isAligned && llvm::isPowerOf2_64(bytes) ? llvm::MaybeAlign(bytes)
                                                             : llvm::MaybeAlign();
}

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
  return memref::LoadOp::create(builder, location, flatten(builder, buffer),
                                place(builder, location, position));
}

void VectorMemory::store(OpBuilder &builder, Location location, Value value, Value buffer,
                         Value position) {
  memref::StoreOp::create(builder, location, value, flatten(builder, buffer),
                          place(builder, location, position));
}

Value VectorMemory::loadRun(OpBuilder &builder, Location location, Value buffer, VectorType type,
                            Value start, bool isAligned, Value mask) {
  Value line = flatten(builder, buffer);
  start = place(builder, location, start);
  if (!mask)
    return vector::LoadOp::create(builder, location, type, line, start, /*nontemporal=*/false,
                                  alignment(type, isAligned));
  return vector::MaskedLoadOp::create(builder, location, type, line, start, mask,
                                      zero(builder, location, type));
}

void VectorMemory::storeRun(OpBuilder &builder, Location location, Value value, Value buffer,
                            Value start, bool isAligned, Value mask) {
  Value line = flatten(builder, buffer);
  start = place(builder, location, start);
  if (mask)
    vector::MaskedStoreOp::create(builder, location, line, start, mask, value);
  else
    vector::StoreOp::create(builder, location, value, line, start, /*nontemporal=*/false,
                            alignment(cast<VectorType>(value.getType()), isAligned));
}

/// Two runs that share an element, so that nothing behind the last one is touched. A thread of a
/// GPU has few lanes, and loads each.
Value VectorMemory::loadEverySecond(OpBuilder &builder, Location location, Value buffer,
                                    VectorType type, Value start, Value mask) {
  const int64_t lanes = type.getNumElements(), half = lanes / 2;
  if (position || lanes % 2)
    return {};
  SmallVector<int64_t> places;
  for (int64_t lane = 0; lane < lanes; ++lane)
    places.push_back(lane < half ? 2 * lane : 2 * lane + 1); // of both runs side by side
  auto run = [&](int64_t first, int64_t lane) -> Value {
    Value from = arith::AddIOp::create(
        builder, location, start,
        arith::ConstantOp::create(builder, location, builder.getIndexAttr(first)));
    if (!mask)
      return loadRun(builder, location, buffer, type, from, /*isAligned=*/false, {});
    SmallVector<int64_t> wanted(lanes, lanes); // of the mask, and of no lane
    for (int64_t i = 0; i < half; ++i)
      wanted[2 * i + (first != 0)] = lane + i;
    Value none = zero(builder, location, mask.getType());
    return loadRun(builder, location, buffer, type, from, false,
                   vector::ShuffleOp::create(builder, location, mask, none, wanted));
  };
  Value low = run(0, 0), high = run(lanes - 1, half);
  return vector::ShuffleOp::create(builder, location, low, high, places);
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

//===--------------------------------------------------------------------------------------------===//
// PrefetchingMemory
//===--------------------------------------------------------------------------------------------===//

// The last element's line: runs follow each other, and so the first one's was prefetched before.
Value PrefetchingMemory::loadRun(OpBuilder &builder, Location location, Value buffer,
                                 VectorType type, Value start, bool, Value) {
  Value last = arith::AddIOp::create(
      builder, location, place(builder, location, start),
      arith::ConstantOp::create(builder, location,
                                builder.getIndexAttr(type.getNumElements() - 1)));
  memref::PrefetchOp::create(builder, location, flatten(builder, buffer), ValueRange{last},
                             /*isWrite=*/false, /*localityHint=*/2, /*isDataCache=*/true);
  return arith::ConstantOp::create(builder, location, builder.getOneAttr(type));
}

Value PrefetchingMemory::gather(OpBuilder &builder, Location location, Value, VectorType type,
                                Value, Value) {
  return arith::ConstantOp::create(builder, location, builder.getOneAttr(type));
}

} // namespace ingot
