/// Emitted launches become kernels of a grid.
#include "codegen/Passes.h"
#include "codegen/cuda/Emitters.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "passes/math/NarrowFloats.h"
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

/// The scratch is the argument in shared memory.
void takeScratch(LLVM::LLVMFuncOp kernel) {
  const auto *found = llvm::find_if(kernel.getArguments(), [](BlockArgument argument) {
    auto pointer = dyn_cast<LLVM::LLVMPointerType>(argument.getType());
    return pointer && pointer.getAddressSpace() == sharedSpace;
  });
  if (found == kernel.getArguments().end())
    return;
  const unsigned number = found->getArgNumber();
  LLVM::GlobalOp scratch = scratchOf(kernel->getParentOfType<ModuleOp>());
  OpBuilder builder = OpBuilder::atBlockBegin(&kernel.getBody().front());
  BlockArgument(*found).replaceAllUsesWith(
      LLVM::AddressOfOp::create(builder, kernel.getLoc(), scratch));
  kernel.getBody().front().eraseArgument(number);
  LLVM::LLVMFunctionType type = kernel.getFunctionType();
  SmallVector<Type> types(type.getParams());
  types.erase(types.begin() + number);
  kernel.setFunctionType(LLVM::LLVMFunctionType::get(type.getReturnType(), types));
  if (ArrayAttr attributes = kernel.getArgAttrsAttr()) {
    SmallVector<Attribute> others(attributes.getValue());
    others.erase(others.begin() + number);
    kernel.setArgAttrsAttr(builder.getArrayAttr(others));
  }
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
      kernel->removeAttr(roundsName);
      kernel->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(), builder.getUnitAttr());
      kernel->setAttr(NVVM::NVVMDialect::getReqntidAttrName(),
                      builder.getDenseI32ArrayAttr({int32_t(threads.getInt()), 1, 1}));
      // Who moves registers between warpgroups must know how many each starts with.
      if (kernel.walk([](NVVM::SetMaxRegisterOp) { return WalkResult::interrupt(); })
              .wasInterrupted())
        kernel->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(), builder.getI32IntegerAttr(1));
      // What is passed by value is read where it lies.
      for (unsigned argument = 0; argument < kernel.getNumArguments(); ++argument)
        if (kernel.getArgAttr(argument, LLVM::LLVMDialect::getByValAttrName()))
          kernel.setArgAttr(argument, NVVM::NVVMDialect::getGridConstantAttrName(),
                            builder.getUnitAttr());
    }
  }
};

} // namespace
} // namespace ingot
