/// Masked accesses of bf16 move words of 16 bits.
#include "codegen/Passes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace ingot {

#define GEN_PASS_DEF_HALFWORDACCESS
#include "codegen/Passes.h.inc"

namespace {

bool holdsBf16(Type type) { return isa<VectorType>(type) && getElementTypeOrSelf(type).isBF16(); }

VectorType words(Type type) {
  return cast<VectorType>(type).clone(IntegerType::get(type.getContext(), 16));
}

struct HalfWordAccess : impl::HalfWordAccessBase<HalfWordAccess> {
  void runOnOperation() override {
    getOperation().walk([](Operation *op) {
      OpBuilder builder(op);
      if (auto load = dyn_cast<LLVM::MaskedLoadOp>(op); load && holdsBf16(load.getType())) {
        Type type = load.getType();
        for (OpOperand &other : load.getPassThruMutable())
          other.set(LLVM::BitcastOp::create(builder, op->getLoc(), words(type), other.get()));
        load.getResult().setType(words(type));
        builder.setInsertionPointAfter(op);
        auto cast = LLVM::BitcastOp::create(builder, op->getLoc(), type, load.getResult());
        load.getResult().replaceAllUsesExcept(cast, cast);
      } else if (auto store = dyn_cast<LLVM::MaskedStoreOp>(op);
                 store && holdsBf16(store.getValue().getType())) {
        Type type = words(store.getValue().getType());
        store.getValueMutable().assign(
            LLVM::BitcastOp::create(builder, op->getLoc(), type, store.getValue()));
      }
    });
  }
};

} // namespace
} // namespace ingot
