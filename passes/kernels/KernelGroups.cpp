#include "passes/kernels/KernelGroups.h"
#include "ir/dialect/Graph.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/linalg/GraphToLinalg.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/STLExtras.h"
#include <queue>

using namespace mlir;

namespace ingot {
namespace {

/// Reductions far apart in the step are not joined: their operands would live longer.
constexpr unsigned window = 20;

Root rootOf(OpKind kind) {
  switch (kind) {
  case OpKind::Contraction:
    return Root::Contraction;
  case OpKind::Attention:
    return Root::Attention;
  case OpKind::AttentionBackward:
    return Root::AttentionBackward;
  case OpKind::Update:
    return Root::Update;
  case OpKind::Indexing:
    return Root::Indexing;
  default:
    return Root::Elementwise;
  }
}

ArrayRef<int64_t> shapeOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape();
}

/// What `value` has to wait for, on the way through views.
SmallVector<graph::AfterOp> waitsOf(Value value) {
  SmallVector<graph::AfterOp> waits;
  for (Operation *op = value.getDefiningOp(); op && kindOf(op) == OpKind::View;
       op = op->getOperand(0).getDefiningOp())
    if (auto after = dyn_cast<graph::AfterOp>(op))
      waits.push_back(after);
  return waits;
}

/// Extents of a generic's loops.
SmallVector<int64_t> loopExtents(linalg::GenericOp op) { return op.getStaticLoopRanges(); }

} // namespace

StringRef name(Root root) {
  static constexpr StringRef names[] = {"elementwise", "row",       "column",
                                        "contraction", "attention", "attention_backward",
                                        "update",      "indexing"};
  return names[unsigned(root)];
}

LogicalResult KernelGroups::form(func::FuncOp function) {
  for (auto [index, op] : llvm::enumerate(function.getBody().front().without_terminator())) {
    positions[&op] = index;
    if (failed(place(&op)))
      return failure();
  }
  std::vector<unsigned> ordered = order();
  llvm::BitVector runs(groups.size());
  for (unsigned group : ordered)
    runs.set(group);
  for (auto [index, group] : llvm::enumerate(groups))
    if (!group.ops.empty() && !runs.test(index))
      return group.ops.front()->emitError("needs a kernel that in turn waits for it");
  return success();
}

LogicalResult KernelGroups::place(Operation *op) {
  switch (OpKind kind = kindOf(op)) {
  case OpKind::View:
  case OpKind::Source:
  case OpKind::Return:
    return success();
  case OpKind::Point:
    placePoint(op);
    return success();
  case OpKind::Reduction:
    placeReduction(cast<linalg::GenericOp>(op));
    return success();
  case OpKind::Unknown:
    if (op->getNumResults() != 1)
      return op->emitError("fits no kernel: it has ") << op->getNumResults() << " results";
    return op->emitError("fits no kernel");
  case OpKind::Contraction:
  case OpKind::Attention:
  case OpKind::AttentionBackward:
  case OpKind::Update:
  case OpKind::Indexing:
    open(rootOf(kind), op->getNumResults() ? shapeOf(op->getResult(0)) : ArrayRef<int64_t>(), 0,
         op);
    return success();
  }
}

//===--------------------------------------------------------------------------------------------===//
// The graph of groups
//===--------------------------------------------------------------------------------------------===//

std::optional<unsigned> KernelGroups::home(Value value) const {
  Operation *op = viewSource(value).getDefiningOp();
  auto found = op ? homes.find(op) : homes.end();
  return found == homes.end() ? std::nullopt : std::optional(found->second);
}

/// Groups of the values that an op reads; with `waits`, of those too that it only has to wait for.
SmallVector<unsigned> KernelGroups::operandGroups(Operation *op, bool waits) const {
  llvm::SmallSetVector<unsigned, 4> found;
  auto addHome = [&](Value value) {
    if (std::optional<unsigned> group = home(value))
      found.insert(*group);
  };
  for (Value operand : op->getOperands()) {
    addHome(operand);
    for (graph::AfterOp after : waitsOf(operand))
      if (waits || !after.getApart())
        llvm::for_each(after.getTokens(), addHome);
  }
  return found.takeVector();
}

unsigned KernelGroups::open(Root root, ArrayRef<int64_t> domain, int64_t reduced, Operation *op) {
  groups.push_back({root, llvm::to_vector(domain), reduced, {}, {}});
  add(groups.size() - 1, op);
  return groups.size() - 1;
}

void KernelGroups::add(unsigned group, Operation *op) {
  groups[group].ops.push_back(op);
  homes[op] = group;
  for (unsigned operand : operandGroups(op, /*waits=*/true))
    if (operand != group)
      groups[group].predecessors.insert(operand);
}

void KernelGroups::merge(unsigned into, unsigned from) {
  for (Operation *op : groups[from].ops) {
    groups[into].ops.push_back(op);
    homes[op] = into;
  }
  llvm::sort(groups[into].ops,
             [&](Operation *a, Operation *b) { return position(a) < position(b); });
  groups[from].ops.clear();
  for (unsigned predecessor : groups[from].predecessors)
    groups[into].predecessors.insert(predecessor);
  groups[into].predecessors.remove(from);
  groups[into].predecessors.remove(into);
  groups[from].predecessors.clear();
  for (KernelGroup &group : groups)
    if (group.predecessors.remove(from) && &group != &groups[into])
      group.predecessors.insert(into);
}

/// True if `from` needs `to` to run before it, on some path that does not start with the direct
/// dependence if `avoiding` names `to` itself.
bool KernelGroups::reaches(unsigned from, unsigned to, std::optional<unsigned> avoiding) const {
  llvm::BitVector seen(groups.size());
  SmallVector<unsigned> stack{from};
  while (!stack.empty()) {
    unsigned group = stack.pop_back_val();
    for (unsigned predecessor : groups[group].predecessors) {
      if (predecessor == to && !(group == from && avoiding == to))
        return true;
      if (predecessor == to || seen.test(predecessor))
        continue;
      seen.set(predecessor);
      stack.push_back(predecessor);
    }
  }
  return false;
}

/// Joining must not make a cycle: nothing the op reads or waits for may need the group.
bool KernelGroups::canAdd(unsigned group, Operation *op) const {
  for (Value operand : op->getOperands())
    for (graph::AfterOp after : waitsOf(operand))
      if (after.getApart() &&
          llvm::any_of(after.getTokens(), [&](Value token) { return home(token) == group; }))
        return false;
  return llvm::none_of(operandGroups(op, /*waits=*/true), [&](unsigned operand) {
    return operand != group && reaches(operand, group);
  });
}

bool KernelGroups::haveSameDomain(unsigned a, unsigned b) const {
  return groups[a].root == groups[b].root && groups[a].domain == groups[b].domain &&
         groups[a].reduced == groups[b].reduced;
}

/// Two groups can be one if neither needs the other through a third.
bool KernelGroups::canMerge(unsigned a, unsigned b) const {
  return haveSameDomain(a, b) && !reaches(a, b, b) && !reaches(b, a, a);
}

std::vector<unsigned> KernelGroups::order() const {
  std::vector<unsigned> waiting(groups.size(), 0), result;
  std::vector<SmallVector<unsigned>> successors(groups.size());
  using Entry = std::pair<unsigned, unsigned>; // position of the first op, group
  std::priority_queue<Entry, std::vector<Entry>, std::greater<Entry>> ready;
  for (unsigned group = 0; group < groups.size(); ++group) {
    waiting[group] = groups[group].predecessors.size();
    for (unsigned predecessor : groups[group].predecessors)
      successors[predecessor].push_back(group);
    if (waiting[group] == 0 && !groups[group].ops.empty())
      ready.push({position(groups[group].ops.front()), group});
  }
  while (!ready.empty()) {
    unsigned group = ready.top().second;
    ready.pop();
    result.push_back(group);
    for (unsigned successor : successors[group])
      if (--waiting[successor] == 0)
        ready.push({position(groups[successor].ops.front()), successor});
  }
  return result;
}

//===--------------------------------------------------------------------------------------------===//
// Placing ops
//===--------------------------------------------------------------------------------------------===//

/// The loops of an op that joins a group are the group's: where it reads a value of the group, both
/// must walk the same dimension. A row group also takes ops on one value per row, and the ops that
/// spread these over the row again; a column group takes ops on its sums alone.
bool KernelGroups::fitsDomain(const KernelGroup &group, unsigned index,
                              linalg::GenericOp op) const {
  SmallVector<int64_t> extents = loopExtents(op);
  ArrayRef<int64_t> domain = group.domain, kept = domain; // `kept`: of one value per row or column
  if (group.root == Root::Row)
    kept = domain.drop_back(group.reduced);
  if (group.root == Root::Column)
    kept = domain.drop_front(group.reduced);
  bool isFull = ArrayRef<int64_t>(extents) == domain && group.root != Root::Column;
  if (!isFull && ArrayRef<int64_t>(extents) != kept)
    return false;
  AffineMap output = op.getIndexingMapsArray().back();
  if (kindOf(op) == OpKind::Point && !output.isIdentity())
    return false;
  for (OpOperand *operand : op.getDpsInputOperands()) {
    if (home(operand->get()) != index)
      continue;
    if (viewSource(operand->get()) != operand->get())
      return false; // reshaped on the way: another iteration space
    AffineMap map = op.getMatchingIndexingMap(operand);
    bool isWholeLoop = map.isIdentity();
    bool isRowValue = group.root == Root::Row && shapeOf(operand->get()) == kept &&
                      map == AffineMap::getMultiDimIdentityMap(extents.size(), op.getContext())
                                 .getMajorSubMap(kept.size());
    if (!isWholeLoop && !isRowValue)
      return false;
  }
  return true;
}

/// Attention writes its results through permutations, reshapes and concatenation. A result that is
/// read in several forms is stored in the first: its readers move it for themselves.
bool KernelGroups::fitsAttention(unsigned group, Operation *op) const {
  bool isMove =
      isa<tensor::ConcatOp>(op) || (isStridedMove(op) && !isa<tensor::ExtractSliceOp>(op));
  return isMove && llvm::all_of(op->getOperands(), [&](Value operand) {
           if (operand.getDefiningOp<tensor::EmptyOp>())
             return true;
           return home(operand) == group && operand.hasOneUse() && viewSource(operand).hasOneUse();
         });
}

bool KernelGroups::fits(unsigned index, Operation *op) const {
  const KernelGroup &group = groups[index];
  switch (group.root) {
  case Root::Attention:
  case Root::AttentionBackward:
    return fitsAttention(index, op);
  case Root::Elementwise:
  case Root::Row:
  case Root::Column:
  case Root::Contraction:
    if (auto generic = dyn_cast<linalg::GenericOp>(op))
      return fitsDomain(group, index, generic);
    return false;
  case Root::Update:   // runs on flat storage
  case Root::Indexing: // writes in the order of the indices
    return false;
  }
}

/// Joins the latest group it reads from that takes it; groups of rows that meet in it become one.
void KernelGroups::placePoint(Operation *op) {
  SmallVector<unsigned> operands = operandGroups(op, /*waits=*/false);
  std::optional<unsigned> best;
  for (unsigned candidate : operands) {
    if (!fits(candidate, op) || !canAdd(candidate, op))
      continue;
    if (!best || reaches(candidate, *best) || (!reaches(*best, candidate) && candidate > *best))
      best = candidate;
  }
  if (!best) {
    // Scalars are gathered in few kernels: any earlier group of scalars will do.
    if (elementsOf(op->getResult(0)) == 1 && isa<linalg::GenericOp>(op))
      for (unsigned group = 0; group < groups.size() && !best; ++group)
        if (groups[group].root == Root::Elementwise && !groups[group].ops.empty() &&
            groups[group].domain == shapeOf(op->getResult(0)) && canAdd(group, op))
          best = group;
    if (!best) {
      open(Root::Elementwise, shapeOf(op->getResult(0)), 0, op);
      return;
    }
  }
  for (unsigned other : operands)
    if (other != *best && groups[*best].root == Root::Row && fits(other, op) &&
        canMerge(*best, other) && canAdd(other, op))
      merge(*best, other);
  add(*best, op);
}

/// True for the addition of two scalars.
static bool addsScalars(Operation *op) {
  auto generic = dyn_cast<linalg::GenericOp>(op);
  return generic && elementsOf(op->getResult(0)) == 1 && kindOf(op) == OpKind::Point &&
         llvm::hasSingleElement(generic.getBody()->without_terminator()) &&
         isa<arith::AddFOp>(generic.getBody()->front());
}

/// The sum over several tensors, such as the square of the gradients' norm, of which this reduction
/// is a share (or a part of a share); none if it is not added to other scalars.
static Operation *wholeSum(linalg::GenericOp op) {
  Operation *sum = nullptr, *last = op;
  while (last->getResult(0).hasOneUse()) {
    Operation *user = *last->getResult(0).user_begin();
    bool isTotal = !sum && kindOf(user) == OpKind::Reduction && elementsOf(user->getResult(0)) == 1;
    if (addsScalars(user))
      sum = user;
    else if (!isTotal)
      break;
    last = user;
  }
  return sum;
}

/// True if the op and the group read one tensor.
static bool readsSame(const KernelGroup &group, Operation *op) {
  for (Value operand : op->getOperands()) {
    Operation *source = viewSource(operand).getDefiningOp();
    if (source && kindOf(source) == OpKind::Source)
      continue;
    for (Operation *member : group.ops)
      if (llvm::is_contained(member->getOperands(), operand))
        return true;
  }
  return false;
}

/// Rows: the last dimensions are reduced; columns: the first ones. Sums over rows join the rows
/// that they read from or beside, and the other shares of a sum over several tensors; columns join
/// what columns of that shape there are.
void KernelGroups::placeReduction(linalg::GenericOp op) {
  SmallVector<unsigned> operands = operandGroups(op, /*waits=*/false);
  SmallVector<int64_t> extents = loopExtents(op);
  int64_t reduced = op.getNumReductionLoops();
  auto loops = op.getIteratorTypesArray();
  bool isRow = llvm::all_of(ArrayRef(loops).take_back(reduced), [](utils::IteratorType kind) {
    return kind == utils::IteratorType::reduction;
  });
  Root root = isRow ? Root::Row : Root::Column;
  Operation *sum = isRow ? wholeSum(op) : nullptr;
  std::optional<unsigned> best;
  for (unsigned index = 0; index < groups.size(); ++index) {
    const KernelGroup &group = groups[index];
    // Rows share all loops; columns may differ in width.
    size_t shared = root == Root::Row ? extents.size() : size_t(reduced);
    if (group.root != root || group.ops.empty() || group.reduced != reduced ||
        (root == Root::Row && group.domain != extents) ||
        ArrayRef(group.domain).take_front(shared) != ArrayRef(extents).take_front(shared) ||
        !canAdd(index, op))
      continue;
    bool reads = llvm::is_contained(operands, index);
    bool isNear = index + window >= groups.size();
    bool isShare = sum && sums.lookup(index) == sum && !reads;
    bool joins = root == Root::Row ? (reads ? fitsDomain(group, index, op)
                                            : isShare || (isNear && readsSame(group, op)))
                                   : isNear && !reads;
    if (joins)
      best = index;
  }
  if (best)
    return add(*best, op);
  unsigned group = open(root, extents, reduced, op);
  if (sum)
    sums[group] = sum;
}

} // namespace ingot
