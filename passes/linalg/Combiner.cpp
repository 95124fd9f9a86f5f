#include "passes/linalg/Combiner.h"
#include "ir/dialect/Graph.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace ingot {
namespace {

/// The op on scalars with other operands: on vectors if one of them is one.
SmallVector<Value> copyOnto(OpBuilder &builder, Operation *op, ArrayRef<Value> operands) {
  SmallVector<Value> actual(operands);
  VectorType wide;
  for (Value operand : operands)
    if (auto type = dyn_cast<VectorType>(operand.getType()))
      wide = type;
  auto typed = [&](Type element) { return wide ? Type(wide.clone(element)) : element; };
  for (Value &operand : actual)
    if (wide && !isa<VectorType>(operand.getType()))
      operand =
          vector::BroadcastOp::create(builder, op->getLoc(), typed(operand.getType()), operand);
  Operation *copy = op->clone();
  copy->setOperands(actual);
  for (Value result : copy->getResults())
    result.setType(typed(result.getType()));
  builder.insert(copy);
  return copy->getResults();
}

/// The accumulators of a body, in the order of its results.
SmallVector<Value> accumulatorsOf(linalg::LinalgOp op) {
  SmallVector<Value> accumulators;
  for (int64_t output = 0; output < op.getNumDpsInits(); ++output)
    accumulators.push_back(op.getMatchingBlockArgument(op.getDpsInitOperand(output)));
  return accumulators;
}

} // namespace

Operation *combinerOf(linalg::LinalgOp op) {
  SmallVector<Value> accumulators = accumulatorsOf(op);
  Operation *yield = op.getBlock()->getTerminator();
  Operation *combiner = yield->getOperand(0).getDefiningOp();
  if (!combiner || !llvm::equal(combiner->getResults(), yield->getOperands()) ||
      !llvm::all_of(accumulators, [&](Value accumulator) {
        return accumulator.hasOneUse() && *accumulator.user_begin() == combiner;
      }))
    return nullptr;
  if (auto tuples = dyn_cast<graph::CombineOp>(combiner))
    return llvm::equal(tuples.getLeft(), accumulators) ? combiner : nullptr;
  if (accumulators.size() != 1)
    return nullptr;
  if (auto fma = dyn_cast<math::FmaOp>(combiner))
    return fma.getC() == accumulators.front() ? combiner : nullptr;
  bool isBinary = combiner->getNumOperands() == 2;
  return isBinary && arith::getNeutralElement(combiner) ? combiner : nullptr;
}

bool addsUp(Operation *combiner) { return isa_and_nonnull<arith::AddFOp, math::FmaOp>(combiner); }

SmallVector<TypedAttr> neutralElements(Operation *combiner) {
  if (auto tuples = dyn_cast<graph::CombineOp>(combiner))
    return llvm::to_vector(tuples.getNeutral().getAsRange<TypedAttr>());
  if (!isa<math::FmaOp>(combiner))
    return {*arith::getNeutralElement(combiner)};
  OpBuilder builder(combiner->getContext());
  return {arith::getIdentityValueAttr(arith::AtomicRMWKind::addf, combiner->getResult(0).getType(),
                                      builder, combiner->getLoc())};
}

SmallVector<Value> combinePartials(OpBuilder &builder, Operation *combiner, ValueRange left,
                                   ValueRange right) {
  if (isa<math::FmaOp>(combiner))
    return {arith::AddFOp::create(builder, combiner->getLoc(), left.front(), right.front())};
  SmallVector<Value> operands(left);
  llvm::append_range(operands, right);
  auto tuples = dyn_cast<graph::CombineOp>(combiner);
  if (!tuples)
    return copyOnto(builder, combiner, operands);
  Block &region = tuples.getCombiner().front();
  IRMapping mapping;
  mapping.map(region.getArguments(), operands);
  auto lookup = [&](Value value) { return mapping.lookup(value); };
  for (Operation &op : region.without_terminator())
    mapping.map(op.getResults(),
                copyOnto(builder, &op, llvm::map_to_vector(op.getOperands(), lookup)));
  // What depends on no operand is a scalar still.
  SmallVector<Value> results;
  for (auto [value, like] : llvm::zip_equal(region.getTerminator()->getOperands(), left)) {
    Value result = lookup(value);
    if (result.getType() != like.getType())
      result = vector::BroadcastOp::create(builder, combiner->getLoc(), like.getType(), result);
    results.push_back(result);
  }
  return results;
}

} // namespace ingot
