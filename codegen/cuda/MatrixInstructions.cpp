#include "codegen/cuda/MatrixInstructions.h"
#include "codegen/cuda/Emitters.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace ingot {
namespace {

constexpr unsigned globalSpace = 1; ///< LLVM's number of the address space

Type pointerTo(IndexCode &code, unsigned space) {
  return LLVM::LLVMPointerType::get(code.builder.getContext(), space);
}

/// The address of `memory` as an i64.
Value addressOf(IndexCode &code, Value memory) {
  Value address = code.create<memref::ExtractAlignedPointerAsIndexOp>(memory);
  return code.create<arith::IndexCastOp>(code.builder.getI64Type(), address);
}

SmallVector<Value> fieldsOf(IndexCode &code, Value record) {
  SmallVector<Value> fields;
  auto type = cast<LLVM::LLVMStructType>(record.getType());
  for (size_t field = 0; field < type.getBody().size(); ++field)
    fields.push_back(code.create<LLVM::ExtractValueOp>(record, int64_t(field)));
  return fields;
}

Type fourOf(Type type) {
  return LLVM::LLVMStructType::getLiteral(type.getContext(), SmallVector<Type>(4, type));
}

} // namespace

Value sharedPointer(IndexCode &code, Value address, int64_t offset) {
  Value pointer = code.create<LLVM::IntToPtrOp>(pointerTo(code, sharedSpace), address);
  if (!offset)
    return pointer;
  return code.create<LLVM::GEPOp>(pointer.getType(), code.builder.getI8Type(), pointer,
                                  ArrayRef<LLVM::GEPArg>{int32_t(offset)});
}

Value sharedAddress(IndexCode &code, Value memory) {
  return code.create<arith::TruncIOp>(code.builder.getI32Type(), addressOf(code, memory));
}

Value globalAddress(IndexCode &code, Value memory) {
  // By way of a generic pointer, LLVM sees which argument it is.
  Value pointer = code.create<LLVM::IntToPtrOp>(pointerTo(code, 0), addressOf(code, memory));
  return code.create<LLVM::AddrSpaceCastOp>(pointerTo(code, globalSpace), pointer);
}

Value advance(IndexCode &code, Value pointer, Type element, Value count) {
  return code.create<LLVM::GEPOp>(pointer.getType(), element, pointer,
                                  ArrayRef<LLVM::GEPArg>{count});
}

void copyToShared(IndexCode &code, Value shared, int64_t sharedOffset, Value global, int64_t bytes,
                  Value count) {
  // Sixteen bytes need not go through the L1.
  const auto cache =
      bytes == 16 ? NVVM::LoadCacheModifierKind::CG : NVVM::LoadCacheModifierKind::CA;
  code.create<NVVM::CpAsyncOp>(sharedPointer(code, shared, sharedOffset), global, uint32_t(bytes),
                               cache, count);
}

void commitCopies(IndexCode &code) { code.create<NVVM::CpAsyncCommitGroupOp>(); }

void waitForCopies(IndexCode &code, int64_t pending) {
  code.create<NVVM::CpAsyncWaitGroupOp>(uint32_t(pending));
}

std::array<Value, 4> loadMatrices(IndexCode &code, Value shared, int64_t offset, bool transposed) {
  auto shape = NVVM::LdStMatrixShapeAttr::get(code.builder.getContext(), 8, 8);
  Value loaded = code.create<NVVM::LdMatrixOp>(
      fourOf(code.builder.getI32Type()), sharedPointer(code, shared, offset), uint32_t(4),
      transposed ? NVVM::MMALayout::col : NVVM::MMALayout::row, shape,
      NVVM::LdStMatrixEltType::B16);
  SmallVector<Value> fields = fieldsOf(code, loaded);
  return {fields[0], fields[1], fields[2], fields[3]};
}

Value loadWord(IndexCode &code, Value shared, int64_t offset) {
  return code.create<LLVM::LoadOp>(code.builder.getI32Type(), sharedPointer(code, shared, offset),
                                   /*alignment=*/4);
}

Value roundToTf32(IndexCode &code, Value bits) {
  Value number = code.create<LLVM::BitcastOp>(code.builder.getF32Type(), bits);
  return code.create<NVVM::ConvertFloatToTF32Op>(code.builder.getI32Type(), number,
                                                 NVVM::FPRoundingMode::RNA);
}

std::array<Value, 4> multiplyMatrices(IndexCode &code, Type element, ValueRange left,
                                      ValueRange right, ValueRange sums) {
  const bool isHalf = element.isF16();
  auto factors = [&](ValueRange words) {
    SmallVector<Value> values(words);
    if (isHalf)
      for (Value &value : values)
        value = code.create<LLVM::BitcastOp>(VectorType::get({2}, element), value);
    return values;
  };
  const NVVM::MMATypes type = isHalf            ? NVVM::MMATypes::f16
                              : element.isF32() ? NVVM::MMATypes::tf32
                                                : NVVM::MMATypes::bf16;
  const int64_t depth = matrixDepthBytes * 8 / element.getIntOrFloatBitWidth();
  Value product = code.create<NVVM::MmaOp>(
      fourOf(code.builder.getF32Type()), factors(left), factors(right), sums,
      ArrayRef<int64_t>{matrixRows, matrixColumns, depth}, std::nullopt, std::nullopt,
      std::array{type, type}, std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
  SmallVector<Value> fields = fieldsOf(code, product);
  return {fields[0], fields[1], fields[2], fields[3]};
}

void neverUnroll(Value result) {
  MLIRContext *context = result.getContext();
  auto never =
      LLVM::LoopUnrollAttr::get(context, BoolAttr::get(context, true), {}, {}, {}, {}, {}, {});
  result.getDefiningOp()->setAttr(
      loopAnnotationName, LLVM::LoopAnnotationAttr::get(context, {}, {}, {}, never, {}, {}, {}, {},
                                                        {}, {}, {}, {}, {}, {}, {}));
}

} // namespace ingot
