#include "tools/commands/CompileFlags.h"
#include "codegen/PipelinePasses.h"
#include "codegen/cache/DiskCache.h"
#include "codegen/tuning/TuningFile.h"
#include "runtime/support/Print.h"
#include "tools/commands/FieldFlags.h"
#include <algorithm>
#include <charconv>

namespace ingot {

namespace {

constexpr int mostThreads = 4096;

/// `cuda:1`, as opposed to a word with a typing error.
bool isNumberedGpu(std::string_view device) {
  constexpr std::string_view start = "cuda:";
  return device.starts_with(start) && device.size() > start.size() &&
         std::ranges::all_of(device.substr(start.size()),
                             [](char c) { return c >= '0' && c <= '9'; });
}

Status checkDevice(const std::string &device) {
  constexpr std::string_view devices[] = {"cpu", "reference", "cuda", "cuda:emulated"};
  if (!isNumberedGpu(device))
    INGOT_TRY(choose("--device", device, devices));
  return {};
}

/// --print-after takes the names of the passes that run.
Status checkPasses(const std::vector<std::string> &wanted, Stage last) {
  if (wanted.empty())
    return {};
  const std::vector<std::string> all = pipelinePasses(Stage::Loops), names = pipelinePasses(last);
  for (const std::string &pass : wanted)
    if (std::ranges::find(all, pass) == all.end())
      return failure(Error::Code::Usage, "--print-after", "there is no pass '{}'{}; passes are {}",
                     pass, didYouMean(pass, all), fmt::join(names, ", "));
    else if (std::ranges::find(names, pass) == names.end())
      return failure(Error::Code::Usage, "--print-after",
                     "pass '{}' runs after stage {}, the last one here; passes are {}", pass,
                     enumName(last), fmt::join(names, ", "));
  return {};
}

} // namespace

void CompileFlags::declare(CLI::App &app) {
  app.add_option(
         "--device", device,
         "cpu (default), cuda, cuda:1, cuda:emulated, which is the PTX machine, or reference, the "
         "slow oracle")
      ->group("Device");
  addNumber(app, "--threads", compiler.threads, between(0, mostThreads),
            "default: one per CPU; results do not depend on it")
      ->group("Device");
  constexpr const char *group = "Compiler";
  addFields(app, compiler, group);
  app.add_option("--memory", memory,
                 "largest arena, such as 1.7GB: activations that do not fit are recomputed in the "
                 "backward pass; see `ingot plan`")
      ->group(group);
  app.add_option("--tune", tune,
                 "on (default): use the block sizes that `ingot tune` found on this machine; off: "
                 "do not. Results are the same")
      ->group(group);
  app.add_flag(
         "--tf32", tf32,
         "a GPU rounds f32 factors of linear layers, matrix products and convolutions, forward "
         "and backward, to tf32, 10 bits of mantissa, and multiplies them on tensor cores; sums "
         "stay f32. Default: exactly")
      ->group(group);
  app.add_option("--cache", cacheDirectory, "directory of the compile cache")->group(group);
  app.add_flag("--no-cache", noCache, "compile without reading or filling the cache")->group(group);
  app.add_flag("--explain-cache", explainCache, "say why something was compiled")->group(group);
}

std::vector<Circumstance> CompileFlags::circumstances() const {
  if (device == "reference")
    return {Circumstance::ReferenceDevice};
  if (noCache)
    return {Circumstance::NoCache};
  return {};
}

std::string CompileFlags::directory() const {
  return cacheDirectory.value_or(DiskCache::defaultDirectory());
}

Result<CompileOptions> CompileFlags::options(const std::optional<TrainingOptions> &training,
                                             Stage last) const {
  INGOT_TRY(checkDevice(device));
  INGOT_TRY(checkPasses(compiler.printAfter, last));
  CompileOptions options = compiler;
  options.target = targetFor(device, compiler.target);
  if (tf32) {
    if (!options.target.starts_with("cuda"))
      return failure(Error::Code::Usage, "--tf32", "is for GPUs, and the target is {}",
                     options.target);
    if (!options.target.ends_with(",tf32"))
      options.target += ",tf32";
  }
  options.training = training;
  options.memory.packWeights = true; // ShapedPrograms decides where programs share a store
  if (memory) {
    INGOT_ASSIGN(options.memory.budget, parseBytes("--memory", *memory));
  }
  if (!noCache)
    options.cacheDirectory = directory();
  constexpr std::string_view switches[] = {"off", "on"};
  INGOT_ASSIGN(const size_t tuned, choose("--tune", tune, switches));
  if (tuned) {
    INGOT_ASSIGN(options.tuning, readTuning(directory(), options.target, options.threads));
  }
  return options;
}

Result<LoadedModel> CompileFlags::load(const Model &model,
                                       const std::optional<TrainingOptions> &training,
                                       bool initializers) const {
  INGOT_ASSIGN(CompileOptions compileOptions, options(training));
  INGOT_ASSIGN(LoadedModel loaded,
               loadModel(model, compileOptions, device, threads(), initializers));
  explain(loaded.report);
  return loaded;
}

Result<LoadedModel> CompileFlags::load(Program program) const {
  INGOT_TRY(checkDevice(device));
  return loadProgram(std::move(program), device, threads());
}

void CompileFlags::explain(const CompileReport &report) const {
  if (!report.note.empty())
    print(stderr, "note: tuning is not used: {}; run `ingot tune` again\n", report.note);
  if (report.kernelsTuned > 0)
    print(stderr, "tuned: {} kernel{}\n", report.kernelsTuned, report.kernelsTuned == 1 ? "" : "s");
  if (!report.cacheProblem.empty())
    print(stderr, "note: the cache cannot be written, so the next run compiles again: {}\n",
          report.cacheProblem);
  if (!explainCache)
    return;
  if (report.programCached)
    print(stderr, "cache: hit, the whole program\n");
  else
    print(stderr, "cache: miss: {}\ncache: {} kernels hit, {} compiled\n", report.cacheMiss,
          report.kernels.cached, report.kernels.compiled);
}

Result<int64_t> parseBytes(std::string_view flag, std::string_view text) {
  constexpr std::pair<std::string_view, double> units[] = {{"", 1},
                                                           {"B", 1},
                                                           {"kB", 1e3},
                                                           {"KB", 1e3},
                                                           {"MB", 1e6},
                                                           {"GB", 1e9},
                                                           {"TB", 1e12},
                                                           {"KiB", 1 << 10},
                                                           {"MiB", 1 << 20},
                                                           {"GiB", 1 << 30},
                                                           {"TiB", double(int64_t(1) << 40)}};
  double number = 0;
  auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string_view unit(rest, size_t(text.data() + text.size() - rest));
  for (auto [name, factor] : units)
    if (error == std::errc() && unit == name && number > 0 && number * factor < 1e18 &&
        number * factor >= 1)
      return int64_t(number * factor);
  return failure(Error::Code::Usage, std::string(flag), "'{}' is not a size such as 500MB or 1.7GB",
                 text);
}

} // namespace ingot
