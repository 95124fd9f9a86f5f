#include "codegen/FitMemory.h"
#include "codegen/EmitProgram.h"
#include "codegen/RunStages.h"
#include "codegen/Target.h"
#include <algorithm>
#include <limits>

using namespace mlir;

namespace ingot {
namespace {

/// Checkpoints farther apart than this many narrow points are not tried.
constexpr int64_t mostStride = 16;

/// Plans a module under different options and notes the smallest arena.
class Planner {
public:
  Planner(ModuleOp trained, const CompileOptions &options) : trained(trained), options(options) {
    this->options.memory.budget = 0;
    this->options.dumpDirectory.clear();
    this->options.printAfter.clear();
    this->options.timing = false;
  }

  Result<int64_t> bytes(const MemoryOptions &memory) {
    options.memory = memory;
    INGOT_ASSIGN(OwningOpRef<ModuleOp> planned, runStages(Stage::Plan, trained, options));
    INGOT_ASSIGN(Program program, emitProgram(*planned));
    smallest = std::min(smallest, program.arenaBytes);
    return program.arenaBytes;
  }
  /// `fitting` with as few contractions and attentions computed again as still fit.
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
  int64_t smallest = std::numeric_limits<int64_t>::max();

private:
  ModuleOp trained;
  CompileOptions options;
};

/// Contractions and attentions of the module, at least those of one function's forward pass.
int64_t countHeavy(ModuleOp module) {
  int64_t count = 0;
  module.walk([&](Operation *op) {
    StringRef name = op->getName().stripDialect();
    count += name == "contract" || name == "linear" || name == "attention";
  });
  return count;
}

} // namespace

Result<MemoryOptions> fitMemory(ModuleOp model, const CompileOptions &options) {
  const int64_t budget = options.memory.budget;
  INGOT_ASSIGN(std::shared_ptr<const Backend> backend, parseTarget(options.target));
  CompileOptions unbounded = options;
  unbounded.memory.budget = 0;
  INGOT_ASSIGN(OwningOpRef<ModuleOp> trained,
               runStages(std::max(stageOf(model), Stage::Train), model, unbounded));
  Planner planner(*trained, options);
  MemoryOptions plan = unbounded.memory;
  INGOT_ASSIGN(int64_t bytes, planner.bytes(plan));
  if (bytes <= budget)
    return plan;
  plan.leastRecomputed = 1;
  INGOT_ASSIGN(bytes, planner.bytes(plan));
  if (bytes <= budget)
    return plan;
  const int64_t all = countHeavy(*trained), blocks = plan.largestTensor.value_or(backend->costs().largestTensor);
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
    }
  }
  return failure(Error::Code::Unsupported, "--memory",
                 "{} bytes are not enough: the smallest plan found needs {} bytes ({:.3f} GB)",
                 budget, planner.smallest, double(planner.smallest) / 1e9);
}

} // namespace ingot
