/// Launches that run later, so that less memory is needed at once.
#include "passes/memory/FunctionPlan.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace ingot {
namespace {

/// Moves that gain less than this share of the transient arena leave the order as it is: launches
/// next to each other share what lies in the caches.
constexpr int64_t smallestShare = 32;

} // namespace

/// The first launch that reads `value`, through views too; the number of launches if none does.
int64_t FunctionPlan::firstUse(Value value) {
  int64_t first = launches.size();
  for (Operation *user : value.getUsers()) {
    if (auto launch = dyn_cast<graph::LaunchOp>(user))
      first = std::min(first, position[launch]);
    else if (!isa<func::ReturnOp>(user))
      for (Value view : user->getResults())
        first = std::min(first, firstUse(view));
  }
  return first;
}

/// Bytes that a launch would free if it ran right before its first reader: its results come later,
/// but what it alone still reads lives longer.
int64_t FunctionPlan::gainOfSinking(graph::LaunchOp launch) {
  int64_t now = position[launch], gain = 0;
  auto readsLast = [&](Value operand) {
    auto root = storage.find(operand).root;
    return llvm::all_of(storage.members(root), [&](Value member) {
      auto found = definitions.find(member);
      return found == definitions.end() || found->second.last <= now;
    });
  };
  for (Value result : launch.getResults())
    gain += storageBytes(result.getType());
  llvm::SmallDenseSet<Value> seen;
  for (Value operand : launch.getOperands()) {
    Value root = storage.find(operand).root;
    if (seen.insert(root).second && !isPersistent(root) && readsLast(operand))
      gain -= storageBytes(operand.getType());
  }
  return gain;
}

/// Lets launches with large results wait for their first reader where the arena gets smaller: the
/// weight gradient of a tied embedding is formed when the embedding adds its part, not at the start
/// of the backward pass.
LogicalResult FunctionPlan::lowerPeak() {
  int64_t best = transientEnd();
  SmallVector<std::pair<int64_t, graph::LaunchOp>> candidates;
  for (graph::LaunchOp launch : launches) {
    int64_t reader = launches.size();
    for (Value result : launch.getResults())
      reader = std::min(reader, firstUse(result));
    if (reader == position[launch] + 1 || reader == int64_t(launches.size()))
      continue;
    if (int64_t gain = gainOfSinking(launch); gain * smallestShare >= best)
      candidates.push_back({gain, launch});
  }
  llvm::sort(candidates, [&](auto &a, auto &b) {
    return std::pair(-a.first, position[a.second]) < std::pair(-b.first, position[b.second]);
  });
  Block &block = function.getBody().front();
  for (auto [gain, launch] : candidates) {
    auto before =
        llvm::map_to_vector(block.without_terminator(), [](Operation &op) { return &op; });
    int64_t reader = launches.size();
    for (Value result : launch.getResults())
      reader = std::min(reader, firstUse(result));
    moveBehind(launch, launches[reader - 1]);
    if (failed(join()))
      return failure();
    if (int64_t end = transientEnd(); end < best) {
      best = end;
      continue;
    }
    for (Operation *op : before)
      op->moveBefore(block.getTerminator());
    if (failed(join()))
      return failure();
  }
  return success();
}

} // namespace ingot
