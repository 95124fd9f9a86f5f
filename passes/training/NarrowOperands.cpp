/// Pass narrow-operands: what @forward multiplies is bf16.
///
/// The one place that decides which values of a training step are narrow: gradients follow from the
/// forward pass (differentiate), and whatever comes later stores, fuses and recomputes values as
/// they are.
#include "ir/dialect/GraphBuilder.h"
#include "passes/Passes.h"
#include "passes/Signature.h"

using namespace mlir;
using namespace ingot::graph;

namespace ingot {

#define GEN_PASS_DEF_NARROWOPERANDS
#include "passes/Passes.h.inc"

namespace {

bool isF32(Value value) { return tensorType(value).getElementType().isF32(); }

/// True if only elementwise functions of `value` alone read it: of a sum, the other summand may be
/// a residual stream.
bool feedsActivations(Value value) {
  auto isActivation = [&](Operation *user) {
    if (isa<ReshapeOp, TransposeOp>(user))
      return feedsActivations(user->getResult(0));
    return user->hasTrait<OpTrait::Elementwise>() && !isa<CastOp>(user) &&
           llvm::all_equal(user->getOperands()) && user->getResultTypes()[0] == value.getType();
  };
  return !value.use_empty() && llvm::all_of(value.getUsers(), isActivation);
}

/// Operands that are f32 become bf16.
void narrowOperands(Operation *op, MutableArrayRef<OpOperand> factors) {
  OpBuilder builder(op);
  GraphBuilder build(builder, op->getLoc());
  for (OpOperand &factor : factors)
    factor.set(build.castAtSource(factor.get(), builder.getBF16Type()));
}

/// From here on `result` is what a rounding gives.
void roundResult(Value result) {
  OpBuilder builder(result.getContext());
  builder.setInsertionPointAfterValue(result);
  GraphBuilder build(builder, result.getLoc());
  Value rounded = build.cast(result, builder.getBF16Type()), wide = build.widen(rounded);
  result.replaceAllUsesExcept(wide, rounded.getDefiningOp());
}

/// Attention rounds its result; it is widened where it is read.
void narrowAttention(AttentionOp op) {
  narrowOperands(op, op->getOpOperands().take_front(3)); // query, key and value
  Value result = op.getResult();
  result.setType(tensorType(op.getQuery()).clone(tensorType(result).getShape()));
  OpBuilder builder(op->getContext());
  builder.setInsertionPointAfter(op);
  Value wide = GraphBuilder(builder, op.getLoc()).widen(result);
  result.replaceAllUsesExcept(wide, wide.getDefiningOp());
}

struct NarrowOperands : impl::NarrowOperandsBase<NarrowOperands> {
  void runOnOperation() override {
    func::FuncOp forward = requireFunction(getOperation(), "forward", "the frontend");
    if (!forward)
      return signalPassFailure();
    SmallVector<Operation *> ops;
    forward.walk([&](Operation *op) {
      if (isa<LinearOp, ContractOp, AttentionOp>(op) && isF32(op->getOperand(0)))
        ops.push_back(op);
    });
    for (Operation *op : ops) {
      if (auto attention = dyn_cast<AttentionOp>(op)) {
        narrowAttention(attention);
        continue;
      }
      narrowOperands(op, op->getOpOperands().take_front(2)); // a linear layer's bias is added
      if (feedsActivations(op->getResult(0)))
        roundResult(op->getResult(0));
    }
  }
};

} // namespace
} // namespace ingot
