#include "codegen/tuning/Tune.h"
#include "codegen/EmitProgram.h"
#include "codegen/KernelCode.h"
#include "codegen/Target.h"
#include "codegen/cpu/CpuBackend.h"
#include "codegen/tuning/TuneCandidates.h"
#include "codegen/tuning/VersionTimes.h"
#include "codegen/tuning/VersionedProgram.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "runtime/cpu/CpuInfo.h"
#include "runtime/support/Clock.h"
#include <algorithm>

using namespace mlir;

namespace ingot {
namespace {

using Place = VersionedProgram::Place;

/// Kernels that take less of the function's time are left alone.
constexpr double leastShare = 0.003;
/// Whatever the noise, a smaller gain is none.
constexpr double leastGain = 0.01;
constexpr int fewestRuns = 4, mostRuns = 24;

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
  /// A kernel in a version other than 0.
  struct Trial {
    Place place;
    BlockChoice choice; ///< all of it
  };
  struct Trials {
    std::vector<Program> versions; ///< 0: the best so far
    std::vector<Trial> trials;
  };

  Result<Version> compileVersion(const BlockChoices &choices);
  Result<std::unique_ptr<Session>> load(const VersionedProgram &program);
  Result<VersionTimes> measure(const VersionedProgram &program, size_t versions, Session &session,
                               double seconds, const std::string &what, double from, double to);
  Status survey();
  Result<Trials> compileTrials(TuningGroup group, size_t most);
  Status dropOtherBits(const VersionedProgram &program, Session &session,
                       std::vector<Trial> &trials);
  bool keepFaster(const std::vector<Trial> &trials, const VersionTimes &times);
  Status vary(TuningGroup group, double share, double left, double from, double to);
  Status compareWithDerived(double seconds, double from);
  Status save();
  void report(const std::string &what, double fraction, double secondsLeft, bool isNew);

  double secondsLeft() const { return start + tuning.seconds - steadySeconds(); }
  bool isStopped() const { return tuning.stop && tuning.stop->load(); }
  const std::string &nameOf(size_t kernel) const { return base.program.kernels[kernel].name; }

  ModuleOp model;
  CompileOptions options;
  const TuneOptions &tuning;
  const TuningFile &file;
  const std::function<void(const TuneProgress &)> &progress;
  DiskCache disk;
  MachineShape machine;
  const double start = steadySeconds();

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
  INGOT_ASSIGN(std::shared_ptr<const Backend> backend, parseTarget(options.target));
  INGOT_ASSIGN(OwningOpRef<ModuleOp> planned, lowerTo(Stage::Plan, *linalg, chosen));
  Version version;
  INGOT_ASSIGN(version.program, emitProgram(*planned, *backend));
  INGOT_TRY(generateKernelCode(*planned, *backend, disk, chosen, version.program));
  version.program.target = backend->name();
  version.program.features = backend->requirements();
  for (auto function : planned->getOps<func::FuncOp>())
    if (kernel::isKernel(function)) // a choice counts for all launches of its kernel
      version.taken.insert(version.taken.end(), kernel::scheduleOf(function).getLaunches().size(),
                           takenBlocks(function));
  return version;
}

Result<std::unique_ptr<Session>> Tuner::load(const VersionedProgram &program) {
  INGOT_ASSIGN(std::unique_ptr<Session> session, device->load(program.program()));
  INGOT_TRY(tuning.fill(*session, *program.program()->function(tuning.function)));
  return session;
}

Result<VersionTimes> Tuner::measure(const VersionedProgram &program, size_t versions,
                                    Session &session, double seconds, const std::string &what,
                                    double from, double to) {
  const double begin = steadySeconds();
  const size_t count = base.program.kernels.size();
  VersionTimes times;
  times.whole.resize(versions + 1);
  times.kernels.assign(versions + 1, std::vector<std::vector<double>>(count));
  std::vector<double> sums(count);
  session.profile([&](const ProfileSpan &span) {
    sums[program.placeOf(span.kernel).kernel] += span.end - span.start;
  });
  while (int(times.turns()) < mostRuns) {
    const double elapsed = steadySeconds() - begin;
    const auto turns = double(times.turns());
    if (times.turns() >= fewestRuns && elapsed * (turns + 1) / turns > seconds)
      break;
    VersionTimes before = times;
    for (size_t turn = 0; turn <= versions; ++turn) {
      if (isStopped()) {
        session.profile({});
        return before; // of whole turns
      }
      std::ranges::fill(sums, 0);
      const double runBegin = steadySeconds();
      INGOT_TRY(session.run(program.function(turn % versions)));
      times.whole[turn].push_back(steadySeconds() - runBegin);
      for (size_t kernel = 0; kernel < count; ++kernel)
        times.kernels[turn][kernel].push_back(sums[kernel]);
    }
    const double part =
        std::min(1.0, std::max((turns + 1) / mostRuns, (steadySeconds() - begin) / seconds));
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
  INGOT_ASSIGN(VersionTimes times, measure(program, 1, *session, 0, "measuring", 0, 0.05));
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
  // The search resumes from what is known.
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

/// Versions with the first `most` candidates of every kernel; those that come out as others do are
/// no trials.
Result<Tuner::Trials> Tuner::compileTrials(TuningGroup group, size_t most) {
  Trials result{.versions = {base.program}, .trials = {}};
  std::map<size_t, std::vector<BlockChoice>> seen;
  for (size_t version = 1; version <= most && !isStopped(); ++version) {
    BlockChoices choices = best;
    for (size_t kernel : kernels) {
      const auto candidates = tuningCandidates(group, base.taken[kernel], machine);
      if (version <= candidates.size())
        choices[nameOf(kernel)] = best[nameOf(kernel)].with(candidates[version - 1]);
    }
    INGOT_ASSIGN(Version compiled, compileVersion(choices));
    for (size_t kernel : kernels) {
      const BlockChoice &taken = compiled.taken[kernel];
      std::vector<BlockChoice> &others = seen[kernel];
      if (taken == base.taken[kernel] || std::ranges::find(others, taken) != others.end())
        continue;
      others.push_back(taken);
      result.trials.push_back({{version, kernel}, choices[nameOf(kernel)]});
    }
    result.versions.push_back(std::move(compiled.program));
  }
  return result;
}

Status Tuner::dropOtherBits(const VersionedProgram &program, Session &session,
                            std::vector<Trial> &trials) {
  INGOT_ASSIGN(std::vector<Place> different, program.differing(session));
  std::erase_if(trials, [&](const Trial &trial) {
    if (std::ranges::find(different, trial.place) == different.end())
      return false;
    result.notes.push_back(fmt::format("{} gives other bits with {}", nameOf(trial.place.kernel),
                                       trial.choice.text()));
    return true;
  });
  return tuning.fill(session, *program.program()->function(tuning.function));
}

/// Takes for each kernel the fastest of the even turns if the odd ones confirm it.
bool Tuner::keepFaster(const std::vector<Trial> &trials, const VersionTimes &times) {
  bool changed = false;
  for (TunedKernel &row : result.kernels) {
    const Trial *fastest = nullptr;
    double least = 1;
    for (const Trial &trial : trials) {
      const double ratio = times.ratio(trial.place.version, trial.place.kernel, 0, 2);
      if (nameOf(trial.place.kernel) != row.name || ratio >= least)
        continue;
      least = ratio;
      fastest = &trial;
    }
    if (!fastest)
      continue;
    const auto [version, kernel] = fastest->place;
    const double confirmed = times.ratio(version, kernel, 1, 2);
    if (1 - confirmed <= std::max(leastGain, times.noise(kernel)))
      continue;
    best[row.name] = row.choice = fastest->choice;
    row.after *= confirmed;
    changed = true;
  }
  return changed;
}

/// Tries one group of sizes for all kernels, in its share of the seconds left; where that is too
/// little for all candidates in more of them, because the first groups promise most.
Status Tuner::vary(TuningGroup group, double share, double left, double from, double to) {
  const double begin = steadySeconds();
  size_t most = 0;
  for (size_t kernel : kernels)
    most = std::max(most, tuningCandidates(group, base.taken[kernel], machine).size());
  if (most == 0)
    return {}; // attention alone has no depth
  const double version = fewestRuns * runSeconds;
  const double seconds = std::max(share, std::min(left, double(most + 2) * version));
  most = std::min(most, size_t(std::max(seconds / version - 2, 0.0)));
  if (most == 0) {
    result.stopped = true;
    return {};
  }
  report(fmt::format("{}: {} candidates for {} kernels", name(group), most, kernels.size()), from,
         secondsLeft(), true);
  INGOT_ASSIGN(Trials made, compileTrials(group, most));
  std::vector<Trial> &trials = made.trials;
  if (trials.empty() || isStopped())
    return {};
  std::vector<Place> varied;
  for (const Trial &trial : trials)
    varied.push_back(trial.place);
  INGOT_ASSIGN(VersionedProgram program,
               VersionedProgram::join(made.versions, tuning.function, varied));
  INGOT_ASSIGN(std::unique_ptr<Session> session, load(program));
  INGOT_TRY(dropOtherBits(program, *session, trials));
  INGOT_ASSIGN(VersionTimes times,
               measure(program, made.versions.size(), *session, seconds - (steadySeconds() - begin),
                       fmt::format("{}: {} versions of {} kernels", name(group), trials.size(),
                                   kernels.size()),
                       from, to));
  if (int(times.turns()) < fewestRuns)
    return {};
  result.versions += trials.size();
  if (!keepFaster(trials, times))
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
  INGOT_ASSIGN(VersionTimes times,
               measure(program, 2, *session, seconds, "comparing with the derived sizes", from, 1));
  if (int(times.turns()) < fewestRuns)
    return {};
  result.before = median(times.whole[0]);
  result.after = median(times.whole[1]);
  // On several threads a kernel may gain what others then wait for.
  const bool isFaster = result.after < result.before;
  bool isAnyKept = false;
  for (TunedKernel &row : result.kernels) {
    const auto kernel = *std::ranges::find(kernels, row.name, [&](size_t k) { return nameOf(k); });
    row.before = row.after = median(times.kernels[0][kernel]);
    if (row.choice == BlockChoice())
      continue;
    const double ratio = times.ratio(1, kernel);
    if (isFaster && 1 - ratio > leastGain &&
        std::ranges::find(different, Place{1, kernel}) == different.end()) {
      row.after *= ratio;
      isAnyKept = true;
    } else {
      best[row.name] = row.choice = {};
    }
  }
  if (!isAnyKept)
    result.before = result.after = 0;
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
  INGOT_TRY(save()); // whoever cannot write hears it before the search
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
