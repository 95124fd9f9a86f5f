#include "codegen/cpu/FastMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Builders.h"

using namespace mlir;

namespace ingot {
namespace {

bool mayContract(Operation *op) {
  auto fast = dyn_cast<arith::ArithFastMathInterface>(op);
  return fast &&
         bitEnumContainsAll(fast.getFastMathFlagsAttr().getValue(), arith::FastMathFlags::contract);
}

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

} // namespace

void takeFastMath(func::FuncOp function) {
  function.walk([](Operation *op) { fuse(op); });
  function.walk([](Operation *op) {
    if (auto fast = dyn_cast<arith::ArithFastMathInterface>(op))
      op->setAttr(fast.getFastMathAttrName(),
                  arith::FastMathFlagsAttr::get(op->getContext(), arith::FastMathFlags::none));
  });
}

} // namespace ingot
