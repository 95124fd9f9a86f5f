#include "codegen/cpu/FastMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Builders.h"

using namespace mlir;

namespace ingot {
namespace {

using arith::FastMathFlags;

bool allows(Operation *op, FastMathFlags flag) {
  auto fast = dyn_cast<arith::ArithFastMathInterface>(op);
  return fast && bitEnumContainsAll(fast.getFastMathFlagsAttr().getValue(), flag);
}

bool mayContract(Operation *op) { return allows(op, FastMathFlags::contract); }

/// A product that nothing but this sum needs, in a type for which fused arithmetic is native.
arith::MulFOp productFor(Value operand) {
  auto product = operand.getDefiningOp<arith::MulFOp>();
  Type element = getElementTypeOrSelf(operand.getType());
  bool native = element.isF32() || element.isF64();
  return product && native && product->hasOneUse() && mayContract(product) ? product : nullptr;
}

/// x·y + z, x·y - z and z - x·y as one rounding.
void fuse(Operation *op) {
  if (!isa<arith::AddFOp, arith::SubFOp>(op) || !mayContract(op))
    return;
  bool difference = isa<arith::SubFOp>(op);
  Value left = op->getOperand(0), right = op->getOperand(1);
  OpBuilder builder(op);
  auto negated = [&](Value value) -> Value {
    return arith::NegFOp::create(builder, op->getLoc(), value);
  };
  arith::MulFOp product = productFor(left);
  Value x, y, z;
  if (product) {
    x = product.getLhs(), y = product.getRhs(), z = difference ? negated(right) : right;
  } else if ((product = productFor(right))) {
    x = difference ? negated(product.getLhs()) : product.getLhs();
    y = product.getRhs(), z = left;
  } else {
    return;
  }
  Value fused = math::FmaOp::create(builder, op->getLoc(), x, y, z);
  op->getResult(0).replaceAllUsesWith(fused);
  op->erase();
  product->erase();
}

/// x / y with y the same in all lanes: one scalar division, which leaves the loop, and a product.
void multiplyByReciprocal(arith::DivFOp quotient) {
  auto broadcast = quotient.getRhs().getDefiningOp<vector::BroadcastOp>();
  if (!broadcast || isa<VectorType>(broadcast.getSource().getType()) ||
      !allows(quotient, FastMathFlags::arcp))
    return;
  OpBuilder builder(broadcast);
  Location location = quotient.getLoc();
  Value divisor = broadcast.getSource();
  Value one =
      arith::ConstantOp::create(builder, location, builder.getFloatAttr(divisor.getType(), 1.0));
  Value reciprocal = arith::DivFOp::create(builder, location, one, divisor);
  reciprocal = vector::BroadcastOp::create(builder, location, broadcast.getType(), reciprocal);
  builder.setInsertionPoint(quotient);
  Value product = arith::MulFOp::create(builder, location, quotient.getLhs(), reciprocal,
                                        quotient.getFastmath());
  quotient.replaceAllUsesWith(product);
  quotient.erase();
}

} // namespace

void takeFastMath(func::FuncOp function) {
  function.walk([](arith::DivFOp quotient) { multiplyByReciprocal(quotient); });
  function.walk([](Operation *op) { fuse(op); });
  function.walk([](Operation *op) {
    auto fast = dyn_cast<arith::ArithFastMathInterface>(op);
    if (!fast)
      return;
    // Which of +0 and -0 is the larger costs a maximum two instructions more.
    auto kept = isa<arith::MaximumFOp, arith::MinimumFOp>(op) && allows(op, FastMathFlags::nsz)
                    ? FastMathFlags::nsz
                    : FastMathFlags::none;
    op->setAttr(fast.getFastMathAttrName(), arith::FastMathFlagsAttr::get(op->getContext(), kept));
  });
}

} // namespace ingot
