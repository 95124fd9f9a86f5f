#include "passes/training/MicroBatches.h"
#include "ir/dialect/GraphBuilder.h"
#include "passes/Signature.h"
#include "passes/training/Gradients.h"
#include <limits>

using namespace mlir;
using namespace ingot::graph;

namespace ingot {
/// True for what every kernel makes for itself: constants and moves.
static bool isCheap(Operation *op) {
  return op->hasTrait<MovesElements>() || op->getNumOperands() == 0 || op->getNumResults() == 0;
}

LogicalResult MicroBatches::widenArguments() {
  batches = argumentsOf(function, Role::Input);
  llvm::append_range(batches, argumentsOf(function, Role::Target));
  for (BlockArgument batch : batches) {
    auto type = tensorType(batch);
    if (type.getRank() == 0)
      return emitError(batch.getLoc()) << "'" << argumentName(batch)
                                       << "' has no batch dimension to split into micro-batches";
    rows.push_back(type.getDimSize(0));
    constexpr int64_t mostRows = std::numeric_limits<int32_t>::max();
    if (rows.back() > mostRows / count)
      return emitError(function.getLoc())
             << "accumulate: " << count << " micro-batches of " << rows.back()
             << " rows are more than " << mostRows << " rows";
    SmallVector<int64_t> shape(type.getShape());
    shape[0] *= count;
    batch.setType(type.clone(shape));
  }
  function.setType(FunctionType::get(function.getContext(), block.getArgumentTypes(),
                                     function.getResultTypes()));
  return success();
}

void MicroBatches::sum(MutableArrayRef<Trained> trained, MutableArrayRef<State> states,
                       Value &loss) {
  body = llvm::map_to_vector(block.without_terminator(), [](Operation &op) { return &op; });
  for (const Trained &one : trained)
    summed.push_back(one.gradient);
  summed.push_back(loss);
  for (auto [argument, after] : states) {
    state.push_back(argument);
    next.push_back(after);
  }
  // -0 is what a sum may start with: -0 + x is x, of whatever sign.
  OpBuilder builder(block.getTerminator());
  Values values;
  for (Value value : summed)
    values.push_back(isWrittenOut ? Value()
                                  : GraphBuilder(builder, value.getLoc()).splatLike(value, -0.0));
  llvm::append_range(values, state);
  values = isWrittenOut ? writeOut(std::move(values)) : loop(std::move(values));

  for (auto [one, value] : llvm::zip(trained, values))
    one.gradient = value;
  for (auto [entry, value] : llvm::zip_equal(states, ArrayRef(values).drop_front(summed.size())))
    entry.second = value;
  builder.setInsertionPoint(block.getTerminator());
  Value total = values[trained.size()];
  loss = GraphBuilder(builder, total.getLoc()).mul(total, 1.0 / double(count));
  block.getTerminator()->setOperands({});
  for (Operation *op : llvm::reverse(body))
    if (op->use_empty())
      op->erase();
}

/// Clones the body; each gradient is added as it arises. The new share is the left operand: where
/// both are products, it is the one that becomes part of the sum's rounding, in a loop as written
/// out.
MicroBatches::Values MicroBatches::cloneOne(OpBuilder &builder, IRMapping &mapping, Values values) {
  for (auto [argument, value] : llvm::zip_equal(state, ArrayRef(values).drop_front(summed.size())))
    mapping.map(argument, value);
  for (Operation *op : body)
    if (op->getNumResults() == 0 || !mapping.contains(op->getResult(0))) // else it is shared
      builder.clone(*op, mapping);
  Block *here = builder.getInsertionBlock();
  for (auto [value, share] : llvm::zip(values, summed)) {
    Value added = mapping.lookupOrDefault(share);
    OpBuilder at = builder;
    if (Operation *source = added.getDefiningOp(); source && source->getBlock() == here)
      at.setInsertionPointAfter(source);
    value = value ? GraphBuilder(at, added.getLoc()).add(added, value) : added;
  }
  for (auto [value, after] :
       llvm::zip_equal(MutableArrayRef(values).drop_front(summed.size()), next))
    value = mapping.lookupOrDefault(after);
  return values;
}

MicroBatches::Values MicroBatches::writeOut(Values values) {
  for (int64_t index = 0; index < count; ++index) {
    OpBuilder builder(block.getTerminator());
    IRMapping mapping;
    for (auto [batch, size] : llvm::zip_equal(batches, rows)) {
      GraphBuilder build(builder, batch.getLoc());
      mapping.map(batch, build.slice(batch, 0, index * size, (index + 1) * size));
    }
    values = cloneOne(builder, mapping, std::move(values));
  }
  return values;
}

/// What is the same for every micro-batch, and what it needs: it stays before the loop, as equal
/// values of micro-batches that are written out are one.
llvm::DenseSet<Operation *> MicroBatches::findShared() const {
  llvm::DenseSet<Value> varying(batches.begin(), batches.end());
  varying.insert(state.begin(), state.end());
  llvm::DenseSet<Operation *> same, shared;
  for (Operation *op : body) {
    if (llvm::any_of(operandsAndCaptures(op), [&](Value value) { return varying.contains(value); }))
      varying.insert(op->result_begin(), op->result_end());
    else
      same.insert(op);
  }
  for (Operation *op : llvm::reverse(body)) {
    const bool serves = llvm::any_of(op->getUsers(), [&](Operation *user) {
      return shared.contains(block.findAncestorOpInBlock(*user));
    });
    if (same.contains(op) && (!isCheap(op) || serves))
      shared.insert(op);
  }
  return shared;
}

MicroBatches::Values MicroBatches::loop(Values before) {
  OpBuilder builder(block.getTerminator());
  const Location location = function.getLoc();
  GraphBuilder build(builder, location);
  SmallVector<Value> whole; // [micro-batch, rows, …]
  for (auto [batch, size] : llvm::zip_equal(batches, rows)) {
    SmallVector<int64_t> shape = {count, size};
    llvm::append_range(shape, shapeOf(batch).drop_front());
    whole.push_back(GraphBuilder(builder, batch.getLoc()).reshape(batch, shape));
  }
  auto counter = RankedTensorType::get({}, builder.getI64Type());
  auto loop = LoopOp::create(builder, location, TypeRange(ValueRange(before)),
                             build.splat(counter, double(count)), before);
  Block &inside = loop.getBody().emplaceBlock();
  Value number = inside.addArgument(counter, location);
  Values carried;
  for (Value value : before)
    carried.push_back(inside.addArgument(value.getType(), value.getLoc()));

  IRMapping mapping;
  const llvm::DenseSet<Operation *> shared = findShared();
  for (Operation *op : body)
    if (shared.contains(op)) {
      op->moveBefore(loop);
      if (!isCheap(op)) // else it is cloned all the same
        mapping.map(op->getResults(), op->getResults());
    }
  OpBuilder within = OpBuilder::atBlockEnd(&inside);
  for (auto [batch, all] : llvm::zip_equal(batches, whole)) {
    GraphBuilder b(within, batch.getLoc());
    Value part = b.make<DynamicSliceOp>(all, number, /*dimension=*/0, /*size=*/1);
    mapping.map(batch, b.reshape(part, shapeOf(all).drop_front()));
  }
  YieldOp::create(within, location, cloneOne(within, mapping, std::move(carried)));
  return SmallVector<Value>(loop.getResults());
}

} // namespace ingot
