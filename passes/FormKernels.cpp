/// Functions of linalg and named ops become calls of kernels. The rules are in KernelGroups.cpp
/// (which ops run together), KernelValues.cpp (what is stored between kernels) and
/// SplitReductions.cpp; README.md shows them at work.
#include "passes/OutlineKernels.h"
#include "passes/Passes.h"
#include "passes/SplitReductions.h"

using namespace mlir;

namespace ingot {

#define GEN_PASS_DEF_FORMKERNELS
#include "passes/Passes.h.inc"

namespace {

/// Constants that are a kernel's result or a whole operand need memory: a kernel fills it.
void materializeConstants(func::FuncOp function) {
  for (auto constant :
       llvm::make_early_inc_range(function.getBody().front().getOps<arith::ConstantOp>())) {
    auto type = dyn_cast<RankedTensorType>(constant.getType());
    auto value = dyn_cast<DenseElementsAttr>(constant.getValue());
    if (!type || !value || !value.isSplat())
      continue;
    auto needsMemory = [&](OpOperand &use) {
      Operation *owner = use.getOwner();
      return isa<func::ReturnOp, graph::ContractOp, graph::AttentionOp, graph::AttentionBackwardOp,
                 graph::ScatterAddOp>(owner) ||
             (isa<graph::AdamWOp, graph::SgdOp>(owner) && type.getRank() > 0);
    };
    if (llvm::none_of(constant->getUses(), needsMemory))
      continue;
    OpBuilder builder(constant->getContext());
    builder.setInsertionPointAfter(constant);
    Location location = constant.getLoc();
    Value scalar = arith::ConstantOp::create(builder, location, value.getSplatValue<TypedAttr>());
    Value empty =
        tensor::EmptyOp::create(builder, location, type.getShape(), type.getElementType());
    auto fill = linalg::GenericOp::create(
        builder, location, type, ValueRange(), empty,
        builder.getMultiDimIdentityMap(type.getRank()),
        SmallVector<utils::IteratorType>(type.getRank(), utils::IteratorType::parallel),
        [&](OpBuilder &b, Location where, ValueRange) {
          linalg::YieldOp::create(b, where, scalar);
        });
    constant.getResult().replaceUsesWithIf(fill.getResult(0), needsMemory);
  }
}

struct FormKernelsPass : impl::FormKernelsBase<FormKernelsPass> {
  void runOnOperation() override {
    KernelOutliner outliner(getOperation());
    for (auto function : llvm::to_vector(getOperation().getOps<func::FuncOp>())) {
      if (function->hasAttr("graph.kernel"))
        continue;
      splitReductions(function);
      materializeConstants(function);
      KernelGroups groups;
      if (failed(groups.form(function)))
        return signalPassFailure();
      KernelValues values(groups, function);
      if (failed(outliner.outline(function, groups, values)))
        return signalPassFailure();
    }
  }
};

} // namespace
} // namespace ingot
