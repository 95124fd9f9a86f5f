/// Which tensors of a function share memory: views, buckets, donation, updates in place.
#include "passes/memory/FunctionPlan.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace ingot {
namespace {

bool isView(Operation *op) {
  return isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::ExtractSliceOp,
             graph::ReshapeOp, graph::BucketOp, graph::UnbucketOp>(op);
}

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

/// A copy of what computes `value`, views included, right before `before`.
Value recompute(Value value, Operation *before) {
  Operation *copy = OpBuilder(before).clone(*value.getDefiningOp());
  if (isView(copy))
    for (OpOperand &operand : copy->getOpOperands())
      operand.set(recompute(operand.get(), copy));
  return copy->getResult(cast<OpResult>(value).getResultNumber());
}

} // namespace

int64_t FunctionPlan::workspace(Operation *kernel) {
  auto attr = kernel->getAttrOfType<IntegerAttr>("graph.workspace");
  return attr ? attr.getInt() : 0;
}

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

/// One value may be returned under several names (all ones, for the scales of all norms), but each
/// name has a place of its own: the kernel runs once for each.
void FunctionPlan::separateReturned() {
  func::ReturnOp ret = terminator();
  llvm::SmallDenseSet<Value> seen;
  for (OpOperand &operand : ret->getOpOperands())
    if (!seen.insert(operand.get()).second && operand.get().getDefiningOp())
      operand.set(recompute(operand.get(), ret));
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
    if (isPersistentRole(roleName(roleOf(function, index))))
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
    auto resultRole = function.getResultAttrOfType<StringAttr>(index, roleAttribute);
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

/// True if all of `a` lies in the memory of `b`.
bool FunctionPlan::within(Value a, Value b) {
  auto left = storage.find(a), right = storage.find(b);
  return left.root == right.root && left.offset >= right.offset &&
         left.offset + storageBytes(a.getType()) <= right.offset + storageBytes(b.getType());
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
    moveBehind(launch, launches[latest]);
    number();
  }
}

/// Moves a launch and the views of its results behind `after`.
void FunctionPlan::moveBehind(graph::LaunchOp launch, Operation *after) {
  SmallVector<Operation *> moved{launch};
  for (size_t index = 0; index < moved.size(); ++index)
    for (Operation *user : moved[index]->getUsers())
      if (isView(user) && !llvm::is_contained(moved, user))
        moved.push_back(user);
  llvm::sort(moved, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  for (Operation *op : moved) {
    op->moveAfter(after);
    after = op;
  }
}

/// True if the operand's memory holds nothing that is read after this launch or beside the pair.
bool FunctionPlan::mayReuse(graph::LaunchOp launch, Pair pair) {
  Value result = launch.getResult(pair.result), operand = launch.getOperand(pair.operand);
  if (storageBytes(result.getType()) != storageBytes(operand.getType()))
    return false;
  auto isOrigin = [&](Value value) { return definitions.contains(value); };
  bool neighbours = false; // others of its bucket
  for (Value member : storage.members(result))
    if (isOrigin(member) && member != result) {
      if (overlap(member, result))
        return false; // it already is in place of something else
      neighbours = true;
    }
  if (storage.find(result).root == storage.find(operand).root)
    return false;
  for (Value member : storage.members(operand)) {
    auto definition = definitions.find(member);
    if (definition == definitions.end())
      continue;
    if (neighbours && !within(member, operand))
      return false; // what comes along would meet the neighbours
    if (!overlap(member, operand))
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

/// Storage classes for the launches as they stand; updates may move.
LogicalResult FunctionPlan::join() {
  storage = {};
  persistentNames.clear();
  number();
  if (failed(joinViews()) || failed(joinDonated()))
    return failure();
  sinkUpdates();
  joinInPlace();
  return success();
}

LogicalResult FunctionPlan::classify() {
  separateReturned();
  if (failed(join()) || failed(lowerPeak()))
    return failure();
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

} // namespace ingot
