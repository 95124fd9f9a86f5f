#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "passes/Passes.h"
#include "passes/math/MathFunctions.h"
#include "passes/math/NarrowFloats.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;

namespace ingot {

#define GEN_PASS_DEF_EXPANDMATH
#include "passes/Passes.h.inc"

namespace {

using Unary = Term (*)(Term);

Unary unaryFor(StringRef name) {
  return llvm::StringSwitch<Unary>(name)
      .Case("math.exp", expOf)
      .Case("math.exp2", exp2Of)
      .Case("math.expm1", expm1Of)
      .Case("math.log", logOf)
      .Case("math.log1p", log1pOf)
      .Case("math.log2", log2Of)
      .Case("math.log10", log10Of)
      .Case("math.tanh", tanhOf)
      .Case("math.erf", erfOf)
      .Case("math.sin", sinOf)
      .Case("math.cos", cosOf)
      .Case("math.rsqrt", rsqrtOf)
      .Case("math.atan", atanOf)
      .Default(nullptr);
}

using Binary = Term (*)(Term, Term);

Binary binaryFor(Operation *op) {
  return isa<math::PowFOp>(op) ? powOf : isa<arith::RemFOp>(op) ? remainderOf : nullptr;
}

/// Single instructions of every target we compile for.
bool isNative(Operation *op) {
  return isa<math::AbsFOp, math::AbsIOp, math::CeilOp, math::CopySignOp, math::CtPopOp,
             math::CountLeadingZerosOp, math::CountTrailingZerosOp, math::FloorOp, math::FmaOp,
             math::IsFiniteOp, math::IsInfOp, math::IsNaNOp, math::IsNormalOp, math::RoundEvenOp,
             math::RoundOp, math::SqrtOp, math::TruncOp>(op);
}

/// True for a rounding that the function leaves to an instruction of its target.
bool isRounding(Operation *op) {
  auto function = op->getParentOfType<FunctionOpInterface>();
  return isa<arith::TruncFOp>(op) && function && function->hasAttr(roundsName) &&
         getElementTypeOrSelf(op->getOperand(0)).isF32() &&
         getElementTypeOrSelf(op->getResult(0)).isBF16();
}

/// Replaces one op; types narrower than f32 are computed in f32.
LogicalResult expand(Operation *op, int64_t vectorBytes) {
  Binary binary = binaryFor(op);
  Unary unary = unaryFor(op->getName().getStringRef());
  if (!unary && !binary)
    return op->emitOpError("has no expansion; it would call a C library's function");
  OpBuilder builder(op);
  Type type = op->getResult(0).getType(), element = getElementTypeOrSelf(type), wide = type;
  if (!element.isF32() && !element.isF64()) {
    auto shaped = dyn_cast<ShapedType>(type);
    wide = shaped ? Type(shaped.clone(builder.getF32Type())) : builder.getF32Type();
  }
  Formula formula(builder, op->getLoc(), wide, vectorBytes);
  auto operand = [&](unsigned index) {
    Value value = op->getOperand(index);
    return formula.term(
        wide == type ? value
                     : arith::ExtFOp::create(builder, op->getLoc(), wide, value).getResult());
  };
  Value result = (binary ? binary(operand(0), operand(1)) : unary(operand(0))).value;
  if (wide != type)
    result = arith::TruncFOp::create(builder, op->getLoc(), type, result);
  op->getResult(0).replaceAllUsesWith(result);
  op->erase();
  return success();
}

struct ExpandMath : impl::ExpandMathBase<ExpandMath> {
  using ExpandMathBase::ExpandMathBase;

  void getDependentDialects(DialectRegistry &registry) const override {
    ExpandMathBase::getDependentDialects(registry);
    registry.insert<scf::SCFDialect, vector::VectorDialect>();
  }

  void runOnOperation() override {
    SmallVector<Operation *> functions;
    getOperation()->walk([&](Operation *op) {
      bool isMath = isa_and_nonnull<math::MathDialect>(op->getDialect());
      if (isa<arith::RemFOp>(op) || (isMath && !isNative(op)))
        functions.push_back(op);
    });
    for (Operation *op : functions)
      if (failed(expand(op, vectorBytes)))
        return signalPassFailure();
    // After the functions, which round results of their own.
    getOperation()->walk([](Operation *op) {
      if (!needsExpansion(op) || isRounding(op))
        return;
      Value expanded = expandConversion(op);
      op->replaceAllUsesWith(ValueRange(expanded));
      op->erase();
    });
  }
};

} // namespace
} // namespace ingot
