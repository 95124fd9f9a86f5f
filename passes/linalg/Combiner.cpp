#include "passes/linalg/Combiner.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace ingot {

Operation *combinerOf(linalg::LinalgOp op, unsigned output) {
  Value accumulator = op.getMatchingBlockArgument(op.getDpsInitOperand(output));
  Operation *combiner = op.getBlock()->getTerminator()->getOperand(output).getDefiningOp();
  if (!combiner || !accumulator.hasOneUse() || *accumulator.user_begin() != combiner)
    return nullptr;
  if (auto fma = dyn_cast<math::FmaOp>(combiner))
    return fma.getC() == accumulator ? combiner : nullptr;
  bool isBinary = combiner->getNumOperands() == 2 && combiner->getNumResults() == 1;
  return isBinary && arith::getNeutralElement(combiner) ? combiner : nullptr;
}

bool addsUp(Operation *combiner) { return isa_and_nonnull<arith::AddFOp, math::FmaOp>(combiner); }

TypedAttr neutralElement(Operation *combiner) {
  if (!isa<math::FmaOp>(combiner))
    return *arith::getNeutralElement(combiner);
  OpBuilder builder(combiner->getContext());
  return arith::getIdentityValueAttr(arith::AtomicRMWKind::addf, combiner->getResult(0).getType(),
                                     builder, combiner->getLoc());
}

Value combinePartials(OpBuilder &builder, Operation *combiner, Value left, Value right) {
  if (isa<math::FmaOp>(combiner))
    return arith::AddFOp::create(builder, combiner->getLoc(), left, right);
  Operation *copy = combiner->clone();
  copy->setOperands({left, right});
  copy->getResult(0).setType(left.getType());
  builder.insert(copy);
  return copy->getResult(0);
}

} // namespace ingot
