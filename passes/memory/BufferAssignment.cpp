/// Which tensors of a function share memory because it demands it: views, buckets, donation.
#include "passes/memory/BufferAssignment.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "runtime/program/Bucket.h"

using namespace mlir;

namespace ingot {
namespace {

bool isView(Operation *op) {
  return isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::ExtractSliceOp,
             graph::ReshapeOp, graph::BucketOp, graph::UnbucketOp, graph::DynamicSliceOp>(op);
}

/// Bytes from a tensor of a bucket to the next.
int64_t bytesInBucket(Type tensor) {
  auto type = cast<RankedTensorType>(tensor);
  const int64_t bytes = kernel::memoryBytes(RankedTensorType::get({}, type.getElementType()));
  return elementsInBucket(type.getNumElements(), bytes) * bytes;
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
  return distance * kernel::memoryBytes(RankedTensorType::get({}, type.getElementType()));
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

std::string BufferAssignment::resultName(unsigned result) {
  auto attr = function.getResultAttrOfType<StringAttr>(result, "graph.name");
  return attr ? attr.str() : "output" + std::to_string(result);
}

/// One value may be returned under several names (all ones, for the scales of all norms), but each
/// name has a place of its own: the kernel runs once for each.
void BufferAssignment::separateReturned() {
  func::ReturnOp ret = terminator();
  llvm::SmallDenseSet<Value> seen;
  for (OpOperand &operand : ret->getOpOperands())
    if (!seen.insert(operand.get()).second && operand.get().getDefiningOp())
      operand.set(recompute(operand.get(), ret));
}

//===--------------------------------------------------------------------------------------------===//
// Calls and definitions
//===--------------------------------------------------------------------------------------------===//

LogicalResult BufferAssignment::findCalls() {
  llvm::DenseMap<StringAttr, func::FuncOp> kernels;
  if (failed(findScopes(function.getBody().front(), 0)))
    return failure();
  for (auto [number, scope] : llvm::enumerate(scopes))
    for (auto call : scope.block->getOps<func::CallOp>()) {
      auto [entry, isNew] = kernels.try_emplace(call.getCalleeAttr().getAttr());
      if (isNew)
        entry->second = symbols.lookup<func::FuncOp>(call.getCallee());
      kernel::ScheduleAttr schedule =
          entry->second ? kernel::scheduleOf(entry->second) : kernel::ScheduleAttr();
      if (!schedule)
        return call.emitError("cannot be planned: '") << call.getCallee() << "' has no schedule";
      const bool isCopy = entry->second->hasAttr("graph.copy");
      calls.push_back({call, entry->second, schedule, ScopeNumber(number), isCopy});
    }
  if (scopes.size() > 1) { // as they stand in the function
    llvm::DenseMap<Operation *, unsigned> positions;
    function.walk([&](func::CallOp call) { positions[call] = positions.size(); });
    llvm::sort(calls, [&](const Call &a, const Call &b) {
      return positions.lookup(a.op) < positions.lookup(b.op);
    });
  }
  for (CallNumber call = 0; call < calls.size(); ++call)
    order.push_back(call);
  for (Value argument : function.getArguments())
    define(argument, Definition::Kind::Argument);
  function.walk([&](Operation *op) {
    if (op->hasTrait<OpTrait::ConstantLike>() &&
        isa<RankedTensorType>(op->getResultTypes().front()))
      define(op->getResult(0), Definition::Kind::Constant);
  });
  defineInRegions();
  for (auto [number, call] : llvm::enumerate(calls))
    for (Value result : call.op.getResults())
      define(result, Definition::Kind::Result).call = number;
  findUses();
  return success();
}

BufferAssignment::Definition &BufferAssignment::define(Value value, Definition::Kind kind) {
  demanded.find(value); // known from the start: sets then stay where they are
  definitionNumbers[value] = definitions.size();
  return definitions.emplace_back(Definition{value, kind, scopeOf(value)});
}

void BufferAssignment::findUses() {
  llvm::DenseMap<Operation *, CallNumber> numbers;
  for (auto [number, call] : llvm::enumerate(calls))
    numbers[call.op] = number;
  llvm::DenseMap<Block *, ScopeNumber> scopeNumbers;
  for (auto [number, scope] : llvm::enumerate(scopes))
    scopeNumbers[scope.block] = number;
  for (Definition &definition : definitions) {
    // Views first to last, without recursion: a chain of them may be long.
    SmallVector<Value> aliases{definition.value};
    for (size_t index = 0; index < aliases.size(); ++index)
      for (OpOperand &use : aliases[index].getUses()) {
        Operation *user = use.getOwner();
        if (auto call = numbers.find(user); call != numbers.end())
          definition.readers.push_back(call->second);
        else if (isa<func::ReturnOp>(user))
          definition.isReturned = true;
        else if (isa<graph::YieldOp>(user))
          definition.ends.push_back(scopeNumbers.lookup(user->getBlock()));
        else if (isa<graph::LoopOp, graph::IfOp>(user))
          (use.getOperandNumber() ? definition.handedTo : definition.begins)
              .push_back(scopeNumbers.lookup(&user->getRegion(0).front()));
        else if (!isa<graph::DynamicSliceOp>(user) || use.getOperandNumber() == 0)
          llvm::append_range(aliases, user->getResults());
      }
  }
}

const BufferAssignment::Definition *BufferAssignment::definitionOf(Value value) const {
  auto found = definitionNumbers.find(value);
  return found == definitionNumbers.end() ? nullptr : &definitions[found->second];
}

//===--------------------------------------------------------------------------------------------===//
// What the function demands
//===--------------------------------------------------------------------------------------------===//

LogicalResult BufferAssignment::joinViews() {
  WalkResult result = function.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (isa<func::FuncOp, func::CallOp, func::ReturnOp, graph::LoopOp, graph::IfOp, graph::YieldOp>(
            op) ||
        op->hasTrait<OpTrait::ConstantLike>())
      return WalkResult::advance();
    return failed(joinView(op)) ? WalkResult::interrupt() : WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

LogicalResult BufferAssignment::joinView(Operation *op) {
  if (!isView(op))
    return op->emitError("cannot be planned: only kernels and views remain at this stage");
  bool joined = true;
  if (auto bucket = dyn_cast<graph::BucketOp>(op)) {
    int64_t distance = 0;
    for (Value operand : bucket.getOperands()) {
      joined &= demanded.join(operand, bucket.getResult(), distance);
      distance += bytesInBucket(operand.getType());
    }
  } else if (auto unbucket = dyn_cast<graph::UnbucketOp>(op)) {
    int64_t distance = 0;
    for (Value result : unbucket.getResults()) {
      joined &= demanded.join(result, unbucket.getOperand(), distance);
      distance += bytesInBucket(result.getType());
    }
  } else if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
    std::optional<int64_t> distance = contiguousDistance(slice);
    if (!distance)
      return slice.emitError("is not contiguous and must lie inside a kernel");
    joined = demanded.join(slice.getResult(), slice.getSource(), *distance);
  } else if (auto part = dyn_cast<graph::DynamicSliceOp>(op)) {
    graph::LoopOp loop = part.getMovingLoop();
    if (!loop)
      return part.emitError("is no place that moves with a loop and must be a gather");
    joined = demanded.join(part.getResult(), part.getOperand(), 0);
    demandedMotions[part] = {scopeOf(loop.getCounter()), kernel::memoryBytes(part.getType())};
  } else {
    joined = demanded.join(op->getResult(0), op->getOperand(0), 0);
  }
  if (!joined)
    return op->emitError("asks for one tensor at two places; a copy is missing");
  if (auto moves = demandedMotions.find(op->getOperand(0)); moves != demandedMotions.end()) {
    const Motion motion = moves->second;
    for (Value result : op->getResults())
      demandedMotions[result] = motion;
  }
  return success();
}

/// What a loop carries has one place from its copy into the loop to the loop's result; what a
/// branch gives has one for both sides. A stacked result holds the parts, each at its iteration's
/// number.
LogicalResult BufferAssignment::joinRegions() {
  auto join = [&](Value value, Value anchor, Operation *op) -> LogicalResult {
    auto call = value.getDefiningOp<func::CallOp>();
    auto kernel = call ? symbols.lookup<func::FuncOp>(call.getCallee()) : func::FuncOp();
    if (!kernel || !kernel->hasAttr("graph.copy") || !value.hasOneUse())
      return op->emitError("must begin and end with copies of its own");
    demanded.join(value, anchor, 0);
    return success();
  };
  for (const Scope &scope : llvm::drop_begin(scopes)) {
    Operation *op = scope.block->getParentOp(), *yield = scope.block->getTerminator();
    graph::LoopOp loop = scope.loop();
    const size_t carried = loop ? loop.getCarried().size() : 0;
    for (auto [index, result] : llvm::enumerate(op->getResults())) {
      if (failed(join(yield->getOperand(index), result, op)))
        return failure();
      if (index < carried) {
        if (failed(join(loop.getCarried()[index], result, op)))
          return failure();
        demanded.join(loop.getCarriedArguments()[index], result, 0);
      } else if (loop) {
        Value part = yield->getOperand(index);
        demandedMotions[part] = {ScopeNumber(&scope - scopes.data()),
                                 kernel::memoryBytes(part.getType())};
      }
    }
  }
  return success();
}

/// A donated argument and its result are one place; so are the values @init returns and the
/// parameters of the same name.
LogicalResult BufferAssignment::joinDonated() {
  func::ReturnOp ret = terminator();
  for (BlockArgument argument : function.getArguments()) {
    unsigned index = argument.getArgNumber();
    if (isPersistentRole(roleName(roleOf(function, index))))
      persistentNames[argument] = function.getArgAttrOfType<StringAttr>(index, "graph.name").str();
    auto donated = function.getArgAttrOfType<IntegerAttr>(index, "graph.donated");
    if (!donated)
      continue;
    Value result = ret.getOperand(donated.getInt());
    if (!demanded.join(result, argument, 0))
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

//===--------------------------------------------------------------------------------------------===//
// All of it
//===--------------------------------------------------------------------------------------------===//

LogicalResult BufferAssignment::assign() {
  separateReturned();
  if (failed(findCalls()) || failed(joinViews()) || failed(joinRegions()) || failed(joinDonated()))
    return failure();
  setTimes();
  settleStorage();
  lowerPeak();
  for (const Call &call : calls)
    if (kernel::rootOf(call.kernel) == "update")
      for (Value operand : call.op->getOperands())
        for (Value member : storage.members(operand))
          if (member.getDefiningOp<func::CallOp>())
            gradients.insert(storage.find(member).root);
  if (std::optional<OpResult> hazard = findHazard())
    return hazard->getOwner()->emitError("overwrites memory that is still read: its result ")
           << hazard->getResultNumber() << " cannot share the place of an earlier tensor";
  return success();
}

} // namespace ingot
