#include "codegen/cpu/Emitters.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ingot {

KernelBuilder::KernelBuilder(func::FuncOp kernel, size_t number)
    : builder(kernel), kernel(kernel), schedule(kernel::scheduleOf(kernel)),
      launch(schedule.getLaunches()[number]) {
  SmallVector<Type> types;
  for (Type type : llvm::concat<const Type>(kernel.getArgumentTypes(), kernel.getResultTypes()))
    types.push_back(kernel::memoryType(type));
  for (int64_t scratch : {schedule.getLaunchScratch(), schedule.getScratch()})
    if (scratch)
      types.push_back(MemRefType::get({scratch}, builder.getI8Type()));
  types.append(2, builder.getIndexType());
  function =
      func::FuncOp::create(builder, kernel.getLoc(), kernel::launchName(kernel.getName(), number),
                           builder.getFunctionType(types, {}));
  function.setPrivate();
  builder.setInsertionPointToStart(function.addEntryBlock());
}

Value KernelBuilder::returned(unsigned result) {
  return kernel.getBody().front().getTerminator()->getOperand(result);
}

Value KernelBuilder::index(int64_t value) {
  return arith::ConstantIndexOp::create(builder, location(), value);
}

PointEmitter KernelBuilder::points(int64_t lanes) {
  PointEmitter emitter(builder, vectors, lanes);
  for (unsigned operand = 0; operand < operands(); ++operand)
    emitter.mapToMemory(tensor(operand), operandMemory(operand));
  return emitter;
}

Value KernelBuilder::scratchPart(Value argument, int64_t &used, MemRefType type) {
  const int64_t offset = used;
  used = llvm::alignTo(offset + type.getNumElements() * type.getElementTypeBitWidth() / 8, 64);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(&function.getBody().front());
  if (!argument) // `finish` refuses it
    return memref::AllocaOp::create(builder, location(), type);
  return memref::ViewOp::create(builder, location(), type, argument, index(offset), ValueRange{});
}

Value KernelBuilder::workspace(MemRefType type) {
  const bool any = schedule.getScratch();
  return scratchPart(any ? function.getArgument(function.getNumArguments() - 3) : Value(),
                     workspaceBytes, type);
}

Value KernelBuilder::launchScratch(MemRefType type) {
  const bool any = schedule.getLaunchScratch();
  return scratchPart(any ? function.getArgument(operands() + results()) : Value(),
                     launchScratchBytes, type);
}

LogicalResult KernelBuilder::finish() {
  func::ReturnOp::create(builder, location());
  if (workspaceBytes > schedule.getScratch())
    return kernel.emitError("is emitted with ")
           << workspaceBytes << " bytes of scratch, but its schedule has " << schedule.getScratch();
  if (launchScratchBytes > schedule.getLaunchScratch())
    return kernel.emitError("is emitted with ")
           << launchScratchBytes << " bytes of launch scratch, but its schedule has "
           << schedule.getLaunchScratch();
  // A stretch of memory is written through one argument alone, but for pairs that may share it.
  llvm::SmallDenseSet<unsigned> shared;
  for (kernel::PairAttr pair : schedule.getSharing()) {
    shared.insert(pair.getOperand());
    shared.insert(operands() + pair.getResult());
  }
  for (unsigned argument = 0; argument < function.getNumArguments() - 2; ++argument)
    if (!shared.contains(argument))
      function.setArgAttr(argument, LLVM::LLVMDialect::getNoAliasAttrName(), builder.getUnitAttr());
  return success();
}

} // namespace ingot
