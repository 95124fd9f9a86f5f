#include "codegen/cpu/Emitters.h"
#include "codegen/cpu/FastMath.h"
#include "ir/dialect/Graph.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "codegen/Passes.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;

namespace ingot {

#define GEN_PASS_DEF_LOWERKERNELS
#include "codegen/Passes.h.inc"

namespace {

/// The emitter of each root, by `graph.kernel`.
KernelEmitter emitterFor(StringRef root) {
  return llvm::StringSwitch<KernelEmitter>(root)
      .Case("elementwise", emitElementwise)
      .Case("row", emitRow)
      .Case("column", emitColumn)
      .Case("update", emitUpdate)
      .Case("indexing", emitIndexing)
      .Case("contraction", emitContraction)
      .Case("attention", emitAttention)
      .Case("attention_backward", emitAttentionBackward)
      .Default(nullptr);
}

LogicalResult verifyStatic(func::FuncOp kernel) {
  auto isStatic = [](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor && tensor.hasStaticShape();
  };
  if (llvm::all_of(kernel.getArgumentTypes(), isStatic) &&
      llvm::all_of(kernel.getResultTypes(), isStatic))
    return success();
  return kernel.emitError("a kernel takes and returns tensors of static shape alone");
}

LogicalResult lower(func::FuncOp kernel, const MachineShape &machine) {
  StringRef root = kernel->getAttrOfType<StringAttr>("graph.kernel").getValue();
  KernelEmitter emit = emitterFor(root);
  if (!emit)
    return kernel.emitError("no emitter for kernels of root '") << root << "'";
  if (failed(verifyStatic(kernel)))
    return failure();
  auto tuned = kernel->getAttrOfType<StringAttr>("graph.tuned");
  std::string problem;
  auto choice = BlockChoice::parse(tuned ? std::string_view(tuned.getValue()) : "", problem);
  if (!choice)
    return kernel.emitError("graph.tuned: ") << problem;
  KernelBuilder builder(kernel, machine, *choice);
  if (failed(emit(builder))) {
    builder.abandon();
    return failure();
  }
  takeFastMath(builder.finish());
  return success();
}

struct LowerKernels : impl::LowerKernelsBase<LowerKernels> {
  using LowerKernelsBase::LowerKernelsBase;

  void runOnOperation() override {
    SmallVector<func::FuncOp> kernels;
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (function->hasAttrOfType<StringAttr>("graph.kernel") && !function.isDeclaration() &&
          !function->hasAttr("graph.grains"))
        kernels.push_back(function);
    const MachineShape machine{vectorBytes, l1Bytes, l2Bytes};
    for (func::FuncOp kernel : kernels)
      if (failed(lower(kernel, machine)))
        return signalPassFailure();
  }
};

} // namespace
} // namespace ingot
