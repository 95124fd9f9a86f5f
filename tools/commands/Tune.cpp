/// `ingot tune`: faster block sizes for a model's kernels, kept for this machine.
#include "codegen/tuning/Tune.h"
#include "frontend/api/LoadedModel.h"
#include "frontend/api/ModelModule.h"
#include "runtime/program/Profile.h"
#include "runtime/support/Json.h"
#include "runtime/support/Print.h"
#include "runtime/training/Progress.h"
#include "tools/commands/Command.h"
#include "tools/commands/CompileFlags.h"
#include "tools/commands/Interrupt.h"
#include "tools/commands/ModelFlags.h"
#include "tools/commands/Numbers.h"
#include "tools/commands/SyntheticInputs.h"
#include "tools/commands/TrainingFlags.h"

namespace ingot {
namespace {

struct TuneFlags {
  ModelFlags model;
  TrainingFlags training;
  CompileFlags compile;
  double budget = TuneOptions().seconds;
  bool inference = false, json = false;
};

void show(LiveLine &line, const TuneProgress &progress) {
  if (progress.isNew || line.isDue())
    line.show(progress.fraction,
              fmt::format("{}  {} left", progress.what, shortDuration(progress.secondsLeft)));
}

std::string milliseconds(double seconds) { return fmt::format("{:.3f}", seconds * 1e3); }

void printTable(const TuneResult &result) {
  static constexpr char format[] = "{:>10} {:>10} {:>6}  {}\n";
  print(format, "before ms", "after ms", "gain %", "kernel: ops: choice");
  double before = 0, after = 0, restBefore = 0;
  size_t tuned = 0;
  for (const TunedKernel &kernel : result.kernels) {
    before += kernel.before;
    after += kernel.after;
    if (kernel.choice == BlockChoice()) {
      restBefore += kernel.before;
      continue;
    }
    ++tuned;
    print(format, milliseconds(kernel.before), milliseconds(kernel.after),
          fmt::format("{:.1f}", kernel.gain() * 100),
          fmt::format("{}: {}: {}", kernel.name, firstOps(kernel.ops, 40), kernel.choice.text()));
  }
  if (const size_t rest = result.kernels.size() - tuned)
    print(format, milliseconds(restBefore), milliseconds(restBefore), "",
          fmt::format("{} keep their derived sizes: none was beaten", rest));
  print(format, milliseconds(before), milliseconds(after),
        before > 0 ? fmt::format("{:.1f}", (1 - after / before) * 100) : "",
        fmt::format("all {} kernels with sizes to choose", result.kernels.size()));
  if (result.before > 0)
    print(format, milliseconds(result.before), milliseconds(result.after),
          fmt::format("{:.1f}", (1 - result.after / result.before) * 100), "the whole run");
}

std::string toJson(const TuneResult &result, const std::string &file) {
  auto kernels = nlohmann::json::array();
  for (const TunedKernel &kernel : result.kernels)
    kernels.push_back({{"kernel", kernel.name},
                       {"ops", kernel.ops},
                       {"before_ms", kernel.before * 1e3},
                       {"after_ms", kernel.after * 1e3},
                       {"gain", kernel.gain()},
                       {"choice", kernel.choice.text()}});
  return toText({{"file", file},
                 {"kernels", kernels},
                 {"variants", result.versions},
                 {"before_ms", result.before * 1e3},
                 {"after_ms", result.after * 1e3},
                 {"notes", result.notes},
                 {"stopped", result.stopped}});
}

Status tuneModel(const CLI::App &app, const TuneFlags &flags) {
  if (flags.compile.device != "cpu")
    return failure(Error::Code::Usage, "--device", "only cpu has kernels that can be tuned");
  std::vector<Circumstance> circumstances =
      circumstancesOf(flags.model, flags.training, flags.compile);
  if (flags.inference)
    circumstances.push_back(Circumstance::NoTraining);
  INGOT_TRY(refuseIdleOptions(app, circumstances));
  std::optional<TrainingOptions> training;
  INGOT_ASSIGN(Model model, flags.model.build());
  if (!flags.inference) {
    INGOT_ASSIGN(training, flags.training.optionsFor(model));
  }
  INGOT_ASSIGN(CompileOptions options, flags.compile.options(training));
  if (options.cacheDirectory.empty())
    return failure(Error::Code::Usage, "--cache", "there is no directory to keep the choices in");
  INGOT_ASSIGN(CpuTarget target, CpuTarget::parse(options.target));
  const TuningFile file(options.cacheDirectory, target, options.threads);
  if (!options.tuning.note.empty())
    print(stderr, "note: {}: it is replaced\n", options.tuning.note);
  INGOT_TRY(checkFits(model, options));
  if (flags.inference && model.parameterCount() > 0) {
    INGOT_ASSIGN(model, withInitializers(model));
  }

  const std::atomic<bool> &interrupted = interruptFlag();
  bool isSearching = false; // before that there is nothing to keep: signals end the process
  TuneResult result;
  {
    LiveLine line(progressOptions(stderr));
    TuneOptions tuning{.seconds = flags.budget,
                       .function = flags.inference ? "forward" : "step",
                       .fill = fillSyntheticInputs,
                       .stop = &interrupted};
    INGOT_ASSIGN(result,
                 tune(moduleOf(model), options, tuning, file, [&](const TuneProgress &progress) {
                   if (progress.fraction > 0 && !std::exchange(isSearching, true))
                     catchInterrupts("\ninterrupted: the search ends; interrupt "
                                     "again to end at once\n");
                   show(line, progress);
                 }));
    for (const std::string &note : result.notes)
      line.print("note: not chosen: " + note);
    if (interrupted)
      line.print("interrupted: the choices found so far are kept");
    else if (result.stopped)
      line.print("the budget ran out before every candidate was tried; --budget gives more time");
  }
  if (!interrupted)
    releaseInterrupts();
  if (flags.json) {
    print("{}\n", toJson(result, file.path()));
  } else {
    printTable(result);
    print("{} kernel variants measured; kept in {}\n", result.versions, file.path());
  }
  if (interrupted)
    endInterrupted();
  return {};
}

} // namespace

Action declareTune(CLI::App &app) {
  auto flags = std::make_shared<TuneFlags>();
  flags->model.declare(app);
  app.add_flag("--inference", flags->inference, "the model alone instead of its training step");
  addNumber(app, "--budget", flags->budget, positive, "seconds to search for, about; default 120");
  app.add_flag("--json", flags->json, "one JSON object to stdout");
  flags->training.declare(app);
  flags->compile.declare(app);
  // It finds what --tune=on uses, and keeps that beside the cache.
  app.remove_option(app.get_option("--tune"));
  app.remove_option(app.get_option("--no-cache"));
  return [flags, &app] { return tuneModel(app, *flags); };
}

} // namespace ingot
