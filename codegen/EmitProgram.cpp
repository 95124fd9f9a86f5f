#include "codegen/EmitProgram.h"
#include "codegen/kernel/LaunchMaps.h"
#include "ir/dialect/Diagnostics.h"
#include "ir/dialect/Elements.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Matchers.h"
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
  if (auto panels = attrs.getAs<kernel::PanelsAttr>("layout"))
    port.layout = panels.layout();
  if (attrs.contains("limit"))
    port.limit = integer(attrs, "limit");
  if (auto members = attrs.getAs<ArrayAttr>("members"))
    for (auto member : members.getAsRange<StringAttr>())
      port.members.push_back(member.str());
  if (auto count = attrs.getAs<ArrayAttr>("count")) {
    port.count = cast<StringAttr>(count[0]).str();
    port.counted = cast<IntegerAttr>(count[1]).getInt();
  }
  return port;
}

Access accessOf(kernel::Access access) {
  switch (access) {
  case kernel::Access::Read:
    return Access::Read;
  case kernel::Access::Write:
    return Access::Write;
  case kernel::Access::Update:
    return Access::Update;
  }
  llvm_unreachable("all are above");
}

/// What a launch takes for a map of memory of this type.
KernelParameter parameterOf(const LaunchMap &map, Type memory) {
  constexpr int64_t swizzle = 128, promotion = 128;
  KernelParameter parameter{.kind = KernelParameter::Kind::TensorMap,
                            .bytes = kernel::memoryBytes(memory) - map.offset,
                            .access = Access::Read};
  parameter.map = TensorMap{.type = *graph::elementTypeOf(getElementTypeOrSelf(memory)),
                            .sizes = map.sizes,
                            .strides = map.strides,
                            .box = map.box,
                            .steps = Shape(map.sizes.size(), 1),
                            .swizzle = swizzle,
                            .promotion = promotion};
  return parameter;
}

/// The launches of a kernel, which take operands, results, the launch scratch, on a CPU the
/// worker's scratch where there is some (a GPU's block has it in shared memory), and on a GPU their
/// maps.
void readKernel(func::FuncOp function, const Backend &backend, std::vector<Kernel> &kernels) {
  auto text = [&](StringRef key) {
    auto attr = function->getAttrOfType<StringAttr>(key);
    return attr ? attr.str() : std::string();
  };
  kernel::ScheduleAttr schedule = kernel::scheduleOf(function);
  Kernel kernel;
  auto types = llvm::to_vector(
      llvm::concat<const Type>(function.getArgumentTypes(), function.getResultTypes()));
  for (auto [type, access] : llvm::zip_equal(types, schedule.getArguments()))
    kernel.parameters.push_back(
        KernelParameter::buffer(kernel::memoryBytes(type), accessOf(access)));
  if (int64_t bytes = schedule.getLaunchScratch())
    kernel.parameters.push_back(KernelParameter::buffer(bytes, Access::Update));
  kernel.root = kernel::rootOf(function).str();
  kernel.ops = text("graph.ops");
  kernel.tuned = text("graph.tuned");
  const bool isOne = schedule.getLaunches().size() == 1;
  for (auto [number, launch] : llvm::enumerate(schedule.getLaunches())) {
    kernel.name = isOne ? function.getName().str() : kernel::launchName(function.getName(), number);
    kernel.launch = backend.launchOf(schedule, launch);
    if (number == 0 && schedule.getScratch() && std::holds_alternative<CpuRange>(kernel.launch))
      kernel.parameters.push_back(KernelParameter::scratch(schedule.getScratch()));
    kernel.flops = double(launch.getFlops());
    kernel.bytes = double(launch.getBytes());
    kernels.push_back(kernel);
    for (const LaunchMap &map : readMaps(schedule, launch))
      kernels.back().parameters.push_back(
          parameterOf(map, function.getArgumentTypes()[map.argument]));
  }
}

/// The number of a kernel's first launch, and the maps of each of its launches.
struct KernelLaunches {
  uint32_t first = 0;
  std::vector<std::vector<LaunchMap>> maps;
};
using LaunchNumbers = llvm::StringMap<KernelLaunches>;

/// The byte of the arena at which a view begins.
int64_t offsetOf(Value memory) {
  APInt offset;
  bool isConstant =
      matchPattern(memory.getDefiningOp<memref::ViewOp>().getByteShift(), m_ConstantInt(&offset));
  assert(isConstant && "stage plan places everything");
  (void)isConstant;
  return offset.getSExtValue();
}

std::optional<int64_t> offsetIfAny(Value memory) {
  return memory ? std::optional(offsetOf(memory)) : std::nullopt;
}

std::vector<Step> readSteps(Block &block, const LaunchNumbers &kernels) {
  std::vector<Step> steps;
  for (Operation &op : block) {
    if (auto loop = dyn_cast<kernel::LoopOp>(op)) {
      steps.push_back({LoopStep{.trips = int64_t(loop.getTrips()),
                                .body = readSteps(loop.getBody().front(), kernels),
                                .count = offsetIfAny(loop.getCount()),
                                .counter = offsetIfAny(loop.getCounter()),
                                .reverse = loop.getReverse(),
                                .op = placeOf(loop.getLoc())}});
    } else if (auto branch = dyn_cast<kernel::IfOp>(op)) {
      steps.push_back({IfStep{.condition = offsetOf(branch.getCondition()),
                              .thenBody = readSteps(branch.getThenBody().front(), kernels),
                              .elseBody = readSteps(branch.getElseBody().front(), kernels)}});
    } else if (auto call = dyn_cast<kernel::CallOp>(op)) {
      CallStep step;
      step.op = placeOf(call.getLoc());
      for (Value argument : call.getArguments())
        step.arguments.push_back(offsetOf(argument));
      if (std::optional<ArrayRef<int64_t>> moving = call.getMoving())
        step.strides = {moving->begin(), moving->end()};
      const KernelLaunches &launches = kernels.find(call.getKernel())->second;
      for (auto [launch, maps] : llvm::enumerate(launches.maps)) {
        CallStep own = step;
        own.kernel = launches.first + uint32_t(launch);
        for (const LaunchMap &map : maps) {
          own.arguments.push_back(step.arguments[map.argument] + map.offset);
          if (!step.strides.empty())
            own.strides.push_back(step.strides[map.argument]);
        }
        steps.push_back(Step{std::move(own)});
      }
    }
  }
  return steps;
}

Function readFunction(func::FuncOp entry, const LaunchNumbers &kernels) {
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
  function.steps = readSteps(entry.front(), kernels);
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

Result<Program> emitProgram(ModuleOp planned, const Backend &backend) {
  Program program;
  LaunchNumbers kernels;
  for (auto function : planned.getOps<func::FuncOp>())
    if (kernel::isKernel(function)) {
      KernelLaunches &launches = kernels[function.getName()];
      launches.first = uint32_t(program.kernels.size());
      readKernel(function, backend, program.kernels);
      kernel::ScheduleAttr schedule = kernel::scheduleOf(function);
      for (kernel::LaunchAttr launch : schedule.getLaunches())
        launches.maps.push_back(readMaps(schedule, launch));
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
