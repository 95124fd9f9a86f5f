/// Places every tensor of every entry function in one arena, and turns the functions into calls on
/// those places. See README.md for the rules.
#include "ir/Graph.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/ArenaLayout.h"
#include "passes/Passes.h"
#include "passes/StorageClasses.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace ingot {

#define GEN_PASS_DEF_PLANMEMORY
#include "passes/Passes.h.inc"

namespace {

/// Offsets of what outlives a function: parameters and state by name, constants by value.
struct Persistent {
  llvm::StringMap<int64_t> named;
  llvm::MapVector<Attribute, int64_t> constants;
  int64_t end = 0;

  int64_t allocate(int64_t bytes) {
    int64_t offset = end;
    end = llvm::alignTo(end + bytes, arenaAlignment);
    return offset;
  }
};

/// A tensor whose contents come into being: an argument, a constant or a kernel's result. All other
/// tensors are views of these.
struct Definition {
  Value value;
  int64_t first; ///< launch that writes it; 0 for arguments and constants
  int64_t last;  ///< last launch that reads it, through views too; number of launches if returned
};

bool isView(Operation *op) {
  return isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::ExtractSliceOp,
             graph::ReshapeOp, graph::BucketOp, graph::UnbucketOp>(op);
}

StringRef role(func::FuncOp function, unsigned argument) {
  auto attr = function.getArgAttrOfType<StringAttr>(argument, "graph.role");
  return attr ? attr.getValue() : "input";
}

bool isPersistentRole(StringRef role) { return role == "parameter" || role == "state"; }

/// Byte distance of a slice from its operand's start, or none if the slice is not contiguous.
std::optional<int64_t> contiguousDistance(tensor::ExtractSliceOp slice) {
  auto type = slice.getSourceType();
  if (!type.hasStaticShape() || !slice.getResultType().hasStaticShape())
    return std::nullopt;
  int64_t distance = 0, stride = 1;
  bool whole = true; // all inner dimensions so far are taken whole
  for (int64_t dim = type.getRank() - 1; dim >= 0; --dim) {
    int64_t offset = slice.getStaticOffset(dim), size = slice.getStaticSize(dim);
    if (ShapedType::isDynamic(offset) || slice.getStaticStride(dim) != 1 || (!whole && size != 1))
      return std::nullopt;
    whole &= size == type.getDimSize(dim);
    distance += offset * stride;
    stride *= type.getDimSize(dim);
  }
  return distance * storageBytes(RankedTensorType::get({}, type.getElementType()));
}

/// Plans one entry function.
class FunctionPlan {
public:
  FunctionPlan(func::FuncOp function, SymbolTable &symbols)
      : function(function), symbols(symbols) {}

  /// Joins views, buckets, donated results and in-place updates into storage classes.
  LogicalResult classify();
  /// Gives parameters and state of this function their place, beside those they share a bucket
  /// with.
  LogicalResult placePersistent(Persistent &persistent);
  /// Lays the rest out behind the persistent part. Returns the arena's end for this function.
  int64_t placeTransient(const Persistent &persistent);
  /// Rewrites the function on the arena.
  void rewrite(int64_t arenaBytes, int64_t workspaceBytes);

  static int64_t workspace(Operation *kernel) {
    auto attr = kernel->getAttrOfType<IntegerAttr>("graph.workspace");
    return attr ? attr.getInt() : 0;
  }

private:
  struct Pair {
    unsigned result, operand;
  };

  func::ReturnOp terminator() {
    return cast<func::ReturnOp>(function.getBody().front().getTerminator());
  }
  Operation *kernelOf(graph::LaunchOp launch) { return symbols.lookup(launch.getKernel()); }
  SmallVector<Pair> inPlacePairs(graph::LaunchOp launch);
  std::string resultName(unsigned result);

  void number();
  void recordUses(Value value, int64_t &last);
  LogicalResult joinViews();
  LogicalResult joinDonated();
  void joinInPlace();
  void sinkUpdates();
  LogicalResult verifyHazards();
  bool mayReuse(graph::LaunchOp launch, Pair pair);
  bool overlap(Value a, Value b);

  int64_t offsetOf(Value value);
  StringRef kindOf(Value root);
  std::string labelOf(Value value);
  Attribute portAttr(StringRef name, StringRef kind, Value value);

  func::FuncOp function;
  SymbolTable &symbols;
  StorageClasses storage;
  SmallVector<graph::LaunchOp> launches;
  llvm::DenseMap<Operation *, int64_t> position;
  llvm::MapVector<Value, Definition> definitions;
  llvm::MapVector<Value, std::string> persistentNames; ///< arguments and returned values by name
  llvm::DenseMap<Value, int64_t> bases;                ///< class root → arena offset of the root
  llvm::DenseSet<Value> gradients;
  std::vector<std::pair<Value, ArenaBuffer>> buffers;
};

SmallVector<FunctionPlan::Pair> FunctionPlan::inPlacePairs(graph::LaunchOp launch) {
  SmallVector<Pair> pairs;
  if (auto attr = kernelOf(launch)->getAttrOfType<ArrayAttr>("graph.in_place"))
    for (auto pair : attr.getAsRange<ArrayAttr>())
      pairs.push_back({unsigned(cast<IntegerAttr>(pair[0]).getInt()),
                       unsigned(cast<IntegerAttr>(pair[1]).getInt())});
  return pairs;
}

std::string FunctionPlan::resultName(unsigned result) {
  auto attr = function.getResultAttrOfType<StringAttr>(result, "graph.name");
  return attr ? attr.str() : "output" + std::to_string(result);
}

/// The last launch that reads `value`, directly or through views.
void FunctionPlan::recordUses(Value value, int64_t &last) {
  for (Operation *user : value.getUsers()) {
    if (auto launch = dyn_cast<graph::LaunchOp>(user))
      last = std::max(last, position[launch]);
    else if (isa<func::ReturnOp>(user))
      last = launches.size();
    else
      for (Value view : user->getResults())
        recordUses(view, last);
  }
}

void FunctionPlan::number() {
  launches.clear();
  position.clear();
  definitions.clear();
  for (auto launch : function.getOps<graph::LaunchOp>()) {
    position[launch] = launches.size();
    launches.push_back(launch);
  }
  auto define = [&](Value value, int64_t first) {
    Definition definition{value, first, first};
    recordUses(value, definition.last);
    definitions[value] = definition;
  };
  for (Value argument : function.getArguments())
    define(argument, 0);
  for (Operation &op : function.getBody().front()) {
    if (op.hasTrait<OpTrait::ConstantLike>() && isa<RankedTensorType>(op.getResultTypes().front()))
      define(op.getResult(0), 0);
    if (isa<graph::LaunchOp>(op))
      for (Value result : op.getResults())
        define(result, position[&op]);
  }
}

LogicalResult FunctionPlan::joinViews() {
  for (Operation &op : function.getBody().front()) {
    if (isa<graph::LaunchOp, func::ReturnOp>(op) || op.hasTrait<OpTrait::ConstantLike>())
      continue;
    if (!isView(&op))
      return op.emitError("cannot be planned: only kernels and views remain at this stage");
    bool joined = true;
    if (auto bucket = dyn_cast<graph::BucketOp>(op)) {
      int64_t distance = 0;
      for (Value operand : bucket.getOperands()) {
        joined &= storage.join(operand, bucket.getResult(), distance);
        distance += llvm::alignTo(
            storageBytes(operand.getType()),
            16 * storageBytes(RankedTensorType::get({}, bucket.getType().getElementType())));
      }
    } else if (auto unbucket = dyn_cast<graph::UnbucketOp>(op)) {
      int64_t distance = 0;
      for (Value result : unbucket.getResults()) {
        joined &= storage.join(result, unbucket.getOperand(), distance);
        distance += llvm::alignTo(storageBytes(result.getType()),
                                  16 * storageBytes(RankedTensorType::get(
                                           {}, unbucket.getOperand().getType().getElementType())));
      }
    } else if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
      std::optional<int64_t> distance = contiguousDistance(slice);
      if (!distance)
        return slice.emitError("is not contiguous and must lie inside a kernel");
      joined = storage.join(slice.getResult(), slice.getSource(), *distance);
    } else {
      joined = storage.join(op.getResult(0), op.getOperand(0), 0);
    }
    if (!joined)
      return op.emitError("asks for one tensor at two places; a copy is missing");
  }
  return success();
}

/// A donated argument and its result are one place; so are the values @init returns and the
/// parameters of the same name.
LogicalResult FunctionPlan::joinDonated() {
  func::ReturnOp ret = terminator();
  for (BlockArgument argument : function.getArguments()) {
    unsigned index = argument.getArgNumber();
    if (isPersistentRole(role(function, index)))
      persistentNames[argument] = function.getArgAttrOfType<StringAttr>(index, "graph.name").str();
    auto donated = function.getArgAttrOfType<IntegerAttr>(index, "graph.donated");
    if (!donated)
      continue;
    Value result = ret.getOperand(donated.getInt());
    if (!storage.join(result, argument, 0))
      return emitError(result.getLoc(), "the donated argument ")
             << function.getArgAttr(index, "graph.name") << " and its result lie at two places";
  }
  for (auto [index, result] : llvm::enumerate(ret.getOperands())) {
    auto resultRole = function.getResultAttrOfType<StringAttr>(index, "graph.role");
    if (resultRole && isPersistentRole(resultRole.getValue()) && !isa<BlockArgument>(result))
      persistentNames[result] = resultName(index);
  }
  return success();
}

bool FunctionPlan::overlap(Value a, Value b) {
  auto left = storage.find(a), right = storage.find(b);
  return left.root == right.root && left.offset < right.offset + storageBytes(b.getType()) &&
         right.offset < left.offset + storageBytes(a.getType());
}

/// An update that overwrites a parameter waits until the last kernel has read the old value.
void FunctionPlan::sinkUpdates() {
  for (graph::LaunchOp launch : SmallVector<graph::LaunchOp>(launches)) {
    int64_t latest = position[launch];
    for (Pair pair : inPlacePairs(launch))
      for (auto &[value, definition] : definitions)
        if (isa<BlockArgument>(value) && overlap(launch.getResult(pair.result), value) &&
            overlap(launch.getOperand(pair.operand), value) &&
            definition.last < int64_t(launches.size()))
          latest = std::max(latest, definition.last);
    if (latest == position[launch])
      continue;
    SmallVector<Operation *> moved{launch};
    for (size_t index = 0; index < moved.size(); ++index) // its views move along
      for (Operation *user : moved[index]->getUsers())
        if (isView(user) && !llvm::is_contained(moved, user))
          moved.push_back(user);
    Operation *after = launches[latest];
    for (Operation *op : moved) {
      op->moveAfter(after);
      after = op;
    }
    number();
  }
}

/// True if the operand's memory holds nothing that is read after this launch or beside the pair.
bool FunctionPlan::mayReuse(graph::LaunchOp launch, Pair pair) {
  Value result = launch.getResult(pair.result), operand = launch.getOperand(pair.operand);
  if (storageBytes(result.getType()) != storageBytes(operand.getType()))
    return false;
  auto isOrigin = [&](Value value) { return definitions.contains(value); };
  for (Value member : storage.members(result))
    if (isOrigin(member) && member != result)
      return false; // it already lives in a bucket or in place of something else
  if (storage.find(result).root == storage.find(operand).root)
    return false;
  for (Value member : storage.members(operand)) {
    auto definition = definitions.find(member);
    if (definition == definitions.end() || !overlap(member, operand))
      continue;
    if (isa<BlockArgument>(member) || !member.getDefiningOp<graph::LaunchOp>() ||
        definition->second.last > position[launch])
      return false;
  }
  for (auto [index, other] : llvm::enumerate(launch.getOperands()))
    if (index != pair.operand && overlap(other, operand))
      return false;
  return true;
}

void FunctionPlan::joinInPlace() {
  for (graph::LaunchOp launch : launches)
    for (Pair pair : inPlacePairs(launch))
      if (mayReuse(launch, pair))
        storage.join(launch.getResult(pair.result), launch.getOperand(pair.operand), 0);
}

/// Memory that is written again is read no more, but by the kernel that may update it in place.
LogicalResult FunctionPlan::verifyHazards() {
  for (graph::LaunchOp launch : launches) {
    SmallVector<Pair> pairs = inPlacePairs(launch);
    for (auto [index, result] : llvm::enumerate(launch.getResults())) {
      for (Value member : storage.members(result)) {
        auto found = definitions.find(member);
        if (found == definitions.end() || member == result || !overlap(member, result))
          continue;
        const Definition &other = found->second;
        int64_t now = position[launch];
        if (other.first > now ||
            (other.first == now && member.getDefiningOp() != launch.getOperation() &&
             !isa<BlockArgument>(member)))
          continue; // judged when that one is written
        bool inPlace = llvm::any_of(pairs, [&](Pair pair) {
          return pair.result == index && overlap(launch.getOperand(pair.operand), member);
        });
        bool stillRead = other.last > now ||
                         (other.last == now && !inPlace && !isa<BlockArgument>(member)) ||
                         (isa<BlockArgument>(member) && other.last == now && !inPlace &&
                          llvm::any_of(launch.getOperands(),
                                       [&](Value operand) { return overlap(operand, member); }));
        if (stillRead)
          return launch.emitError("overwrites memory that is still read: its result ")
                 << index << " cannot share the place of an earlier tensor";
      }
    }
  }
  return success();
}

LogicalResult FunctionPlan::classify() {
  number();
  if (failed(joinViews()) || failed(joinDonated()))
    return failure();
  sinkUpdates();
  joinInPlace();
  for (graph::LaunchOp launch : launches) {
    auto root = kernelOf(launch)->getAttrOfType<StringAttr>("graph.kernel");
    if (root && root.getValue() == "update")
      for (Value operand : launch.getOperands())
        for (Value member : storage.members(operand))
          if (member.getDefiningOp<graph::LaunchOp>())
            gradients.insert(storage.find(member).root);
  }
  return verifyHazards();
}

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

int64_t FunctionPlan::placeTransient(const Persistent &persistent) {
  llvm::MapVector<Value, std::pair<ArenaBuffer, int64_t>> classes; // root → buffer, lowest offset
  for (auto &[value, definition] : definitions) {
    auto place = storage.find(value);
    if (bases.contains(place.root))
      continue;
    auto [entry, isNew] = classes.try_emplace(place.root);
    auto &[buffer, low] = entry->second;
    if (isNew) {
      buffer.first = definition.first;
      int64_t high = 0;
      for (Value member : storage.members(value)) {
        auto at = storage.find(member);
        low = std::min(low, at.offset);
        high = std::max(high, at.offset + storageBytes(member.getType()));
      }
      buffer.bytes = high - low;
    }
    buffer.first = std::min(buffer.first, definition.first);
    buffer.last = std::max(buffer.last, definition.last);
  }
  std::vector<ArenaBuffer> layout;
  for (auto &[root, entry] : classes)
    layout.push_back(entry.first);
  int64_t end = layOutArena(layout, persistent.end);
  for (auto [index, entry] : llvm::enumerate(classes)) {
    bases[entry.first] = layout[index].offset - entry.second.second;
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

Attribute FunctionPlan::portAttr(StringRef name, StringRef kind, Value value) {
  Builder builder(function.getContext());
  return builder.getDictionaryAttr(
      {builder.getNamedAttr("name", builder.getStringAttr(name)),
       builder.getNamedAttr("kind", builder.getStringAttr(kind)),
       builder.getNamedAttr("type", TypeAttr::get(value.getType())),
       builder.getNamedAttr("offset", builder.getI64IntegerAttr(offsetOf(value)))});
}

void FunctionPlan::rewrite(int64_t arenaBytes, int64_t workspaceBytes) {
  Builder attrs(function.getContext());
  SmallVector<Attribute> ports, planned;
  for (BlockArgument argument : function.getArguments()) {
    unsigned index = argument.getArgNumber();
    StringRef argumentRole = role(function, index);
    auto name = function.getArgAttrOfType<StringAttr>(index, "graph.name");
    ports.push_back(portAttr(name ? name.getValue() : "input" + std::to_string(index),
                             isPersistentRole(argumentRole) ? argumentRole : "input", argument));
  }
  llvm::SmallDenseSet<int64_t> donatedResults;
  for (unsigned index = 0; index < function.getNumArguments(); ++index)
    if (auto donated = function.getArgAttrOfType<IntegerAttr>(index, "graph.donated"))
      donatedResults.insert(donated.getInt());
  for (auto [index, result] : llvm::enumerate(terminator().getOperands())) {
    if (donatedResults.contains(index))
      continue; // the argument's port shows it
    auto resultRole = function.getResultAttrOfType<StringAttr>(index, "graph.role");
    bool persistent = resultRole && isPersistentRole(resultRole.getValue());
    ports.push_back(
        portAttr(resultName(index), persistent ? resultRole.getValue() : "output", result));
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

struct PlanMemory : impl::PlanMemoryBase<PlanMemory> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    std::vector<FunctionPlan> plans;
    int64_t workspaceBytes = 0;
    SmallVector<func::FuncOp> entries;
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (function->hasAttr("graph.kernel"))
        workspaceBytes = std::max(workspaceBytes, FunctionPlan::workspace(function));
      else
        entries.push_back(function);
    }
    // The step asks the most of the parameters' layout (its buckets), so it is laid out first.
    auto step =
        llvm::find_if(entries, [](func::FuncOp entry) { return entry.getName() == "step"; });
    if (step != entries.end())
      std::rotate(entries.begin(), step, step + 1);
    for (func::FuncOp function : entries)
      plans.emplace_back(function, symbols);

    Persistent persistent;
    for (FunctionPlan &plan : plans)
      if (failed(plan.classify()) || failed(plan.placePersistent(persistent)))
        return signalPassFailure();
    int64_t arenaBytes = persistent.end;
    for (FunctionPlan &plan : plans)
      arenaBytes = std::max(arenaBytes, plan.placeTransient(persistent));
    for (FunctionPlan &plan : plans)
      plan.rewrite(arenaBytes, workspaceBytes);

    Builder builder(&getContext());
    SmallVector<Attribute> constants;
    for (auto &[value, offset] : persistent.constants)
      constants.push_back(builder.getDictionaryAttr(
          {builder.getNamedAttr("value", value),
           builder.getNamedAttr("offset", builder.getI64IntegerAttr(offset))}));
    getOperation()->setAttr("graph.constants", builder.getArrayAttr(constants));
    getOperation()->setAttr("graph.persistent", builder.getI64IntegerAttr(persistent.end));
  }
};

} // namespace
} // namespace ingot
