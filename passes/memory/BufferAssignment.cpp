/// Which tensors of a function share memory because it demands it: views, buckets, donation.
#include "passes/memory/BufferAssignment.h"
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
  for (auto call : function.getOps<func::CallOp>()) {
    auto [entry, isNew] = kernels.try_emplace(call.getCalleeAttr().getAttr());
    if (isNew)
      entry->second = symbols.lookup<func::FuncOp>(call.getCallee());
    kernel::ScheduleAttr schedule =
        entry->second ? kernel::scheduleOf(entry->second) : kernel::ScheduleAttr();
    if (!schedule)
      return call.emitError("cannot be planned: '") << call.getCallee() << "' has no schedule";
    order.push_back(calls.size());
    calls.push_back({call, entry->second, schedule});
  }
  for (Value argument : function.getArguments())
    define(argument, std::nullopt, /*isConstant=*/false);
  for (Operation &op : function.getBody().front())
    if (op.hasTrait<OpTrait::ConstantLike>() && isa<RankedTensorType>(op.getResultTypes().front()))
      define(op.getResult(0), std::nullopt, /*isConstant=*/true);
  llvm::DenseMap<Operation *, CallNumber> numbers;
  for (auto [number, call] : llvm::enumerate(calls)) {
    numbers[call.op] = number;
    for (Value result : call.op.getResults())
      define(result, number, /*isConstant=*/false);
  }
  for (Definition &definition : definitions) {
    // Views first to last, without recursion: a chain of them may be long.
    SmallVector<Value> aliases{definition.value};
    for (size_t index = 0; index < aliases.size(); ++index)
      for (Operation *user : aliases[index].getUsers()) {
        if (auto call = numbers.find(user); call != numbers.end())
          definition.readers.push_back(call->second);
        else if (isa<func::ReturnOp>(user))
          definition.isReturned = true;
        else
          llvm::append_range(aliases, user->getResults());
      }
  }
  return success();
}

void BufferAssignment::define(Value value, std::optional<CallNumber> call, bool isConstant) {
  demanded.find(value); // known from the start: sets then stay where they are
  definitionNumbers[value] = definitions.size();
  Definition &definition = definitions.emplace_back();
  definition.value = value;
  definition.call = call;
  definition.isConstant = isConstant;
}

const BufferAssignment::Definition *BufferAssignment::definitionOf(Value value) const {
  auto found = definitionNumbers.find(value);
  return found == definitionNumbers.end() ? nullptr : &definitions[found->second];
}

//===--------------------------------------------------------------------------------------------===//
// What the function demands
//===--------------------------------------------------------------------------------------------===//

LogicalResult BufferAssignment::joinViews() {
  for (Operation &op : function.getBody().front()) {
    if (isa<func::CallOp, func::ReturnOp>(op) || op.hasTrait<OpTrait::ConstantLike>())
      continue;
    if (!isView(&op))
      return op.emitError("cannot be planned: only kernels and views remain at this stage");
    bool joined = true;
    if (auto bucket = dyn_cast<graph::BucketOp>(op)) {
      int64_t distance = 0;
      for (Value operand : bucket.getOperands()) {
        joined &= demanded.join(operand, bucket.getResult(), distance);
        distance += llvm::alignTo(
            kernel::memoryBytes(operand.getType()),
            16 * kernel::memoryBytes(RankedTensorType::get({}, bucket.getType().getElementType())));
      }
    } else if (auto unbucket = dyn_cast<graph::UnbucketOp>(op)) {
      int64_t distance = 0;
      for (Value result : unbucket.getResults()) {
        joined &= demanded.join(result, unbucket.getOperand(), distance);
        distance += llvm::alignTo(kernel::memoryBytes(result.getType()),
                                  16 * kernel::memoryBytes(RankedTensorType::get(
                                           {}, unbucket.getOperand().getType().getElementType())));
      }
    } else if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
      std::optional<int64_t> distance = contiguousDistance(slice);
      if (!distance)
        return slice.emitError("is not contiguous and must lie inside a kernel");
      joined = demanded.join(slice.getResult(), slice.getSource(), *distance);
    } else {
      joined = demanded.join(op.getResult(0), op.getOperand(0), 0);
    }
    if (!joined)
      return op.emitError("asks for one tensor at two places; a copy is missing");
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
  if (failed(findCalls()) || failed(joinViews()) || failed(joinDonated()))
    return failure();
  setTimes();
  storage = demanded;
  sinkUpdates();
  joinInPlace();
  lowerPeak();
  for (const Call &call : calls)
    if (kernel::rootOf(call.kernel) == "update")
      for (Value operand : call.op->getOperands())
        for (Value member : storage.members(operand))
          if (member.getDefiningOp<func::CallOp>())
            gradients.insert(storage.find(member).root);
  return verifyHazards();
}

} // namespace ingot
