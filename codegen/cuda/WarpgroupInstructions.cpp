#include "codegen/cuda/WarpgroupInstructions.h"
#include "codegen/cuda/MatrixInstructions.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;

namespace ingot {
namespace {

constexpr unsigned clusterSpace = 7; ///< LLVM's number of the shared memory of a cluster

Value number32(IndexCode &code, int64_t value) {
  return code.create<arith::ConstantOp>(code.builder.getI32IntegerAttr(int32_t(value)));
}

LLVM::LLVMStructType sumRecord(IndexCode &code, int64_t columns) {
  // A warpgroup's 64 rows by 128 threads.
  return LLVM::LLVMStructType::getLiteral(
      code.builder.getContext(), SmallVector<Type>(columns / 2, code.builder.getF32Type()));
}

} // namespace

void initBarrier(IndexCode &code, Value barrier, int64_t arrivals) {
  code.create<NVVM::MBarrierInitOp>(sharedPointer(code, barrier), number32(code, arrivals),
                                    Value());
}

void publishBarriers(IndexCode &code) { code.create<NVVM::FenceMbarrierInitOp>(); }

void arrive(IndexCode &code, Value barrier) {
  code.create<NVVM::MBarrierArriveOp>(code.builder.getI64Type(), sharedPointer(code, barrier),
                                      Value());
}

void arriveExpecting(IndexCode &code, Value barrier, int64_t bytes) {
  code.create<NVVM::MBarrierArriveExpectTxOp>(Type(), sharedPointer(code, barrier),
                                              number32(code, bytes), NVVM::MemScopeKind::CTA,
                                              /*relaxed=*/false, Value());
}

void waitForPhase(IndexCode &code, Value barrier, Value parity) {
  constexpr int64_t nanoseconds = 10000000; // of a sleep at most; then it looks again
  code.create<NVVM::MBarrierTryWaitParityOp>(sharedPointer(code, barrier), parity,
                                             number32(code, nanoseconds));
}

void copyBox(IndexCode &code, Value shared, Value map, ValueRange coordinates, Value barrier) {
  auto cluster = LLVM::LLVMPointerType::get(code.builder.getContext(), clusterSpace);
  Value into = code.create<LLVM::AddrSpaceCastOp>(cluster, sharedPointer(code, shared));
  code.create<NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp>(
      into, map, coordinates, sharedPointer(code, barrier), ValueRange(), Value(), Value(),
      NVVM::TMALoadMode::TILE, /*isCTAOnly=*/false, NVVM::CTAGroupKindAttr(), Value());
}

void limitRegisters(IndexCode &code, int64_t count) {
  code.create<NVVM::SetMaxRegisterOp>(uint32_t(count), NVVM::SetMaxRegisterAction::decrease);
}

void extendRegisters(IndexCode &code, int64_t count) {
  code.create<NVVM::SetMaxRegisterOp>(uint32_t(count), NVVM::SetMaxRegisterAction::increase);
}

/// Offsets and addresses count 16 bytes: between blocks of 64 beside the depth (without meaning
/// along it), between patterns of 8 lines, and the kind of the exchange.
Value describe(IndexCode &code, Value shared, FactorLayout layout) {
  constexpr int64_t addresses = 0x3ffff, lines128 = int64_t(1) << 62;
  const int64_t blocks = layout.alongDepth ? 1 : furtherBy(layout.blockBytes);
  const int64_t fixed = lines128 | furtherBy(patternBytes) << 32 | blocks << 16;
  Value address = code.create<arith::AndIOp>(shared, number32(code, addresses));
  address = code.create<arith::ShRUIOp>(address, number32(code, 4));
  Value wide = code.create<arith::ExtUIOp>(code.builder.getI64Type(), address);
  return code.create<arith::OrIOp>(
      wide, code.create<arith::ConstantOp>(code.builder.getI64IntegerAttr(fixed)));
}

Value zeroSums(IndexCode &code, int64_t columns) {
  LLVM::LLVMStructType type = sumRecord(code, columns);
  Value zero = code.create<arith::ConstantOp>(code.builder.getF32FloatAttr(0)),
        record = code.create<LLVM::PoisonOp>(type);
  for (size_t field = 0; field < type.getBody().size(); ++field)
    record = code.create<LLVM::InsertValueOp>(record, zero, int64_t(field));
  return record;
}

SmallVector<Value> sumsOf(IndexCode &code, Value record) {
  SmallVector<Value> fields;
  auto type = cast<LLVM::LLVMStructType>(record.getType());
  for (size_t field = 0; field < type.getBody().size(); ++field)
    fields.push_back(code.create<LLVM::ExtractValueOp>(record, int64_t(field)));
  return fields;
}

Value multiplyWarpgroup(IndexCode &code, Type element, int64_t columns, Value left,
                        bool leftAlongDepth, Value right, bool rightAlongDepth, Value sums) {
  const auto type = element.isF16() ? NVVM::WGMMATypes::f16 : NVVM::WGMMATypes::bf16;
  auto shape = NVVM::MMAShapeAttr::get(code.builder.getContext(), int(warpgroupRows), int(columns),
                                       int(matrixDepthBytes / 2));
  return code.create<NVVM::WgmmaMmaAsyncOp>(
      sums.getType(), sums, left, right, shape, type, type, NVVM::WGMMATypes::f32,
      NVVM::WGMMAScaleOut::one, NVVM::WGMMAScaleIn::one, NVVM::WGMMAScaleIn::one,
      leftAlongDepth ? NVVM::MMALayout::row : NVVM::MMALayout::col,
      rightAlongDepth ? NVVM::MMALayout::col : NVVM::MMALayout::row, NVVM::MMAIntOverflowAttr());
}

void beginProducts(IndexCode &code) { code.create<NVVM::WgmmaFenceAlignedOp>(); }

void commitProducts(IndexCode &code) { code.create<NVVM::WgmmaGroupSyncAlignedOp>(); }

void waitForProducts(IndexCode &code, int64_t pending) {
  code.create<NVVM::WgmmaWaitGroupSyncOp>(uint64_t(pending));
}

} // namespace ingot
