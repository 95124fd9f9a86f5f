#include "passes/linalg/RowRegion.h"
#include "ir/dialect/GraphBuilder.h"
#include "mlir/IR/Matchers.h"
#include "passes/linalg/Combiner.h"

using namespace mlir;

namespace ingot {
namespace {

bool isSource(Operation *op) { return roleOf(op) == OpRole::Source; }

/// True for a tensor that is the same scalar everywhere, or whose contents do not matter.
bool isUniform(Value init) {
  DenseElementsAttr constant;
  if (matchPattern(init, m_Constant(&constant)))
    return constant.isSplat();
  Operation *maker = init.getDefiningOp();
  return maker && isa<linalg::FillOp, tensor::EmptyOp>(maker);
}

} // namespace

std::optional<int64_t> dimensionOf(const OpLoops::Dims &dims, int loop) {
  auto first = llvm::find(dims, loop);
  if (first == dims.end() || llvm::count(dims, loop) != 1)
    return std::nullopt;
  return first - dims.begin();
}

bool RowRegion::add(Operation *op, int loop) {
  if (auto known = members.find(op); known != members.end())
    return known->second.loop == loop;
  std::optional<OpLoops> loops = loopsOf(op);
  if (!loops || loop < 0 || op->getBlock() != block())
    return false;
  if (auto generic = dyn_cast<linalg::GenericOp>(op)) {
    auto walks = [&](linalg::IndexOp index) { return int(index.getDim()) == loop; };
    if (llvm::any_of(generic.getBody()->getOps<linalg::IndexOp>(), walks))
      return false; // depends on its row's number
    if (!isUniform(generic.getDpsInits()[0]))
      return false;
    if (loops->isReduced[loop] && !addsUp(combinerOf(generic)))
      return false; // only sums are put together from blocks
  }
  for (const OpLoops::Dims &dims : loops->operands)
    if (llvm::count(dims, loop) > 1)
      return false;
  members.insert({op, {*loops, loop}});
  for (auto [operand, dims] : llvm::zip(op->getOperands(), loops->operands)) {
    Operation *maker = operand.getDefiningOp();
    std::optional<int64_t> dimension = dimensionOf(dims, loop);
    if (!maker || isSource(maker) || !isLarge(operand) || !dimension ||
        maker->getBlock() != block())
      continue;
    std::optional<OpLoops> outer = loopsOf(maker);
    if (!outer || !add(maker, outer->result[*dimension]))
      return false; // would be stored whole
  }
  Value result = op->getResult(0);
  if (!cut(result) || !isLarge(result))
    return true;
  return llvm::all_of(result.getUsers(), [&](Operation *user) { return addReader(user); });
}

/// Adds an op that reads members' results: it is cut where they are.
bool RowRegion::addReader(Operation *op) {
  std::optional<OpLoops> loops = loopsOf(op);
  if (!loops)
    return false;
  std::optional<int> loop;
  for (auto [operand, dims] : llvm::zip(op->getOperands(), loops->operands)) {
    Operation *maker = operand.getDefiningOp();
    if (!maker || !contains(maker))
      continue;
    std::optional<int64_t> dimension = cut(operand);
    if (!dimension || (loop && *loop != dims[*dimension]))
      return false; // needs a sum over all rows, or walks rows in two loops
    loop = dims[*dimension];
  }
  return loop && add(op, *loop);
}

std::vector<Operation *> RowRegion::ops() const {
  auto all = llvm::map_to_vector(members, [](const auto &entry) { return entry.first; });
  llvm::sort(all, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  return {all.begin(), all.end()};
}

std::vector<Operation *> RowRegion::dependents() const {
  std::vector<Operation *> found;
  llvm::DenseSet<Operation *> known;
  for (Operation &op : *block()) {
    if (contains(&op) || op.hasTrait<OpTrait::IsTerminator>())
      continue;
    bool depends = llvm::any_of(valuesRead(&op), [&](Value operand) {
      Operation *maker = operand.getDefiningOp();
      return maker && (contains(maker) || known.contains(maker));
    });
    if (depends && known.insert(&op).second)
      found.push_back(&op);
  }
  return found;
}

/// Takes in the ops between members, so that a block runs without the others.
bool RowRegion::close() {
  while (true) {
    std::vector<Operation *> outside = dependents(), between;
    llvm::DenseSet<Operation *> needed;
    for (Operation *op : llvm::reverse(outside))
      if (llvm::any_of(op->getUsers(), [&](Operation *user) {
            Operation *inBlock = block()->findAncestorOpInBlock(*user);
            return contains(inBlock) || needed.contains(inBlock);
          })) {
        needed.insert(op);
        between.push_back(op);
      }
    if (between.empty())
      return true;
    for (Operation *op : llvm::reverse(between))
      if (!contains(op) && !addReader(op))
        return false;
  }
}

/// Takes in what computes on rows of members alone: fewer values leave the blocks.
void RowRegion::follow() {
  for (Operation *op : dependents()) {
    auto isInside = [&](Value operand) {
      Operation *maker = operand.getDefiningOp();
      return maker && (isSource(maker) || (contains(maker) && cut(operand)));
    };
    if (isa<linalg::GenericOp>(op) && roleOf(op) == OpRole::Point &&
        llvm::all_of(op->getOperands(), isInside))
      addReader(op);
  }
}

bool RowRegion::grow(int64_t dimension) {
  Operation *op = seed.getDefiningOp();
  if (!add(op, loopsOf(op)->result[dimension]) || !close())
    return false;
  follow();
  // No member may need a sum over all rows.
  return llvm::all_of(members, [&](const auto &entry) {
    return llvm::all_of(entry.first->getOperands(), [&](Value operand) {
      Operation *maker = operand.getDefiningOp();
      return !maker || !contains(maker) || cut(operand);
    });
  });
}

} // namespace ingot
