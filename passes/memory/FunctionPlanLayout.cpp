/// Offsets for the storage classes of a function, and the function rewritten on the arena.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "passes/memory/FunctionPlan.h"

using namespace mlir;

namespace ingot {

LogicalResult FunctionPlan::placePersistent(Persistent &persistent) {
  for (auto &[value, name] : persistentNames) {
    auto place = storage.find(value);
    if (bases.contains(place.root))
      continue;
    // The class has a base once any of its names has a place; all others must then agree.
    std::optional<int64_t> base;
    int64_t low = 0, high = 0;
    for (Value member : storage.members(value)) {
      auto at = storage.find(member);
      low = std::min(low, at.offset);
      high = std::max(high, at.offset + storageBytes(member.getType()));
      auto named = persistentNames.find(member);
      if (named != persistentNames.end())
        if (auto known = persistent.named.find(named->second); known != persistent.named.end())
          base = known->second - at.offset;
    }
    if (!base)
      base = persistent.allocate(high - low) - low;
    for (Value member : storage.members(value)) {
      auto named = persistentNames.find(member);
      if (named == persistentNames.end())
        continue;
      int64_t offset = *base + storage.find(member).offset;
      auto [known, isNew] = persistent.named.try_emplace(named->second, offset);
      if (!isNew && known->second != offset)
        return emitError(member.getLoc(), "'")
               << named->second << "' lies elsewhere in another function";
    }
    bases[place.root] = *base;
  }
  for (auto &[value, definition] : definitions) {
    Attribute constant;
    if (isa<BlockArgument>(value) || !matchPattern(value, m_Constant(&constant)))
      continue;
    auto [known, isNew] = persistent.constants.try_emplace(constant, 0);
    if (isNew)
      known->second = persistent.allocate(storageBytes(value.getType()));
    bases[storage.find(value).root] = known->second - storage.find(value).offset;
  }
  return success();
}

/// True for the class of a parameter, of state or of a constant.
bool FunctionPlan::isPersistent(Value root) {
  Attribute constant;
  return llvm::any_of(storage.members(root), [&](Value member) {
    return persistentNames.contains(member) ||
           (definitions.contains(member) && !isa<BlockArgument>(member) &&
            matchPattern(member, m_Constant(&constant)));
  });
}

llvm::MapVector<Value, FunctionPlan::Transient> FunctionPlan::transientClasses() {
  llvm::MapVector<Value, Transient> classes;
  llvm::DenseSet<Value> persistent;
  for (auto &[value, definition] : definitions) {
    Value root = storage.find(value).root;
    if (persistent.contains(root))
      continue;
    auto known = classes.find(root);
    if (known == classes.end()) {
      if (isPersistent(root)) {
        persistent.insert(root);
        continue;
      }
      Transient entry;
      entry.buffer.first = definition.first;
      int64_t high = 0;
      for (Value member : storage.members(root)) {
        auto at = storage.find(member);
        entry.low = std::min(entry.low, at.offset);
        high = std::max(high, at.offset + storageBytes(member.getType()));
      }
      entry.buffer.bytes = high - entry.low;
      known = classes.insert({root, entry}).first;
    }
    ArenaBuffer &buffer = known->second.buffer;
    buffer.first = std::min(buffer.first, definition.first);
    buffer.last = std::max(buffer.last, definition.last);
  }
  return classes;
}

/// Bytes that the arena needs behind its persistent part.
int64_t FunctionPlan::transientEnd() {
  auto layout =
      llvm::map_to_vector(transientClasses(), [](auto &entry) { return entry.second.buffer; });
  std::vector<ArenaBuffer> buffers(layout.begin(), layout.end());
  return layOutArena(buffers, 0);
}

int64_t FunctionPlan::placeTransient(const Persistent &persistent) {
  auto classes = transientClasses();
  std::vector<ArenaBuffer> layout;
  for (auto &[root, entry] : classes)
    layout.push_back(entry.buffer);
  int64_t end = layOutArena(layout, persistent.end);
  for (auto [index, entry] : llvm::enumerate(classes)) {
    bases[entry.first] = layout[index].offset - entry.second.low;
    buffers.emplace_back(entry.first, layout[index]);
  }
  return end;
}

int64_t FunctionPlan::offsetOf(Value value) {
  auto place = storage.find(value);
  return bases.lookup(place.root) + place.offset;
}

StringRef FunctionPlan::kindOf(Value root) {
  if (gradients.contains(root))
    return "gradient";
  for (Value member : storage.members(root)) {
    if (isa<BlockArgument>(member))
      return "input";
    if (llvm::is_contained(terminator().getOperands(), member))
      return "output";
  }
  return "activation";
}

/// What a person knows a tensor by: the model's node, else the kernel that makes it.
std::string FunctionPlan::labelOf(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    auto name = function.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "graph.name");
    return name ? name.str() : "argument" + std::to_string(argument.getArgNumber());
  }
  if (auto name = dyn_cast<NameLoc>(value.getLoc()))
    return name.getName().str();
  auto launch = value.getDefiningOp<graph::LaunchOp>();
  return launch ? launch.getKernel().str() : "constant";
}

/// `attributes` are those of the argument or result: what `linalg` could not say in the type.
Attribute FunctionPlan::portAttr(StringRef name, StringRef kind, Value value,
                                 DictionaryAttr attributes) {
  Builder builder(function.getContext());
  auto type = cast<RankedTensorType>(value.getType());
  if (attributes && attributes.contains(unsignedAttribute))
    type = cast<RankedTensorType>(type.clone(IntegerType::get(
        builder.getContext(), type.getElementTypeBitWidth(), IntegerType::Unsigned)));
  SmallVector<NamedAttribute> entries = {
      builder.getNamedAttr("name", builder.getStringAttr(name)),
      builder.getNamedAttr("kind", builder.getStringAttr(kind)),
      builder.getNamedAttr("type", TypeAttr::get(type)),
      builder.getNamedAttr("offset", builder.getI64IntegerAttr(offsetOf(value)))};
  if (Attribute limit = attributes ? attributes.get(limitAttribute) : Attribute())
    entries.push_back(builder.getNamedAttr("limit", limit));
  return builder.getDictionaryAttr(entries);
}

void FunctionPlan::rewrite(int64_t arenaBytes, int64_t workspaceBytes) {
  Builder attrs(function.getContext());
  SmallVector<Attribute> ports, planned;
  for (BlockArgument argument : function.getArguments()) {
    unsigned index = argument.getArgNumber();
    StringRef role = roleName(roleOf(function, index));
    auto name = function.getArgAttrOfType<StringAttr>(index, "graph.name");
    ports.push_back(portAttr(name ? name.getValue() : "input" + std::to_string(index), role,
                             argument, function.getArgAttrDict(index)));
  }
  llvm::SmallDenseSet<int64_t> donatedResults;
  for (unsigned index = 0; index < function.getNumArguments(); ++index)
    if (auto donated = function.getArgAttrOfType<IntegerAttr>(index, "graph.donated"))
      donatedResults.insert(donated.getInt());
  for (auto [index, result] : llvm::enumerate(terminator().getOperands())) {
    if (donatedResults.contains(index))
      continue; // the argument's port shows it
    auto resultRole = function.getResultAttrOfType<StringAttr>(index, roleAttribute);
    ports.push_back(portAttr(resultName(index), resultRole ? resultRole.getValue() : "output",
                             result, function.getResultAttrDict(index)));
  }
  for (auto &[root, buffer] : buffers) {
    Value origin = *llvm::find_if(storage.members(root),
                                  [&](Value member) { return definitions.contains(member); });
    std::string label = labelOf(origin);
    planned.push_back(attrs.getDictionaryAttr(
        {attrs.getNamedAttr("name", attrs.getStringAttr(label)),
         attrs.getNamedAttr("kind", attrs.getStringAttr(kindOf(root))),
         attrs.getNamedAttr("offset", attrs.getI64IntegerAttr(buffer.offset)),
         attrs.getNamedAttr("bytes", attrs.getI64IntegerAttr(buffer.bytes)),
         attrs.getNamedAttr("first", attrs.getI64IntegerAttr(buffer.first)),
         attrs.getNamedAttr("last", attrs.getI64IntegerAttr(buffer.last))}));
  }

  OpBuilder builder(function);
  auto bytes = [&](int64_t size) { return MemRefType::get({size}, builder.getI8Type()); };
  auto planned_function =
      func::FuncOp::create(builder, function.getLoc(), function.getName(),
                           builder.getFunctionType({bytes(arenaBytes), bytes(workspaceBytes)}, {}));
  planned_function->setAttr("graph.ports", attrs.getArrayAttr(ports));
  planned_function->setAttr("graph.buffers", attrs.getArrayAttr(planned));
  Block *entry = planned_function.addEntryBlock();
  builder.setInsertionPointToStart(entry);
  auto index = [&](Location location, int64_t value) -> Value {
    return arith::ConstantIndexOp::create(builder, location, value);
  };
  for (graph::LaunchOp launch : launches) {
    auto kernel = cast<func::FuncOp>(kernelOf(launch));
    Location location = launch.getLoc();
    SmallVector<Value> arguments;
    SmallVector<Value> tensors(launch.getOperands());
    llvm::append_range(tensors, launch.getResults());
    for (auto [tensor, type] : llvm::zip(tensors, kernel.getArgumentTypes()))
      arguments.push_back(memref::ViewOp::create(builder, location, type, entry->getArgument(0),
                                                 index(location, offsetOf(tensor)), ValueRange{}));
    if (workspace(kernel) > 0)
      arguments.push_back(
          memref::ViewOp::create(builder, location, kernel.getArgumentTypes()[arguments.size()],
                                 entry->getArgument(1), index(location, 0), ValueRange{}));
    arguments.push_back(index(location, 0));
    arguments.push_back(
        index(location, kernel->getAttrOfType<IntegerAttr>("graph.grains").getInt()));
    func::CallOp::create(builder, location, kernel, arguments);
  }
  func::ReturnOp::create(builder, function.getLoc());
  function.erase();
}

} // namespace ingot
