#include "passes/kernels/KernelGroups.h"
#include "ir/dialect/GraphBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/linalg/GraphToLinalg.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/STLExtras.h"
#include <queue>
#include <set>

using namespace mlir;

namespace ingot {

using graph::shapeOf;

namespace {

/// What `value` has to wait for, on the way through views.
SmallVector<graph::AfterOp> waitsOf(Value value) {
  SmallVector<graph::AfterOp> waits;
  for (Operation *op = value.getDefiningOp(); op && roleOf(op) == OpRole::View;
       op = op->getOperand(0).getDefiningOp())
    if (auto after = dyn_cast<graph::AfterOp>(op))
      waits.push_back(after);
  return waits;
}

/// A kernel that is built around no op alone.
KernelForm pointKernel(KernelRoot root) { return {OpRole::Point, root, Epilogue::Points}; }

/// Extents of a generic's loops.
SmallVector<int64_t> loopExtents(linalg::GenericOp op) { return op.getStaticLoopRanges(); }

} // namespace

LogicalResult KernelGroups::form(Block &block) {
  for (auto [index, op] : llvm::enumerate(block.without_terminator())) {
    positions[&op] = index;
    if (failed(place(&op)))
      return failure();
  }
  for (KernelGroup &group : groups) // merged groups brought theirs along
    llvm::sort(group.ops, [&](Operation *a, Operation *b) { return position(a) < position(b); });
  std::vector<unsigned> ordered = order();
  llvm::BitVector runs(groups.size());
  for (unsigned group : ordered)
    runs.set(group);
  for (auto [index, group] : llvm::enumerate(groups))
    if (!group.ops.empty() && !runs.test(index))
      return group.ops.front()->emitError("is part of a cyclic dependency between kernels");
  return success();
}

LogicalResult KernelGroups::place(Operation *op) {
  switch (KernelForm form = formOf(op); form.role) {
  case OpRole::View:
  case OpRole::Source:
    return success();
  case OpRole::Point:
    placePoint(op);
    return success();
  case OpRole::Reduction:
    placeReduction(cast<linalg::GenericOp>(op));
    return success();
  case OpRole::Root:
    open(form, op->getNumResults() ? shapeOf(op->getResult(0)) : ArrayRef<int64_t>(), 0, op);
    return success();
  case OpRole::Region:
    open(form, {}, 0, op);
    return success();
  case OpRole::Unknown:
    break;
  }
  if (op->getNumResults() != 1)
    return op->emitError("fits no kernel: it has ") << op->getNumResults() << " results";
  return op->emitError("fits no kernel");
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
  for (Value operand : valuesRead(op)) {
    addHome(operand);
    for (graph::AfterOp after : waitsOf(operand))
      if (waits || !after.getApart())
        llvm::for_each(after.getTokens(), addHome);
  }
  return found.takeVector();
}

unsigned KernelGroups::open(KernelForm form, ArrayRef<int64_t> domain, int64_t reduced,
                            Operation *op) {
  unsigned group = needs.add();
  groups.push_back({form.root, llvm::to_vector(domain), reduced, {}, {}, form.epilogue});
  add(group, op);
  return group;
}

void KernelGroups::add(unsigned group, Operation *op) {
  groups[group].ops.push_back(op);
  groups[group].reads.insert(op->operand_begin(), op->operand_end());
  homes[op] = group;
  for (unsigned operand : operandGroups(op, /*waits=*/true))
    needs.connect(operand, group);
}

/// A kernel is code of its own, and compilers take more than linear time for long ones.
bool KernelGroups::isFull(unsigned group, size_t more) const {
  constexpr size_t mostOps = 512;
  return groups[group].ops.size() + more > mostOps;
}

void KernelGroups::merge(unsigned into, unsigned from) {
  for (Operation *op : groups[from].ops)
    homes[op] = into;
  llvm::append_range(groups[into].ops, groups[from].ops);
  groups[into].reads.insert(groups[from].reads.begin(), groups[from].reads.end());
  groups[from].ops.clear();
  groups[from].reads.clear();
  needs.merge(into, from);
}

/// Joining must not make a cycle: nothing the op reads or waits for may need the group.
bool KernelGroups::canAdd(unsigned group, Operation *op) const {
  for (Value operand : op->getOperands())
    for (graph::AfterOp after : waitsOf(operand))
      if (after.getApart() &&
          llvm::any_of(after.getTokens(), [&](Value token) { return home(token) == group; }))
        return false;
  return llvm::none_of(operandGroups(op, /*waits=*/true), [&](unsigned operand) {
    return operand != group && needs.reaches(operand, group);
  });
}

bool KernelGroups::haveSameDomain(unsigned a, unsigned b) const {
  return groups[a].root == groups[b].root && groups[a].domain == groups[b].domain &&
         groups[a].reduced == groups[b].reduced;
}

/// Two groups can be one if neither needs the other through a third.
bool KernelGroups::canMerge(unsigned a, unsigned b) const {
  return haveSameDomain(a, b) && !needs.reachesIndirectly(a, b) && !needs.reachesIndirectly(b, a);
}

std::vector<unsigned> KernelGroups::order() const {
  std::vector<unsigned> waiting(groups.size(), 0), result;
  using Entry = std::pair<unsigned, unsigned>; // position of the first op, group
  std::priority_queue<Entry, std::vector<Entry>, std::greater<Entry>> ready;
  for (unsigned group = 0; group < groups.size(); ++group) {
    waiting[group] = needs.predecessors(group).size();
    if (waiting[group] == 0 && !groups[group].ops.empty())
      ready.push({position(groups[group].ops.front()), group});
  }
  while (!ready.empty()) {
    unsigned group = ready.top().second;
    ready.pop();
    result.push_back(group);
    for (unsigned successor : needs.successors(group))
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
  if (group.root == KernelRoot::Row)
    kept = domain.drop_back(group.reduced);
  if (group.root == KernelRoot::Column)
    kept = domain.drop_front(group.reduced);
  bool isFull = ArrayRef<int64_t>(extents) == domain && group.root != KernelRoot::Column;
  if (!isFull && ArrayRef<int64_t>(extents) != kept)
    return false;
  AffineMap output = op.getIndexingMapsArray().back();
  if (roleOf(op) == OpRole::Point && !output.isIdentity())
    return false;
  for (OpOperand *operand : op.getDpsInputOperands()) {
    if (home(operand->get()) != index)
      continue;
    if (viewSource(operand->get()) != operand->get())
      return false; // reshaped on the way: another iteration space
    AffineMap map = op.getMatchingIndexingMap(operand);
    bool isWholeLoop = map.isIdentity();
    bool isRowValue = group.root == KernelRoot::Row && shapeOf(operand->get()) == kept &&
                      map == AffineMap::getMultiDimIdentityMap(extents.size(), op.getContext())
                                 .getMajorSubMap(kept.size());
    if (!isWholeLoop && !isRowValue)
      return false;
  }
  return true;
}

/// True for the first elements of a sort's lines, where nothing reads the others.
static bool isHeadOfLines(Operation *op) {
  auto slice = dyn_cast<tensor::ExtractSliceOp>(op);
  auto sort = slice ? slice.getSource().getDefiningOp<graph::SortOp>() : graph::SortOp();
  if (!sort || !slice.getSource().hasOneUse() || !slice.hasUnitStride())
    return false;
  for (auto [dim, offset, size, whole] : llvm::enumerate(
           slice.getStaticOffsets(), slice.getStaticSizes(), slice.getSourceType().getShape()))
    if (offset != 0 || (size != whole && int64_t(dim) != int64_t(sort.getDimension())))
      return false;
  return slice.getType().getRank() == slice.getSourceType().getRank();
}

/// A sort stores heads of its lines. Others write their results through permutations, reshapes and
/// concatenation. A result that is read in several forms is stored in the first: its readers move
/// it for themselves.
bool KernelGroups::fitsMoves(unsigned group, Operation *op) const {
  if (groups[group].root == KernelRoot::Sort)
    return isHeadOfLines(op);
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
  if (isFull(index))
    return false;
  switch (group.epilogue) {
  case Epilogue::Moves:
    return fitsMoves(index, op);
  case Epilogue::Points:
    if (auto generic = dyn_cast<linalg::GenericOp>(op))
      return fitsDomain(group, index, generic);
    return false;
  case Epilogue::None:
    return false;
  }
}

/// The latest group of `operands` that takes the op.
std::optional<unsigned> KernelGroups::latestTaker(ArrayRef<unsigned> operands,
                                                  Operation *op) const {
  SmallVector<unsigned> candidates;
  llvm::copy_if(operands, std::back_inserter(candidates),
                [&](unsigned group) { return fits(group, op); });
  while (!candidates.empty()) {
    unsigned *best = candidates.begin();
    for (unsigned &candidate : candidates)
      if (needs.reaches(candidate, *best) ||
          (!needs.reaches(*best, candidate) && candidate > *best))
        best = &candidate;
    if (canAdd(*best, op))
      return *best;
    candidates.erase(best);
  }
  return std::nullopt;
}

/// Scalars are gathered in few kernels: any earlier group of scalars will do.
std::optional<unsigned> KernelGroups::scalarTaker(Operation *op) const {
  if (elementsOf(op->getResult(0)) != 1 || !isa<linalg::GenericOp>(op))
    return std::nullopt;
  for (unsigned group : scalars)
    if (groups[group].domain == shapeOf(op->getResult(0)) && canAdd(group, op))
      return group;
  return std::nullopt;
}

/// Joins the latest group it reads from that takes it; groups of rows that meet in it become one.
void KernelGroups::placePoint(Operation *op) {
  SmallVector<unsigned> operands = operandGroups(op, /*waits=*/false);
  std::optional<unsigned> best;
  if (fuse)
    best = latestTaker(operands, op);
  if (fuse && !best)
    best = scalarTaker(op);
  if (!best) {
    unsigned group = open(pointKernel(KernelRoot::Elementwise), shapeOf(op->getResult(0)), 0, op);
    if (elementsOf(op->getResult(0)) == 1)
      scalars.push_back(group);
    return;
  }
  for (unsigned other : operands)
    if (other != *best && groups[*best].root == KernelRoot::Row && fits(other, op) &&
        !isFull(*best, groups[other].ops.size() + 1) && canMerge(*best, other) && canAdd(other, op))
      merge(*best, other);
  add(*best, op);
}

/// True for the addition of two scalars.
static bool addsScalars(Operation *op) {
  auto generic = dyn_cast<linalg::GenericOp>(op);
  return generic && elementsOf(op->getResult(0)) == 1 && roleOf(op) == OpRole::Point &&
         llvm::hasSingleElement(generic.getBody()->without_terminator()) &&
         isa<arith::AddFOp>(generic.getBody()->front());
}

/// The sum over several tensors, such as the square of the gradients' norm, of which this reduction
/// is a share (or a part of a share); none if it is not added to other scalars.
static Operation *wholeSum(linalg::GenericOp op) {
  if (op->getNumResults() != 1)
    return nullptr;
  Operation *sum = nullptr, *last = op;
  while (last->getResult(0).hasOneUse()) {
    Operation *user = *last->getResult(0).user_begin();
    bool isTotal = !sum && roleOf(user) == OpRole::Reduction && elementsOf(user->getResult(0)) == 1;
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
  return llvm::any_of(op->getOperands(), [&](Value operand) {
    Operation *source = viewSource(operand).getDefiningOp();
    return (!source || roleOf(source) != OpRole::Source) && group.reads.contains(operand);
  });
}

/// The optimizer update that takes the op's results as they are; null if none does.
static Operation *updateOf(Operation *op) {
  for (Operation *user : op->getUsers()) {
    if (isRoot(user, KernelRoot::Update))
      return user;
    if (roleOf(user) == OpRole::View)
      if (Operation *update = updateOf(user))
        return update;
  }
  return nullptr;
}

/// True if updates of their own take the op's results and the group's: the first update would wait
/// for the second one's gradients, and keep its own in memory for as long.
static bool delaysUpdate(const KernelGroup &group, Operation *op) {
  Operation *update = updateOf(op);
  return update && llvm::any_of(group.ops, [&](Operation *other) {
           Operation *otherUpdate = updateOf(other);
           return otherUpdate && otherUpdate != update;
         });
}

/// The places of tensors that a reduction reads, in its own loops: `map` is how it reads `value`.
/// What functions of elements read counts, as they are computed where their results are.
static void forPlacesRead(Value value, AffineMap map,
                          llvm::DenseSet<std::pair<Value, AffineMap>> &seen,
                          llvm::function_ref<void(AffineMap)> visit) {
  if (!seen.insert({value, map}).second)
    return;
  visit(map);
  auto maker = value.getDefiningOp<linalg::GenericOp>();
  if (!maker || maker.getNumReductionLoops() ||
      !maker.getMatchingIndexingMap(maker.getDpsInitOperand(0)).isIdentity())
    return;
  for (OpOperand *operand : maker.getDpsInputOperands())
    forPlacesRead(operand->get(), maker.getMatchingIndexingMap(operand).compose(map), seen, visit);
}

/// True for a reduction of windows: a tensor is walked by sums of kept and reduced loops, and
/// these kept ones are longer than the reduced: neighbouring results read neighbouring elements.
/// Else the windows lie along the sums, as in the gradient of a filter.
static bool reducesWindows(linalg::GenericOp op) {
  const auto loops = op.getIteratorTypesArray();
  const SmallVector<int64_t> extents = loopExtents(op);
  llvm::SmallSetVector<unsigned, 8> kept, reduced; // of sums of both
  llvm::DenseSet<std::pair<Value, AffineMap>> seen;
  auto note = [&](AffineMap map) {
    for (AffineExpr place : map.getResults()) {
      SmallVector<unsigned> keptHere, reducedHere;
      place.walk([&](AffineExpr part) {
        if (auto dim = dyn_cast<AffineDimExpr>(part))
          (loops[dim.getPosition()] == utils::IteratorType::parallel ? keptHere : reducedHere)
              .push_back(dim.getPosition());
      });
      if (keptHere.empty() || reducedHere.empty())
        continue;
      kept.insert_range(keptHere);
      reduced.insert_range(reducedHere);
    }
  };
  for (OpOperand *operand : op.getDpsInputOperands())
    forPlacesRead(operand->get(), op.getMatchingIndexingMap(operand), seen, note);
  auto points = [&](const auto &dims) {
    int64_t count = 1;
    for (unsigned dim : dims)
      count *= extents[dim];
    return count;
  };
  return !kept.empty() && points(kept) >= points(reduced);
}

/// Windows: each result by itself. Rows: the last dimensions are reduced; columns: the first ones.
/// Sums over rows join the rows that they read from or beside, and the other shares of a sum over
/// several tensors; columns join what columns of that shape there are near by, unless an update
/// would wait for them.
void KernelGroups::placeReduction(linalg::GenericOp op) {
  SmallVector<unsigned> operands = operandGroups(op, /*waits=*/false);
  SmallVector<int64_t> extents = loopExtents(op);
  int64_t reduced = op.getNumReductionLoops();
  auto loops = op.getIteratorTypesArray();
  bool isRow = llvm::all_of(ArrayRef(loops).take_back(reduced), [](utils::IteratorType kind) {
    return kind == utils::IteratorType::reduction;
  });
  if (reducesWindows(op)) {
    open(pointKernel(KernelRoot::Elementwise), shapeOf(op->getResult(0)), 0, op);
    return;
  }
  KernelRoot root = isRow ? KernelRoot::Row : KernelRoot::Column;
  Operation *sum = isRow ? wholeSum(op) : nullptr;
  std::set<unsigned> candidates(operands.begin(), operands.end());
  const size_t window = std::min(groups.size(), size_t(costs.fusionWindow));
  for (size_t near = groups.size() - window; near < groups.size(); ++near)
    candidates.insert(near);
  if (sum)
    candidates.insert(sharesOf[sum].begin(), sharesOf[sum].end());
  for (unsigned index : llvm::reverse(candidates)) {
    const KernelGroup &group = groups[index];
    // Rows share all loops; columns may differ in width.
    size_t shared = root == KernelRoot::Row ? extents.size() : size_t(reduced);
    if (!fuse || group.root != root || group.ops.empty() || group.reduced != reduced ||
        (root == KernelRoot::Row && group.domain != extents) ||
        ArrayRef(group.domain).take_front(shared) != ArrayRef(extents).take_front(shared))
      continue;
    bool reads = llvm::is_contained(operands, index);
    bool isNear = index + window >= groups.size();
    bool isShare = sum && llvm::is_contained(sharesOf[sum], index) && !reads;
    bool joins = root == KernelRoot::Row ? (reads ? fitsDomain(group, index, op)
                                                  : isShare || (isNear && readsSame(group, op)))
                                         : isNear && !reads && !delaysUpdate(group, op);
    if (joins && !isFull(index) && canAdd(index, op))
      return add(index, op);
  }
  unsigned group = open(pointKernel(root), extents, reduced, op);
  if (sum)
    sharesOf[sum].push_back(group);
}

} // namespace ingot
