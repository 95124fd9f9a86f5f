/// Pass differentiate: @evaluate → @gradients.
#include "passes/Passes.h"
#include "passes/Signature.h"
#include "passes/training/Gradients.h"

using namespace mlir;
using namespace ingot::graph;

namespace ingot {

#define GEN_PASS_DEF_DIFFERENTIATE
#include "passes/Passes.h.inc"

namespace {

LogicalResult checkStatic(func::FuncOp function) {
  auto isDynamic = [](Type type) {
    auto shaped = dyn_cast<ShapedType>(type);
    return shaped && !shaped.hasStaticShape();
  };
  auto walk = function.walk([&](Operation *op) -> WalkResult {
    if (llvm::none_of(op->getResultTypes(), isDynamic))
      return WalkResult::advance();
    return emitError(op->getLoc())
           << "its shape is not known yet: specialise the model to its inputs' shapes "
              "before differentiating";
  });
  return failure(walk.wasInterrupted());
}

/// The loss of @evaluate; null with an error if it is not a scalar of floats.
Value findLoss(func::FuncOp evaluate) {
  Operation *terminator = evaluate.front().getTerminator();
  if (terminator->getNumOperands() == 1) {
    Value loss = terminator->getOperand(0);
    if (isFloatTensor(loss) && tensorType(loss).getRank() == 0)
      return loss;
  }
  emitError(evaluate.getLoc()) << "@evaluate must return one scalar of floats, the loss";
  return {};
}

/// Values that the loss is computed from, directly or not.
llvm::DenseSet<Value> ancestors(Value loss) {
  llvm::DenseSet<Value> found;
  SmallVector<Value> pending = {loss};
  while (!pending.empty()) {
    Value value = pending.pop_back_val();
    if (found.insert(value).second && value.getDefiningOp())
      llvm::append_range(pending, operandsAndCaptures(value.getDefiningOp()));
  }
  return found;
}

/// The op at which the gradient of `parameter` ends: computed from it, used by the loss, and the
/// last on its way whose results carry no gradient any more (an integer), or that passes none on.
Operation *findCut(Value parameter, ArrayRef<Operation *> tape,
                   const llvm::DenseSet<Value> &usedByLoss) {
  llvm::DenseSet<Value> reached = {parameter};
  Operation *cut = nullptr;
  for (Operation *op : tape) {
    auto isReached = [&](Value value) { return reached.contains(value); };
    auto isUsed = [&](Value value) { return usedByLoss.contains(value); };
    if (!llvm::any_of(operandsAndCaptures(op), isReached) ||
        llvm::none_of(op->getResults(), isUsed))
      continue;
    bool passesOn = false;
    for (Value result : op->getResults())
      passesOn |= isFloatTensor(result);
    cut = op;
    if (!passesOn || isFlat(op))
      return op;
    reached.insert_range(op->getResults());
  }
  return cut;
}

/// Switches the ops that compute otherwise in training, if their state is the model's: then it is
/// given, by its argument, what becomes of it. Statistics that are no state stay as they are.
FailureOr<llvm::MapVector<Value, Value>> enterTraining(func::FuncOp function) {
  llvm::MapVector<Value, Value> next;
  auto isState = [&](Value value) {
    auto argument = dyn_cast<BlockArgument>(value);
    return argument && argument.getOwner() == &function.front() &&
           roleOf(function, argument.getArgNumber()) == Role::State;
  };
  auto walk = function.walk([&](TrainingOp op) -> WalkResult {
    MutableOperandRange operands = op.getStateOperands();
    if (!llvm::all_of(operands.getAsOperandRange(), isState))
      return WalkResult::advance();
    if (op->getParentOp() != function)
      return op->emitError("its state cannot be trained inside a loop or a branch");
    op.enterTraining();
    for (auto [operand, after] : llvm::zip_equal(operands, op.getNextState())) {
      Value &latest = next[operand.get()]; // of an op before, where several share it
      if (latest)
        operand.set(latest);
      latest = after;
    }
    return WalkResult::advance();
  });
  if (walk.wasInterrupted())
    return failure();
  return next;
}

class Differentiate : public impl::DifferentiateBase<Differentiate> {
  void runOnOperation() override {
    func::FuncOp evaluate = requireFunction(getOperation(), "evaluate", "the pass add-loss");
    if (!evaluate || failed(verifySignature(evaluate)) || failed(checkStatic(evaluate)) ||
        !findLoss(evaluate))
      return signalPassFailure();
    OpBuilder builder(evaluate);
    builder.setInsertionPointAfter(evaluate);
    auto gradients = cast<func::FuncOp>(builder.clone(*evaluate));
    gradients.setName("gradients");
    if (failed(addGradients(gradients))) {
      gradients.erase();
      signalPassFailure();
    }
  }

  static LogicalResult addGradients(func::FuncOp function) {
    Value loss = findLoss(function);
    SmallVector<Value> parameters;
    for (Value parameter : argumentsOf(function, Role::Parameter))
      if (isFloatTensor(parameter))
        parameters.push_back(parameter);
    if (parameters.empty())
      return emitError(function.getLoc()) << "the model has no parameters to train";

    FailureOr<llvm::MapVector<Value, Value>> nextState = enterTraining(function);
    if (failed(nextState))
      return failure();
    Block &block = function.front();
    OpBuilder builder(block.getTerminator());
    auto tape = llvm::map_to_vector(block.without_terminator(), [](Operation &op) { return &op; });
    GraphBuilder build(builder, loss.getLoc());
    Value seed = build.scalar(tensorType(loss).getElementType(), 1);
    auto cotangents = backpropagate(builder, tape, loss, seed, parameters);
    if (failed(cotangents))
      return failure();

    llvm::DenseSet<Value> usedByLoss = ancestors(loss);
    SmallVector<NamedResult> results = {{loss, "loss"}};
    for (auto [parameter, gradient] : llvm::zip_equal(parameters, *cotangents)) {
      StringRef name = argumentName(parameter);
      if (gradient)
        results.push_back({gradient, ("gradient." + name).str()});
      else if (usedByLoss.contains(parameter))
        return reportCut(findCut(parameter, tape, usedByLoss), parameter);
      else
        emitWarning(parameter.getLoc())
            << "parameter '" << name << "' does not reach the loss and is not trained";
    }
    for (auto [state, next] : *nextState) {
      function.setArgAttr(cast<BlockArgument>(state).getArgNumber(), donatedAttribute,
                          builder.getI64IntegerAttr(int64_t(results.size())));
      results.push_back({next, argumentName(state).str(), roleName(Role::State)});
    }
    setResults(function, results);
    eraseDeadOps(block);
    return success();
  }

  /// Rules build the gradients of all operands; those that nobody wanted go.
  static void eraseDeadOps(Block &block) {
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (isOpTriviallyDead(&op))
        op.erase();
  }
};

} // namespace
} // namespace ingot
