/// Pass add-loss: @forward → @evaluate.
#include "ir/dialect/GraphBuilder.h"
#include "passes/Passes.h"
#include "passes/Signature.h"
#include "passes/training/Losses.h"

using namespace mlir;
using namespace ingot::graph;

namespace ingot {

#define GEN_PASS_DEF_ADDLOSS
#include "passes/Passes.h.inc"

namespace {

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

LogicalResult checkPrediction(Value prediction, const LossForm &form) {
  auto type = dyn_cast<RankedTensorType>(prediction.getType());
  if (form.loss == Loss::None) {
    if (type && isa<FloatType>(type.getElementType()) && type.getRank() == 0)
      return success();
    return emitError(prediction.getLoc())
           << "without a loss, @forward must return a scalar float, but it returns "
           << prediction.getType();
  }
  const std::string problem = type ? form.problem(type) : "the loss needs a tensor of floats";
  if (problem.empty())
    return success();
  return emitError(prediction.getLoc())
         << problem << ", but @forward returns " << prediction.getType();
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
    const std::optional<LossForm> form = formOfLoss(forward.getLoc());
    if (!form)
      return signalPassFailure();
    Value prediction = findPrediction(forward, form->loss, output);
    if (!prediction || failed(checkPrediction(prediction, *form)))
      return signalPassFailure();
    for (StringRef name : {"targets", "weights"})
      if (form->loss != Loss::None && (name == "targets" || weights) &&
          hasArgument(forward, name)) {
        emitError(forward.getLoc()) << "an argument of @forward is already named '" << name << "'";
        return signalPassFailure();
      }
    if (form->loss == Loss::None && weights) {
      emitError(forward.getLoc()) << "weights need a loss of their own: @forward returns it";
      return signalPassFailure();
    }

    OpBuilder builder(forward);
    builder.setInsertionPointAfter(forward);
    auto evaluate = cast<func::FuncOp>(builder.clone(*forward));
    evaluate.setName("evaluate");
    builder.setInsertionPoint(evaluate.front().getTerminator());
    setResults(evaluate, {{buildLoss(builder, evaluate, *form), "loss"}});
  }

private:
  static bool hasArgument(func::FuncOp function, StringRef name) {
    return llvm::any_of(function.getArguments(),
                        [&](Value argument) { return argumentName(argument) == name; });
  }

  /// What the pass's options say; none, with an error, where a word is unknown.
  std::optional<LossForm> formOfLoss(Location location) {
    const std::optional<Loss> chosen = parseEnum<Loss>(loss);
    const std::optional<Reduction> how = parseEnum<Reduction>(reduction);
    if (!chosen || !how) {
      emitError(location) << "there is no "
                          << (chosen ? "reduction '" + reduction : "loss '" + loss) << "'";
      return std::nullopt;
    }
    LossNumbers numbers{.reduction = *how,
                        .classWeights = {classWeights.begin(), classWeights.end()},
                        .labelSmoothing = labelSmoothing,
                        .softTargets = softTargets,
                        .logTargets = logTargets,
                        .beta = beta,
                        .delta = delta,
                        .margin = margin,
                        .power = power};
    if (!ignoreIndex.empty())
      numbers.ignoreIndex = ignoreIndex.front();
    return LossForm{*chosen, numbers, classAxis};
  }

  Value buildLoss(OpBuilder &builder, func::FuncOp evaluate, const LossForm &form) {
    Value prediction = findPrediction(evaluate, form.loss, output);
    if (form.loss == Loss::None)
      return prediction;
    auto type = tensorType(prediction);
    Value targets = insertArgument(evaluate, Role::Target, "targets",
                                   form.targets(type, builder.getI32Type()), prediction.getLoc());
    Value weight;
    if (weights)
      weight = insertArgument(evaluate, Role::Target, "weights",
                              form.weights(type, builder.getF32Type()), prediction.getLoc());
    GraphBuilder build(builder, NameLoc::get(builder.getStringAttr("loss")));
    return form.build(build, prediction, targets, weight);
  }
};

} // namespace
} // namespace ingot
