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
      high = std::max(high, at.offset + bytesAt(member));
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
    if (!definition.isConstant())
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
    return persistentNames.contains(member) || (definition && definition->isConstant());
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
        high = std::max(high, at.offset + bytesAt(member));
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
    if (!definition.call && definition.isRead())
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

std::vector<ArenaBuffer> BufferAssignment::transientBuffers() {
  std::vector<ArenaBuffer> layout;
  for (auto &[root, entry] : transientSets())
    layout.push_back(entry.buffer);
  for (auto &[call, buffer] : launchScratch())
    layout.push_back(buffer);
  return layout;
}

int64_t BufferAssignment::transientEnd() {
  std::vector<ArenaBuffer> layout = transientBuffers();
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
    if (isArgument(member))
      return "input";
    if (llvm::is_contained(terminator().getOperands(), member))
      return "output";
  }
  return "activation";
}

/// What a person knows a tensor by: the model's node, else the kernel that makes it.
std::string BufferAssignment::labelOf(Value value) {
  if (isArgument(value)) {
    auto argument = cast<BlockArgument>(value);
    auto name = function.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "graph.name");
    return name ? name.str() : "argument" + std::to_string(argument.getArgNumber());
  }
  if (auto name = dyn_cast<NameLoc>(value.getLoc()))
    return name.getName().str();
  auto call = value.getDefiningOp<func::CallOp>();
  if (call)
    return call.getCallee().str();
  return definitionOf(value)->isConstant() ? "constant" : "loop";
}

/// `attributes` are those of the argument or result: what `linalg` could not say in the type.
Attribute BufferAssignment::portAttr(StringRef name, StringRef kind, Value value,
                                     DictionaryAttr attributes) {
  Builder builder(function.getContext());
  auto type = cast<RankedTensorType>(value.getType());
  auto layout =
      attributes ? attributes.getAs<kernel::PanelsAttr>(kernel::layoutName) : kernel::PanelsAttr();
  if (layout)
    type = layout.getTensor();
  if (attributes && attributes.contains(unsignedAttribute))
    type = cast<RankedTensorType>(type.clone(IntegerType::get(
        builder.getContext(), type.getElementTypeBitWidth(), IntegerType::Unsigned)));
  SmallVector<NamedAttribute> entries = {
      builder.getNamedAttr("name", builder.getStringAttr(name)),
      builder.getNamedAttr("kind", builder.getStringAttr(kind)),
      builder.getNamedAttr("type", TypeAttr::get(type)),
      builder.getNamedAttr("offset", builder.getI64IntegerAttr(offsetOf(value)))};
  if (layout)
    entries.push_back(builder.getNamedAttr("layout", layout));
  if (Attribute limit = attributes ? attributes.get(limitAttribute) : Attribute())
    entries.push_back(builder.getNamedAttr("limit", limit));
  if (Attribute members = attributes ? attributes.get(membersAttribute) : Attribute())
    entries.push_back(builder.getNamedAttr("members", members));
  if (Attribute count = attributes ? attributes.get(countAttribute) : Attribute())
    entries.push_back(builder.getNamedAttr("count", count));
  return builder.getDictionaryAttr(entries);
}

/// Steps count the calls that are made.
ArrayAttr BufferAssignment::plannedBuffers() {
  std::vector<int64_t> steps{0}; // by time: calls made before
  for (CallNumber call : order)
    steps.push_back(steps.back() + !isElided(calls[call]));
  const int64_t made = steps.back();
  auto lastStep = [&](const ArenaBuffer &buffer) {
    const int64_t last = buffer.last >= int64_t(order.size()) ? made : steps[buffer.last + 1] - 1;
    return std::max(steps[std::min<int64_t>(buffer.first, order.size())], last);
  };
  Builder attrs(function.getContext());
  SmallVector<Attribute> planned;
  for (auto &[root, buffer] : buffers) {
    std::string label = "launch scratch";
    if (root)
      label = labelOf(*llvm::find_if(storage.members(root),
                                     [&](Value member) { return definitionOf(member); }));
    auto integer = [&](StringRef name, int64_t value) {
      return attrs.getNamedAttr(name, attrs.getI64IntegerAttr(value));
    };
    planned.push_back(attrs.getDictionaryAttr(
        {attrs.getNamedAttr("name", attrs.getStringAttr(label)),
         attrs.getNamedAttr("kind", attrs.getStringAttr(root ? kindOf(root) : "workspace")),
         integer("offset", buffer.offset), integer("bytes", buffer.bytes),
         integer("first", steps[std::min<int64_t>(buffer.first, order.size())]),
         integer("last", lastStep(buffer))}));
  }
  return attrs.getArrayAttr(planned);
}

void BufferAssignment::rewrite(int64_t arenaBytes) {
  Builder attrs(function.getContext());
  SmallVector<Attribute> ports;
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
  OpBuilder builder(function);
  auto plannedFunction = func::FuncOp::create(
      builder, function.getLoc(), function.getName(),
      builder.getFunctionType({MemRefType::get({arenaBytes}, builder.getI8Type())}, {}));
  plannedFunction->setAttr("graph.ports", attrs.getArrayAttr(ports));
  plannedFunction->setAttr("graph.buffers", plannedBuffers());
  plannedFunction.addEntryBlock();
  emitCalls(plannedFunction);
  builder.setInsertionPointToEnd(&plannedFunction.front());
  func::ReturnOp::create(builder, function.getLoc());
  function.erase();
}

/// Calls in their order, in loops and branches that open with the first call inside.
void BufferAssignment::emitCalls(func::FuncOp planned) {
  OpBuilder builder(function.getContext());
  std::vector<Block *> blocks(scopes.size());
  blocks[0] = &planned.front();
  auto place = [&](Location location, Type type, int64_t offset) -> Value {
    Value at = arith::ConstantIndexOp::create(builder, location, offset);
    return memref::ViewOp::create(builder, location, type, planned.getArgument(0), at,
                                  ValueRange{});
  };
  auto placeOf = [&](Location location, Value tensor) {
    return place(location, kernel::memoryType(tensor.getType()), offsetOf(tensor));
  };
  std::function<Block *(ScopeNumber)> blockOf = [&](ScopeNumber number) {
    if (blocks[number])
      return blocks[number];
    builder.setInsertionPointToEnd(blockOf(scopes[number].around));
    Operation *source = scopes[number].block->getParentOp(), *op = nullptr;
    Location location = source->getLoc();
    if (graph::LoopOp loop = scopes[number].loop()) {
      Value count, counter;
      if (!loop.getConstantTripCount())
        count = placeOf(location, loop.getTripCount());
      if (definitionOf(loop.getCounter())->isRead())
        counter = placeOf(location, loop.getCounter());
      op = kernel::LoopOp::create(builder, location,
                                  loop.getMostTrips().value_or(std::numeric_limits<int64_t>::max()),
                                  count, counter, loop.getReverse());
    } else {
      auto branch = cast<graph::IfOp>(source);
      op = kernel::IfOp::create(builder, location, placeOf(location, branch.getCondition()));
    }
    for (auto [from, to] : llvm::zip_equal(source->getRegions(), op->getRegions())) {
      to.emplaceBlock();
      for (auto [index, scope] : llvm::enumerate(scopes))
        if (scope.block == &from.front())
          blocks[index] = &to.front();
    }
    return blocks[number];
  };
  for (CallNumber number : order) {
    const Call &call = calls[number];
    if (isElided(call))
      continue;
    func::CallOp op = call.op;
    Location location = op.getLoc();
    builder.setInsertionPointToEnd(blockOf(call.scope));
    SmallVector<Value> arguments, tensors(op.getOperands());
    SmallVector<int64_t> moving;
    llvm::append_range(tensors, op.getResults());
    for (Value tensor : tensors) {
      arguments.push_back(placeOf(location, tensor));
      auto motion = motions.find(tensor);
      moving.push_back(motion == motions.end() ? 0 : motion->second.bytes);
    }
    if (int64_t bytes = call.schedule.getLaunchScratch()) {
      arguments.push_back(place(location, MemRefType::get({bytes}, builder.getI8Type()),
                                scratchOffsets.lookup(op)));
      moving.push_back(0);
    }
    bool moves = llvm::any_of(moving, [](int64_t bytes) { return bytes != 0; });
    kernel::CallOp::create(builder, location, op.getCallee(), arguments,
                           moves ? builder.getDenseI64ArrayAttr(moving) : DenseI64ArrayAttr());
  }
}

} // namespace ingot
