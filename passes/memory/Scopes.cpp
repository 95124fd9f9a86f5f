/// Loops and branches of a function: what is known where, and how long it lives.
#include "passes/memory/BufferAssignment.h"

using namespace mlir;

namespace ingot {

LogicalResult BufferAssignment::findScopes(Block &block, ScopeNumber around) {
  const ScopeNumber number = scopes.size();
  scopes.push_back({&block, around});
  bool hasCalls = false;
  for (Operation &op : block) {
    hasCalls |= isa<func::CallOp>(op);
    if (isa<graph::LoopOp, graph::IfOp>(op))
      for (Region &region : op.getRegions()) {
        hasCalls = true;
        if (failed(findScopes(region.front(), number)))
          return failure();
      }
  }
  if (number > 0 && !hasCalls)
    return block.getParentOp()->emitError("cannot be planned: a block of it calls no kernel");
  return success();
}

BufferAssignment::ScopeNumber BufferAssignment::scopeOf(Value value) const {
  Block *block = value.getParentBlock();
  return llvm::find_if(scopes, [&](const Scope &scope) { return scope.block == block; }) -
         scopes.begin();
}

/// The innermost loop's body that a scope is in or is; the function if there is none.
BufferAssignment::ScopeNumber BufferAssignment::loopAround(ScopeNumber scope) const {
  while (scope > 0 && !scopes[scope].loop())
    scope = scopes[scope].around;
  return scope;
}

/// True if a loop runs `inner` several times for one time of `outer`, which is around it or itself.
bool BufferAssignment::crossesLoop(ScopeNumber outer, ScopeNumber inner) const {
  for (; inner > outer; inner = scopes[inner].around)
    if (scopes[inner].loop())
      return true;
  return false;
}

/// Times of the first and the last call of the loop or branch in `scope` that is running at `time`;
/// `time` itself where a call of the scope runs, or none that is inside it.
std::pair<int64_t, int64_t> BufferAssignment::spanIn(ScopeNumber scope, int64_t time) const {
  if (time >= int64_t(order.size()))
    return {time, time};
  ScopeNumber inner = calls[order[time]].scope;
  while (inner > scope && scopes[inner].around != scope)
    inner = scopes[inner].around;
  if (inner <= scope)
    return {time, time};
  std::pair<int64_t, int64_t> span{time, time};
  Operation *op = scopes[inner].block->getParentOp();
  for (const Scope &side : scopes) // a branch has two
    if (side.block->getParentOp() == op)
      span = {std::min(span.first, side.first), std::max(span.second, side.last)};
  return span;
}

void BufferAssignment::setSpans() {
  for (Scope &scope : scopes)
    scope.first = order.size(), scope.last = -1;
  for (auto [time, call] : llvm::enumerate(order))
    for (ScopeNumber scope = calls[call].scope;; scope = scopes[scope].around) {
      scopes[scope].first = std::min(scopes[scope].first, int64_t(time));
      scopes[scope].last = std::max(scopes[scope].last, int64_t(time));
      if (scope == 0)
        break;
    }
}

void BufferAssignment::setLifetime(Definition &definition) const {
  const Scope &scope = scopes[definition.scope];
  definition.first = 0;
  switch (definition.kind) {
  case Definition::Kind::Argument:
  case Definition::Kind::Constant:
    break;
  case Definition::Kind::Result:
    definition.first = times[*definition.call];
    break;
  case Definition::Kind::Counter:
  case Definition::Kind::Carried:
    definition.first = scope.first;
    break;
  case Definition::Kind::Ended:
  case Definition::Kind::Stacked: {
    Operation *op = definition.value.getDefiningOp();
    for (const Scope &inner : scopes)
      if (inner.block->getParentOp() == op)
        definition.first = definition.kind == Definition::Kind::Stacked
                               ? inner.first
                               : std::max(definition.first, inner.last + 1);
  }
  }
  definition.last = definition.isReturned ? int64_t(calls.size()) : definition.first;
  // What is read in a loop is read in its last iteration.
  auto readAt = [&](int64_t time, ScopeNumber where) {
    for (; where > definition.scope; where = scopes[where].around)
      if (scopes[where].loop())
        time = std::max(time, scopes[where].last);
    definition.last = std::max(definition.last, time);
  };
  for (CallNumber reader : definition.readers)
    readAt(times[reader], calls[reader].scope);
  for (ScopeNumber begun : definition.begins)
    readAt(scopes[begun].first, scopes[begun].around);
  for (ScopeNumber taker : definition.handedTo)
    readAt(scopes[taker].first - 1, scopes[taker].around);
  for (ScopeNumber ended : definition.ends)
    readAt(scopes[ended].last, ended);
  if (definition.kind == Definition::Kind::Counter)
    definition.last = std::max(definition.last, scope.last);
  if (definition.kind == Definition::Kind::Stacked)
    for (const Scope &inner : scopes)
      if (inner.block->getParentOp() == definition.value.getDefiningOp())
        definition.last = std::max(definition.last, inner.last);
}

/// Bytes from a tensor's place, in all iterations of the loop that moves it.
int64_t BufferAssignment::bytesAt(Value value) const {
  int64_t bytes = kernel::memoryBytes(value.getType());
  auto motion = motions.find(value);
  if (motion == motions.end())
    return bytes;
  const int64_t trips = scopes[motion->second.scope].loop().getMostTrips().value_or(1);
  return bytes + std::max<int64_t>(0, trips - 1) * motion->second.bytes;
}

void BufferAssignment::defineInRegions() {
  using Kind = Definition::Kind;
  for (const Scope &scope : llvm::drop_begin(scopes)) {
    Operation *op = scope.block->getParentOp();
    size_t carried = op->getNumResults();
    if (graph::LoopOp loop = scope.loop()) {
      define(loop.getCounter(), Kind::Counter);
      for (Value argument : loop.getCarriedArguments())
        define(argument, Kind::Carried);
      carried = loop.getCarried().size();
    }
    if (scope.block == &op->getRegion(0).front())
      for (auto [index, result] : llvm::enumerate(op->getResults()))
        define(result, index < carried ? Kind::Ended : Kind::Stacked);
  }
}

} // namespace ingot
