/// `ingot plan`: the memory a program needs, before anything runs.
#include "codegen/Compile.h"
#include "frontend/api/ModelModule.h"
#include "runtime/cpu/CpuInfo.h"
#include "runtime/program/Peak.h"
#include "runtime/program/Profile.h"
#include "runtime/support/HumanBytes.h"
#include "runtime/support/Json.h"
#include "runtime/support/Print.h"
#include "tools/commands/Command.h"
#include "tools/commands/CompileFlags.h"
#include "tools/commands/ModelFlags.h"
#include "tools/commands/Numbers.h"
#include "tools/commands/TrainingFlags.h"

namespace ingot {
namespace {

struct PlanFlags {
  ModelFlags model;
  TrainingFlags training;
  CompileFlags compile;
  bool inference = false, json = false;
  size_t top = 10;
};

/// What a function's kernels do, and how long this machine takes at least.
struct Work {
  double flops = 0, bytes = 0, seconds = 0;
};

Work workOf(const Program &program, const Function &function, const MachineLimits &limits) {
  Work work;
  for (const Step &step : function.steps)
    if (auto *call = std::get_if<CallStep>(&step.node)) {
      const Kernel &kernel = program.kernels[call->kernel];
      work.flops += kernel.flops;
      work.bytes += kernel.bytes;
      work.seconds += kernelBound(program, kernel, limits).seconds;
    }
  return work;
}

/// The predicted time of the busiest function, and of the same without a bound of memory.
struct Prediction {
  Work planned, unbounded;
  bool isBounded = false;

  double extraFlops() const { return planned.flops - unbounded.flops; }
  double extraBytes() const { return planned.bytes - unbounded.bytes; }
  double percent() const { return 100 * (planned.seconds / unbounded.seconds - 1); }
};

void printJson(const Program &program, const Peak &peak, int threads,
               const Prediction &prediction) {
  nlohmann::json bytes = nlohmann::json::object(), held = nlohmann::json::array();
  for (auto [kind, amount] : peak.bytes)
    bytes[std::string(name(kind))] = amount;
  bytes["workspace"] = program.workspaceBytes * threads;
  for (const PlannedBuffer *buffer : peak.buffers)
    held.push_back(
        {{"name", buffer->name}, {"kind", name(buffer->role)}, {"bytes", buffer->bytes}});
  nlohmann::json report = {{"planned_bytes", program.arenaBytes},
                           {"persistent_bytes", program.persistentBytes},
                           {"workspace_bytes_per_thread", program.workspaceBytes},
                           {"function", peak.function},
                           {"peak_step", peak.step},
                           {"peak_op", peak.op},
                           {"bytes", bytes},
                           {"held", held},
                           {"predicted_ms", prediction.planned.seconds * 1e3}};
  if (prediction.isBounded)
    report["recomputation"] = {{"flops", prediction.extraFlops()},
                               {"bytes", prediction.extraBytes()},
                               {"percent", prediction.percent()}};
  print("{}\n", toText(report));
}

void printPrediction(const Prediction &prediction, int threads) {
  print("\npredicted {:.4g} ms a run on {} thread{}, at the machine's limits\n",
        prediction.planned.seconds * 1e3, threads, threads == 1 ? "" : "s");
  if (prediction.isBounded)
    print("to fit: {:+.3g} GFLOP, {:+.3g} GB moved, {:+.1f} % time\n",
          prediction.extraFlops() / 1e9, prediction.extraBytes() / 1e9, prediction.percent());
}

void printText(const Program &program, const Peak &peak, int threads, size_t top) {
  print("{} planned, the most in @{} at step {}{}\n\n", humanBytes(program.arenaBytes),
        peak.function, peak.step, peak.op.empty() ? "" : fmt::format(" ({})", peak.op));
  for (auto [kind, amount] : peak.bytes)
    print("  {:<12} {:>12}\n", name(kind), humanBytes(amount));
  print("  {:<12} {:>12}  outside the arena, {} a thread\n", "workspace",
        humanBytes(program.workspaceBytes * threads), humanBytes(program.workspaceBytes));
  if (peak.buffers.empty())
    return;
  print("\nwhat holds the peak besides parameters and state:\n");
  for (const PlannedBuffer *buffer :
       std::span(peak.buffers).first(std::min(top, peak.buffers.size())))
    print("  {:>12}  {:<10}  {}\n", humanBytes(buffer->bytes), name(buffer->role), buffer->name);
  if (peak.buffers.size() > top)
    print("  … and {} smaller ones\n", peak.buffers.size() - top);
}

Status plan(const CLI::App &app, const PlanFlags &flags) {
  std::vector<Circumstance> circumstances =
      circumstancesOf(flags.model, flags.training, flags.compile);
  if (flags.compile.device == "reference")
    circumstances.push_back(Circumstance::NothingRuns);
  if (flags.inference)
    circumstances.push_back(Circumstance::NoTraining);
  if (flags.json)
    circumstances.push_back(Circumstance::JsonOutput);
  INGOT_TRY(refuseIdleOptions(app, circumstances));
  INGOT_ASSIGN(Model model, flags.model.build());
  std::optional<TrainingOptions> training;
  if (!flags.inference) {
    INGOT_ASSIGN(training, flags.training.optionsFor(model));
  }
  INGOT_ASSIGN(CompileOptions options, flags.compile.options(training));
  INGOT_ASSIGN(Program program, planProgram(moduleOf(model), options));
  int threads = flags.compile.threads() > 0 ? flags.compile.threads() : usableCpus();
  Peak peak = findPeak(program, largestFunction(program));
  Prediction prediction;
  const MachineLimits limits = measureMachine(threads);
  prediction.planned = workOf(program, *program.function(peak.function), limits);
  if (options.memory.budget > 0) {
    options.memory.budget = 0;
    INGOT_ASSIGN(Program unbounded, planProgram(moduleOf(model), options));
    if (const Function *same = unbounded.function(peak.function)) {
      prediction.unbounded = workOf(unbounded, *same, limits);
      prediction.isBounded = true;
    }
  }
  if (flags.json) {
    printJson(program, peak, threads, prediction);
  } else {
    printText(program, peak, threads, flags.top);
    printPrediction(prediction, threads);
  }
  return {};
}

} // namespace

Action declarePlan(CLI::App &app) {
  auto flags = std::make_shared<PlanFlags>();
  flags->model.declare(app);
  app.add_flag("--inference", flags->inference, "the model alone instead of its training step");
  addNumber(app, "--top", flags->top, atLeast(0), "how many buffers to list; default 10");
  app.add_flag("--json", flags->json, "one JSON object to stdout");
  flags->training.declare(app);
  flags->compile.declare(app);
  // No code is generated.
  app.remove_option(app.get_option("--no-cache"));
  app.remove_option(app.get_option("--explain-cache"));
  return [flags, &app] { return plan(app, *flags); };
}

} // namespace ingot
