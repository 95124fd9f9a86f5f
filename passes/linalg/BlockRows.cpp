/// Pass block-rows: large results of contractions are made, read and dropped block by block.
#include "ir/dialect/GraphBuilder.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "passes/Passes.h"
#include "passes/kernels/OpModel.h"
#include "passes/linalg/Combiner.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace ingot {

#define GEN_PASS_DEF_BLOCKROWS
#include "passes/Passes.h.inc"

namespace {

using graph::tensorType;

bool isSource(Operation *op) { return roleOf(op) == OpRole::Source; }

/// True for a tensor that is the same scalar everywhere, or whose contents do not matter.
bool isUniform(Value init) {
  DenseElementsAttr constant;
  if (matchPattern(init, m_Constant(&constant)))
    return constant.isSplat();
  Operation *maker = init.getDefiningOp();
  return maker && isa<linalg::FillOp, tensor::EmptyOp>(maker);
}

/// Position of the only dimension that walks `loop`; none if there is none or several.
std::optional<int64_t> dimensionOf(const OpLoops::Dims &dims, int loop) {
  auto first = llvm::find(dims, loop);
  if (first == dims.end() || llvm::count(dims, loop) != 1)
    return std::nullopt;
  return first - dims.begin();
}

/// The ops that run in blocks with the seed, each with the loop that is cut.
class Region {
public:
  Region(Value seed) : seed(seed) {}

  /// False if the ops cannot run block by block.
  bool grow(int64_t dimension);

  struct Member {
    OpLoops loops;
    int loop; ///< the one that is cut
  };
  bool contains(Operation *op) const { return members.contains(op); }
  const Member &member(Operation *op) const { return members.find(op)->second; }
  std::vector<Operation *> ops() const; ///< in program order
  /// The dimension of a member's result that is cut; none for sums over rows.
  std::optional<int64_t> cut(Value result) const {
    const Member &made = member(result.getDefiningOp());
    return dimensionOf(made.loops.result, made.loop);
  }
  /// Ops outside that need a member's result, directly or not, in program order.
  std::vector<Operation *> dependents() const;

private:
  Block *block() const { return Value(seed).getParentBlock(); }
  bool isLarge(Value value) const { return elementsOf(value) >= elementsOf(seed); }
  bool add(Operation *op, int loop);
  bool addReader(Operation *op);
  bool close();
  void follow();

  Value seed;
  llvm::MapVector<Operation *, Member> members;
};

bool Region::add(Operation *op, int loop) {
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
bool Region::addReader(Operation *op) {
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

std::vector<Operation *> Region::ops() const {
  auto all = llvm::map_to_vector(members, [](const auto &entry) { return entry.first; });
  llvm::sort(all, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  return {all.begin(), all.end()};
}

std::vector<Operation *> Region::dependents() const {
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
bool Region::close() {
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
void Region::follow() {
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

bool Region::grow(int64_t dimension) {
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

/// Replaces a region by its blocks.
class Blocks {
public:
  Blocks(const Region &region, int64_t rows, int64_t count)
      : region(region), ops(region.ops()), rows(rows), size(llvm::divideCeil(rows, count)),
        builder(ops.back()) {}

  void emit();

private:
  Value operandOf(Operation *op, unsigned index);
  Value slice(Value value, int64_t dimension);
  Value initOf(linalg::GenericOp op, RankedTensorType type);
  Value clone(Operation *op);
  Value add(Location location, Value left, Value right);
  bool isReadOutside(Value value) const {
    return llvm::any_of(value.getUsers(), [&](Operation *user) { return !region.contains(user); });
  }

  const Region &region;
  std::vector<Operation *> ops;
  int64_t rows, size;
  OpBuilder builder;
  // Of the block that is being emitted:
  int64_t offset = 0;
  llvm::DenseMap<Value, Value> made;
  llvm::DenseMap<std::pair<Value, int64_t>, Value> slices;
  SmallVector<Value> before; ///< what the block before gave
};

Value Blocks::slice(Value value, int64_t dimension) {
  Value &known = slices[{value, dimension}];
  if (known)
    return known;
  auto type = tensorType(value);
  SmallVector<OpFoldResult> offsets(type.getRank(), builder.getIndexAttr(0)), sizes,
      strides(type.getRank(), builder.getIndexAttr(1));
  for (int64_t extent : type.getShape())
    sizes.push_back(builder.getIndexAttr(extent));
  offsets[dimension] = builder.getIndexAttr(offset);
  sizes[dimension] = builder.getIndexAttr(std::min(size, rows - offset));
  known = tensor::ExtractSliceOp::create(builder, value.getLoc(), value, offsets, sizes, strides);
  if (!before.empty())
    known = graph::AfterOp::create(builder, value.getLoc(), known, before, /*apart=*/true);
  return known;
}

Value Blocks::operandOf(Operation *op, unsigned index) {
  Value value = op->getOperand(index);
  const Region::Member &member = region.member(op);
  if (Value block = made.lookup(value))
    return block;
  std::optional<int64_t> dimension = dimensionOf(member.loops.operands[index], member.loop);
  return dimension ? slice(value, *dimension) : value;
}

/// What a block's result starts from: the same scalar everywhere, or nothing.
Value Blocks::initOf(linalg::GenericOp op, RankedTensorType type) {
  Value init = op.getDpsInits()[0];
  Location location = init.getLoc();
  DenseElementsAttr constant;
  if (matchPattern(init, m_Constant(&constant)))
    return arith::ConstantOp::create(builder, location, constant.resizeSplat(type));
  Value empty = tensor::EmptyOp::create(builder, location, type.getShape(), type.getElementType());
  if (auto fill = init.getDefiningOp<linalg::FillOp>())
    return linalg::FillOp::create(builder, location, fill.getInputs(), empty).getResult(0);
  return empty;
}

Value Blocks::clone(Operation *op) {
  SmallVector<Value> operands;
  for (unsigned index = 0; index < region.member(op).loops.operands.size(); ++index)
    operands.push_back(operandOf(op, index));
  if (auto contract = dyn_cast<graph::ContractOp>(op))
    return graph::GraphBuilder(builder, op->getLoc())
        .contract(operands[0], operands[1], contract.getLhsBatch(), contract.getRhsBatch(),
                  contract.getLhsContract(), contract.getRhsContract(),
                  contract.getType().getElementType());
  auto type = tensorType(op->getResult(0));
  if (std::optional<int64_t> dimension = region.cut(op->getResult(0))) {
    SmallVector<int64_t> shape(type.getShape());
    shape[*dimension] = std::min(size, rows - offset);
    type = type.clone(shape);
  }
  auto generic = cast<linalg::GenericOp>(op);
  operands.push_back(initOf(generic, type));
  auto copy = cast<linalg::GenericOp>(builder.clone(*op));
  copy->setOperands(operands);
  copy->getResult(0).setType(type);
  return copy->getResult(0);
}

Value Blocks::add(Location location, Value left, Value right) {
  auto type = tensorType(left);
  Value empty = tensor::EmptyOp::create(builder, location, type.getShape(), type.getElementType());
  SmallVector<AffineMap> maps(3, builder.getMultiDimIdentityMap(type.getRank()));
  SmallVector<utils::IteratorType> loops(type.getRank(), utils::IteratorType::parallel);
  auto sum = linalg::GenericOp::create(
      builder, location, type, ValueRange{left, right}, empty, maps, loops,
      [](OpBuilder &b, Location where, ValueRange values) {
        linalg::YieldOp::create(b, where,
                                arith::AddFOp::create(b, where, values[0], values[1]).getResult());
      });
  return sum.getResult(0);
}

void Blocks::emit() {
  std::vector<Operation *> dependents = region.dependents();
  Operation *last = ops.back();
  builder.setInsertionPointAfter(last);
  llvm::MapVector<Value, SmallVector<Value>> pieces;
  llvm::MapVector<Value, Value> sums;
  for (offset = 0; offset < rows; offset += size) {
    made.clear();
    slices.clear();
    SmallVector<Value> given;
    for (Operation *op : ops) {
      Value whole = op->getResult(0), block = clone(op);
      if (region.cut(whole)) {
        made[whole] = block;
        if (isReadOutside(whole))
          given.push_back(pieces[whole].emplace_back(block));
      } else {
        Value &sum = sums[whole];
        sum = sum ? add(op->getLoc(), sum, block) : block;
        given.push_back(sum);
      }
    }
    before = given;
  }
  auto replace = [&](Value whole, Value by) {
    whole.replaceUsesWithIf(by, [&](OpOperand &use) { return !region.contains(use.getOwner()); });
  };
  for (auto &[whole, sum] : sums)
    replace(whole, sum);
  for (auto &[whole, parts] : pieces)
    replace(whole, tensor::ConcatOp::create(builder, whole.getLoc(), *region.cut(whole), parts));
  // What needs the blocks comes after them.
  for (Operation *op : dependents)
    if (op->isBeforeInBlock(last))
      op->moveBefore(op->getBlock(), builder.getInsertionPoint());
  for (Operation *op : llvm::reverse(ops))
    op->erase();
}

/// As few blocks as keep the limit; blocks of one size where that takes at most twice as many.
int64_t countBlocks(int64_t rows, int64_t bytes, int64_t limit) {
  int64_t least = std::min<int64_t>(rows, llvm::divideCeil(bytes, limit));
  for (int64_t count = least; count <= 2 * least; ++count)
    if (rows % count == 0)
      return count;
  return least;
}

/// Every block is code of its own: with more of them, compiling is what would never end.
constexpr int64_t mostBlocks = 64;

struct BlockRowsPass : impl::BlockRowsBase<BlockRowsPass> {
  using BlockRowsBase::BlockRowsBase;

  void runOnOperation() override {
    if (limit < 1) {
      emitError(getOperation().getLoc()) << "limit must be positive, but is " << int64_t(limit);
      return signalPassFailure();
    }
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function.isDeclaration())
        for (int64_t most = largestAllowed(function); blockOne(function, most);) {
        }
  }

private:
  /// The limit, or what `mostBlocks` blocks of the largest contraction have.
  int64_t largestAllowed(func::FuncOp function) const {
    int64_t most = limit;
    function.walk([&](graph::ContractOp contract) {
      most = std::max(most, int64_t(llvm::divideCeil(bytesOf(contract), mostBlocks)));
    });
    return most;
  }

  /// Cuts the first contraction that is larger than `most` and can be cut.
  bool blockOne(func::FuncOp function, int64_t most) {
    auto visit = [&](graph::ContractOp contract) {
      int64_t bytes = bytesOf(contract);
      if (bytes <= most)
        return WalkResult::advance();
      auto type = tensorType(contract);
      for (int64_t dimension = 0; dimension < type.getRank(); ++dimension) {
        int64_t rows = type.getDimSize(dimension);
        Region region(contract);
        if (rows == 1 || !region.grow(dimension))
          continue;
        Blocks(region, rows, countBlocks(rows, bytes, most)).emit();
        return WalkResult::interrupt();
      }
      return WalkResult::advance();
    };
    return function.walk(visit).wasInterrupted();
  }
};

} // namespace
} // namespace ingot
