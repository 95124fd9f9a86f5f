/// `ingot bench`: where a function's time goes, kernel by kernel, beside what the machine can do.
#include "frontend/api/SavedModel.h"
#include "runtime/cpu/CpuInfo.h"
#include "runtime/program/Profile.h"
#include "runtime/support/Clock.h"
#include "runtime/support/Print.h"
#include "runtime/training/Summary.h"
#include "tools/commands/Command.h"
#include "tools/commands/CompileFlags.h"
#include "tools/commands/Inputs.h"
#include "tools/commands/ModelFlags.h"
#include "tools/commands/Numbers.h"
#include "tools/commands/SyntheticInputs.h"
#include "tools/commands/TrainingFlags.h"

namespace ingot {
namespace {

struct BenchFlags {
  ModelFlags model;
  TrainingFlags training;
  CompileFlags compile;
  std::string function;
  int64_t steps = 0;
  size_t top = 40;
  bool inference = false, json = false;
};

Result<LoadedModel> open(const BenchFlags &flags) {
  if (flags.compile.device != "cpu")
    return failure(Error::Code::Usage, "--device", "only cpu has kernels that can be measured");
  if (flags.model.isProgram()) {
    INGOT_ASSIGN(Program program, openProgram(flags.model.model));
    return flags.compile.load(std::move(program));
  }
  INGOT_ASSIGN(Model model, flags.model.build());
  std::optional<TrainingOptions> training;
  if (!flags.inference) {
    INGOT_ASSIGN(training, flags.training.optionsFor(model));
  }
  return flags.compile.load(model, training, /*initializers=*/model.parameterCount() > 0);
}

Result<const Function *> chooseFunction(const BenchFlags &flags, const Program &program) {
  std::vector<std::string> wanted = {"step", "forward"};
  if (!flags.function.empty())
    wanted = {flags.function};
  for (const std::string &name : wanted)
    if (const Function *function = program.function(name))
      return function;
  std::vector<std::string> names;
  for (const Function &function : program.functions)
    names.push_back(function.name);
  return failure(Error::Code::Usage, "--function", "there is no {}; functions are {}",
                 fmt::join(wanted, " and no "), fmt::join(names, ", "));
}

struct Timing {
  std::vector<double> seconds; ///< of runs without a profile
  double median() const {
    std::vector<double> sorted = seconds;
    std::ranges::sort(sorted);
    return sorted[sorted.size() / 2];
  }
};

/// Runs with and without a profile take turns, so that both see the same machine; without --steps
/// for about two seconds and at least three times each.
Result<Timing> measure(Session &session, const std::string &function, int64_t steps,
                       Profile &profile) {
  Timing timing;
  INGOT_TRY(session.run(function)); // touches memory for the first time
  const double start = steadySeconds();
  auto more = [&] {
    const int64_t done = int64_t(timing.seconds.size());
    return steps > 0 ? done < steps : done < 3 || (steadySeconds() - start < 2 && done < 1000);
  };
  while (more()) {
    const double begin = steadySeconds();
    INGOT_TRY(session.run(function));
    timing.seconds.push_back(steadySeconds() - begin);
    profile.beginRun();
    session.profile(profile.sink());
    INGOT_TRY(session.run(function));
    session.profile({});
  }
  return timing;
}

std::string describe(const MachineLimits &limits) {
  std::string text = fmt::format("{}: {:.0f} GFLOP/s f32", cpuInfo().model, limits.flops / 1e9);
  for (const MachineLimits::Level &level : limits.levels)
    text += fmt::format(", {} {:.0f} GB/s", level.name, level.bandwidth / 1e9);
  return text +
         fmt::format(" measured on {} thread{}", limits.threads, limits.threads == 1 ? "" : "s");
}

nlohmann::json toJson(const MachineLimits &limits) {
  nlohmann::json machine = {{"model", cpuInfo().model},
                            {"threads", limits.threads},
                            {"flops", limits.flops},
                            {"bf16_flops", limits.bf16Flops},
                            {"read_bandwidth", limits.readBandwidth},
                            {"copy_bandwidth", limits.copyBandwidth}};
  for (const MachineLimits::Level &level : limits.levels)
    machine["levels"].push_back({{"name", level.name}, {"bandwidth", level.bandwidth}});
  return machine;
}

Status bench(const CLI::App &app, const BenchFlags &flags) {
  std::vector<Circumstance> circumstances =
      circumstancesOf(flags.model, flags.training, flags.compile);
  if (flags.inference)
    circumstances.push_back(Circumstance::NoTraining);
  if (flags.json)
    circumstances.push_back(Circumstance::JsonOutput);
  INGOT_TRY(refuseIdleOptions(app, circumstances));
  INGOT_ASSIGN(LoadedModel loaded, open(flags));
  Session &session = *loaded.session;
  INGOT_ASSIGN(const Function *function, chooseFunction(flags, session.program()));
  INGOT_TRY(fillSyntheticInputs(session, *function));
  const MachineLimits limits =
      measureMachine(flags.compile.threads() > 0 ? flags.compile.threads() : usableCpus());
  Profile profile(session.program(), limits);
  INGOT_ASSIGN(Timing timing, measure(session, function->name, flags.steps, profile));

  if (flags.json) {
    nlohmann::json report = {{"machine", toJson(limits)},
                             {"function", function->name},
                             {"runs", timing.seconds.size()},
                             {"ms_median", timing.median() * 1e3},
                             {"launches", countLaunches(*function)},
                             {"kernels", profile.json()}};
    print("{}\n", toText(report));
    return {};
  }
  print("{}\n@{}: {:.3f} ms, median of {}; kernel by kernel:\n\n{}", describe(limits),
        function->name, timing.median() * 1e3, timing.seconds.size(), profile.table(flags.top));
  return {};
}

} // namespace

Action declareBench(CLI::App &app) {
  auto flags = std::make_shared<BenchFlags>();
  flags->model.declare(app);
  app.get_option("model")->description(
      "gpt, mlp, a model or a compiled program; - for standard input");
  app.add_flag("--inference", flags->inference, "the model alone instead of its training step");
  app.add_option("--function", flags->function, "default: step, else forward");
  addNumber(app, "--steps", flags->steps, atLeast(0),
            "runs to take medians of; default: two seconds of them");
  addNumber(app, "--top", flags->top, atLeast(0), "how many kernels to list; default 40");
  app.add_flag("--json", flags->json, "one JSON object to stdout");
  flags->training.declare(app);
  flags->compile.declare(app);
  return [flags, &app] { return bench(app, *flags); };
}

} // namespace ingot
