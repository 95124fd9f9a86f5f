/// Gradients of ops with regions: the regions are recomputed and walked backwards.
#include "mlir/IR/IRMapping.h"
#include "passes/training/Gradients.h"

using namespace mlir;
using namespace ingot::graph;

namespace ingot {
namespace {

using G = GradientBuilder;

/// Values from outside that the regions of `op` use and whose gradients are wanted.
SmallVector<Value> activeCaptures(G &g, Operation *op) {
  SmallVector<Value> values;
  for (Value value : llvm::drop_begin(operandsAndCaptures(op), op->getNumOperands()))
    if (g.isActive(value))
      values.push_back(value);
  return values;
}

/// Copies the ops of `block` but its terminator; returns the copies.
SmallVector<Operation *> cloneBody(OpBuilder &builder, Block &block, IRMapping &mapping) {
  SmallVector<Operation *> tape;
  for (Operation &op : block.without_terminator())
    tape.push_back(builder.clone(op, mapping));
  return tape;
}

/// Ends a region with cotangents, zeros of the type of `inputs` for null.
void yieldCotangents(G &g, OpBuilder &builder, ArrayRef<Value> cotangents, ValueRange inputs) {
  GraphBuilder inner(builder, g.location);
  SmallVector<Value> values;
  for (auto [cotangent, input] : llvm::zip_equal(cotangents, inputs))
    values.push_back(cotangent ? cotangent : inner.zerosLike(input));
  YieldOp::create(builder, g.location, values);
}

//===--------------------------------------------------------------------------------------------===//
// If
//===--------------------------------------------------------------------------------------------===//

/// Fills a region with a copy of `forward` and its backward walk; `seeds` are the cotangents of the
/// op's results.
LogicalResult buildBranch(G &g, ArrayRef<Value> seeds, Region &forward, Region &region,
                          ValueRange captures) {
  OpBuilder builder = OpBuilder::atBlockBegin(&region.emplaceBlock());
  IRMapping mapping;
  SmallVector<Operation *> tape = cloneBody(builder, forward.front(), mapping);
  SmallVector<Value> outputs;
  for (Value yielded : forward.front().getTerminator()->getOperands())
    outputs.push_back(mapping.lookupOrDefault(yielded));
  auto cotangents = backpropagate(builder, tape, outputs, seeds, captures);
  if (failed(cotangents))
    return failure();
  yieldCotangents(g, builder, *cotangents, captures);
  return success();
}

LogicalResult ifGradient(G &g, IfOp op) {
  SmallVector<Value> captures = activeCaptures(g, op), seeds;
  for (Value result : op.getResults()) // before the op, since they may have to be rounded
    seeds.push_back(g.cotangent(result));
  auto backward =
      IfOp::create(g.builder, g.location, TypeRange(ValueRange(captures)), op.getCondition());
  if (failed(buildBranch(g, seeds, op.getThenRegion(), backward.getThenRegion(), captures)) ||
      failed(buildBranch(g, seeds, op.getElseRegion(), backward.getElseRegion(), captures)))
    return failure();
  for (auto [capture, result] : llvm::zip_equal(captures, backward.getResults()))
    g.give(capture, result);
  return success();
}

//===--------------------------------------------------------------------------------------------===//
// Loop
//===--------------------------------------------------------------------------------------------===//

/// The loop again, with values of its body stacked after its other results: `valuesOf` names them
/// in the new body, in the order of their types. It takes the old loop's place.
LoopOp stack(LoopOp op, TypeRange types, int64_t most,
             llvm::function_ref<SmallVector<Value>(IRMapping &)> valuesOf) {
  OpBuilder builder(op);
  SmallVector<Type> results(op.getResultTypes());
  for (Type type : types) {
    auto tensor = cast<RankedTensorType>(type);
    SmallVector<int64_t> shape = {most};
    llvm::append_range(shape, tensor.getShape());
    results.push_back(tensor.clone(shape));
  }
  auto stacked = LoopOp::create(builder, op.getLoc(), results, op.getTripCount(), op.getCarried(),
                                op.getAtMostAttr(), op.getReverseAttr());
  IRMapping mapping;
  op.getBody().cloneInto(&stacked.getBody(), mapping);
  Operation *yield = stacked.getBody().front().getTerminator();
  yield->insertOperands(yield->getNumOperands(), valuesOf(mapping));
  op->replaceAllUsesWith(stacked->getResults().take_front(op->getNumResults()));
  return stacked;
}

/// With the carried values at the start of each iteration.
LoopOp stackCarries(LoopOp op, int64_t most) {
  return stack(op, op.getCarried().getTypes(), most, [&](IRMapping &mapping) {
    return llvm::map_to_vector(op.getCarriedArguments(),
                               [&](Value argument) { return mapping.lookup(argument); });
  });
}

/// What the backward loop of `op` is made of. It runs through the same numbers in reverse and
/// carries the cotangents of the carried values and those of the captured ones.
struct BackwardLoop {
  G &g;
  LoopOp forward;
  ValueRange stacks;                  ///< carried values at the start of every iteration
  ArrayRef<Value> captures;           ///< floats from outside that the body uses
  SmallVector<Value> seeds = {};      ///< cotangents of forward's results; zeros for carried ones
  SmallVector<unsigned> carries = {}; ///< indices of carried values with cotangents
  /// Sums of products in the forward body, and what recomputes them in the backward one.
  SmallVector<std::pair<Operation *, Operation *>> products = {};

  LogicalResult fill(LoopOp backward, ValueRange arguments);
  void keepProducts(LoopOp backward, int64_t most);
};

/// The part of a stack of an iteration.
Value partOf(GraphBuilder &b, Value stack, Value iteration) {
  Value part = b.make<DynamicSliceOp>(stack, iteration, /*dimension=*/0, /*size=*/1);
  return b.reshape(part, shapeOf(stack).drop_front());
}

LogicalResult BackwardLoop::fill(LoopOp backward, ValueRange arguments) {
  Block &source = forward.getBody().front();
  OpBuilder builder = OpBuilder::atBlockEnd(&backward.getBody().front());
  GraphBuilder b(builder, g.location);
  Value iteration = arguments.front();
  IRMapping mapping;
  mapping.map(source.getArgument(0), iteration);
  for (auto [argument, stack] : llvm::zip_equal(source.getArguments().drop_front(), stacks))
    mapping.map(argument, partOf(b, stack, iteration));
  SmallVector<Operation *> tape = cloneBody(builder, source, mapping);
  for (auto [op, again] : llvm::zip(source, tape))
    if (isa<ContractOp, LinearOp, ConvolutionOp>(op))
      products.emplace_back(&op, again);

  SmallVector<Value> outputs, outputSeeds, inputs;
  for (Value yielded : source.getTerminator()->getOperands())
    outputs.push_back(mapping.lookupOrDefault(yielded));
  outputSeeds.assign(outputs.size(), Value());
  for (auto [position, carry] : llvm::enumerate(carries)) {
    outputSeeds[carry] = arguments[1 + position];
    inputs.push_back(mapping.lookup(source.getArgument(1 + carry)));
  }
  for (size_t index = forward.getCarried().size(); index < outputs.size(); ++index)
    if (seeds[index])
      outputSeeds[index] = partOf(b, seeds[index], iteration);
  llvm::append_range(inputs, captures);

  auto cotangents = backpropagate(builder, tape, outputs, outputSeeds, inputs);
  if (failed(cotangents))
    return failure();
  for (size_t index = carries.size(); index < inputs.size(); ++index) {
    Value sum = arguments[1 + index], &share = (*cotangents)[index];
    share = share ? b.add(sum, share) : sum;
  }
  yieldCotangents(g, builder, *cotangents, inputs);
  return success();
}

/// Keeps the sums of products that the backward loop reads: recomputing them costs more.
void BackwardLoop::keepProducts(LoopOp backward, int64_t most) {
  Block &body = backward.getBody().front();
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(body)))
    if (isOpTriviallyDead(&op)) {
      llvm::erase_if(products, [&](auto &product) { return product.second == &op; });
      op.erase();
    }
  if (products.empty())
    return;
  SmallVector<Value> values;
  for (auto [op, again] : products)
    values.push_back(op->getResult(0));
  LoopOp keeping = stack(forward, ValueRange(values).getTypes(), most, [&](IRMapping &mapping) {
    return llvm::map_to_vector(values, [&](Value value) { return mapping.lookup(value); });
  });
  OpBuilder builder = OpBuilder::atBlockBegin(&body);
  GraphBuilder b(builder, g.location);
  for (auto [product, kept] :
       llvm::zip_equal(products, keeping.getResults().drop_front(forward.getNumResults()))) {
    product.second->getResult(0).replaceAllUsesWith(partOf(b, kept, body.getArgument(0)));
    product.second->erase();
  }
  forward.erase();
}

LogicalResult loopGradient(G &g, LoopOp op) {
  std::optional<int64_t> most = op.getMostTrips();
  if (!most)
    return emitError(op.getLoc(),
                     "a loop is differentiated only if its trip count is a constant or "
                     "at_most bounds it");
  SmallVector<Value> captures = activeCaptures(g, op), seeds;
  for (Value result : op.getResults())
    seeds.push_back(g.cotangent(result));
  if (*most == 0) {
    for (auto [carried, seed] : llvm::zip(op.getCarried(), seeds))
      if (isFloatTensor(carried))
        g.give(carried, seed ? seed : g.zerosLike(carried));
    for (Value capture : captures)
      g.give(capture, g.zerosLike(capture));
    return success();
  }
  LoopOp stacked = stackCarries(op, *most);
  BackwardLoop loop{g, stacked, stacked.getResults().drop_front(op.getNumResults()), captures,
                    seeds};

  SmallVector<Value> initial;
  for (auto [index, carried] : llvm::enumerate(op.getCarried()))
    if (isFloatTensor(carried)) {
      loop.carries.push_back(index);
      initial.push_back(seeds[index] ? seeds[index] : g.zerosLike(carried));
    }
  for (Value capture : captures)
    initial.push_back(g.zerosLike(capture));
  IntegerAttr atMost =
      op.getConstantTripCount() ? IntegerAttr() : g.builder.getI64IntegerAttr(*most);
  auto backward =
      LoopOp::create(g.builder, g.location, TypeRange(ValueRange(initial)), op.getTripCount(),
                     initial, atMost, op.getReverse() ? UnitAttr() : g.builder.getUnitAttr());
  Block &body = backward.getBody().emplaceBlock();
  body.addArgument(op.getTripCount().getType(), g.location);
  for (Value value : initial)
    body.addArgument(value.getType(), g.location);
  // The stacked yields have no cotangents: the body's extra operands keep null seeds.
  loop.seeds.resize(stacked->getNumResults());
  if (failed(loop.fill(backward, body.getArguments())))
    return failure();
  loop.keepProducts(backward, *most);
  for (auto [position, carry] : llvm::enumerate(loop.carries))
    g.give(op.getCarried()[carry], backward.getResult(position));
  for (auto [capture, result] :
       llvm::zip_equal(captures, backward.getResults().drop_front(loop.carries.size())))
    g.give(capture, result);
  return success();
}

} // namespace

ArrayRef<GradientRow> controlFlowGradients() {
  static const GradientRow rows[] = {
      gradientRow<IfOp>([](G &g, IfOp op) { return ifGradient(g, op); }),
      gradientRow<LoopOp>([](G &g, LoopOp op) { return loopGradient(g, op); }),
  };
  return rows;
}

} // namespace ingot
