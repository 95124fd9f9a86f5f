/// Kernels learn how they run on the target.
#include "passes/schedule/ScheduleKernels.h"
#include "passes/Passes.h"
#include "passes/kernels/KernelCache.h"
#include "passes/schedule/PassBackend.h"

using namespace mlir;

namespace ingot {

#define GEN_PASS_DEF_SCHEDULEKERNELS
#include "passes/Passes.h.inc"

namespace {

struct ScheduleKernels : impl::ScheduleKernelsBase<ScheduleKernels> {
  using ScheduleKernelsBase::ScheduleKernelsBase;
  ScheduleKernels() = default;
  ScheduleKernels(PassBackend backend, KernelCache *cache = nullptr)
      : backend(std::move(backend)), cache(cache) {}

  LogicalResult initialize(MLIRContext *context) override { return backend.open(context, target); }

  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (!kernel::isKernel(function) || kernel::scheduleOf(function) ||
          (function.isDeclaration() && !cache))
        continue;
      kernel::ScheduleAttr known;
      kernel::ScheduleAttr &schedule = cache ? cache->schedules[function.getName()] : known;
      if (!schedule)
        schedule = backend->schedule(function);
      if (!schedule)
        return signalPassFailure();
      kernel::setSchedule(function, schedule);
      ++scheduled;
    }
  }

private:
  PassBackend backend;
  KernelCache *cache = nullptr;
};

} // namespace

std::unique_ptr<Pass> createScheduleKernels(const Backend &backend, KernelCache *cache) {
  return std::make_unique<ScheduleKernels>(PassBackend(backend), cache);
}

std::unique_ptr<Pass> createScheduleKernels(BackendParser parse) {
  return std::make_unique<ScheduleKernels>(PassBackend(parse));
}

} // namespace ingot
