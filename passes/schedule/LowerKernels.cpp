/// Scheduled kernels on tensors become loops on memory.
#include "passes/Passes.h"
#include "passes/schedule/PassBackend.h"
#include "passes/schedule/ScheduleKernels.h"
#include "passes/schedule/VerifyEmission.h"

using namespace mlir;

namespace ingot {

#define GEN_PASS_DEF_LOWERKERNELS
#include "passes/Passes.h.inc"

LogicalResult lowerKernel(func::FuncOp kernel, const Backend &backend) {
  if (failed(backend.emit(kernel)) || failed(verifyEmission(kernel)))
    return mlir::failure();
  kernel.eraseBody(); // what is left says how it runs
  return success();
}

namespace {

struct LowerKernels : impl::LowerKernelsBase<LowerKernels> {
  using LowerKernelsBase::LowerKernelsBase;
  LowerKernels() = default;
  explicit LowerKernels(PassBackend backend) : backend(std::move(backend)) {}

  LogicalResult initialize(MLIRContext *context) override { return backend.open(context, target); }

  void runOnOperation() override {
    for (auto function : llvm::to_vector(getOperation().getOps<func::FuncOp>())) {
      if (!kernel::isKernel(function) || function.isDeclaration())
        continue;
      if (!kernel::scheduleOf(function)) {
        function.emitError("has no schedule: run schedule-kernels before");
        return signalPassFailure();
      }
      if (failed(lowerKernel(function, *backend.operator->())))
        return signalPassFailure();
      ++emitted;
    }
  }

private:
  PassBackend backend;
};

} // namespace

std::unique_ptr<Pass> createLowerKernels(const Backend &backend) {
  return std::make_unique<LowerKernels>(PassBackend(backend));
}

std::unique_ptr<Pass> createLowerKernels(BackendParser parse) {
  return std::make_unique<LowerKernels>(PassBackend(parse));
}

} // namespace ingot
