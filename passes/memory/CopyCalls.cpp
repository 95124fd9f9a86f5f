/// Copies into and out of loops and branches that need not be made: what is copied is made where
/// the copy would be.
#include "passes/memory/BufferAssignment.h"

using namespace mlir;

namespace ingot {

/// Two alias sets as one: `from`, which a call copies, lies where its result lies.
struct BufferAssignment::Merge {
  Value from, into;
  AliasSets::Place fromPlace, intoPlace;
  std::optional<Motion> motion; ///< of the result

  /// The byte at which a tensor would lie, from the root of the result's set; none for others.
  std::optional<int64_t> placeOf(AliasSets &sets, Value value) const {
    auto place = sets.find(value);
    if (place.root == intoPlace.root)
      return place.offset;
    if (place.root == fromPlace.root)
      return place.offset - fromPlace.offset + intoPlace.offset;
    return std::nullopt;
  }
};

/// True if every iteration of the loop makes the tensor and reads it, in no loop inside.
bool BufferAssignment::isMadeAndReadIn(const Definition &definition, ScopeNumber loop) const {
  return definition.call && definition.begins.empty() && definition.handedTo.empty() &&
         definition.ends.empty() && loopAround(definition.scope) == loop &&
         llvm::all_of(definition.readers,
                      [&](CallNumber reader) { return loopAround(calls[reader].scope) == loop; });
}

/// True if the call that makes `later` reads `earlier` for the last time and may overwrite it.
bool BufferAssignment::replaces(const Merge &merge, const Definition &later,
                                const Definition &earlier) {
  if (!later.call || later.first != earlier.last)
    return false;
  const Call &call = calls[*later.call];
  if (crossesLoop(earlier.scope, call.scope))
    return false;
  func::CallOp op = call.op;
  const unsigned result = cast<OpResult>(later.value).getResultNumber();
  const int64_t place = *merge.placeOf(storage, later.value), end = place + bytesAt(later.value);
  bool replaced = false;
  for (auto [index, operand] : llvm::enumerate(op.getOperands())) {
    std::optional<int64_t> at = merge.placeOf(storage, operand);
    if (!at || *at >= end || place >= *at + bytesAt(operand))
      continue;
    if (*at != place || motions.contains(operand) ||
        call.schedule.sharingOf(result, index) == kernel::Sharing::None)
      return false; // reads it after it is overwritten
    replaced = true;
  }
  return replaced;
}

bool BufferAssignment::mayMerge(const Merge &merge) {
  if (merge.fromPlace.root == merge.intoPlace.root || motions.contains(merge.from))
    return false;
  Value copied = merge.from; // whose view is copied
  while (copied.getDefiningOp() && !definitionOf(copied))
    copied = copied.getDefiningOp()->getOperand(0);
  for (Value member : storage.members(merge.from)) {
    if (merge.motion && motions.contains(member))
      return false;
    const Definition *definition = definitionOf(member);
    if (definition && (!definition->isOwned() || definition->isReturned ||
                       (merge.motion && !isMadeAndReadIn(*definition, merge.motion->scope))))
      return false;
  }
  for (Value member : storage.members(merge.from)) {
    const Definition *mine = definitionOf(member);
    if (!mine)
      continue;
    const int64_t first = *merge.placeOf(storage, member);
    int64_t end = first + bytesAt(member);
    if (merge.motion)
      end = std::max(end, first + bytesAt(merge.into));
    for (Value other : storage.members(merge.into)) {
      const Definition *theirs = definitionOf(other);
      if (!theirs || (member == copied && other == merge.into))
        continue; // the same contents
      if (merge.motion && theirs->kind == Definition::Kind::Stacked &&
          other.getDefiningOp() == scopes[merge.motion->scope].block->getParentOp())
        continue; // made of these parts
      const int64_t place = *merge.placeOf(storage, other);
      const bool apart = place >= end || first >= place + bytesAt(other) ||
                         mine->last < theirs->first || theirs->last < mine->first ||
                         replaces(merge, *mine, *theirs) || replaces(merge, *theirs, *mine);
      if (!apart)
        return false;
    }
  }
  return true;
}

void BufferAssignment::joinCopies() {
  for (CallNumber number : order) {
    const Call &call = calls[number];
    if (!call.isCopy)
      continue;
    func::CallOp op = call.op;
    Value from = op.getOperand(0), into = op.getResult(0);
    auto motion = motions.find(into);
    Merge merge{from, into, storage.find(from), storage.find(into),
                motion == motions.end() ? std::nullopt : std::optional(motion->second)};
    if (!mayMerge(merge))
      continue;
    if (merge.motion)
      for (Value member : storage.members(from))
        motions[member] = *merge.motion;
    // The root of the result's set stays.
    storage.join(merge.fromPlace.root, merge.intoPlace.root,
                 merge.intoPlace.offset - merge.fromPlace.offset);
  }
}

/// True for a copy onto itself.
bool BufferAssignment::isElided(const Call &call) {
  if (!call.isCopy)
    return false;
  func::CallOp op = call.op;
  Value from = op->getOperand(0), into = op->getResult(0);
  auto a = storage.find(from), b = storage.find(into);
  auto motionOf = [&](Value value) {
    auto motion = motions.find(value);
    return motion == motions.end() ? std::pair(ScopeNumber(0), int64_t(0))
                                   : std::pair(motion->second.scope, motion->second.bytes);
  };
  return a.root == b.root && a.offset == b.offset && motionOf(from) == motionOf(into);
}

} // namespace ingot
