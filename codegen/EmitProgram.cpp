#include "codegen/EmitProgram.h"
#include "ir/dialect/Diagnostics.h"
#include "ir/dialect/Elements.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Matchers.h"
#include "passes/memory/StorageClasses.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;

namespace ingot {
namespace {

int64_t integer(DictionaryAttr attrs, StringRef key) {
  return attrs.getAs<IntegerAttr>(key).getInt();
}
StringRef string(DictionaryAttr attrs, StringRef key) {
  return attrs.getAs<StringAttr>(key).getValue();
}

Port readPort(DictionaryAttr attrs) {
  auto type = cast<RankedTensorType>(attrs.getAs<TypeAttr>("type").getValue());
  ElementType element = *graph::elementTypeOf(type.getElementType());
  Port port{string(attrs, "name").str(), *parseRole(string(attrs, "kind")), element,
            Shape(type.getShape()), integer(attrs, "offset")};
  if (attrs.contains("limit"))
    port.limit = integer(attrs, "limit");
  return port;
}

/// A kernel takes operands, results, the workspace if it has one, and the range of grains.
void readParameters(func::FuncOp function, int64_t workspace, Kernel &kernel) {
  const size_t tensors = function.getNumArguments() - 2 - (workspace > 0);
  auto operands = function->getAttrOfType<IntegerAttr>("graph.operands");
  for (auto [index, type] : llvm::enumerate(function.getArgumentTypes().take_front(tensors))) {
    Access access = !operands                            ? Access::Update // nobody said
                    : int64_t(index) < operands.getInt() ? Access::Read
                                                         : Access::Write;
    kernel.parameters.push_back(KernelParameter::buffer(storageBytes(type), access));
  }
  if (workspace > 0)
    kernel.parameters.push_back(KernelParameter::scratch(workspace));
}

Kernel readKernel(func::FuncOp function) {
  auto number = [&](StringRef key, auto fallback) -> decltype(fallback) {
    if (auto attr = function->getAttrOfType<IntegerAttr>(key))
      return attr.getInt();
    if (auto attr = function->getAttrOfType<FloatAttr>(key))
      return attr.getValueAsDouble();
    return fallback;
  };
  auto text = [&](StringRef key) {
    auto attr = function->getAttrOfType<StringAttr>(key);
    return attr ? attr.str() : std::string();
  };
  Kernel kernel;
  kernel.name = function.getName().str();
  kernel.launch = CpuRange{number("graph.grains", int64_t(1))};
  readParameters(function, number("graph.workspace", int64_t(0)), kernel);
  kernel.flops = number("graph.flops", 0.0);
  kernel.bytes = number("graph.bytes", 0.0);
  kernel.root = text("graph.kernel");
  kernel.ops = text("graph.ops");
  kernel.tuned = text("graph.tuned");
  return kernel;
}

Function readFunction(func::FuncOp entry, const llvm::StringMap<uint32_t> &kernels) {
  Function function;
  function.name = entry.getName().str();
  function.arenaBytes = cast<MemRefType>(entry.getArgumentTypes().front()).getNumElements();
  for (auto attrs : entry->getAttrOfType<ArrayAttr>("graph.ports").getAsRange<DictionaryAttr>()) {
    function.ports.push_back(readPort(attrs));
  }
  for (auto attrs : entry->getAttrOfType<ArrayAttr>("graph.buffers").getAsRange<DictionaryAttr>())
    function.buffers.push_back({string(attrs, "name").str(), *parseRole(string(attrs, "kind")),
                                integer(attrs, "offset"), integer(attrs, "bytes"),
                                integer(attrs, "first"), integer(attrs, "last")});
  for (auto call : entry.getOps<func::CallOp>()) {
    CallStep step;
    step.kernel = kernels.lookup(call.getCallee());
    step.op = placeOf(call.getLoc());
    for (Value operand : call.getOperands()) {
      auto view = operand.getDefiningOp<memref::ViewOp>();
      APInt offset;
      if (view && view.getSource() == entry.getArgument(0) &&
          matchPattern(view.getByteShift(), m_ConstantInt(&offset)))
        step.arguments.push_back(offset.getSExtValue());
    }
    function.steps.push_back(Step{std::move(step)});
  }
  return function;
}

Result<Constant> readConstant(DictionaryAttr attrs) {
  auto elements = attrs.getAs<DenseElementsAttr>("value");
  if (!elements)
    return failure(Error::Code::Internal, "", "a constant is not dense");
  ElementType element = *graph::elementTypeOf(elements.getType().getElementType());
  Tensor tensor(element, Shape(elements.getType().getShape()));
  size_t bytes = byteSize(element);
  ArrayRef<char> raw = elements.getRawData();
  for (int64_t index = 0; index < tensor.size(); ++index) {
    char *to = tensor.as<char>() + index * bytes;
    if (element == ElementType::I1) // MLIR packs these into bits, or keeps one splat byte
      *to = *(elements.value_begin<bool>() + index);
    else
      std::memcpy(to, raw.data() + (elements.isSplat() ? 0 : index * bytes), bytes);
  }
  return Constant{integer(attrs, "offset"), std::move(tensor)};
}

} // namespace

Result<Program> emitProgram(ModuleOp planned) {
  Program program;
  llvm::StringMap<uint32_t> kernels;
  for (auto function : planned.getOps<func::FuncOp>())
    if (function->hasAttr("graph.kernel")) {
      kernels[function.getName()] = program.kernels.size();
      program.kernels.push_back(readKernel(function));
      program.workspaceBytes =
          std::max(program.workspaceBytes, program.kernels.back().scratchBytes());
    }
  for (auto function : planned.getOps<func::FuncOp>())
    if (function->hasAttr("graph.ports")) {
      Function entry = readFunction(function, kernels);
      program.arenaBytes = std::max(program.arenaBytes, entry.arenaBytes);
      program.functions.push_back(std::move(entry));
    }
  for (auto attrs :
       planned->getAttrOfType<ArrayAttr>("graph.constants").getAsRange<DictionaryAttr>()) {
    INGOT_ASSIGN(Constant constant, readConstant(attrs));
    program.constants.push_back(std::move(constant));
  }
  program.persistentBytes = planned->getAttrOfType<IntegerAttr>("graph.persistent").getInt();
  if (auto operators = planned->getAttrOfType<IntegerAttr>("graph.operators"))
    program.operators = operators.getInt();
  if (auto metadata = planned->getAttrOfType<StringAttr>("graph.metadata"))
    program.metadata = metadata.str();
  return program;
}

} // namespace ingot
