#include "codegen/kernel/LaunchBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ingot {

LaunchBuilder::LaunchBuilder(func::FuncOp kernel, size_t number, ArrayRef<Type> own,
                             Attribute scratchSpace)
    : builder(kernel), kernel(kernel), schedule(kernel::scheduleOf(kernel)),
      launch(schedule.getLaunches()[number]) {
  SmallVector<Type> types;
  for (Type type : llvm::concat<const Type>(kernel.getArgumentTypes(), kernel.getResultTypes()))
    types.push_back(kernel::memoryType(type));
  if (int64_t bytes = schedule.getLaunchScratch())
    types.push_back(MemRefType::get({bytes}, builder.getI8Type()));
  if (int64_t bytes = schedule.getScratch())
    types.push_back(
        MemRefType::get({bytes}, builder.getI8Type(), MemRefLayoutAttrInterface(), scratchSpace));
  types.append(own.begin(), own.end());
  function =
      func::FuncOp::create(builder, kernel.getLoc(), kernel::launchName(kernel.getName(), number),
                           builder.getFunctionType(types, {}));
  function.setPrivate();
  builder.setInsertionPointToStart(function.addEntryBlock());
}

Value LaunchBuilder::returned(unsigned result) {
  return kernel.getBody().front().getTerminator()->getOperand(result);
}

PointEmitter LaunchBuilder::points(PointMemory &memory, int64_t lanes) {
  PointEmitter emitter(builder, memory, lanes);
  for (unsigned operand = 0; operand < operands(); ++operand)
    emitter.mapToMemory(tensor(operand), operandMemory(operand));
  return emitter;
}

unsigned LaunchBuilder::memories() {
  return operands() + results() + (schedule.getLaunchScratch() != 0) + (schedule.getScratch() != 0);
}

Value LaunchBuilder::scratchPart(Value argument, int64_t &used, MemRefType type) {
  const int64_t offset = used;
  used = llvm::alignTo(offset + type.getNumElements() * type.getElementTypeBitWidth() / 8, 64);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(&function.getBody().front());
  if (!argument) // `finish` refuses it
    return memref::AllocaOp::create(builder, location(), type);
  auto space = cast<MemRefType>(argument.getType()).getMemorySpace();
  auto placed = MemRefType::get(type.getShape(), type.getElementType(), type.getLayout(), space);
  Value start = arith::ConstantIndexOp::create(builder, location(), offset);
  return memref::ViewOp::create(builder, location(), placed, argument, start, ValueRange{});
}

Value LaunchBuilder::workspace(MemRefType type) {
  const bool any = schedule.getScratch();
  return scratchPart(any ? function.getArgument(memories() - 1) : Value(), workspaceBytes, type);
}

Value LaunchBuilder::launchScratch(MemRefType type) {
  const bool any = schedule.getLaunchScratch();
  return scratchPart(any ? function.getArgument(operands() + results()) : Value(),
                     launchScratchBytes, type);
}

LogicalResult LaunchBuilder::finish() {
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
  for (unsigned argument = 0; argument < memories(); ++argument)
    if (!shared.contains(argument))
      function.setArgAttr(argument, LLVM::LLVMDialect::getNoAliasAttrName(), builder.getUnitAttr());
  return success();
}

} // namespace ingot
