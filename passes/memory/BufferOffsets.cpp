/// Offsets for the storage classes of a function, and the function rewritten on the arena.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "passes/memory/BufferAssignment.h"

using namespace mlir;

namespace ingot {

LogicalResult BufferAssignment::placePersistent(Persistent &persistent) {
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
      high = std::max(high, at.offset + kernel::memoryBytes(member.getType()));
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
  for (const Definition &definition : definitions) {
    if (!definition.isConstant)
      continue;
    Attribute constant;
    matchPattern(definition.value, m_Constant(&constant));
    auto [known, isNew] = persistent.constants.try_emplace(constant, 0);
    if (isNew)
      known->second = persistent.allocate(kernel::memoryBytes(definition.value.getType()));
    auto place = storage.find(definition.value);
    bases[place.root] = known->second - place.offset;
  }
  return success();
}

/// True for the alias set of a parameter, of state or of a constant.
bool BufferAssignment::isPersistent(Value root) {
  return llvm::any_of(storage.members(root), [&](Value member) {
    const Definition *definition = definitionOf(member);
    return persistentNames.contains(member) || (definition && definition->isConstant);
  });
}

llvm::MapVector<Value, BufferAssignment::Transient> BufferAssignment::transientSets() {
  llvm::MapVector<Value, Transient> sets;
  llvm::DenseSet<Value> persistent;
  auto add = [&](const Definition &definition) {
    Value root = storage.find(definition.value).root;
    if (persistent.contains(root))
      return;
    auto known = sets.find(root);
    if (known == sets.end()) {
      if (isPersistent(root)) {
        persistent.insert(root);
        return;
      }
      Transient entry;
      entry.buffer.first = definition.first;
      int64_t high = 0;
      for (Value member : storage.members(root)) {
        auto at = storage.find(member);
        entry.low = std::min(entry.low, at.offset);
        high = std::max(high, at.offset + kernel::memoryBytes(member.getType()));
      }
      entry.buffer.bytes = high - entry.low;
      known = sets.insert({root, entry}).first;
    }
    ArenaBuffer &buffer = known->second.buffer;
    buffer.first = std::min(buffer.first, definition.first);
    buffer.last = std::max(buffer.last, definition.last);
  };
  // Results as their calls run: the layout's ties break by position.
  for (const Definition &definition : definitions)
    if (!definition.call)
      add(definition);
  for (CallNumber call : order)
    for (Value result : calls[call].op.getResults())
      add(*definitionOf(result));
  return sets;
}

SmallVector<std::pair<BufferAssignment::CallNumber, ArenaBuffer>>
BufferAssignment::launchScratch() const {
  SmallVector<std::pair<CallNumber, ArenaBuffer>> scratch;
  for (CallNumber call : order)
    if (int64_t bytes = calls[call].schedule.getLaunchScratch())
      scratch.push_back({call, {.bytes = bytes, .first = times[call], .last = times[call]}});
  return scratch;
}

/// Bytes that the arena needs behind its persistent part.
int64_t BufferAssignment::transientEnd() {
  std::vector<ArenaBuffer> layout;
  for (auto &[root, entry] : transientSets())
    layout.push_back(entry.buffer);
  for (auto &[call, buffer] : launchScratch())
    layout.push_back(buffer);
  return layOutArena(layout, 0);
}

int64_t BufferAssignment::placeTransient(const Persistent &persistent) {
  auto sets = transientSets();
  auto scratch = launchScratch();
  std::vector<ArenaBuffer> layout;
  for (auto &[root, entry] : sets)
    layout.push_back(entry.buffer);
  for (auto &[call, buffer] : scratch)
    layout.push_back(buffer);
  int64_t end = layOutArena(layout, persistent.end);
  for (auto [index, entry] : llvm::enumerate(sets)) {
    bases[entry.first] = layout[index].offset - entry.second.low;
    buffers.emplace_back(entry.first, layout[index]);
  }
  for (auto [index, entry] : llvm::enumerate(scratch)) {
    const ArenaBuffer &placed = layout[sets.size() + index];
    scratchOffsets[calls[entry.first].op] = placed.offset;
    buffers.emplace_back(Value(), placed);
  }
  return end;
}

int64_t BufferAssignment::offsetOf(Value value) {
  auto place = storage.find(value);
  return bases.lookup(place.root) + place.offset;
}

StringRef BufferAssignment::kindOf(Value root) {
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
std::string BufferAssignment::labelOf(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    auto name = function.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "graph.name");
    return name ? name.str() : "argument" + std::to_string(argument.getArgNumber());
  }
  if (auto name = dyn_cast<NameLoc>(value.getLoc()))
    return name.getName().str();
  auto call = value.getDefiningOp<func::CallOp>();
  return call ? call.getCallee().str() : "constant";
}

/// `attributes` are those of the argument or result: what `linalg` could not say in the type.
Attribute BufferAssignment::portAttr(StringRef name, StringRef kind, Value value,
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
  if (Attribute members = attributes ? attributes.get(membersAttribute) : Attribute())
    entries.push_back(builder.getNamedAttr("members", members));
  return builder.getDictionaryAttr(entries);
}

void BufferAssignment::rewrite(int64_t arenaBytes) {
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
    std::string label = "launch scratch";
    if (root)
      label = labelOf(*llvm::find_if(storage.members(root),
                                     [&](Value member) { return definitionOf(member); }));
    planned.push_back(attrs.getDictionaryAttr(
        {attrs.getNamedAttr("name", attrs.getStringAttr(label)),
         attrs.getNamedAttr("kind", attrs.getStringAttr(root ? kindOf(root) : "workspace")),
         attrs.getNamedAttr("offset", attrs.getI64IntegerAttr(buffer.offset)),
         attrs.getNamedAttr("bytes", attrs.getI64IntegerAttr(buffer.bytes)),
         attrs.getNamedAttr("first", attrs.getI64IntegerAttr(buffer.first)),
         attrs.getNamedAttr("last", attrs.getI64IntegerAttr(buffer.last))}));
  }

  OpBuilder builder(function);
  auto plannedFunction = func::FuncOp::create(
      builder, function.getLoc(), function.getName(),
      builder.getFunctionType({MemRefType::get({arenaBytes}, builder.getI8Type())}, {}));
  plannedFunction->setAttr("graph.ports", attrs.getArrayAttr(ports));
  plannedFunction->setAttr("graph.buffers", attrs.getArrayAttr(planned));
  Block *entry = plannedFunction.addEntryBlock();
  builder.setInsertionPointToStart(entry);
  for (CallNumber number : order) {
    func::CallOp call = calls[number].op;
    Location location = call.getLoc();
    SmallVector<Value> arguments;
    auto place = [&](Type type, int64_t offset) {
      Value at = arith::ConstantIndexOp::create(builder, location, offset);
      arguments.push_back(
          memref::ViewOp::create(builder, location, type, entry->getArgument(0), at, ValueRange{}));
    };
    SmallVector<Value> tensors(call.getOperands());
    llvm::append_range(tensors, call.getResults());
    for (Value tensor : tensors)
      place(kernel::memoryType(tensor.getType()), offsetOf(tensor));
    if (int64_t bytes = calls[number].schedule.getLaunchScratch())
      place(MemRefType::get({bytes}, builder.getI8Type()), scratchOffsets.lookup(call));
    kernel::CallOp::create(builder, location, call.getCallee(), arguments);
  }
  func::ReturnOp::create(builder, function.getLoc());
  function.erase();
}

} // namespace ingot
