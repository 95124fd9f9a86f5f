/// Pass recompute: values of the forward pass are dropped and recomputed in the backward pass.
#include "ir/dialect/Graph.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Passes.h"
#include "passes/kernels/OpModel.h"
#include "passes/linalg/RecomputeChoice.h"
#include "llvm/ADT/EquivalenceClasses.h"
#include "llvm/ADT/MapVector.h"
#include <map>

using namespace mlir;

namespace ingot {

#define GEN_PASS_DEF_RECOMPUTE
#include "passes/Passes.h.inc"

namespace {

/// How many ops around the clones are searched for the contraction whose epilogue they may join.
constexpr size_t mostNear = 100;

/// Clones of the repeated ops in the backward pass, each as late as its first reader allows:
/// what a whole layer, or several, recompute does not live before the gradient gets there.
class Clones {
public:
  Clones(const ForwardHalf &forward, ArrayRef<Operation *> repeated)
      : forward(forward), repeated(repeated.begin(), repeated.end()) {}
  void emit();

private:
  using Batch = SmallVector<Operation *>; ///< in program order

  void findNeeds();
  std::vector<Batch> batches();
  void emit(const Batch &batch);
  Value late(OpBuilder &builder, Value value);
  Operation *findToken(ArrayRef<OpOperand *> uses, Operation *first);

  const ForwardHalf &forward;
  llvm::SetVector<Operation *> repeated;
  llvm::DenseMap<Operation *, Operation *> needs; ///< the op of the backward pass that comes first
  llvm::DenseMap<Value, Value> cloned;            ///< of the batches so far
  // Of the batch that is being emitted:
  Value token;
  IRMapping mapping;
  llvm::SmallSetVector<Value, 8> kept; ///< values of the forward pass that the clones read
};

/// The first op of the backward pass that needs each repeated op, or what is computed from it.
void Clones::findNeeds() {
  for (Operation *op : llvm::reverse(repeated)) {
    Operation *&first = needs[op];
    auto note = [&](Operation *user) {
      if (user && (!first || forward.position(user) < forward.position(first)))
        first = user;
    };
    std::function<void(Value)> visit = [&](Value value) {
      for (Operation *user : value.getUsers())
        if (roleOf(user) == OpRole::View && user->getOperand(0) == value)
          visit(user->getResult(0));
        else if (repeated.contains(user))
          note(needs.lookup(user));
        else if (!forward.contains(user) && roleOf(user) != OpRole::View)
          note(user);
    };
    for (Value result : op->getResults())
      visit(result);
  }
}

/// Connected ops that are needed between the same two heavy ops are emitted at once, so that they
/// meet in one kernel. An op is needed no later than what is computed from it: ordered by need,
/// every batch finds the clones that it reads.
std::vector<Clones::Batch> Clones::batches() {
  llvm::EquivalenceClasses<Operation *> connected;
  for (Operation *op : repeated) {
    if (!needs.lookup(op))
      continue;
    connected.insert(op);
    for (Value operand : op->getOperands())
      if (Operation *maker = viewSource(operand).getDefiningOp();
          repeated.contains(maker) && forward.time(needs.lookup(maker)) == forward.time(needs[op]))
        connected.unionSets(op, maker);
  }
  llvm::MapVector<Operation *, Batch> components;
  for (Operation *op : repeated)
    if (needs.lookup(op))
      components[connected.getLeaderValue(op)].push_back(op);
  std::vector<Batch> sorted;
  for (auto &[leader, batch] : components)
    sorted.push_back(std::move(batch));
  llvm::stable_sort(sorted, [&](const Batch &a, const Batch &b) {
    return forward.time(needs[a.front()]) < forward.time(needs[b.front()]);
  });
  return sorted;
}

void Clones::emit() {
  findNeeds();
  for (const Batch &batch : batches())
    emit(batch);
}

/// The value as the backward pass sees it: a clone's, or what was kept, but not before the token.
Value Clones::late(OpBuilder &builder, Value value) {
  if (Value known = mapping.lookupOrNull(value))
    return known;
  Operation *op = value.getDefiningOp();
  if (!op || roleOf(op) == OpRole::Source)
    return value;
  Value result;
  if (roleOf(op) == OpRole::View) {
    mapping.map(op->getOperand(0), late(builder, op->getOperand(0)));
    result = isa<graph::AfterOp>(op) ? mapping.lookup(op->getOperand(0))
                                     : builder.clone(*op, mapping)->getResult(0);
  } else {
    Value again = cloned.lookup(value);
    if (!again)
      kept.insert(value);
    result = graph::AfterOp::create(builder, value.getLoc(), again ? again : value, token,
                                    /*apart=*/false);
  }
  mapping.map(value, result);
  return result;
}

/// The latest result of a contraction before `first` that elementwise ops combine with the clones:
/// all of them may be its epilogue. Else what stands right before `first`.
Operation *Clones::findToken(ArrayRef<OpOperand *> uses, Operation *first) {
  auto isBefore = [&](Operation *op) {
    return op && op->getBlock() == first->getBlock() && !forward.contains(op) &&
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
      if (isBefore(maker) && formOf(maker).epilogue == Epilogue::Points && isGeneric) {
        if (!latest || latest->isBeforeInBlock(maker))
          latest = maker;
      } else if (isGeneric && maker && isa<linalg::GenericOp>(maker) && !forward.contains(maker)) {
        near.insert(maker);
      }
    }
    if (roleOf(op) == OpRole::Point && isGeneric)
      for (Operation *user : op->getUsers())
        if (isa<linalg::GenericOp>(user))
          near.insert(user);
  }
  for (Operation *op = first->getPrevNode(); op && !latest; op = op->getPrevNode())
    if (isBefore(op) && op->getNumResults() > 0 && roleOf(op) != OpRole::View &&
        roleOf(op) != OpRole::Source)
      latest = op;
  return latest;
}

void Clones::emit(const Batch &batch) {
  SmallVector<OpOperand *> uses;
  for (Operation *op : batch)
    for (Value result : op->getResults())
      llvm::append_range(uses, forward.backwardUses(result));
  Operation *first = needs[batch.front()];
  for (Operation *op : batch)
    if (forward.position(needs[op]) < forward.position(first))
      first = needs[op];
  Operation *latest = findToken(uses, first);
  if (!latest)
    return; // the backward pass begins with it
  token = latest->getResult(0);
  mapping.clear();
  kept.clear();
  OpBuilder builder(first);
  for (Operation *op : batch) {
    for (Value operand : op->getOperands())
      mapping.map(operand, late(builder, operand));
    builder.clone(*op, mapping);
  }
  for (Operation *op : batch)
    for (Value result : op->getResults())
      cloned[result] = mapping.lookup(result);
  for (OpOperand *use : uses)
    use->set(late(builder, use->get()));
  // What else the backward pass computes from the kept values belongs with the clones.
  for (Value value : kept)
    for (OpOperand *use : forward.backwardUses(value))
      if (Operation *user = use->getOwner();
          roleOf(user) == OpRole::Point && first->isBeforeInBlock(user))
        use->set(late(builder, use->get()));
}

/// Moves of the backward pass (transposes, slices) that stand beside what they move go to their
/// first reader: the value waits till then.
void sinkMoves(const ForwardHalf &forward) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(forward.block()))) {
    if (roleOf(&op) != OpRole::Point || !isStridedMove(&op) || forward.contains(&op))
      continue;
    Operation *first = nullptr;
    for (Operation *user : op.getUsers())
      if (!first || user->isBeforeInBlock(first))
        first = user;
    if (first)
      op.moveBefore(first);
  }
}

struct RecomputePass : impl::RecomputeBase<RecomputePass> {
  using RecomputeBase::RecomputeBase;
  RecomputePass(const TargetCosts &costs, RecomputeOptions options)
      : RecomputeBase(std::move(options)), costs(costs) {}

  void runOnOperation() override {
    if (stride < 1) {
      emitError(getOperation().getLoc()) << "stride must be positive, but is " << int64_t(stride);
      return signalPassFailure();
    }
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function.isDeclaration())
        recompute(function);
  }

private:
  TargetCosts costs;

  void recompute(func::FuncOp function) {
    ForwardHalf forward;
    if (!forward.read(function))
      return;
    if (heavy > 0) {
      sinkMoves(forward);
      forward.read(function);
    }
    RecomputeChoice choice(forward, costs, smallestBytes);
    std::vector<Operation *> candidates;
    if (heavy > 0)
      candidates = choice.candidates(stride);
    size_t count = std::min<size_t>(candidates.size(), std::max<int64_t>(heavy, 0));
    Repetition repetition = choice.solve(ArrayRef(candidates).take_front(count), stride);
    if (repetition.spared >= leastBytes && !repetition.ops.empty())
      Clones(forward, repetition.ops.getArrayRef()).emit();
  }
};

} // namespace

std::unique_ptr<Pass> createRecompute(const TargetCosts &costs, RecomputeOptions options) {
  return std::make_unique<RecomputePass>(costs, std::move(options));
}

} // namespace ingot
