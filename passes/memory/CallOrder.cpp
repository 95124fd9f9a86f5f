/// When calls run, and which of their results overwrite an operand under that order.
#include "passes/memory/BufferAssignment.h"
#include "llvm/ADT/STLExtras.h"
#include <numeric>

using namespace mlir;

namespace ingot {
namespace {

/// Moves that gain less than this share of the transient arena leave the order as it is: calls next
/// to each other share what lies in the caches.
constexpr int64_t smallestShare = 32;

} // namespace

//===--------------------------------------------------------------------------------------------===//
// Times
//===--------------------------------------------------------------------------------------------===//

void BufferAssignment::setTimes() {
  times.resize(calls.size());
  for (auto [time, call] : llvm::enumerate(order))
    times[call] = time;
  setSpans();
  for (Definition &definition : definitions)
    setLifetime(definition);
}

/// Has a call run right after another one.
void BufferAssignment::run(CallNumber call, CallNumber behind) {
  assert(call != behind);
  order.erase(llvm::find(order, call));
  order.insert(std::next(llvm::find(order, behind)), call);
}

/// What overwrites an argument (an update its parameters, and what derives from them) waits until
/// the last kernel has read the old value.
void BufferAssignment::sinkUpdates() {
  SmallVector<std::pair<CallNumber, CallNumber>> moves;
  for (CallNumber number : order) {
    const Call &call = calls[number];
    int64_t latest = times[number];
    for (Value result : func::CallOp(call.op).getResults())
      for (Value member : storage.members(result)) {
        const Definition *definition = definitionOf(member);
        if (definition && isArgument(member) && overlap(result, member) &&
            definition->last < int64_t(calls.size()))
          latest = std::max(latest, std::min(spanIn(call.scope, definition->last).second,
                                             scopes[call.scope].last));
      }
    if (latest != times[number])
      moves.push_back({number, order[latest]});
  }
  for (auto [call, behind] : moves)
    run(call, behind);
  if (!moves.empty())
    setTimes();
}

/// The time at which a result of `call` is read first, by a call beside it or by a loop or branch
/// that begins then; the number of calls if none does.
int64_t BufferAssignment::firstReader(CallNumber call) const {
  int64_t first = calls.size();
  const ScopeNumber scope = calls[call].scope;
  for (Value result : func::CallOp(calls[call].op).getResults()) {
    const Definition &definition = *definitionOf(result);
    for (CallNumber reader : definition.readers)
      first = std::min(first, spanIn(scope, times[reader]).first);
    for (ScopeNumber begun :
         llvm::concat<const ScopeNumber>(definition.begins, definition.handedTo))
      first = std::min(first, spanIn(scope, scopes[begun].first).first);
    if (!definition.ends.empty())
      first = std::min(first, scopes[scope].last + 1);
  }
  return first;
}

/// Bytes that a call would free if it ran right before its first reader: its results come later,
/// but what it alone still reads lives longer.
int64_t BufferAssignment::gainOfSinking(CallNumber number) {
  func::CallOp call = calls[number].op;
  int64_t now = times[number], gain = 0;
  auto readsLast = [&](Value operand) {
    return llvm::all_of(storage.members(operand), [&](Value member) {
      const Definition *definition = definitionOf(member);
      return !definition || definition->last <= now;
    });
  };
  for (Value result : call.getResults())
    gain += kernel::memoryBytes(result.getType());
  llvm::SmallDenseSet<Value> seen;
  for (Value operand : call.getOperands()) {
    Value root = storage.find(operand).root;
    if (seen.insert(root).second && !isPersistent(root) && readsLast(operand))
      gain -= kernel::memoryBytes(operand.getType());
  }
  return gain;
}

BufferAssignment::LivePeaks BufferAssignment::livePeaks() {
  std::vector<int64_t> live(calls.size() + 2); // first what each time adds
  for (const ArenaBuffer &buffer : transientBuffers()) {
    const int64_t bytes = llvm::alignTo(buffer.bytes, arenaAlignment);
    live[buffer.first] += bytes;
    live[buffer.last + 1] -= bytes;
  }
  std::partial_sum(live.begin(), live.end(), live.begin());
  LivePeaks peaks{std::vector<int64_t>(live.size() + 1), std::vector<int64_t>(live.size() + 1)};
  for (size_t time = 0; time < live.size(); ++time)
    peaks.before[time + 1] = std::max(peaks.before[time], live[time]);
  for (size_t time = live.size(); time-- > 0;)
    peaks.from[time] = std::max(peaks.from[time + 1], live[time]);
  return peaks;
}

/// Lets calls with large results wait for their first reader where the arena gets smaller: the
/// weight gradient of a tied embedding is formed when the embedding adds its part, not at the start
/// of the backward pass. A move changes the order alone; aliases that the function demands stay, so
/// each is judged by one walk over the calls and one layout. It changes nothing before the call and
/// from the reader on: where as much lives there as the arena has, it is not tried.
void BufferAssignment::lowerPeak() {
  int64_t best = transientEnd();
  SmallVector<std::pair<int64_t, CallNumber>> candidates;
  for (CallNumber call : order) {
    int64_t reader = firstReader(call);
    if (calls[call].isCopy || reader == times[call] + 1 || reader == int64_t(calls.size()))
      continue;
    if (int64_t gain = gainOfSinking(call); gain * smallestShare >= best)
      candidates.push_back({gain, call});
  }
  llvm::sort(candidates, [&](auto &a, auto &b) {
    return std::pair(-a.first, times[a.second]) < std::pair(-b.first, times[b.second]);
  });
  LivePeaks peaks = livePeaks();
  for (auto [gain, call] : candidates) {
    const int64_t reader = firstReader(call);
    if (reader == times[call] + 1)
      continue; // its reader has come, since other calls moved
    if (std::max(peaks.before[times[call]], peaks.from[reader]) >= best)
      continue;
    std::vector<CallNumber> before = order;
    AliasSets aliasesBefore = storage;
    Motions motionsBefore = motions;
    run(call, order[reader - 1]);
    setTimes();
    settleStorage();
    if (int64_t end = transientEnd(); end < best && (scopes.size() == 1 || !findHazard())) {
      best = end;
      peaks = livePeaks();
      continue;
    }
    order = std::move(before);
    storage = std::move(aliasesBefore);
    motions = std::move(motionsBefore);
    setTimes();
  }
}

//===--------------------------------------------------------------------------------------------===//
// In place
//===--------------------------------------------------------------------------------------------===//

bool BufferAssignment::overlap(Value a, Value b) {
  auto left = storage.find(a), right = storage.find(b);
  return left.root == right.root && left.offset < right.offset + bytesAt(b) &&
         right.offset < left.offset + bytesAt(a);
}

/// True if all of `a` lies in the memory of `b`.
bool BufferAssignment::within(Value a, Value b) {
  auto left = storage.find(a), right = storage.find(b);
  return left.root == right.root && left.offset >= right.offset &&
         left.offset + bytesAt(a) <= right.offset + bytesAt(b);
}

/// True if the operand's memory holds nothing that is read after this call or beside the pair.
bool BufferAssignment::mayReuse(const Call &call, kernel::PairAttr pair) {
  func::CallOp op = call.op;
  Value result = op.getResult(pair.getResult()), operand = op.getOperand(pair.getOperand());
  if (storage.find(result).root == storage.find(operand).root || motions.contains(result) ||
      motions.contains(operand))
    return false;
  bool neighbours = false; // others of its bucket
  for (Value member : storage.members(result))
    if (definitionOf(member) && member != result) {
      if (overlap(member, result))
        return false; // it already is in place of something else
      neighbours = true;
    }
  for (Value member : storage.members(operand)) {
    const Definition *definition = definitionOf(member);
    if (!definition)
      continue;
    if (neighbours && !within(member, operand))
      return false; // what comes along would meet the neighbours
    if (!overlap(member, operand))
      continue;
    if (!definition->isOwned() || definition->last > timeOf(call) ||
        crossesLoop(definition->scope, call.scope))
      return false;
  }
  for (auto [index, other] : llvm::enumerate(op.getOperands()))
    if (index != pair.getOperand() && overlap(other, operand))
      return false;
  return true;
}

/// Which tensors share memory under the present order. A copy that need not be made saves a call
/// and comes first.
void BufferAssignment::settleStorage() {
  storage = demanded;
  motions = demandedMotions;
  sinkUpdates();
  joinCopies();
  joinInPlace();
}

void BufferAssignment::joinInPlace() {
  for (CallNumber number : order)
    for (kernel::PairAttr pair : calls[number].schedule.getSharing())
      if (mayReuse(calls[number], pair))
        storage.join(calls[number].op.getResult(pair.getResult()),
                     calls[number].op.getOperand(pair.getOperand()), 0);
}

/// Memory that is written again is read no more, but by the kernel that may update it in place.
std::optional<OpResult> BufferAssignment::findHazard() {
  for (const Call &call : calls) {
    func::CallOp op = call.op;
    const int64_t now = timeOf(call);
    if (isElided(call))
      continue; // writes nothing
    for (auto [index, result] : llvm::enumerate(op->getResults())) {
      auto motion = motions.find(result);
      for (Value member : storage.members(result)) {
        const Definition *other = definitionOf(member);
        if (!other || member == result || !overlap(member, result))
          continue;
        if (other->first > now || (other->first == now && other->isConstant()))
          continue; // judged when that one is written
        if (other->kind == Definition::Kind::Stacked && motion != motions.end() &&
            member.getDefiningOp() == scopes[motion->second.scope].block->getParentOp())
          continue; // a part of it
        bool inPlace =
            !crossesLoop(other->scope, call.scope) &&
            llvm::any_of(call.schedule.getSharing(), [&](kernel::PairAttr pair) {
              return pair.getResult() == index && overlap(op.getOperand(pair.getOperand()), member);
            });
        bool readsIt =
            !isa<BlockArgument>(member) ||
            llvm::any_of(op.getOperands(), [&](Value operand) { return overlap(operand, member); });
        if (other->last > now || (other->last == now && !inPlace && readsIt))
          return result;
      }
    }
  }
  return std::nullopt;
}

} // namespace ingot
