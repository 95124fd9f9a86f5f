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
#include "passes/linalg/ForwardHalf.h"
#include "passes/memory/PlanMemory.h"
#include "llvm/ADT/StringSet.h"
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

/// Names of the parameters and state that a function takes or gives.
llvm::StringSet<> persistentNames(func::FuncOp function) {
  llvm::StringSet<> names;
  auto note = [&](Attribute role, Attribute name) {
    auto roleName = dyn_cast_or_null<StringAttr>(role);
    if (roleName && isPersistentRole(roleName.getValue()) && name)
      names.insert(cast<StringAttr>(name).getValue());
  };
  for (unsigned index = 0; index < function.getNumArguments(); ++index)
    note(function.getArgAttr(index, roleAttribute), function.getArgAttr(index, "graph.name"));
  for (unsigned index = 0; index < function.getNumResults(); ++index)
    note(function.getResultAttr(index, roleAttribute), function.getResultAttr(index, "graph.name"));
  return names;
}

/// Moves the functions that no recomputation changes out of `module`, if all they share with it is
/// there.
OwningOpRef<ModuleOp> splitUnchanged(ModuleOp module) {
  OwningOpRef<ModuleOp> rest = ModuleOp::create(module.getLoc());
  (*rest)->setAttrs(module->getAttrDictionary());
  llvm::StringSet<> kept;
  SmallVector<func::FuncOp> unchanged;
  for (auto function : module.getOps<func::FuncOp>())
    if (ForwardHalf().read(function))
      for (const auto &name : persistentNames(function))
        kept.insert(name.getKey());
    else
      unchanged.push_back(function);
  for (func::FuncOp function : unchanged)
    if (llvm::all_of(persistentNames(function),
                     [&](const auto &name) { return kept.contains(name.getKey()); })) {
      function->remove();
      rest->push_back(function);
    }
  return rest;
}

/// Plans a module under different options and notes the smallest arena. What the plans have in
/// common is done once: the passes before recomputation for each size of blocks, the plans of
/// functions that nothing is recomputed in, equal kernels; and no plan is written out.
class Planner {
public:
  Planner(const Backend &backend, const CompileOptions &options)
      : backend(backend), options(options) {}

  /// `trained` is of stage `train`.
  Status prepare(OwningOpRef<ModuleOp> trained) {
    base = std::move(trained);
    return run(*base, [](PassManager &passes) { buildTrialPreparation(passes); });
  }

  Result<int64_t> bytes(const MemoryOptions &memory) {
    if (!blocked || blockSize != sizeOf(memory))
      INGOT_TRY(block(memory));
    OwningOpRef<ModuleOp> module = blocked->clone();
    INGOT_ASSIGN(ArenaNeed need, plan(*module, memory));
    need = need.with(unchanged);
    smallest = std::min(smallest, need.bytes());
    persistent = need.persistent.end;
    return need.bytes();
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

  /// The largest tensor that is no block.
  int64_t sizeOf(const MemoryOptions &memory) const {
    return memory.largestTensor.value_or(backend.costs().largestTensor);
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
  /// Makes the blocks, and plans what does not change from here on.
  Status block(const MemoryOptions &memory) {
    blocked = base->clone();
    blockSize = sizeOf(memory);
    INGOT_TRY(
        run(*blocked, [&](PassManager &passes) { buildTrialBlocks(passes, memory, backend); }));
    OwningOpRef<ModuleOp> rest = splitUnchanged(*blocked);
    INGOT_ASSIGN(unchanged, plan(*rest, memory));
    return {};
  }

  Result<ArenaNeed> plan(ModuleOp module, const MemoryOptions &memory) {
    ArenaNeed need;
    INGOT_TRY(run(
        module, [&](PassManager &passes) { buildTrialKernels(passes, memory, backend, known); },
        [&] {
          FailureOr<ArenaNeed> measured = measureArena(module);
          if (succeeded(measured))
            need = std::move(*measured);
          return LogicalResult(measured);
        }));
    return need;
  }

  Status run(
      ModuleOp module, llvm::function_ref<void(PassManager &)> build,
      llvm::function_ref<LogicalResult()> then = [] { return success(); }) {
    PassManager passes(module.getContext());
    passes.enableVerifier(false);
    build(passes);
    DiagnosticCollector diagnostics(*module.getContext());
    CancelScope cancel(*module.getContext(), options);
    const LogicalResult outcome = failed(passes.run(module)) ? llvm::failure() : then();
    INGOT_TRY(checkStop(options));
    if (mlir::failed(outcome))
      return tl::unexpected(
          diagnostics.error(Error::Code::BadInput, "a pass failed without saying why"));
    return {};
  }

  const Backend &backend;
  const CompileOptions &options;
  OwningOpRef<ModuleOp> base;
  OwningOpRef<ModuleOp> blocked; ///< with blocks of `blockSize`: what recomputation changes
  int64_t blockSize = 0;
  ArenaNeed unchanged; ///< of the other functions
  KernelCache known;
};

} // namespace

Result<MemoryOptions> fitMemory(ModuleOp model, const CompileOptions &options) {
  const int64_t budget = options.memory.budget;
  INGOT_ASSIGN(std::shared_ptr<const Backend> backend, parseTarget(options.target));
  CompileOptions unbounded = options;
  unbounded.memory.budget = 0;
  unbounded.memory.packWeights = false; // kernels of trials are declared, so nobody can ask them
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
  const int64_t blocks = planner.sizeOf(plan);
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
