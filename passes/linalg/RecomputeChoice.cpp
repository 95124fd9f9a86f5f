#include "passes/linalg/RecomputeChoice.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "passes/kernels/MinimumCut.h"
#include "passes/kernels/OpModel.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace ingot {
namespace {

/// What a byte that is kept costs beside `costPerElement` of what is computed: memory is what this
/// saves.
constexpr int64_t pricePerByte = 16;
constexpr int64_t flopsPerCost = 1024;
constexpr double nearlyLeast = 1.25;

} // namespace

/// True for what a kernel of the forward pass gives.
static bool isComputed(Operation *op) {
  return roleOf(op) != OpRole::View && roleOf(op) != OpRole::Source;
}

RecomputeChoice::RecomputeChoice(const ForwardHalf &forward, const TargetCosts &costs,
                                 int64_t smallestBytes)
    : forward(forward), costs(costs), smallestBytes(smallestBytes) {
  for (Operation *op : forward.inOrder())
    if (isComputed(op))
      for (Value result : op->getResults()) {
        const bool isSmall = bytesOf(result) < smallestBytes;
        const bool isRead = !isSmall && !forward.backwardUses(result).empty();
        if (isRead && forward.waits(result))
          demanded.push_back(result);
        else if (isSmall || isRead)
          free.insert(result);
      }
}

std::vector<Operation *> RecomputeChoice::candidates(int64_t stride) const {
  SmallVector<Operation *> heavy;
  llvm::copy_if(forward.inOrder(), std::back_inserter(heavy), isHeavy);
  std::vector<std::pair<double, Operation *>> priced;
  for (Operation *op : solve(heavy, stride).ops) {
    if (!isHeavy(op))
      continue;
    int64_t bytes = 0;
    for (Value result : op->getResults())
      bytes += bytesOf(result);
    priced.push_back({flopsOf(op) / double(std::max<int64_t>(bytes, 1)), op});
  }
  llvm::sort(priced, [&](const auto &a, const auto &b) {
    return std::pair(a.first, forward.position(a.second)) <
           std::pair(b.first, forward.position(b.second));
  });
  std::vector<Operation *> ops;
  for (auto &[price, op] : priced)
    ops.push_back(op);
  return ops;
}

Repetition RecomputeChoice::solve(ArrayRef<Operation *> heavy, int64_t stride) const {
  llvm::DenseSet<Operation *> mayRepeat;
  for (Operation *op : forward.inOrder())
    if (isa<linalg::GenericOp>(op) && roleOf(op) == OpRole::Point)
      mayRepeat.insert(op);
  if (heavy.empty())
    return cut(mayRepeat);
  mayRepeat.insert(heavy.begin(), heavy.end());
  for (Operation *op : forward.inOrder()) // a slice of what is recomputed
    if (roleOf(op) == OpRole::Point && isStridedMove(op))
      mayRepeat.insert(op);
  const std::vector<Value> points = forward.narrowPoints(smallestBytes);
  // Where the checkpoints start decides what comes before them (the MLP is more expensive than
  // attention's last projection): of the starts that keep hardly more than any, the cheapest.
  std::vector<Repetition> starts;
  for (int64_t start = 0; start < stride; ++start) {
    llvm::DenseSet<Operation *> between = mayRepeat;
    for (int64_t index = start; index < int64_t(points.size()); index += stride)
      between.erase(points[index].getDefiningOp());
    starts.push_back(cut(between));
  }
  int64_t least = llvm::min_element(starts, [](const Repetition &a, const Repetition &b) {
                    return a.kept < b.kept;
                  })->kept;
  llvm::erase_if(starts, [&](const Repetition &start) {
    return double(start.kept) > nearlyLeast * double(least);
  });
  return *llvm::min_element(
      starts, [](const Repetition &a, const Repetition &b) { return a.flops < b.flops; });
}

Repetition RecomputeChoice::cut(const llvm::DenseSet<Operation *> &mayRepeat) const {
  auto isFree = [&](Value value) { return free.contains(value); };
  llvm::DenseSet<Value> needed(demanded.begin(), demanded.end()); // and what these come from
  llvm::DenseSet<Operation *> repeatable;
  for (Operation *op : llvm::reverse(forward.inOrder())) {
    auto isRead = [&](Value result) { return needed.contains(result); };
    if (!isComputed(op) || !mayRepeat.contains(op) ||
        llvm::all_of(llvm::make_filter_range(op->getResults(), isRead), isFree))
      continue;
    repeatable.insert(op);
    for (Value operand : op->getOperands())
      needed.insert(viewSource(operand));
  }

  CutNetwork network;
  llvm::MapVector<Operation *, int> computed;
  llvm::MapVector<Value, int> shown;
  auto shownNode = [&](Value value) {
    auto [entry, isNew] = shown.try_emplace(value, 0);
    if (isNew) // not of the forward pass, or a constant: there anyway
      entry->second = network.add();
    return entry->second;
  };
  for (Operation *op : forward.inOrder()) {
    if (!isComputed(op))
      continue;
    int made = -1;
    for (Value result : op->getResults()) {
      if (!needed.contains(result))
        continue;
      if (made < 0)
        made = computed[op] = network.add();
      network.connect(made, shownNode(result), isFree(result) ? 0 : bytesOf(result) * pricePerByte);
    }
    if (made < 0)
      continue;
    if (!repeatable.contains(op)) {
      network.connect(CutNetwork::source, made, CutNetwork::unlimited);
      continue;
    }
    double cost = isHeavy(op) ? flopsOf(op) / flopsPerCost
                              : costPerElement(op, costs) * double(elementsOf(op->getResult(0)));
    network.connect(CutNetwork::source, made, std::max<int64_t>(1, int64_t(cost)));
    for (Value operand : op->getOperands())
      if (Operation *maker = operand.getDefiningOp(); !maker || roleOf(maker) != OpRole::Source)
        network.connect(shownNode(viewSource(operand)), made, CutNetwork::unlimited);
  }
  for (Value value : demanded)
    network.connect(shownNode(value), CutNetwork::sink, CutNetwork::unlimited);
  network.solve();
  Repetition repetition;
  auto isRepeated = [&](Operation *op) {
    auto made = computed.find(op);
    return made != computed.end() && network.isSinkSide(made->second);
  };
  for (Operation *op : forward.inOrder())
    if (isRepeated(op)) {
      repetition.ops.insert(op);
      repetition.flops += isHeavy(op) ? flopsOf(op) : 0;
    }
  for (Value value : demanded)
    (isRepeated(value.getDefiningOp()) ? repetition.spared : repetition.kept) += bytesOf(value);
  for (auto &[value, node] : shown) { // what is kept in their stead
    Operation *op = value.getDefiningOp();
    bool isKept = op && computed.contains(op) && !isRepeated(op) && network.isSinkSide(node);
    if (isKept && forward.backwardUses(value).empty()) {
      repetition.spared -= bytesOf(value);
      repetition.kept += bytesOf(value);
    }
  }
  return repetition;
}

} // namespace ingot
