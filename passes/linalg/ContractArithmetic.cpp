/// Pass contract-arithmetic: fused multiply-adds and reciprocals become explicit ops.
///
/// The rule looks at the function's values alone, before any of them is cloned or fused. Later
/// passes may store a value, inline it or recompute it: its bits stay the same.
#include "passes/linalg/ContractArithmetic.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Dominance.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/CSE.h"
#include "passes/Passes.h"

using namespace mlir;

namespace ingot {

#define GEN_PASS_DEF_CONTRACTARITHMETIC
#include "passes/Passes.h.inc"

namespace {

using arith::FastMathFlags;

bool allows(Operation *op, FastMathFlags flag) {
  auto fast = dyn_cast<arith::ArithFastMathInterface>(op);
  return fast && fast.getFastMathFlagsAttr() &&
         bitEnumContainsAll(fast.getFastMathFlagsAttr().getValue(), flag);
}

int64_t pointsOf(linalg::GenericOp op) {
  int64_t points = 1;
  for (int64_t range : op.getStaticLoopRanges())
    points *= range;
  return points;
}

//===--------------------------------------------------------------------------------------------===//
// Reciprocals: x / y → x · (1 / y)
//===--------------------------------------------------------------------------------------------===//

/// Divisions by values that serve several points each.
class Reciprocals {
public:
  explicit Reciprocals(func::FuncOp function) : builder(function.getContext()) {}

  void rewrite(linalg::GenericOp op) {
    for (auto quotient : llvm::make_early_inc_range(op.getBody()->getOps<arith::DivFOp>()))
      if (allows(quotient, FastMathFlags::arcp))
        if (Value factor = reciprocalFor(op, quotient.getRhs())) {
          builder.setInsertionPoint(quotient);
          Value product = arith::MulFOp::create(builder, quotient.getLoc(), quotient.getLhs(),
                                                factor, quotient.getFastmath());
          quotient.replaceAllUsesWith(product);
          quotient.erase();
        }
  }

private:
  /// The factor that replaces a divisor; null where the division stays.
  Value reciprocalFor(linalg::GenericOp op, Value divisor) {
    APFloat constant(0.0);
    if (matchPattern(divisor, m_ConstantFloat(&constant)))
      return constantReciprocal(divisor, constant);
    auto widened = divisor.getDefiningOp<arith::ExtFOp>();
    auto argument = dyn_cast<BlockArgument>(widened ? widened.getIn() : divisor);
    if (!argument || argument.getOwner() != op.getBody() || !argument.hasOneUse() ||
        !divisor.hasOneUse())
      return {};
    OpOperand *operand = op.getMatchingOpOperand(argument);
    auto type = dyn_cast<RankedTensorType>(operand->get().getType());
    if (!op.isDpsInput(operand) || !type || type.getNumElements() >= pointsOf(op))
      return {};
    operand->set(reciprocal(operand->get(), divisor.getType(), op.getLoc()));
    argument.setType(divisor.getType());
    if (widened) {
      widened.replaceAllUsesWith(argument);
      widened.erase();
    }
    return argument;
  }

  /// None if the reciprocal would overflow or lose bits as a subnormal number.
  Value constantReciprocal(Value divisor, APFloat value) {
    APFloat one(value.getSemantics(), 1);
    one.divide(value, APFloat::rmNearestTiesToEven);
    if (!one.isNormal())
      return {};
    builder.setInsertionPointAfterValue(divisor);
    return arith::ConstantOp::create(builder, divisor.getLoc(),
                                     builder.getFloatAttr(divisor.getType(), one));
  }

  /// 1 / tensor, in elements of type `element`.
  Value reciprocal(Value tensor, Type element, Location location) {
    Value &known = made[{tensor, element}];
    if (known)
      return known;
    auto type = cast<RankedTensorType>(tensor.getType()).clone(element);
    builder.setInsertionPointAfterValue(tensor);
    Value empty = tensor::EmptyOp::create(builder, location, type.getShape(), element);
    AffineMap identity = builder.getMultiDimIdentityMap(type.getRank());
    SmallVector<utils::IteratorType> loops(type.getRank(), utils::IteratorType::parallel);
    auto generic = linalg::GenericOp::create(
        builder, location, type, tensor, empty, ArrayRef{identity, identity}, loops,
        [&](OpBuilder &b, Location where, ValueRange values) {
          Value one = arith::ConstantOp::create(b, where, b.getFloatAttr(element, 1));
          Value divisor = values[0];
          if (divisor.getType() != element)
            divisor = arith::ExtFOp::create(b, where, element, divisor);
          linalg::YieldOp::create(b, where,
                                  arith::DivFOp::create(b, where, one, divisor).getResult());
        });
    return known = generic.getResult(0);
  }

  OpBuilder builder;
  llvm::DenseMap<std::pair<Value, Type>, Value> made;
};

//===--------------------------------------------------------------------------------------------===//
// Fused multiply-adds: x · y + z in one rounding
//===--------------------------------------------------------------------------------------------===//

bool isSum(Operation *op) {
  return isa<arith::AddFOp, arith::SubFOp>(op) && allows(op, FastMathFlags::contract);
}

/// The product that `value` is, if one sum alone needs it and its type has fused arithmetic.
arith::MulFOp productOf(Value value) {
  auto product = value.getDefiningOp<arith::MulFOp>();
  bool isNative = value.getType().isF32() || value.getType().isF64();
  return product && isNative && product->hasOneUse() && allows(product, FastMathFlags::contract)
             ? product
             : nullptr;
}

/// The operand of `consumer` that `value` is read from, if another op makes a product for it at
/// each point of the consumer's loops, and for nothing else.
OpOperand *productOperand(linalg::GenericOp consumer, Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  if (!argument || argument.getOwner() != consumer.getBody() || !argument.hasOneUse())
    return nullptr;
  OpOperand *operand = consumer.getMatchingOpOperand(argument);
  auto producer = operand->get().getDefiningOp<linalg::GenericOp>();
  if (!consumer.isDpsInput(operand) || !producer || !producer->hasOneUse() ||
      producer.getNumResults() != 1 || producer->getBlock() != consumer->getBlock() ||
      pointsOf(producer) != pointsOf(consumer) ||
      !productOf(producer.getBody()->getTerminator()->getOperand(0)))
    return nullptr;
  return linalg::areElementwiseOpsFusable(operand) ? operand : nullptr;
}

/// The operand by which a product of another op enters a sum of this op: the left one if both do.
OpOperand *nextProduct(linalg::GenericOp op) {
  for (Operation &sum : op.getBody()->without_terminator()) {
    if (!isSum(&sum))
      continue;
    for (Value value : sum.getOperands()) {
      if (productOf(value))
        break;
      if (OpOperand *operand = productOperand(op, value))
        return operand;
    }
  }
  return nullptr;
}

/// `fused` without its first `count` results, which nobody reads. Upstream keeps a producer's
/// result where it cannot tell the loops' bounds without it; it joins maps of two ops by loop
/// number, so that it may be wrong where their loops are ordered differently. A result that stays
/// would keep the product from its sum, and the op from being a reduction.
linalg::GenericOp withoutFirstResults(RewriterBase &rewriter, linalg::GenericOp fused,
                                      unsigned count) {
  if (count == 0)
    return fused;
  SmallVector<AffineMap> maps = fused.getIndexingMapsArray();
  const unsigned inputs = fused.getNumDpsInputs();
  maps.erase(maps.begin() + inputs, maps.begin() + inputs + count);
  Block *body = fused.getBody();
  if (!inversePermutation(concatAffineMaps(maps, fused.getContext())) ||
      llvm::any_of(body->getArguments().slice(inputs, count),
                   [](BlockArgument argument) { return !argument.use_empty(); }))
    return fused;
  rewriter.setInsertionPoint(fused);
  auto kept = linalg::GenericOp::create(
      rewriter, fused.getLoc(), TypeRange(fused.getResultTypes()).drop_front(count),
      fused.getDpsInputs(), ValueRange(fused.getDpsInits()).drop_front(count), maps,
      fused.getIteratorTypesArray());
  rewriter.inlineRegionBefore(fused.getRegion(), kept.getRegion(), kept.getRegion().begin());
  body = kept.getBody();
  body->eraseArguments(inputs, count);
  body->getTerminator()->eraseOperands(0, count);
  rewriter.replaceAllUsesWith(fused.getResults().drop_front(count), kept.getResults());
  rewriter.eraseOp(fused);
  return kept;
}

/// Makes products of other ops part of the op whose sums need them.
linalg::GenericOp takeProducts(linalg::GenericOp op) {
  IRRewriter rewriter(op.getContext());
  while (OpOperand *operand = nextProduct(op)) {
    Operation *producer = operand->get().getDefiningOp();
    rewriter.setInsertionPoint(op);
    FailureOr<linalg::ElementwiseOpFusionResult> fused =
        linalg::fuseElementwiseOps(rewriter, operand);
    if (failed(fused))
      break;
    const unsigned results = op->getNumResults();
    for (Value result : op->getResults())
      rewriter.replaceAllUsesWith(result, fused->replacements.lookup(result));
    rewriter.eraseOp(op);
    rewriter.eraseOp(producer);
    auto whole = cast<linalg::GenericOp>(fused->fusedOp);
    op = withoutFirstResults(rewriter, whole, whole->getNumResults() - results);
  }
  return op;
}

/// x·y + z, x·y - z and z - x·y.
void fuse(Operation *sum) {
  bool isDifference = isa<arith::SubFOp>(sum);
  Value left = sum->getOperand(0), right = sum->getOperand(1);
  OpBuilder builder(sum);
  auto negated = [&](Value value) -> Value {
    return arith::NegFOp::create(builder, sum->getLoc(), value);
  };
  arith::MulFOp product = productOf(left);
  Value x, y, z;
  if (product) {
    x = product.getLhs(), y = product.getRhs(), z = isDifference ? negated(right) : right;
  } else if ((product = productOf(right))) {
    x = isDifference ? negated(product.getLhs()) : product.getLhs();
    y = product.getRhs(), z = left;
  } else {
    return;
  }
  Value fused = math::FmaOp::create(builder, sum->getLoc(), x, y, z);
  sum->getResult(0).replaceAllUsesWith(fused);
  sum->erase();
  product->erase();
}

void dropFlags(func::FuncOp function) {
  function.walk([](arith::ArithFastMathInterface op) {
    // Which of +0 and -0 is the larger costs a maximum two instructions more.
    auto kept = isa<arith::MaximumFOp, arith::MinimumFOp>(op) && allows(op, FastMathFlags::nsz)
                    ? FastMathFlags::nsz
                    : FastMathFlags::none;
    op->setAttr(op.getFastMathAttrName(), arith::FastMathFlagsAttr::get(op->getContext(), kept));
  });
}

struct ContractArithmeticPass : impl::ContractArithmeticBase<ContractArithmeticPass> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function.isDeclaration())
        contractArithmetic(function);
  }
};

} // namespace

void contractArithmetic(func::FuncOp function) {
  // Equal values are one value: how many uses a product has must not depend on how it was written.
  DominanceInfo dominance;
  IRRewriter rewriter(function.getContext());
  eliminateCommonSubExpressions(rewriter, dominance, function);
  Reciprocals reciprocals(function);
  auto generics = [&] {
    SmallVector<linalg::GenericOp> ops;
    function.walk([&](linalg::GenericOp op) { ops.push_back(op); });
    return ops;
  };
  for (linalg::GenericOp op : generics())
    reciprocals.rewrite(op);
  for (linalg::GenericOp op : generics())
    takeProducts(op)->walk([](Operation *inner) { // combiners of tuples are regions in the body
      if (isSum(inner))
        fuse(inner);
    });
  dropFlags(function);
}

} // namespace ingot
