#include "codegen/FitMemory.h"
#include "codegen/Cancel.h"
#include "codegen/RunStages.h"
#include "codegen/Target.h"
#include "ir/dialect/Diagnostics.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Passes.h"
#include "passes/kernels/KernelCache.h"
#include "passes/kernels/OpModel.h"
#include <algorithm>
#include <limits>
#include <utility>

using namespace mlir;

namespace ingot {
namespace {

/// Checkpoints farther apart than this many narrow points are not tried.
constexpr int64_t mostStride = 16;
/// Blocks that need so many times what coarser ones need are not tried with other checkpoints.
constexpr double muchMore = 1.1;

/// Bytes of the arena of a planned module, those of `persistent` among them.
int64_t arenaBytes(ModuleOp planned) {
  int64_t most = 0;
  for (auto entry : planned.getOps<func::FuncOp>())
    if (entry->hasAttr("graph.ports"))
      most = std::max(most, cast<MemRefType>(entry.getArgumentTypes().front()).getNumElements());
  return most;
}

/// Plans a module under different options and notes the smallest arena. What the plans have in
/// common is done once, equal kernels are built and scheduled once, and none is emitted.
class Planner {
public:
  Planner(const Backend &backend, const CompileOptions &options)
      : backend(backend), options(options) {}

  /// `trained` is of stage `train`.
  Status prepare(OwningOpRef<ModuleOp> trained) {
    base = std::move(trained);
    PassManager passes(base->getContext());
    passes.enableVerifier(false);
    buildTrialPreparation(passes);
    return run(passes, *base);
  }

  Result<int64_t> bytes(const MemoryOptions &memory) {
    OwningOpRef<ModuleOp> module = base->clone();
    PassManager passes(module->getContext());
    passes.enableVerifier(false);
    buildTrialPlan(passes, memory, backend, known);
    INGOT_TRY(run(passes, *module));
    const int64_t needed = arenaBytes(*module);
    smallest = std::min(smallest, needed);
    persistent = (*module)->getAttrOfType<IntegerAttr>("graph.persistent").getInt();
    return needed;
  }

  /// `fitting` with as few contractions and attentions recomputed as still fit.
  Result<MemoryOptions> fewest(MemoryOptions fitting, int64_t budget) {
    int64_t tooFew = 0;
    while (fitting.heavyRecomputed - tooFew > 1) {
      MemoryOptions fewer = fitting;
      fewer.heavyRecomputed = (fitting.heavyRecomputed + tooFew) / 2;
      INGOT_ASSIGN(int64_t needed, bytes(fewer));
      if (needed <= budget)
        fitting = fewer;
      else
        tooFew = fewer.heavyRecomputed;
    }
    return fitting;
  }

  /// Ops that recomputation may repeat as a whole, at least.
  int64_t countHeavy() {
    int64_t count = 0;
    base->walk([&](Operation *op) { count += isHeavy(op); });
    return count;
  }

  int64_t smallest = std::numeric_limits<int64_t>::max(); ///< arena of the plans so far
  int64_t persistent = 0; ///< bytes that every plan needs: parameters, state and constants

private:
  Status run(PassManager &passes, ModuleOp module) {
    DiagnosticCollector diagnostics(*module.getContext());
    CancelScope cancel(*module.getContext(), options);
    const LogicalResult outcome = passes.run(module);
    INGOT_TRY(checkStop(options));
    if (mlir::failed(outcome))
      return tl::unexpected(
          diagnostics.error(Error::Code::BadInput, "a pass failed without saying why"));
    return {};
  }

  const Backend &backend;
  const CompileOptions &options;
  OwningOpRef<ModuleOp> base;
  KernelCache known;
};

} // namespace

Result<MemoryOptions> fitMemory(ModuleOp model, const CompileOptions &options) {
  const int64_t budget = options.memory.budget;
  INGOT_ASSIGN(std::shared_ptr<const Backend> backend, parseTarget(options.target));
  CompileOptions unbounded = options;
  unbounded.memory.budget = 0;
  INGOT_ASSIGN(OwningOpRef<ModuleOp> trained,
               runStages(std::max(stageOf(model), Stage::Train), model, unbounded));
  Planner planner(*backend, options);
  INGOT_TRY(planner.prepare(std::move(trained)));
  const int64_t all = planner.countHeavy();
  MemoryOptions plan = unbounded.memory;
  INGOT_ASSIGN(int64_t bytes, planner.bytes(plan));
  if (bytes <= budget)
    return plan;
  if (planner.persistent > budget)
    return failure(
        Error::Code::Unsupported, "MemoryOptions::budget",
        "{} bytes are not enough: parameters, optimizer state and constants alone are {} "
        "bytes ({:.3f} GB)",
        budget, planner.persistent, double(planner.persistent) / 1e9);
  plan.leastRecomputed = 1;
  INGOT_ASSIGN(bytes, planner.bytes(plan));
  if (bytes <= budget)
    return plan;
  const int64_t blocks = plan.largestTensor.value_or(backend->costs().largestTensor);
  double coarser = std::numeric_limits<double>::max();
  for (int64_t part : {1, 4, 16}) {
    plan.largestTensor = std::max<int64_t>(1, blocks / part);
    plan.heavyRecomputed = all;
    int64_t before = std::numeric_limits<int64_t>::max();
    for (int64_t stride = 1; stride <= mostStride; stride *= 2) {
      plan.checkpointStride = stride;
      INGOT_ASSIGN(int64_t needed, planner.bytes(plan));
      if (needed <= budget)
        return planner.fewest(plan, budget);
      if (needed >= before)
        break; // more lives between the checkpoints than they take
      before = needed;
      if (stride == 1 && double(needed) > muchMore * std::exchange(coarser, needed))
        break; // the blocks' own buffers are more than they save
    }
  }
  return failure(Error::Code::Unsupported, "MemoryOptions::budget",
                 "{} bytes are not enough: the smallest plan found needs {} bytes ({:.3f} GB)",
                 budget, planner.smallest, double(planner.smallest) / 1e9);
}

} // namespace ingot
