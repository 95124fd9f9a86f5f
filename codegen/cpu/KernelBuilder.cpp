#include "codegen/cpu/Emitters.h"
#include "ir/dialect/Graph.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ingot {
namespace {

MemRefType memoryType(Type tensor) {
  auto type = cast<RankedTensorType>(tensor);
  Type element = storageType(type.getElementType());
  // Upstream gives up on the strides of a shape with a 0 in the middle.
  return type.getNumElements() ? MemRefType::get(type.getShape(), element)
                               : MemRefType::get({0}, element);
}

double byteCount(MemRefType type) {
  return double(type.getNumElements()) * type.getElementTypeBitWidth() / 8;
}

/// Arguments in front of the workspace.
unsigned tensorCount(func::FuncOp kernel) {
  return kernel.getNumArguments() + kernel.getNumResults();
}

} // namespace

KernelBuilder::KernelBuilder(func::FuncOp kernel, const MachineShape &machine,
                             const BlockChoice &choice)
    : builder(kernel), kernel(kernel), machine(machine), choice(choice) {
  SmallVector<Type> types;
  for (Type type : kernel.getArgumentTypes())
    types.push_back(memoryType(type));
  for (Type type : kernel.getResultTypes())
    types.push_back(memoryType(type));
  types.append(2, builder.getIndexType());
  function = func::FuncOp::create(builder, kernel.getLoc(), kernel.getName(),
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
  PointEmitter emitter(builder, lanes);
  for (unsigned operand = 0; operand < operands(); ++operand)
    emitter.mapToMemory(tensor(operand), operandMemory(operand));
  return emitter;
}

Value KernelBuilder::workspace(MemRefType type) {
  unsigned position = tensorCount(kernel);
  if (!workspaceBytes)
    function.getBody().insertArgument(position, MemRefType::get({0}, builder.getI8Type()),
                                      location());
  BlockArgument argument = function.getArgument(position);
  int64_t offset = workspaceBytes;
  workspaceBytes = llvm::alignTo(offset + int64_t(byteCount(type)), 64);
  argument.setType(MemRefType::get({workspaceBytes}, builder.getI8Type()));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(&function.getBody().front());
  return memref::ViewOp::create(builder, location(), type, argument, index(offset), ValueRange{});
}

/// Of a table that is only gathered from, no more is read than arrives.
static double bytesRead(BlockArgument operand) {
  double whole = byteCount(memoryType(operand.getType())), gathered = 0;
  for (Operation *user : operand.getUsers()) {
    auto gather = dyn_cast<graph::GatherOp>(user);
    if (!gather || gather.getIndices() == operand)
      return whole;
    gathered += byteCount(memoryType(gather.getType()));
  }
  return std::min(whole, gathered);
}

double KernelBuilder::estimatedBytes() {
  double touched = 0;
  for (unsigned operand = 0; operand < operands(); ++operand)
    touched += bytesRead(tensor(operand));
  for (Type type : kernel.getResultTypes())
    touched += byteCount(memoryType(type));
  return touched;
}

double KernelBuilder::estimatedNanoseconds() {
  return estimateNanoseconds(estimateFlops(kernel), estimatedBytes());
}

func::FuncOp KernelBuilder::finish() {
  func::ReturnOp::create(builder, location());
  function.setType(builder.getFunctionType(function.getBody().getArgumentTypes(), {}));
  function->setDiscardableAttrs(kernel->getDiscardableAttrDictionary());

  SmallVector<Attribute> pairs;
  llvm::DenseSet<unsigned> shared;
  for (auto [result, operand] : inPlace) {
    pairs.push_back(builder.getI64ArrayAttr({result, operand}));
    shared.insert(operand);
    shared.insert(operands() + result);
  }
  function->setAttr("graph.grains", builder.getI64IntegerAttr(grains));
  function->setAttr("graph.operands", builder.getI64IntegerAttr(operands()));
  function->setAttr("graph.workspace", builder.getI64IntegerAttr(workspaceBytes));
  function->setAttr("graph.in_place", builder.getArrayAttr(pairs));
  if (blocks != BlockChoice())
    function->setAttr("graph.blocks", builder.getStringAttr(blocks.text()));
  function->setAttr("graph.flops", builder.getF64FloatAttr(flops.value_or(estimateFlops(kernel))));
  function->setAttr("graph.bytes", builder.getF64FloatAttr(bytes.value_or(estimatedBytes())));
  // A stretch of memory is written through one argument alone, but for pairs that may share it.
  for (unsigned argument = 0; argument < function.getNumArguments() - 2; ++argument)
    if (!shared.contains(argument))
      function.setArgAttr(argument, LLVM::LLVMDialect::getNoAliasAttrName(), builder.getUnitAttr());
  kernel.erase();
  return function;
}

} // namespace ingot
