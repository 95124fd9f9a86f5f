#include "passes/linalg/ForwardHalf.h"
#include "passes/kernels/OpModel.h"
#include <functional>
#include <optional>

using namespace mlir;

namespace ingot {

/// The sum that a loop carries from which scalar ops make the loss; null if it is made otherwise.
static OpResult carriedLoss(Value loss) {
  SmallVector<Value> pending{loss};
  llvm::DenseSet<Value> seen;
  while (!pending.empty()) {
    Value value = pending.pop_back_val();
    Operation *op = value.getDefiningOp();
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!op || !type || type.getNumElements() != 1 || !seen.insert(value).second)
      continue;
    if (isa<graph::LoopOp>(op))
      return cast<OpResult>(value);
    llvm::append_range(pending, op->getOperands());
  }
  return {};
}

bool ForwardHalf::read(func::FuncOp function) {
  ops.clear();
  positions.clear();
  times.clear();
  step = &function.front();
  Value loss;
  for (unsigned index = 0; index < function.getNumResults(); ++index)
    if (auto name = function.getResultAttrOfType<StringAttr>(index, "graph.name");
        name && name.getValue() == "loss")
      loss = step->getTerminator()->getOperand(index);
  while (OpResult sum = loss ? carriedLoss(loss) : OpResult()) {
    auto loop = cast<graph::LoopOp>(sum.getOwner());
    step = &loop.getBody().front();
    loss = loop.getYielded()[sum.getResultNumber()];
  }
  if (llvm::any_of(*step, llvm::IsaPred<graph::LoopOp, graph::IfOp>))
    return false;
  SmallVector<Operation *> pending;
  auto isHere = [&](Operation *op) { return op && op->getBlock() == step; };
  if (loss && isHere(loss.getDefiningOp()))
    pending.push_back(loss.getDefiningOp());
  llvm::DenseSet<Operation *> found(pending.begin(), pending.end());
  while (!pending.empty()) {
    Operation *op = pending.pop_back_val();
    // What a view waits for is order, not data.
    for (Value operand :
         op->getOperands().take_front(roleOf(op) == OpRole::View ? 1 : op->getNumOperands()))
      if (Operation *maker = operand.getDefiningOp(); isHere(maker) && found.insert(maker).second)
        pending.push_back(maker);
  }
  unsigned next = 0, heavy = 0;
  for (Operation &op : *step) {
    positions[&op] = next++;
    times[&op] = heavy;
    heavy += isHeavy(&op);
    if (found.contains(&op))
      ops.insert(&op);
  }
  return !ops.empty() && ops.size() + 1 < next;
}

SmallVector<OpOperand *> ForwardHalf::backwardUses(Value value) const {
  SmallVector<OpOperand *> uses;
  for (OpOperand &use : value.getUses()) {
    Operation *user = use.getOwner();
    if (roleOf(user) == OpRole::View && use.getOperandNumber() == 0)
      llvm::append_range(uses, backwardUses(user->getResult(0)));
    else if (!contains(user) && roleOf(user) != OpRole::View)
      uses.push_back(&use);
  }
  return uses;
}

bool ForwardHalf::waits(Value value) const {
  unsigned lastForward = 0, firstBackward = ~0u;
  std::function<void(Value)> visit = [&](Value shown) {
    for (Operation *user : shown.getUsers()) {
      if (roleOf(user) == OpRole::View && user->getOperand(0) == shown)
        visit(user->getResult(0));
      else if (contains(user))
        lastForward = std::max(lastForward, time(user));
      else
        firstBackward = std::min(firstBackward, time(user));
    }
  };
  visit(value);
  return firstBackward != ~0u && firstBackward > lastForward + 2;
}

std::vector<Value> ForwardHalf::narrowPoints(int64_t smallestBytes) const {
  std::function<unsigned(Value)> lastUse = [&](Value value) {
    unsigned last = 0;
    for (Operation *user : value.getUsers())
      if (roleOf(user) == OpRole::View && user->getOperand(0) == value)
        last = std::max(last, lastUse(user->getResult(0)));
      else if (contains(user))
        last = std::max(last, position(user));
    return last;
  };
  std::vector<Value> points;
  std::optional<unsigned> lastTime;
  SmallVector<std::pair<Value, unsigned>> alive;
  for (Operation *op : ops) {
    if (roleOf(op) == OpRole::View || roleOf(op) == OpRole::Source)
      continue;
    for (Value result : op->getResults())
      if (bytesOf(result) >= smallestBytes)
        alive.push_back({result, lastUse(result)});
    llvm::erase_if(alive, [&](const auto &entry) { return entry.second <= position(op); });
    if (alive.size() != 1)
      continue;
    Value value = alive.front().first;
    unsigned made = time(value.getDefiningOp()) + isHeavy(value.getDefiningOp());
    if (lastTime != made)
      points.push_back(value);
    else if (bytesOf(value) < bytesOf(points.back()))
      points.back() = value;
    lastTime = made;
  }
  return points;
}

} // namespace ingot
