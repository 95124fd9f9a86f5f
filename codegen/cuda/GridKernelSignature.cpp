/// Emitted launches become kernels of a grid.
#include "codegen/Passes.h"
#include "codegen/cuda/Emitters.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "passes/schedule/KernelDialect.h"

using namespace mlir;

namespace ingot {

#define GEN_PASS_DEF_GRIDKERNELSIGNATURE
#include "codegen/Passes.h.inc"

namespace {

constexpr StringLiteral scratchName = "block_scratch";

LLVM::GlobalOp scratchOf(ModuleOp module) {
  if (auto known = module.lookupSymbol<LLVM::GlobalOp>(scratchName))
    return known;
  OpBuilder builder(module.getBodyRegion());
  auto type = LLVM::LLVMArrayType::get(builder.getI8Type(), 0);
  return LLVM::GlobalOp::create(builder, module.getLoc(), type, /*isConstant=*/false,
                                LLVM::Linkage::External, scratchName, Attribute(), scratchAlignment,
                                sharedSpace);
}

/// The scratch is the last argument.
void takeScratch(LLVM::LLVMFuncOp kernel) {
  if (kernel.getNumArguments() == 0)
    return;
  BlockArgument last = kernel.getArguments().back();
  auto pointer = dyn_cast<LLVM::LLVMPointerType>(last.getType());
  if (!pointer || pointer.getAddressSpace() != sharedSpace)
    return;
  LLVM::GlobalOp scratch = scratchOf(kernel->getParentOfType<ModuleOp>());
  OpBuilder builder = OpBuilder::atBlockBegin(&kernel.getBody().front());
  last.replaceAllUsesWith(LLVM::AddressOfOp::create(builder, kernel.getLoc(), scratch));
  kernel.getBody().front().eraseArgument(last.getArgNumber());
  LLVM::LLVMFunctionType type = kernel.getFunctionType();
  kernel.setFunctionType(
      LLVM::LLVMFunctionType::get(type.getReturnType(), type.getParams().drop_back()));
  if (ArrayAttr attributes = kernel.getArgAttrsAttr())
    kernel.setArgAttrsAttr(builder.getArrayAttr(attributes.getValue().drop_back()));
}

/// What a loop says of itself reaches a branch under the loop's name for it, which is not LLVM's.
void takeLoopAnnotations(LLVM::LLVMFuncOp kernel) {
  kernel.walk([](LLVM::BrOp branch) {
    if (auto known = branch->removeDiscardableAttr(loopAnnotationName))
      branch.setLoopAnnotationAttr(cast<LLVM::LoopAnnotationAttr>(known));
  });
}

struct GridKernelSignature : impl::GridKernelSignatureBase<GridKernelSignature> {
  void runOnOperation() override {
    for (auto kernel : llvm::to_vector(getOperation().getOps<LLVM::LLVMFuncOp>())) {
      auto threads = kernel->getAttrOfType<IntegerAttr>(kernel::threadsName);
      if (!threads)
        continue;
      takeScratch(kernel);
      takeLoopAnnotations(kernel);
      OpBuilder builder(kernel);
      kernel->removeAttr(kernel::threadsName);
      kernel->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(), builder.getUnitAttr());
      kernel->setAttr(NVVM::NVVMDialect::getReqntidAttrName(),
                      builder.getDenseI32ArrayAttr({int32_t(threads.getInt()), 1, 1}));
    }
  }
};

} // namespace
} // namespace ingot
