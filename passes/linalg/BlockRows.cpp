/// Pass block-rows: large results of contractions are made, read and dropped block by block.
#include "ir/dialect/GraphBuilder.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "passes/Passes.h"
#include "passes/linalg/RowRegion.h"

using namespace mlir;

namespace ingot {

#define GEN_PASS_DEF_BLOCKROWS
#include "passes/Passes.h.inc"

namespace {

using graph::tensorType;

/// A tensor's first dimension as two, and two as one.
SmallVector<ReassociationIndices> firstTwo(int64_t rank) {
  SmallVector<ReassociationIndices> groups = {{0, 1}};
  for (int64_t dimension = 2; dimension <= rank; ++dimension)
    groups.push_back({dimension});
  return groups;
}

Value joinFirstTwo(OpBuilder &builder, Value value) {
  return tensor::CollapseShapeOp::create(builder, value.getLoc(), value,
                                         firstTwo(tensorType(value).getRank() - 1));
}

/// Replaces a region by its blocks. Few are written out, one after the other; more are the
/// iterations of a loop, which compiles in the time of one. Both add up the blocks in one order.
class Blocks {
public:
  Blocks(const RowRegion &region, int64_t rows)
      : region(region), ops(region.ops()), rows(rows), builder(ops.back()) {}

  bool fitLoop(int64_t blocks) const;
  void emit(int64_t blocks, bool areLoop);

private:
  void writeOut();
  void loop();
  Value operandOf(Operation *op, unsigned index);
  Value slice(Value value, int64_t dimension);
  Value writtenSlice(Value value, int64_t dimension);
  Value movingSlice(Value value);
  Value captured(Value value);
  Value initOf(linalg::GenericOp op, RankedTensorType type);
  Value clone(Operation *op);
  Value add(Location location, Value left, Value right);
  void replace(Value whole, Value by);
  bool isReadOutside(Value value) const {
    return llvm::any_of(value.getUsers(), [&](Operation *user) { return !region.contains(user); });
  }
  /// The dimension of an operand that is cut, where it is not a block's own value.
  std::optional<int64_t> slicedDimension(Operation *op, unsigned index) const;

  const RowRegion &region;
  std::vector<Operation *> ops;
  int64_t rows, count = 0, size = 0;
  OpBuilder builder;
  graph::LoopOp iterations; ///< null while blocks are written out
  // Of the block that is being emitted:
  int64_t offset = 0;
  llvm::DenseMap<Value, Value> made, copies;
  llvm::DenseMap<std::pair<Value, int64_t>, Value> slices;
  SmallVector<Value> before; ///< what the block before gave
};

std::optional<int64_t> Blocks::slicedDimension(Operation *op, unsigned index) const {
  Operation *maker = op->getOperand(index).getDefiningOp();
  if (maker && region.contains(maker))
    return std::nullopt;
  const RowRegion::Member &member = region.member(op);
  return dimensionOf(member.loops.operands[index], member.loop);
}

/// Whether so many blocks are equal, and each takes and gives one piece of memory that starts at a
/// multiple of what kernels may expect.
bool Blocks::fitLoop(int64_t blocks) const {
  auto isPiece = [&](Value value, int64_t dimension) {
    return dimension == 0 && bytesOf(value) / blocks % 64 == 0;
  };
  return rows % blocks == 0 && llvm::all_of(ops, [&](Operation *op) {
           for (unsigned index = 0; index < region.member(op).loops.operands.size(); ++index)
             if (std::optional<int64_t> dimension = slicedDimension(op, index))
               if (!isPiece(op->getOperand(index), *dimension))
                 return false;
           Value result = op->getResult(0);
           std::optional<int64_t> dimension = region.cut(result);
           return !dimension || !isReadOutside(result) || isPiece(result, *dimension);
         });
}

Value Blocks::slice(Value value, int64_t dimension) {
  Value &known = slices[{value, dimension}];
  if (!known)
    known = iterations ? movingSlice(value) : writtenSlice(value, dimension);
  return known;
}

Value Blocks::writtenSlice(Value value, int64_t dimension) {
  auto type = tensorType(value);
  SmallVector<OpFoldResult> offsets(type.getRank(), builder.getIndexAttr(0)), sizes,
      strides(type.getRank(), builder.getIndexAttr(1));
  for (int64_t extent : type.getShape())
    sizes.push_back(builder.getIndexAttr(extent));
  offsets[dimension] = builder.getIndexAttr(offset);
  sizes[dimension] = builder.getIndexAttr(std::min(size, rows - offset));
  Value part =
      tensor::ExtractSliceOp::create(builder, value.getLoc(), value, offsets, sizes, strides);
  if (before.empty())
    return part;
  return graph::AfterOp::create(builder, value.getLoc(), part, before, /*apart=*/true);
}

/// The rows of the iteration.
Value Blocks::movingSlice(Value value) {
  OpBuilder outside(iterations);
  auto type = tensorType(value);
  SmallVector<int64_t> shape = {count, size};
  llvm::append_range(shape, type.getShape().drop_front());
  Value all = tensor::ExpandShapeOp::create(outside, value.getLoc(), type.clone(shape), value,
                                            firstTwo(type.getRank()));
  Value part = graph::DynamicSliceOp::create(builder, value.getLoc(), all, iterations.getCounter(),
                                             /*dimension=*/0, /*size=*/1);
  return joinFirstTwo(builder, part);
}

/// A value that all blocks share. What crosses a loop's edge is stored, so what every kernel makes
/// for itself is made inside.
Value Blocks::captured(Value value) {
  Operation *maker = value.getDefiningOp();
  if (!iterations || !maker ||
      !(llvm::is_contained({OpRole::Source, OpRole::View}, roleOf(maker)) || isStridedMove(maker)))
    return value;
  if (Value copy = copies.lookup(value))
    return copy;
  IRMapping mapping;
  for (Value operand : maker->getOperands())
    mapping.map(operand, captured(operand));
  return copies[value] = builder.clone(*maker, mapping)->getResult(0);
}

Value Blocks::operandOf(Operation *op, unsigned index) {
  Value value = op->getOperand(index);
  if (Value block = made.lookup(value))
    return block;
  std::optional<int64_t> dimension = slicedDimension(op, index);
  return dimension ? slice(value, *dimension) : captured(value);
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
    return linalg::FillOp::create(builder, location, captured(fill.value()), empty).getResult(0);
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

void Blocks::replace(Value whole, Value by) {
  whole.replaceUsesWithIf(by, [&](OpOperand &use) { return !region.contains(use.getOwner()); });
}

void Blocks::writeOut() {
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
  for (auto &[whole, sum] : sums)
    replace(whole, sum);
  for (auto &[whole, parts] : pieces)
    replace(whole, tensor::ConcatOp::create(builder, whole.getLoc(), *region.cut(whole), parts));
}

void Blocks::loop() {
  const Location location = ops.back()->getLoc();
  auto constant = [&](RankedTensorType type, Attribute element) -> Value {
    return arith::ConstantOp::create(builder, location, DenseElementsAttr::get(type, element));
  };
  SmallVector<Value> sums, pieces, starts;
  for (Operation *op : ops) {
    Value whole = op->getResult(0);
    if (region.cut(whole)) {
      if (isReadOutside(whole))
        pieces.push_back(whole);
      continue;
    }
    sums.push_back(whole);
    // -0 is what a sum may start with: -0 + x is x, of whatever sign.
    auto type = tensorType(whole);
    starts.push_back(constant(type, builder.getFloatAttr(type.getElementType(), -0.0)));
  }
  SmallVector<Type> types(ValueRange(sums).getTypes());
  for (Value whole : pieces) {
    SmallVector<int64_t> shape = {count, size};
    llvm::append_range(shape, tensorType(whole).getShape().drop_front());
    types.push_back(tensorType(whole).clone(shape));
  }
  auto counter = RankedTensorType::get({}, builder.getI64Type());
  Value trips = constant(counter, builder.getI64IntegerAttr(count));
  iterations = graph::LoopOp::create(builder, location, types, trips, starts);
  Block &body = iterations.getBody().emplaceBlock();
  body.addArgument(counter, location);
  for (Value sum : sums)
    made[sum] = body.addArgument(sum.getType(), sum.getLoc());
  builder.setInsertionPointToStart(&body);
  for (Operation *op : ops) {
    Value whole = op->getResult(0), block = clone(op);
    made[whole] = region.cut(whole) ? block : add(op->getLoc(), made[whole], block);
  }
  SmallVector<Value> yielded;
  for (Value whole : llvm::concat<Value>(sums, pieces))
    yielded.push_back(made[whole]);
  graph::YieldOp::create(builder, location, yielded);
  builder.setInsertionPointAfter(iterations);
  for (auto [whole, sum] : llvm::zip(sums, iterations.getResults()))
    replace(whole, sum);
  for (auto [whole, stack] : llvm::zip(pieces, iterations.getResults().drop_front(sums.size())))
    replace(whole, joinFirstTwo(builder, stack));
}

void Blocks::emit(int64_t blocks, bool areLoop) {
  count = blocks;
  size = llvm::divideCeil(rows, count);
  std::vector<Operation *> dependents = region.dependents();
  Operation *last = ops.back();
  builder.setInsertionPointAfter(last);
  if (areLoop)
    loop();
  else
    writeOut();
  // What needs the blocks comes after them.
  for (Operation *op : dependents)
    if (op->isBeforeInBlock(last))
      op->moveBefore(op->getBlock(), builder.getInsertionPoint());
  for (Operation *op : llvm::reverse(ops))
    op->erase();
}

/// As few blocks as keep the limit.
int64_t fewestBlocks(int64_t rows, int64_t bytes, int64_t limit) {
  return std::min<int64_t>(rows, llvm::divideCeil(bytes, limit));
}

/// Those, or up to twice as many where these are of one size.
int64_t countBlocks(int64_t rows, int64_t bytes, int64_t limit) {
  const int64_t least = fewestBlocks(rows, bytes, limit);
  for (int64_t count = least; count <= 2 * least; ++count)
    if (rows % count == 0)
      return count;
  return least;
}

/// A block that is written out is code of its own: with more of them, compiling is what would never
/// end.
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

  /// A number of blocks that are more than are written out, and fit a loop; else 0.
  int64_t countIterations(const Blocks &blocks, int64_t rows, int64_t bytes) const {
    if (countBlocks(rows, bytes, limit) <= writtenOut)
      return 0;
    const int64_t least = fewestBlocks(rows, bytes, limit);
    for (int64_t count = std::max<int64_t>(least, writtenOut + 1); count <= 2 * least; ++count)
      if (blocks.fitLoop(count))
        return count;
    return 0;
  }

  /// Cuts the first contraction that is larger than the limit and can be cut: into a loop, or where
  /// it is larger than `most` into blocks that are written out.
  bool blockOne(func::FuncOp function, int64_t most) {
    auto visit = [&](graph::ContractOp contract) {
      int64_t bytes = bytesOf(contract);
      if (bytes <= limit)
        return WalkResult::advance();
      auto type = tensorType(contract);
      for (int64_t dimension = 0; dimension < type.getRank(); ++dimension) {
        int64_t rows = type.getDimSize(dimension);
        RowRegion region(contract);
        if (rows == 1 || !region.grow(dimension))
          continue;
        Blocks blocks(region, rows);
        if (const int64_t count = countIterations(blocks, rows, bytes))
          blocks.emit(count, /*areLoop=*/true);
        else if (bytes > most)
          blocks.emit(countBlocks(rows, bytes, most), /*areLoop=*/false);
        else
          continue;
        return WalkResult::interrupt();
      }
      return WalkResult::advance();
    };
    return function.walk(visit).wasInterrupted();
  }
};

} // namespace
} // namespace ingot
