/// Pass recompute: values of the forward pass are dropped and computed again in the backward pass.
#include "ir/Graph.h"
#include "mlir/IR/IRMapping.h"
#include "passes/KernelOps.h"
#include "passes/MinimumCut.h"
#include "passes/Passes.h"
#include "llvm/ADT/EquivalenceClasses.h"
#include "llvm/ADT/MapVector.h"
#include <functional>

using namespace mlir;

namespace ingot {

#define GEN_PASS_DEF_RECOMPUTE
#include "passes/Passes.h.inc"

namespace {

/// What a byte that is kept costs beside `costPerElement` of what is computed: memory is what this
/// pass saves.
constexpr int64_t pricePerByte = 16;
constexpr int64_t flopsPerCost = 1024;
/// How many ops around the clones are searched for the contraction whose epilogue they may join.
constexpr size_t mostNear = 100;

bool isHeavy(Operation *op) { return isa<graph::ContractOp, graph::AttentionOp>(op); }

/// Floating-point operations of a contraction or of attention.
double flopsOf(Operation *op) {
  if (auto attention = dyn_cast<graph::AttentionOp>(op)) {
    auto query = cast<RankedTensorType>(attention.getQuery().getType());
    auto key = cast<RankedTensorType>(attention.getKey().getType());
    double scores = double(query.getNumElements()) * key.getDimSize(key.getRank() - 2);
    return (attention.getCausal() ? 2 : 4) * scores;
  }
  auto contract = cast<graph::ContractOp>(op);
  double flops = 2.0 * elementsOf(contract);
  for (int64_t dimension : contract.getLhsContract())
    flops *= cast<RankedTensorType>(contract.getLhs().getType()).getDimSize(dimension);
  return flops;
}

/// The ops of a training step before the loss is known, those behind it, and what these read of
/// those.
class Passes {
public:
  /// False if the function returns no loss, or nothing but what the loss needs.
  bool read(func::FuncOp function);

  bool isForward(Operation *op) const { return op && forward.contains(op); }
  unsigned position(Operation *op) const { return positions.lookup(op); }
  /// Uses of a value or of its views by ops of the backward pass.
  SmallVector<OpOperand *> backwardUses(Value value) const;
  /// True if the value waits between the passes: long enough that dropping it frees memory.
  bool waits(Value value) const;
  ArrayRef<Operation *> forwardOps() const { return forward.getArrayRef(); } ///< in program order

private:
  llvm::SetVector<Operation *> forward;
  llvm::DenseMap<Operation *, unsigned> positions;
  llvm::DenseMap<Operation *, unsigned> heavyBefore; ///< contractions and attention before an op
};

bool Passes::read(func::FuncOp function) {
  Operation *terminator = function.front().getTerminator();
  SmallVector<Operation *> pending;
  for (unsigned index = 0; index < function.getNumResults(); ++index)
    if (auto name = function.getResultAttrOfType<StringAttr>(index, "graph.name");
        name && name.getValue() == "loss")
      if (Operation *op = terminator->getOperand(index).getDefiningOp())
        pending.push_back(op);
  llvm::DenseSet<Operation *> found(pending.begin(), pending.end());
  while (!pending.empty()) {
    Operation *op = pending.pop_back_val();
    // What `after` waits for is order, not data.
    for (Value operand :
         op->getOperands().take_front(isa<graph::AfterOp>(op) ? 1 : op->getNumOperands()))
      if (Operation *maker = operand.getDefiningOp(); maker && found.insert(maker).second)
        pending.push_back(maker);
  }
  unsigned next = 0, heavy = 0;
  for (Operation &op : function.front()) {
    positions[&op] = next++;
    heavyBefore[&op] = heavy;
    heavy += isHeavy(&op);
    if (found.contains(&op))
      forward.insert(&op);
  }
  return !forward.empty() && forward.size() + 1 < next;
}

SmallVector<OpOperand *> Passes::backwardUses(Value value) const {
  SmallVector<OpOperand *> uses;
  for (OpOperand &use : value.getUses()) {
    Operation *user = use.getOwner();
    if (kindOf(user) == OpKind::View && use.getOperandNumber() == 0)
      llvm::append_range(uses, backwardUses(user->getResult(0)));
    else if (!isForward(user) && kindOf(user) != OpKind::View)
      uses.push_back(&use);
  }
  return uses;
}

bool Passes::waits(Value value) const {
  unsigned lastForward = 0, firstBackward = ~0u;
  std::function<void(Value)> visit = [&](Value shown) {
    for (Operation *user : shown.getUsers()) {
      if (kindOf(user) == OpKind::View && user->getOperand(0) == shown)
        visit(user->getResult(0));
      else if (isForward(user))
        lastForward = std::max(lastForward, heavyBefore.lookup(user));
      else
        firstBackward = std::min(firstBackward, heavyBefore.lookup(user));
    }
  };
  visit(value);
  return firstBackward != ~0u && firstBackward > lastForward + 2;
}

/// Which ops are computed again: a minimum cut between the forward pass and what the backward pass
/// reads of it.
class Choice {
public:
  Choice(const Passes &passes, int64_t smallestBytes)
      : passes(passes), smallestBytes(smallestBytes) {}

  /// Contractions and attention in the order in which they are given up: cheapest by byte first,
  /// then from the model's start, whose values wait longest.
  std::vector<Operation *> candidates() const;
  /// With the elementwise ops, `heavy` may be computed again, but no more than `depth` of them in a
  /// row: what lies behind is kept.
  void solve(ArrayRef<Operation *> heavy, int64_t depth);

  llvm::SetVector<Operation *> repeated; ///< in program order
  int64_t spared = 0;                    ///< bytes that the backward pass reads and nobody keeps

private:
  const Passes &passes;
  int64_t smallestBytes;
};

std::vector<Operation *> Choice::candidates() const {
  std::vector<std::pair<double, Operation *>> priced;
  for (Operation *op : passes.forwardOps()) {
    if (!isHeavy(op))
      continue;
    int64_t bytes = 0;
    for (Value result : op->getResults())
      bytes += bytesOf(result);
    priced.push_back({flopsOf(op) / double(std::max<int64_t>(bytes, 1)), op});
  }
  llvm::sort(priced, [&](const auto &a, const auto &b) {
    return std::pair(a.first, passes.position(a.second)) <
           std::pair(b.first, passes.position(b.second));
  });
  std::vector<Operation *> ops;
  for (auto &[price, op] : priced)
    ops.push_back(op);
  return ops;
}

void Choice::solve(ArrayRef<Operation *> heavy, int64_t depth) {
  // How many heavy ops in a row lead to a value.
  llvm::DenseMap<Operation *, int64_t> depths;
  llvm::DenseSet<Operation *> mayRepeat, listed(heavy.begin(), heavy.end());
  for (Operation *op : passes.forwardOps()) {
    int64_t deepest = 0;
    for (Value operand : op->getOperands())
      if (Operation *maker = operand.getDefiningOp())
        deepest = std::max(deepest, depths.lookup(maker));
    bool isPoint = isa<linalg::GenericOp>(op) && kindOf(op) == OpKind::Point;
    bool isListed = listed.contains(op) && deepest < depth;
    if (isPoint || isListed)
      mayRepeat.insert(op);
    depths[op] = kindOf(op) == OpKind::View || isPoint ? deepest : isListed ? deepest + 1 : 0;
  }

  CutNetwork network;
  llvm::MapVector<Operation *, int> computed;
  llvm::MapVector<Value, int> shown;
  std::function<int(Value)> available = [&](Value value) -> int {
    value = viewSource(value);
    if (auto known = shown.find(value); known != shown.end())
      return known->second;
    int node = shown[value] = network.add();
    Operation *op = value.getDefiningOp();
    if (!op || !passes.isForward(op) || kindOf(op) == OpKind::Source)
      return node; // there anyway: it costs nothing to show it
    bool isNew = !computed.contains(op);
    if (isNew)
      computed[op] = network.add();
    int made = computed.lookup(op);
    bool isFree = bytesOf(value) < smallestBytes ||
                  (!passes.backwardUses(value).empty() && !passes.waits(value));
    network.connect(made, node, isFree ? 0 : bytesOf(value) * pricePerByte);
    if (!isNew)
      return node;
    if (!mayRepeat.contains(op) || isFree) {
      network.connect(CutNetwork::source, made, CutNetwork::unlimited);
      return node;
    }
    double cost = isHeavy(op) ? flopsOf(op) / flopsPerCost
                              : costPerElement(op) * double(elementsOf(op->getResult(0)));
    network.connect(CutNetwork::source, made, std::max<int64_t>(1, int64_t(cost)));
    for (Value operand : op->getOperands())
      if (Operation *maker = operand.getDefiningOp(); !maker || kindOf(maker) != OpKind::Source)
        network.connect(available(operand), made, CutNetwork::unlimited);
    return node;
  };
  SmallVector<Value> demanded;
  for (Operation *op : passes.forwardOps())
    if (kindOf(op) != OpKind::View && kindOf(op) != OpKind::Source)
      for (Value result : op->getResults())
        if (!passes.backwardUses(result).empty() && passes.waits(result) &&
            bytesOf(result) >= smallestBytes)
          demanded.push_back(result);
  for (Value value : demanded)
    network.connect(available(value), CutNetwork::sink, CutNetwork::unlimited);
  network.solve();
  repeated.clear();
  spared = 0;
  auto isRepeated = [&](Operation *op) {
    auto made = computed.find(op);
    return made != computed.end() && network.isSinkSide(made->second);
  };
  for (Operation *op : passes.forwardOps())
    if (isRepeated(op))
      repeated.insert(op);
  for (Value value : demanded)
    spared += isRepeated(value.getDefiningOp()) ? bytesOf(value) : 0;
  for (auto &[value, node] : shown) { // what is kept in their stead
    Operation *op = value.getDefiningOp();
    bool isKept = op && computed.contains(op) && !isRepeated(op) && network.isSinkSide(node);
    if (isKept && passes.backwardUses(value).empty())
      spared -= bytesOf(value);
  }
}

/// Clones of connected ops, right before the first op of the backward pass that needs them.
class Clones {
public:
  explicit Clones(const Passes &passes) : passes(passes) {}
  void emit(ArrayRef<Operation *> ops); ///< of one component, in program order

private:
  Value late(OpBuilder &builder, Value value);
  Operation *findToken(ArrayRef<OpOperand *> uses, Operation *first);

  const Passes &passes;
  Value token;
  IRMapping mapping;
  llvm::SmallSetVector<Value, 8> kept; ///< values of the forward pass that the clones read
};

/// The value as the backward pass sees it: a clone's, or what was kept, but not before the token.
Value Clones::late(OpBuilder &builder, Value value) {
  if (Value known = mapping.lookupOrNull(value))
    return known;
  Operation *op = value.getDefiningOp();
  if (!op || kindOf(op) == OpKind::Source)
    return value;
  Value result;
  if (kindOf(op) == OpKind::View) {
    mapping.map(op->getOperand(0), late(builder, op->getOperand(0)));
    result = isa<graph::AfterOp>(op) ? mapping.lookup(op->getOperand(0))
                                     : builder.clone(*op, mapping)->getResult(0);
  } else {
    kept.insert(value);
    result = graph::AfterOp::create(builder, value.getLoc(), value, token, /*apart=*/false);
  }
  mapping.map(value, result);
  return result;
}

/// The latest result of a contraction before `first` that elementwise ops combine with the clones:
/// all of them may be its epilogue. Else what stands right before `first`.
Operation *Clones::findToken(ArrayRef<OpOperand *> uses, Operation *first) {
  auto isBefore = [&](Operation *op) {
    return op && op->getBlock() == first->getBlock() && !passes.isForward(op) &&
           op->isBeforeInBlock(first);
  };
  Operation *latest = nullptr;
  llvm::SetVector<Operation *> near;
  for (OpOperand *use : uses)
    near.insert(use->getOwner());
  for (size_t index = 0; index < near.size() && index < mostNear; ++index) {
    Operation *op = near[index];
    bool isGeneric = isa<linalg::GenericOp>(op);
    for (Value operand : op->getOperands()) {
      Operation *maker = operand.getDefiningOp();
      if (isBefore(maker) && isa<graph::ContractOp>(maker) && isGeneric) {
        if (!latest || latest->isBeforeInBlock(maker))
          latest = maker;
      } else if (isGeneric && maker && isa<linalg::GenericOp>(maker) && !passes.isForward(maker)) {
        near.insert(maker);
      }
    }
    if (kindOf(op) == OpKind::Point && isGeneric)
      for (Operation *user : op->getUsers())
        if (isa<linalg::GenericOp>(user))
          near.insert(user);
  }
  for (Operation *op = first->getPrevNode(); op && !latest; op = op->getPrevNode())
    if (isBefore(op) && op->getNumResults() > 0 && kindOf(op) != OpKind::View &&
        kindOf(op) != OpKind::Source)
      latest = op;
  return latest;
}

void Clones::emit(ArrayRef<Operation *> ops) {
  SmallVector<OpOperand *> uses;
  for (Operation *op : ops)
    for (Value result : op->getResults())
      llvm::append_range(uses, passes.backwardUses(result));
  if (uses.empty())
    return;
  Operation *first = (*llvm::min_element(uses, [&](OpOperand *a, OpOperand *b) {
                       return passes.position(a->getOwner()) < passes.position(b->getOwner());
                     }))->getOwner();
  Operation *latest = findToken(uses, first);
  if (!latest)
    return; // the backward pass begins with it
  token = latest->getResult(0);
  OpBuilder builder(first);
  for (Operation *op : ops) {
    for (Value operand : op->getOperands())
      mapping.map(operand, late(builder, operand));
    builder.clone(*op, mapping);
  }
  for (OpOperand *use : uses)
    use->set(late(builder, use->get()));
  // What else the backward pass computes from the kept values belongs with the clones.
  for (Value value : kept)
    for (OpOperand *use : passes.backwardUses(value))
      if (Operation *user = use->getOwner();
          kindOf(user) == OpKind::Point && first->isBeforeInBlock(user))
        use->set(late(builder, use->get()));
}

struct RecomputePass : impl::RecomputeBase<RecomputePass> {
  using RecomputeBase::RecomputeBase;

  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function.isDeclaration())
        recompute(function);
  }

private:
  void recompute(func::FuncOp function) {
    Passes passes;
    if (!passes.read(function))
      return;
    Choice choice(passes, smallestBytes);
    std::vector<Operation *> candidates = choice.candidates();
    size_t count = std::min<size_t>(candidates.size(), std::max<int64_t>(heavy, 0));
    choice.solve(ArrayRef(candidates).take_front(count), depth);
    if (choice.spared < leastBytes || choice.repeated.empty())
      return;
    llvm::EquivalenceClasses<Operation *> connected;
    for (Operation *op : choice.repeated) {
      connected.insert(op);
      for (Value operand : op->getOperands())
        if (Operation *maker = viewSource(operand).getDefiningOp(); choice.repeated.contains(maker))
          connected.unionSets(op, maker);
    }
    llvm::MapVector<Operation *, SmallVector<Operation *>> components;
    for (Operation *op : choice.repeated)
      components[connected.getLeaderValue(op)].push_back(op);
    for (auto &[leader, ops] : components)
      Clones(passes).emit(ops);
  }
};

} // namespace
} // namespace ingot
