/// Loops and slices at run-time places take the form in which they are compiled:
///
/// - iterations are counted in i64, and a loop runs twice or more as far as is known;
/// - what a loop stacks lies in the result, a multiple of 64 bytes an iteration; smaller parts, and
///   those of loops whose trip count is not known, are written into a carried tensor;
/// - a dynamic slice is a place that moves with the iterations, or a gather.
#include "passes/linalg/GraphToLinalg.h"

#include "ir/dialect/Elements.h"
#include "ir/dialect/GraphBuilder.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace ingot {
namespace {

using namespace graph;

void countInI64(LoopOp loop) {
  OpBuilder before(loop), inside = OpBuilder::atBlockBegin(&loop.getBody().front());
  auto type = RankedTensorType::get({}, before.getI64Type());
  BlockArgument counter = loop.getBody().getArgument(0);
  if (counter.getType() == type)
    return;
  GraphBuilder outer(before, loop.getLoc()), inner(inside, loop.getLoc());
  std::optional<int64_t> trips = loop.getConstantTripCount();
  Value count = trips ? outer.splat(type, double(*trips))
                      : outer.cast(loop.getTripCount(), before.getI64Type());
  Type narrow = tensorType(counter).getElementType();
  counter.setType(type);
  Value cast = inner.cast(counter, narrow);
  counter.replaceAllUsesExcept(cast, cast.getDefiningOp());
  loop.getTripCountMutable().assign(count);
}

/// A loop of constant trip count 0 or 1 is its initial values, or its body.
bool inlineShort(LoopOp loop) {
  std::optional<int64_t> trips = loop.getConstantTripCount();
  const size_t carried = loop.getCarried().size();
  auto stacked = loop.getResults().drop_front(carried);
  auto hasRows = [&](Value result) { return tensorType(result).getDimSize(0) == *trips; };
  if (!trips || *trips > 1 || (*trips == 1 && !llvm::all_of(stacked, hasRows)))
    return false;
  OpBuilder builder(loop);
  GraphBuilder build(builder, loop.getLoc());
  SmallVector<Value> values(loop.getCarried());
  if (*trips == 0) {
    for (Value result : stacked)
      values.push_back(build.zerosLike(result));
  } else {
    Block &body = loop.getBody().front();
    IRMapping mapping;
    mapping.map(body.getArgument(0), build.zerosLike(loop.getTripCount()));
    mapping.map(loop.getCarriedArguments(), loop.getCarried());
    for (Operation &op : body.without_terminator())
      builder.clone(op, mapping);
    values.clear();
    for (auto [yielded, result] : llvm::zip_equal(loop.getYielded(), loop.getResults()))
      values.push_back(
          build.reshape(mapping.lookupOrDefault(yielded), tensorType(result).getShape()));
  }
  loop.replaceAllUsesWith(values);
  loop.erase();
  return true;
}

/// True if every iteration's part lies in the result at a multiple of 64 bytes, and all of it is
/// written.
bool isStrided(LoopOp loop, Value stacked) {
  RankedTensorType type = tensorType(stacked);
  const auto element = int64_t(byteSize(*elementTypeOf(type.getElementType())));
  const int64_t rows = type.getDimSize(0);
  return loop.getConstantTripCount() == rows &&
         (rows <= 1 || type.getNumElements() / rows * element % 64 == 0);
}

/// Carries the stacked results that are not strided.
void carryStacks(LoopOp loop) {
  const size_t carried = loop.getCarried().size();
  SmallVector<Value> moved, kept, initial(loop.getCarried());
  for (Value stacked : loop.getResults().drop_front(carried))
    (isStrided(loop, stacked) ? kept : moved).push_back(stacked);
  if (moved.empty())
    return;
  OpBuilder builder(loop);
  GraphBuilder outer(builder, loop.getLoc());
  for (Value stacked : moved)
    initial.push_back(outer.zerosLike(stacked));
  SmallVector<Value> results(loop.getResults().take_front(carried));
  llvm::append_range(results, moved);
  llvm::append_range(results, kept);
  IntegerAttr most = loop.getAtMostAttr();
  if (std::optional<int64_t> trips = loop.getMostTrips(); trips && !loop.getConstantTripCount())
    most = builder.getI64IntegerAttr(*trips);
  auto wider = LoopOp::create(builder, loop.getLoc(), TypeRange(ValueRange(results)),
                              loop.getTripCount(), initial, most, loop.getReverseAttr());
  wider.getBody().takeBody(loop.getBody());
  Block &body = wider.getBody().front();
  Operation *yield = body.getTerminator();
  builder.setInsertionPoint(yield);
  GraphBuilder inner(builder, loop.getLoc());
  SmallVector<Value> yielded(yield->getOperands().take_front(carried));
  for (Value stacked : moved) {
    Value part = yield->getOperand(cast<OpResult>(stacked).getResultNumber());
    SmallVector<int64_t> shape{1};
    llvm::append_range(shape, tensorType(part).getShape());
    Value whole = body.addArgument(stacked.getType(), loop.getLoc());
    yielded.push_back(
        inner.make<DynamicUpdateSliceOp>(whole, inner.reshape(part, shape), wider.getCounter(), 0));
  }
  for (Value stacked : kept)
    yielded.push_back(yield->getOperand(cast<OpResult>(stacked).getResultNumber()));
  yield->setOperands(yielded);
  for (auto [before, after] : llvm::zip_equal(results, wider.getResults()))
    before.replaceAllUsesWith(after);
  loop.erase();
}

/// Rows start, start + 1, … by their numbers.
void gatherSlice(DynamicSliceOp op) {
  if (op.getMovingLoop() || !op.getType().hasStaticShape())
    return;
  OpBuilder builder(op);
  GraphBuilder build(builder, op.getLoc());
  const auto size = int64_t(op.getSize());
  Value start = build.cast(op.getStart(), builder.getI64Type());
  Value rows =
      build.add(build.iota({size}, builder.getI64Type(), 0), build.broadcastTo(start, {size}));
  op.replaceAllUsesWith(build.gather(op.getOperand(), rows, op.getDimension()));
  op.erase();
}

/// A count that is known must be one that the loop was made for, as one read at run time must be.
LogicalResult verifyTrips(LoopOp loop) {
  const std::optional<int64_t> trips = loop.getConstantTripCount();
  if (!trips)
    return success();
  if (*trips < 0)
    return loop.emitError("the trip count ") << *trips << " is negative";
  if (const int64_t most = *loop.getMostTrips(); *trips > most)
    return loop.emitError("the trip count ") << *trips << " is more than " << most;
  return success();
}

bool isStatic(LoopOp loop) {
  return llvm::all_of(loop.getResultTypes(), [](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor && tensor.hasStaticShape();
  });
}

} // namespace

LogicalResult prepareLoops(func::FuncOp function) {
  SmallVector<LoopOp> loops; // inner ones first
  function.walk([&](LoopOp loop) { loops.push_back(loop); });
  for (LoopOp loop : loops) {
    if (!isStatic(loop))
      continue; // refused with its place
    if (failed(verifyTrips(loop)))
      return mlir::failure();
    countInI64(loop);
    if (!inlineShort(loop))
      carryStacks(loop);
  }
  function.walk([](DynamicSliceOp op) { gatherSlice(op); });
  return success();
}

} // namespace ingot
