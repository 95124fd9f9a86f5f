#include "codegen/Tune.h"
#include "codegen/EmitProgram.h"
#include "codegen/KernelCode.h"
#include "codegen/TuneCandidates.h"
#include "codegen/VersionedProgram.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "runtime/cpu/CpuInfo.h"
#include <algorithm>
#include <chrono>

using namespace mlir;

namespace ingot {
namespace {

using Place = VersionedProgram::Place;

/// Kernels that take less of the function's time are left alone.
constexpr double leastShare = 0.003;
/// Whatever the noise, a smaller gain is none.
constexpr double leastGain = 0.01;
constexpr int fewestRuns = 4, mostRuns = 24;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> values) {
  if (values.empty())
    return 0;
  std::ranges::sort(values);
  const size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

/// Seconds of each kernel and of the whole function, run by run. Versions take turns; version 0
/// runs a second time at the end of each turn, which shows the noise.
struct Times {
  std::vector<std::vector<std::vector<double>>> kernels; ///< version (the last: 0 again), kernel
  std::vector<std::vector<double>> whole;                ///< version

  size_t turns() const { return whole.front().size(); }
  const std::vector<double> &again(size_t kernel) const { return kernels.back()[kernel]; }
  /// What version 0 took in a turn.
  double base(size_t kernel, size_t turn) const {
    return (kernels.front()[kernel][turn] + again(kernel)[turn]) / 2;
  }
  /// The median over every second turn of what `version` takes of version 0's time.
  double ratio(size_t version, size_t kernel, size_t firstTurn, size_t step) const {
    std::vector<double> ratios;
    for (size_t turn = firstTurn; turn < turns(); turn += step)
      if (base(kernel, turn) > 0)
        ratios.push_back(kernels[version][kernel][turn] / base(kernel, turn));
    return ratios.empty() ? 1 : median(ratios);
  }
  /// By how much two runs of version 0 differ in a turn, the median over all turns.
  double noise(size_t kernel) const {
    std::vector<double> differences;
    for (size_t turn = 0; turn < turns(); ++turn)
      if (base(kernel, turn) > 0)
        differences.push_back(std::abs(kernels.front()[kernel][turn] - again(kernel)[turn]) /
                              base(kernel, turn));
    return median(differences);
  }
};

/// A program compiled with some choices.
struct Version {
  Program program;
  std::vector<BlockChoice> taken; ///< by kernel: the sizes that came of them
};

class Tuner {
public:
  Tuner(ModuleOp model, const CompileOptions &options, const TuneOptions &tuning,
        const TuningFile &file, const std::function<void(const TuneProgress &)> &progress)
      : model(model), options(options), tuning(tuning), file(file), progress(progress),
        disk(options.cacheDirectory) {}

  Result<TuneResult> run();

private:
  struct Trial {
    Place place;
    BlockChoice choice; ///< all of it
  };

  Result<Version> compileVersion(const BlockChoices &choices);
  Result<std::unique_ptr<Session>> load(const VersionedProgram &program);
  Result<Times> measure(const VersionedProgram &program, size_t versions, Session &session,
                        double seconds, const std::string &what, double from, double to);
  Status survey();
  Status vary(TuningGroup group, double share, double left, double from, double to);
  Status compareWithDerived(double seconds, double from);
  Status save();
  void report(const std::string &what, double fraction, double secondsLeft, bool isNew);

  double secondsLeft() const { return start + tuning.seconds - now(); }
  bool isStopped() const { return tuning.stop && tuning.stop->load(); }
  const std::string &nameOf(size_t kernel) const { return base.program.kernels[kernel].name; }

  ModuleOp model;
  CompileOptions options;
  const TuneOptions &tuning;
  const TuningFile &file;
  const std::function<void(const TuneProgress &)> &progress;
  DiskCache disk;
  MachineShape machine;
  const double start = now();

  OwningOpRef<ModuleOp> linalg; ///< what all versions have in common
  std::unique_ptr<Device> device;
  Version base;                ///< with the best choices so far
  BlockChoices best;           ///< of the kernels that are tuned; default: derived
  std::vector<size_t> kernels; ///< that are tuned, slowest first
  double runSeconds = 0;       ///< of the function
  TuneResult result;
};

void Tuner::report(const std::string &what, double fraction, double left, bool isNew) {
  if (progress)
    progress({what, fraction, std::max(0.0, left), isNew});
}

Result<Version> Tuner::compileVersion(const BlockChoices &choices) {
  CompileOptions chosen = options;
  chosen.tuning = {};
  for (const auto &[kernel, choice] : choices)
    if (choice != BlockChoice())
      chosen.tuning.blocks[kernel] = choice;
  INGOT_ASSIGN(CpuTarget target, CpuTarget::parse(options.target));
  INGOT_ASSIGN(OwningOpRef<ModuleOp> planned, lowerTo(Stage::Plan, *linalg, chosen));
  Version version;
  INGOT_ASSIGN(version.program, emitProgram(*planned));
  INGOT_TRY(generateKernelCode(*planned, target, disk, chosen, version.program));
  version.program.target = target.name();
  version.program.features = target.required;
  for (auto function : planned->getOps<func::FuncOp>()) {
    if (!function->hasAttr("graph.kernel"))
      continue;
    std::string problem;
    auto taken = function->getAttrOfType<StringAttr>("graph.blocks");
    version.taken.push_back(
        BlockChoice::parse(taken ? std::string_view(taken.getValue()) : "", problem)
            .value_or(BlockChoice()));
  }
  return version;
}

Result<std::unique_ptr<Session>> Tuner::load(const VersionedProgram &program) {
  INGOT_ASSIGN(std::unique_ptr<Session> session, device->load(program.program()));
  INGOT_TRY(tuning.fill(*session, *program.program()->function(tuning.function)));
  return session;
}

Result<Times> Tuner::measure(const VersionedProgram &program, size_t versions, Session &session,
                             double seconds, const std::string &what, double from, double to) {
  const double begin = now();
  const size_t count = base.program.kernels.size();
  Times times;
  times.whole.resize(versions + 1);
  times.kernels.assign(versions + 1, std::vector<std::vector<double>>(count));
  std::vector<double> sums(count);
  session.profile([&](const ProfileSpan &span) {
    sums[program.placeOf(span.kernel).kernel] += span.end - span.start;
  });
  while (int(times.turns()) < mostRuns) {
    const double elapsed = now() - begin;
    const auto turns = double(times.turns());
    if (times.turns() >= fewestRuns && elapsed * (turns + 1) / turns > seconds)
      break;
    Times before = times;
    for (size_t turn = 0; turn <= versions; ++turn) {
      if (isStopped()) {
        session.profile({});
        return before; // of whole turns
      }
      std::ranges::fill(sums, 0);
      const double runBegin = now();
      INGOT_TRY(session.run(program.function(turn % versions)));
      times.whole[turn].push_back(now() - runBegin);
      for (size_t kernel = 0; kernel < count; ++kernel)
        times.kernels[turn][kernel].push_back(sums[kernel]);
    }
    const double part = std::min(1.0, std::max((turns + 1) / mostRuns, (now() - begin) / seconds));
    report(what, from + (to - from) * part, secondsLeft(), false);
  }
  session.profile({});
  return times;
}

/// Finds which kernels are worth tuning, and what they take with the derived sizes.
Status Tuner::survey() {
  report("compiling", 0, secondsLeft(), true);
  INGOT_ASSIGN(base, compileVersion({}));
  if (!base.program.function(tuning.function))
    return failure(Error::Code::Usage, "", "the model has no function '{}'", tuning.function);
  INGOT_ASSIGN(VersionedProgram program,
               VersionedProgram::join({base.program}, tuning.function, {}));
  INGOT_ASSIGN(std::unique_ptr<Session> session, load(program));
  INGOT_TRY(session->run(tuning.function)); // touches memory for the first time
  INGOT_ASSIGN(Times times, measure(program, 1, *session, 0, "measuring", 0, 0.05));
  if (times.turns() == 0)
    return {};
  runSeconds = median(times.whole.front());
  std::vector<std::pair<double, size_t>> order;
  double total = 0;
  for (size_t kernel = 0; kernel < base.taken.size(); ++kernel) {
    const double seconds = median(times.kernels.front()[kernel]);
    total += seconds;
    order.emplace_back(-seconds, kernel);
  }
  std::ranges::sort(order);
  for (auto [negative, kernel] : order)
    if (base.taken[kernel] != BlockChoice() && -negative > leastShare * total) {
      kernels.push_back(kernel);
      result.kernels.push_back(
          {nameOf(kernel), base.program.kernels[kernel].ops, -negative, -negative, {}});
    }
  // The search goes on from what is known.
  const BlockChoices known = file.read().blocks;
  for (TunedKernel &row : result.kernels)
    if (auto found = known.find(row.name); found != known.end())
      best[row.name] = row.choice = found->second;
  if (!best.empty()) {
    session.reset(); // its memory first
    INGOT_ASSIGN(base, compileVersion(best));
  }
  return {};
}

/// Tries one group of sizes for all kernels, in its share of the seconds left; where that is too
/// little for all candidates in more of them, because the first groups promise most.
Status Tuner::vary(TuningGroup group, double share, double left, double from, double to) {
  const double begin = now();
  std::vector<std::vector<BlockChoice>> candidates;
  size_t most = 0;
  for (size_t kernel : kernels) {
    candidates.push_back(tuningCandidates(group, base.taken[kernel], machine));
    most = std::max(most, candidates.back().size());
  }
  if (most == 0)
    return {};                                  // attention alone has no depth
  const double turns = fewestRuns * runSeconds; // of one version
  const double seconds = std::max(share, std::min(left, double(most + 2) * turns));
  most = std::min(most, size_t(std::max(seconds / turns - 2, 0.0)));
  if (most == 0) {
    result.stopped = true;
    return {};
  }
  report(fmt::format("{}: {} versions of {} kernels", name(group), most, kernels.size()), from,
         secondsLeft(), true);
  std::vector<Program> versions = {base.program};
  std::vector<Trial> trials;
  std::map<size_t, std::vector<BlockChoice>> seen;
  for (size_t version = 1; version <= most && !isStopped(); ++version) {
    BlockChoices choices = best;
    for (size_t i = 0; i < kernels.size(); ++i)
      if (version <= candidates[i].size())
        choices[nameOf(kernels[i])] = best[nameOf(kernels[i])].with(candidates[i][version - 1]);
    INGOT_ASSIGN(Version compiled, compileVersion(choices));
    for (size_t kernel : kernels) {
      const BlockChoice &taken = compiled.taken[kernel];
      std::vector<BlockChoice> &others = seen[kernel];
      if (taken == base.taken[kernel] || std::ranges::find(others, taken) != others.end())
        continue;
      others.push_back(taken);
      trials.push_back({{version, kernel}, choices[nameOf(kernel)]});
    }
    versions.push_back(std::move(compiled.program));
  }
  if (trials.empty() || isStopped())
    return {};

  std::vector<Place> varied;
  for (const Trial &trial : trials)
    varied.push_back(trial.place);
  INGOT_ASSIGN(VersionedProgram program, VersionedProgram::join(versions, tuning.function, varied));
  INGOT_ASSIGN(std::unique_ptr<Session> session, load(program));
  INGOT_ASSIGN(std::vector<Place> different, program.differing(*session));
  for (const Trial &trial : trials)
    if (std::ranges::find(different, trial.place) != different.end())
      result.notes.push_back(fmt::format("{} gives other bits with {}", nameOf(trial.place.kernel),
                                         trial.choice.text()));
  INGOT_TRY(tuning.fill(*session, *program.program()->function(tuning.function)));
  INGOT_ASSIGN(Times times, measure(program, versions.size(), *session, seconds - (now() - begin),
                                    fmt::format("{}: {} versions of {} kernels", name(group),
                                                trials.size(), kernels.size()),
                                    from, to));
  if (int(times.turns()) < fewestRuns)
    return {};
  result.versions += trials.size();

  bool changed = false;
  for (TunedKernel &row : result.kernels) {
    const Trial *chosen = nullptr;
    double least = 1;
    size_t kernel = 0;
    for (const Trial &trial : trials) {
      if (nameOf(trial.place.kernel) != row.name ||
          std::ranges::find(different, trial.place) != different.end())
        continue;
      const double ratio = times.ratio(trial.place.version, trial.place.kernel, 0, 2);
      if (ratio < least) {
        least = ratio;
        chosen = &trial;
        kernel = trial.place.kernel;
      }
    }
    if (!chosen)
      continue;
    const double confirmed = times.ratio(chosen->place.version, kernel, 1, 2);
    if (1 - confirmed <= std::max(leastGain, times.noise(kernel)))
      continue;
    best[row.name] = row.choice = chosen->choice;
    row.after *= confirmed;
    changed = true;
  }
  if (!changed)
    return {};
  session.reset(); // its memory first
  INGOT_ASSIGN(base, compileVersion(best));
  return save();
}

/// Takes back what does not hold beside the derived sizes, and measures what the rest gains.
Status Tuner::compareWithDerived(double seconds, double from) {
  if (std::ranges::all_of(best, [](const auto &entry) { return entry.second == BlockChoice(); }))
    return save();
  report("comparing with the derived sizes", from, secondsLeft(), true);
  INGOT_ASSIGN(Version derived, compileVersion({}));
  std::vector<Place> varied;
  for (size_t kernel : kernels)
    if (derived.taken[kernel] != base.taken[kernel])
      varied.push_back({1, kernel});
  INGOT_ASSIGN(VersionedProgram program,
               VersionedProgram::join({derived.program, base.program}, tuning.function, varied));
  INGOT_ASSIGN(std::unique_ptr<Session> session, load(program));
  INGOT_ASSIGN(std::vector<Place> different, program.differing(*session));
  INGOT_TRY(tuning.fill(*session, *program.program()->function(tuning.function)));
  INGOT_ASSIGN(Times times,
               measure(program, 2, *session, seconds, "comparing with the derived sizes", from, 1));
  if (int(times.turns()) < fewestRuns)
    return {};
  result.before = median(times.whole[0]);
  result.after = median(times.whole[1]);
  for (TunedKernel &row : result.kernels) {
    const auto kernel = *std::ranges::find(kernels, row.name, [&](size_t k) { return nameOf(k); });
    row.before = median(times.kernels[0][kernel]);
    const double ratio = times.ratio(1, kernel, 0, 1);
    const bool holds =
        1 - ratio > leastGain && std::ranges::find(different, Place{1, kernel}) == different.end();
    if (row.choice != BlockChoice() && !holds)
      best[row.name] = row.choice = {};
    row.after = row.choice == BlockChoice() ? row.before : row.before * ratio;
  }
  return save();
}

Status Tuner::save() { return file.update(best); }

Result<TuneResult> Tuner::run() {
  INGOT_ASSIGN(CpuTarget target, CpuTarget::parse(options.target));
  machine = target.machine();
  const int threads = options.threads > 0 ? options.threads : usableCpus();
  INGOT_ASSIGN(device, openDevice("cpu", {threads}));
  CompileOptions derived = options;
  derived.tuning = {};
  INGOT_ASSIGN(linalg, lowerTo(Stage::Linalg, model, derived));
  INGOT_TRY(survey());
  const size_t groups = std::size(tuningGroups);
  for (size_t group = 0; group < groups && !kernels.empty() && !isStopped(); ++group) {
    // What a kernel costs on several threads together does not show how evenly they share it.
    if (tuningGroups[group] == TuningGroup::Units && threads > 1)
      continue;
    const double from = 0.05 + 0.8 * double(group) / double(groups);
    // The comparison at the end has its part too.
    const double left = secondsLeft() - 5 * fewestRuns * runSeconds;
    INGOT_TRY(vary(tuningGroups[group], left / double(groups - group), left, from,
                   from + 0.8 / double(groups)));
  }
  if (!isStopped())
    INGOT_TRY(compareWithDerived(secondsLeft(), 0.85));
  result.stopped |= isStopped();
  return std::move(result);
}

} // namespace

Result<TuneResult> tune(ModuleOp model, const CompileOptions &options, const TuneOptions &tuning,
                        const TuningFile &file,
                        const std::function<void(const TuneProgress &)> &progress) {
  return Tuner(model, options, tuning, file, progress).run();
}

} // namespace ingot
