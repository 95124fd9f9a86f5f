/// Pass add-loss: @forward → @evaluate.
#include "ir/dialect/GraphBuilder.h"
#include "passes/Passes.h"
#include "passes/Signature.h"

using namespace mlir;
using namespace ingot::graph;

namespace ingot {

#define GEN_PASS_DEF_ADDLOSS
#include "passes/Passes.h.inc"

namespace {

using Loss = TrainingOptions::Loss;

/// The result called `output`, by default `logits` (without a loss: `loss`) or the only one; null
/// with an error if there is none.
Value findPrediction(func::FuncOp function, Loss loss, StringRef output) {
  Operation *terminator = function.front().getTerminator();
  StringRef name = !output.empty() ? output : loss == Loss::None ? "loss" : "logits";
  for (unsigned index = 0; index < function.getNumResults(); ++index)
    if (resultName(function, index) == name)
      return terminator->getOperand(index);
  if (function.getNumResults() == 1 && output.empty())
    return terminator->getOperand(0);
  emitError(function.getLoc()) << "@forward returns " << function.getNumResults()
                               << " values and none is named '" << name << "'";
  return {};
}

LogicalResult checkPrediction(Value prediction, Loss loss) {
  auto type = dyn_cast<RankedTensorType>(prediction.getType());
  if (!type || !isa<FloatType>(type.getElementType()))
    return emitError(prediction.getLoc())
           << "the loss needs a tensor of floats, but @forward returns " << prediction.getType();
  if (loss == Loss::None && type.getRank() != 0)
    return emitError(prediction.getLoc())
           << "without a loss, @forward must return a scalar, but it returns " << type;
  if (loss == Loss::CrossEntropy && type.getRank() < 2)
    return emitError(prediction.getLoc())
           << "cross-entropy needs logits [batch…, classes], but @forward returns " << type;
  return success();
}

class AddLoss : public impl::AddLossBase<AddLoss> {
public:
  using AddLossBase::AddLossBase;

  void runOnOperation() override {
    func::FuncOp forward = requireFunction(getOperation(), "forward", "the frontend");
    if (!forward || failed(verifySignature(forward)))
      return signalPassFailure();
    if (getOperation().lookupSymbol("evaluate")) {
      emitError(forward.getLoc()) << "the module already has an @evaluate";
      return signalPassFailure();
    }
    Value prediction = findPrediction(forward, loss, output);
    if (!prediction || failed(checkPrediction(prediction, loss)) || failed(checkAxis(prediction)))
      return signalPassFailure();
    for (StringRef name : {"targets", "weights"})
      if (loss != Loss::None && (name == "targets" || weights) && hasArgument(forward, name)) {
        emitError(forward.getLoc()) << "an argument of @forward is already named '" << name << "'";
        return signalPassFailure();
      }
    if (loss == Loss::None && weights) {
      emitError(forward.getLoc()) << "weights need a loss of their own: @forward returns it";
      return signalPassFailure();
    }

    OpBuilder builder(forward);
    builder.setInsertionPointAfter(forward);
    auto evaluate = cast<func::FuncOp>(builder.clone(*forward));
    evaluate.setName("evaluate");
    builder.setInsertionPoint(evaluate.front().getTerminator());
    setResults(evaluate, {{buildLoss(builder, evaluate), "loss"}});
  }

private:
  static bool hasArgument(func::FuncOp function, StringRef name) {
    return llvm::any_of(function.getArguments(),
                        [&](Value argument) { return argumentName(argument) == name; });
  }

  Value buildLoss(OpBuilder &builder, func::FuncOp evaluate) {
    Value prediction = findPrediction(evaluate, loss, output);
    auto type = tensorType(prediction);
    Location location = NameLoc::get(builder.getStringAttr("loss"));
    if (loss == Loss::None)
      return prediction;
    if (loss == Loss::Mse) {
      Value targets = insertArgument(evaluate, Role::Target, "targets", type, prediction.getLoc());
      if (weights)
        return weighted(builder, evaluate, rowErrors(builder, prediction, targets));
      return MseOp::create(builder, location, prediction, targets).getLoss();
    }
    prediction = classesLast(builder, prediction);
    auto classes = RankedTensorType::get(shapeOf(prediction).drop_back(), builder.getI32Type());
    Value targets = insertArgument(evaluate, Role::Target, "targets", classes, prediction.getLoc());
    auto entropy = CrossEntropyOp::create(builder, location, prediction, targets);
    return weights ? weighted(builder, evaluate, entropies(builder, entropy)) : entropy.getLoss();
  }

  LogicalResult checkAxis(Value prediction) {
    if (loss != Loss::CrossEntropy || classAxis < tensorType(prediction).getRank())
      return success();
    return emitError(prediction.getLoc())
           << "class axis " << int64_t(classAxis) << " is no dimension of " << prediction.getType();
  }

  Value classesLast(OpBuilder &builder, Value prediction) {
    const int64_t last = tensorType(prediction).getRank() - 1;
    if (classAxis < 0 || classAxis == last)
      return prediction;
    SmallVector<int64_t> order;
    for (int64_t dimension = 0; dimension <= last; ++dimension)
      if (dimension != classAxis)
        order.push_back(dimension);
    order.push_back(classAxis);
    return GraphBuilder(builder, prediction.getLoc()).transpose(prediction, order);
  }

  /// -log softmax(logits)[target] of each position.
  Value entropies(OpBuilder &builder, CrossEntropyOp op) {
    GraphBuilder build(builder, op.getLoc());
    Value logits = build.cast(op.getLogits(), tensorType(op.getLse()).getElementType());
    auto type = tensorType(logits);
    const int64_t last = type.getRank() - 1;
    Value index = build.iota(type.getShape(), tensorType(op.getTargets()).getElementType(), last);
    Value isTarget = build.compare(Comparison::Eq, index,
                                   build.broadcastReducedLike(op.getTargets(), logits, last));
    Value target = build.select(isTarget, logits, build.zerosLike(logits));
    return build.sub(op.getLse(), build.reduceSum(target, last));
  }

  /// Mean of (prediction - target)² over all dimensions but the first.
  Value rowErrors(OpBuilder &builder, Value prediction, Value targets) {
    GraphBuilder build(builder, NameLoc::get(builder.getStringAttr("loss")));
    Type type = accumulationType(tensorType(prediction).getElementType());
    Value square = build.square(build.sub(build.cast(prediction, type), build.cast(targets, type)));
    auto inner = llvm::to_vector(llvm::seq<int64_t>(1, tensorType(square).getRank()));
    return inner.empty() ? square : build.reduceMean(square, inner);
  }

  /// Σ weight·loss / Σ weight.
  Value weighted(OpBuilder &builder, func::FuncOp evaluate, Value losses) {
    GraphBuilder build(builder, NameLoc::get(builder.getStringAttr("loss")));
    auto type = RankedTensorType::get(tensorType(losses).getShape(), builder.getF32Type());
    Value given = insertArgument(evaluate, Role::Target, "weights", type, losses.getLoc());
    Value weight = build.cast(given, tensorType(losses).getElementType());
    return build.div(build.sumAll(build.mul(losses, weight)), build.sumAll(weight));
  }
};

} // namespace
} // namespace ingot
