/// Calls of kernels become launches, which do not type-check against the kernel: its signature is
/// about to change from tensors to memrefs.
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Passes.h"

using namespace mlir;

namespace ingot {

#define GEN_PASS_DEF_LAUNCHKERNELS
#include "passes/Passes.h.inc"

namespace {

struct LaunchKernels : impl::LaunchKernelsBase<LaunchKernels> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    SmallVector<func::CallOp> calls;
    getOperation().walk([&](func::CallOp call) {
      auto callee = symbols.lookup<func::FuncOp>(call.getCallee());
      if (callee && callee->hasAttr("graph.kernel"))
        calls.push_back(call);
    });
    for (func::CallOp call : calls) {
      OpBuilder builder(call);
      auto launch = graph::LaunchOp::create(builder, call.getLoc(), call.getResultTypes(),
                                            call.getCalleeAttr(), call.getOperands());
      call.replaceAllUsesWith(launch);
      call.erase();
    }
  }
};

} // namespace
} // namespace ingot
