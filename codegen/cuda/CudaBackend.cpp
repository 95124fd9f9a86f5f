#include "codegen/cuda/CudaBackend.h"
#include "codegen/cuda/Emitters.h"
#include "codegen/cuda/Ptx.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;

namespace ingot {
namespace {

using Scheduler = LogicalResult (*)(CudaScheduler &);

/// By `graph.kernel`.
Scheduler schedulerFor(StringRef root) {
  return llvm::StringSwitch<Scheduler>(root)
      .Case("elementwise", schedulePointwise)
      .Cases({"row", "update"}, scheduleRow) // an update that watches its gradients has rows
      .Case("column", scheduleColumn)
      .Case("scatter", scheduleScatter)
      .Case("scan", scheduleScan)
      .Case("sort", scheduleSort)
      .Case("contraction", scheduleContraction)
      .Case("attention", scheduleAttention)
      .Case("attention_backward", scheduleAttentionBackward)
      .Default(nullptr);
}

/// By the kind of a launch.
CudaEmitter emitterFor(StringRef kind) {
  return llvm::StringSwitch<CudaEmitter>(kind)
      .Case("pointwise", emitPointwise)
      .Case("rows", emitRows)
      .Cases({"columns", "columns_of_chunks"}, emitColumns)
      .Case("scatter", emitScatter)
      .Case("scan", emitScan)
      .Cases({"sort_tiles", "sort_merge"}, emitSort)
      .Case("contraction", emitContraction)
      .Case("matrix_contraction", emitMatrixContraction)
      .Case("warpgroup_contraction", emitWarpgroupContraction)
      .Case("contraction_of_splits", emitContractionOfSplits)
      .Case("attention", emitAttention)
      .Cases({"attention_backward_queries", "attention_backward_keys"}, emitAttentionBackward)
      .Default(nullptr);
}

} // namespace

kernel::ScheduleAttr CudaBackend::schedule(func::FuncOp kernel) const {
  Scheduler schedule = schedulerFor(kernel::rootOf(kernel));
  if (!schedule) {
    kernel.emitError("no GPU runs kernels of root '") << kernel::rootOf(kernel) << "'";
    return {};
  }
  CudaScheduler scheduler(kernel, workCosts, target.sharedBytes(), target.hasWarpgroups(),
                          target.tf32);
  if (failed(verifyStatic(kernel)) || failed(schedule(scheduler)))
    return {};
  kernel::ScheduleAttr made = scheduler.finish();
  if (made.getScratch() <= target.sharedBytes())
    return made;
  kernel.emitError("needs ") << made.getScratch() << " bytes of shared memory in a block, and "
                             << name() << " has " << target.sharedBytes();
  return {};
}

LogicalResult CudaBackend::emit(func::FuncOp kernel) const {
  kernel::ScheduleAttr schedule = kernel::scheduleOf(kernel);
  for (auto [number, launch] : llvm::enumerate(schedule.getLaunches())) {
    CudaEmitter emit = emitterFor(launch.getKind().getValue());
    if (!emit)
      return kernel.emitError("kernel.schedule: no GPU has launches of kind ") << launch.getKind();
    CudaKernel builder(kernel, number);
    if (failed(emit(builder)) || failed(builder.finish())) {
      builder.abandon();
      return mlir::failure();
    }
  }
  return success();
}

void CudaBackend::addCodePasses(OpPassManager &passes) const { buildNvvmPipeline(passes); }

Result<std::vector<uint8_t>> CudaBackend::compile(ModuleOp launches, std::string *text) const {
  return compileToPtx(launches, target, text);
}

Launch CudaBackend::launchOf(kernel::ScheduleAttr schedule, kernel::LaunchAttr launch) const {
  CudaGrid grid;
  grid.grid[0] = launch.getGrains();
  grid.block[0] = threadsOf(launch);
  grid.sharedBytes = schedule.getScratch();
  return grid;
}

Status CudaBackend::assemble(const std::vector<KernelObject> &objects, Program &program) const {
  CodeObject code{CodeObject::Kind::Ptx, target.architecture, joinPtx(objects)};
  size_t next = 0;
  for (const KernelObject &object : objects)
    for (const std::string &name : entriesOf(object))
      program.kernels[next++].name = name;
  program.objects = {std::move(code)};
  return {};
}

} // namespace ingot
