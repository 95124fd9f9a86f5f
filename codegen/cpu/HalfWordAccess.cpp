/// Values of bf16 that are only moved are words of 16 bits.
#include "codegen/Passes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/AttrTypeSubElements.h"

using namespace mlir;

namespace ingot {

#define GEN_PASS_DEF_HALFWORDACCESS
#include "codegen/Passes.h.inc"

namespace {

bool holdsBf16(Type type) { return getElementTypeOrSelf(type).isBF16(); }

Type words(Type type) {
  Type word = IntegerType::get(type.getContext(), 16);
  auto vector = dyn_cast<VectorType>(type);
  return vector ? Type(vector.clone(word)) : word;
}

/// True for ops to which the bits are a number.
bool computes(Operation *op) {
  return isa<LLVM::FastmathFlagsInterface, LLVM::FPExtOp, LLVM::FPTruncOp, LLVM::SIToFPOp,
             LLVM::UIToFPOp, LLVM::FPToSIOp, LLVM::FPToUIOp>(op) &&
         !isa<LLVM::SelectOp>(op);
}

void makeWords(LLVM::ConstantOp constant) {
  Type word = IntegerType::get(constant.getContext(), 16);
  if (auto number = dyn_cast<FloatAttr>(constant.getValue()))
    constant.setValueAttr(IntegerAttr::get(word, number.getValue().bitcastToAPInt()));
  else if (auto numbers = dyn_cast<DenseElementsAttr>(constant.getValue()))
    constant.setValueAttr(numbers.bitcast(word));
}

struct HalfWordAccess : impl::HalfWordAccessBase<HalfWordAccess> {
  void runOnOperation() override {
    SmallVector<OpOperand *> operands; // of ops that compute, and what those give
    SmallVector<std::pair<Value, Type>> results;
    getOperation().walk([&](Operation *op) {
      auto constant = dyn_cast<LLVM::ConstantOp>(op);
      if (constant && holdsBf16(constant.getType()))
        makeWords(constant);
      if (!computes(op))
        return;
      for (OpOperand &operand : op->getOpOperands())
        if (holdsBf16(operand.get().getType()))
          operands.push_back(&operand);
      for (Value result : op->getResults())
        if (holdsBf16(result.getType()))
          results.push_back({result, result.getType()});
    });
    AttrTypeReplacer replacer;
    replacer.addReplacement([](BFloat16Type type) { return words(type); });
    replacer.recursivelyReplaceElementsIn(getOperation(), /*replaceAttrs=*/false,
                                          /*replaceLocs=*/false, /*replaceTypes=*/true);
    for (auto [result, type] : results) {
      result.setType(type);
      OpBuilder builder(result.getContext());
      builder.setInsertionPointAfterValue(result);
      auto cast = LLVM::BitcastOp::create(builder, result.getLoc(), words(type), result);
      result.replaceAllUsesExcept(cast, cast);
    }
    for (OpOperand *operand : operands) {
      Operation *owner = operand->getOwner();
      OpBuilder builder(owner);
      Type word = operand->get().getType(), number = BFloat16Type::get(&getContext());
      if (auto vector = dyn_cast<VectorType>(word))
        number = vector.clone(number);
      operand->set(LLVM::BitcastOp::create(builder, owner->getLoc(), number, operand->get()));
    }
  }
};

} // namespace
} // namespace ingot
