/// Checks a GPU with what a bundle of `./tools/dev gpu-check` holds: kernels and training runs with
/// their expected results, and programs that are timed. It needs the runtime and the driver alone.
///
///     gpu-check FOLDER [--device=cuda] [--report=FILE.json] [--only=kernels|training|figures]
///
/// Exit code 1 after a mismatch or an error.
#include "runtime/data/RandomSource.h"
#include "runtime/support/File.h"
#include "runtime/support/HalfFloat.h"
#include "runtime/support/Json.h"
#include "runtime/training/Checkpoint.h"
#include "runtime/training/StepDriver.h"
#include "runtime/training/TrainingLoop.h"
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <iostream>

namespace ingot {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

struct Flags {
  std::string folder, device = "cuda", report, only;
};

/// The element with the largest difference, and how many differ at all.
struct Difference {
  int64_t elements = 0; ///< whose bits differ
  double relative = 0;  ///< to the largest element
  double expected = 0, found = 0;
};

Difference difference(const Tensor &found, const Tensor &expected) {
  Difference result;
  double largest = 1e-30, worst = 0;
  const size_t width = byteSize(found.type());
  for (int64_t i = 0; i < expected.size(); ++i)
    if (const double value = loadElement(expected.type(), expected.data(), i); std::isfinite(value))
      largest = std::max(largest, std::abs(value));
  for (int64_t i = 0; i < expected.size(); ++i) {
    result.elements += std::memcmp(found.as<uint8_t>() + size_t(i) * width,
                                   expected.as<uint8_t>() + size_t(i) * width, width) != 0;
    const double a = loadElement(found.type(), found.data(), i),
                 b = loadElement(expected.type(), expected.data(), i);
    if (a == b || (std::isnan(a) && std::isnan(b)))
      continue;
    const double apart = std::isnan(a - b) ? INFINITY : std::abs(a - b);
    if (apart > worst) {
      worst = apart;
      result.expected = b;
      result.found = a;
    }
  }
  result.relative = worst / largest;
  return result;
}

class Check {
public:
  explicit Check(Flags flags) : flags(std::move(flags)) {}

  Status run();
  int64_t failures() const { return failed; }

private:
  void kernels();
  void kernel(const fs::path &file);
  Status kernelOn(const Program &program, const Checkpoint &tensors, const Json &options,
                  bool &isBitEqual);
  void trainings();
  Status training(const fs::path &file, const Json &expected);
  void figures();
  Status figure(const fs::path &file, const Json &options);
  std::vector<fs::path> files(const char *folder) const;
  void fail(const fs::path &file, const std::string &why) {
    ++failed;
    fmt::print("FAILED {}: {}\n", file.stem().string(), why);
    report["failures"].push_back({{"name", file.stem().string()}, {"why", why}});
  }
  Result<Json> optionsOf(const fs::path &program) const {
    INGOT_ASSIGN(const std::string text, readFile(fs::path(program).replace_extension("json")));
    Json options = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!options.is_object())
      return failure(Error::Code::BadInput, program.string(), "its options are no JSON object");
    return options;
  }
  bool wants(std::string_view part) const { return flags.only.empty() || flags.only == part; }

  const Flags flags;
  std::unique_ptr<Device> device;
  Json report = Json::object();
  int64_t failed = 0, exact = 0, checked = 0, skipped = 0;
};

std::vector<fs::path> Check::files(const char *folder) const {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto &entry : fs::directory_iterator(fs::path(flags.folder) / folder, error))
    if (entry.path().extension() == ".ingot")
      found.push_back(entry.path());
  std::ranges::sort(found);
  return found;
}

/// Against the PTX machine's bits, and against the reference within the case's tolerance.
Status Check::kernelOn(const Program &program, const Checkpoint &tensors, const Json &options,
                       bool &isBitEqual) {
  INGOT_ASSIGN(std::unique_ptr<Session> session, device->load(std::make_shared<Program>(program)));
  const Function *forward = program.function("forward");
  if (!forward)
    return failure(Error::Code::BadInput, program.target, "has no function forward");
  auto named = [&](const std::string &kind, const Port &port) -> Result<const Tensor *> {
    const auto found = tensors.tensors.find(kind + "/" + port.name);
    if (found == tensors.tensors.end())
      return failure(Error::Code::BadInput, program.target, "no {} of '{}' is stored", kind,
                     port.name);
    return &found->second;
  };
  for (const Port &port : forward->ports)
    if (port.role == Role::Input) {
      INGOT_ASSIGN(const Tensor *value, named("input", port));
      INGOT_TRY(session->write("forward", port.name, *value));
    }
  INGOT_TRY(session->run("forward"));
  const double tolerance = options.value("tolerance", 0.0);
  for (const Port &port : forward->ports) {
    if (port.role != Role::Output)
      continue;
    INGOT_ASSIGN(const Tensor found, session->read("forward", port.name));
    INGOT_ASSIGN(const Tensor *reference, named("reference", port));
    INGOT_ASSIGN(const Tensor *machine, named(program.target, port));
    const Difference fromMachine = difference(found, *machine);
    isBitEqual &= fromMachine.elements == 0;
    if (options.value("bit_equal", false) && fromMachine.elements)
      return failure(Error::Code::Mismatch, program.target,
                     "'{}': {} of {} elements are other bits than the PTX machine's; {} for {}",
                     port.name, fromMachine.elements, found.size(), fromMachine.found,
                     fromMachine.expected);
    if (const Difference apart = difference(found, *reference); !(apart.relative <= tolerance))
      return failure(Error::Code::Mismatch, program.target,
                     "'{}': {} for {}, {:.2g} of the largest element, and {:.2g} is allowed",
                     port.name, apart.found, apart.expected, apart.relative, tolerance);
  }
  return {};
}

void Check::kernel(const fs::path &file) {
  Result<std::vector<Program>> programs = loadPrograms(file.string());
  const Result<Checkpoint> tensors =
      loadCheckpoint(fs::path(file).replace_extension("safetensors").string());
  if (!programs || !tensors)
    return fail(file, (programs ? tensors.error() : programs.error()).text());
  const Json options = Json::parse(tensors->options, nullptr, /*allow_exceptions=*/false);
  for (const Program &program : *programs) {
    bool isBitEqual = true;
    const Status status = kernelOn(program, *tensors, options, isBitEqual);
    if (!status && status.error().code == Error::Code::Unsupported) {
      ++skipped; // code for another architecture
      continue;
    }
    ++checked;
    exact += status && isBitEqual;
    if (!status)
      fail(file, status.error().text());
  }
}

void Check::kernels() {
  for (const fs::path &file : files("kernels"))
    kernel(file);
  fmt::print("kernels: {} checked, {} of them the PTX machine's bits, {} for other architectures\n",
             checked, exact, skipped);
  report["kernels"] = {{"checked", checked}, {"exact", exact}, {"other_architectures", skipped}};
  if (checked == 0)
    fail("kernels", "none was checked");
}

/// A training on random data: what is drawn and what the steps need.
struct Run {
  std::unique_ptr<Session> session;
  std::unique_ptr<BatchSource> batches;
  int64_t tokens = 0;
};

Result<Run> openRun(Device &device, const fs::path &file, const Json &options) {
  INGOT_ASSIGN(Program program, Program::load(file.string()));
  const Function *step = program.function("step");
  if (!step)
    return failure(Error::Code::BadInput, file.string(), "has no function 'step'");
  Run run;
  const std::vector<BatchPort> ports = batchPorts(*step, options.value("vocabulary", int64_t(0)));
  run.tokens = tokensPerBatch(ports);
  INGOT_ASSIGN(run.batches, RandomSource::create(ports, options.value("seed", uint64_t(0))));
  INGOT_ASSIGN(run.session, device.load(std::make_shared<Program>(std::move(program))));
  return run;
}

/// One step after the other; `done` hears of each with its milliseconds.
Status train(Run &run, const Json &options, int64_t steps,
             const std::function<void(double loss, double ms)> &done) {
  StepDriver driver(*run.session, options.value("seed", uint64_t(0)));
  INGOT_TRY(driver.initialize());
  Batch batch = run.batches->makeBatch();
  for (int64_t step = 0; step < steps; ++step) {
    INGOT_TRY(run.batches->fill(step, batch));
    const auto start = std::chrono::steady_clock::now();
    INGOT_TRY(driver.enqueue(batch, options.value("lr", 1e-3)));
    INGOT_ASSIGN(const StepDriver::Outcome outcome, driver.finish());
    done(outcome.loss,
         std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
             .count());
  }
  return {};
}

Status Check::training(const fs::path &file, const Json &expected) {
  INGOT_ASSIGN(Run run, openRun(*device, file, expected));
  const auto losses = expected.at("losses").get<std::vector<double>>();
  const double tolerance = expected.at("tolerance").get<double>();
  std::vector<double> found;
  INGOT_TRY(train(run, expected, int64_t(losses.size()),
                  [&](double loss, double) { found.push_back(loss); }));
  double worst = 0;
  for (size_t step = 0; step < losses.size(); ++step) {
    const double apart = std::abs(found[step] - losses[step]) / std::abs(losses[step]);
    if (!(apart <= tolerance))
      return failure(Error::Code::Mismatch, "",
                     "the loss of step {} is {}, expected is {} within {:.1g}", step + 1,
                     found[step], losses[step], tolerance);
    worst = std::max(worst, apart);
  }
  fmt::print("training {}: {} losses within {:.2g} of the CPU's\n", file.stem().string(),
             losses.size(), worst);
  report["trainings"].push_back(
      {{"name", file.stem().string()}, {"losses", found}, {"worst_relative", worst}});
  return {};
}

void Check::trainings() {
  for (const fs::path &file : files("training")) {
    const Result<Json> expected = optionsOf(file);
    if (!expected) {
      fail(file, expected.error().text());
      continue;
    }
    const Status status = training(file, *expected);
    if (!status && status.error().code == Error::Code::Unsupported)
      fmt::print("training {}: not for this GPU: {}\n", file.stem().string(),
                 status.error().text());
    else if (!status)
      fail(file, status.error().text());
  }
}

/// The time of a step, and of its kernels beside what they move and compute at least.
Status Check::figure(const fs::path &file, const Json &options) {
  INGOT_ASSIGN(Run run, openRun(*device, file, options));
  const int64_t warm = 3, steps = options.value("steps", int64_t(20));
  std::vector<double> times;
  INGOT_TRY(train(run, options, warm + steps, [&](double, double ms) { times.push_back(ms); }));
  times.erase(times.begin(), times.begin() + warm);
  std::ranges::sort(times);
  const double median = times[times.size() / 2];
  fmt::print("figures {}: {:.3f} ms a step (best {:.3f}, of {}), {:.0f} tokens/s\n",
             file.stem().string(), median, times.front(), steps, double(run.tokens) / median * 1e3);

  struct Row {
    double seconds = 0;
    int64_t calls = 0;
  };
  std::map<const Kernel *, Row> rows;
  run.session->profile([&](const ProfileSpan &span) {
    Row &row = rows[span.kernel];
    row.seconds += span.end - span.start;
    ++row.calls;
  });
  INGOT_TRY(train(run, options, 1, [](double, double) {}));
  run.session->profile({});
  std::vector<std::pair<const Kernel *, Row>> sorted(rows.begin(), rows.end());
  std::ranges::sort(sorted, std::greater(), [](const auto &row) { return row.second.seconds; });
  Json kernels = Json::array();
  fmt::print("  {:>10} {:>6} {:>9} {:>9}  kernel: ops\n", "us a step", "calls", "GB/s", "GFLOP/s");
  for (const auto &[kernel, row] : sorted) {
    const double gigabytes = double(row.calls) * kernel->bytes / row.seconds / 1e9,
                 gflops = double(row.calls) * kernel->flops / row.seconds / 1e9;
    if (kernels.size() < 25)
      fmt::print("  {:>10.1f} {:>6} {:>9.1f} {:>9.1f}  {}: {}\n", row.seconds * 1e6, row.calls,
                 gigabytes, gflops, kernel->name, kernel->ops);
    kernels.push_back({{"kernel", kernel->name},
                       {"root", kernel->root},
                       {"ops", kernel->ops},
                       {"calls", row.calls},
                       {"us", row.seconds * 1e6},
                       {"gigabytes_per_s", gigabytes},
                       {"gflops", gflops}});
  }
  report["figures"].push_back({{"name", file.stem().string()},
                               {"ms_median", median},
                               {"ms_best", times.front()},
                               {"tokens_per_s", double(run.tokens) / median * 1e3},
                               {"kernels", kernels}});
  return {};
}

void Check::figures() {
  for (const fs::path &file : files("figures")) {
    const Result<Json> options = optionsOf(file);
    if (!options) {
      fail(file, options.error().text());
      continue;
    }
    const Status status = figure(file, *options);
    if (!status && status.error().code == Error::Code::Unsupported)
      fmt::print("figures {}: not for this GPU: {}\n", file.stem().string(), status.error().text());
    else if (!status)
      fail(file, status.error().text());
  }
}

Status Check::run() {
  for (const DeviceInfo &info : listDevices())
    if (info.name == flags.device && info.error.empty()) {
      fmt::print("{}: {}, {}, {} multiprocessors, {:.1f} GB\n", info.name, info.model,
                 fmt::join(info.features, " "), info.cores, double(info.memoryBytes) / 1e9);
      report["device"] = {{"name", info.name},
                          {"model", info.model},
                          {"architecture", fmt::format("{}", fmt::join(info.features, " "))},
                          {"multiprocessors", info.cores},
                          {"memory_bytes", info.memoryBytes}};
    }
  INGOT_ASSIGN(device, openDevice(flags.device, {}));
  if (wants("kernels"))
    kernels();
  if (wants("training"))
    trainings();
  if (wants("figures"))
    figures();
  report["failed"] = failed;
  fmt::print("{}\n", failed ? fmt::format("{} failed", failed) : "all is well");
  if (flags.report.empty())
    return {};
  INGOT_ASSIGN(AtomicFile file, AtomicFile::create(flags.report));
  INGOT_TRY(file.write(toText(report) + "\n"));
  return file.commit();
}

/// Empty where the arguments are not understood.
std::optional<Flags> parse(int count, char **arguments) {
  Flags flags;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = arguments[i];
    auto takes = [&](std::string_view name, std::string &value) {
      if (word.starts_with(name))
        value = word.substr(name.size());
      return word.starts_with(name);
    };
    if (takes("--device=", flags.device) || takes("--report=", flags.report) ||
        takes("--only=", flags.only))
      continue;
    if (word.starts_with("-") || !flags.folder.empty())
      return {};
    flags.folder = word;
  }
  const bool isKnown = flags.only.empty() || flags.only == "kernels" || flags.only == "training" ||
                       flags.only == "figures";
  return flags.folder.empty() || !isKnown ? std::nullopt : std::optional(flags);
}

} // namespace
} // namespace ingot

int main(int count, char **arguments) {
  using namespace ingot;
  const std::optional<Flags> flags = parse(count, arguments);
  if (!flags) {
    fmt::print(stderr, "usage: gpu-check FOLDER [--device=cuda] [--report=FILE.json] "
                       "[--only=kernels|training|figures]\n");
    return 2;
  }
  Check check(*flags);
  if (const Status status = check.run(); !status) {
    fmt::print(stderr, "{}\n", status.error().text());
    return 1;
  }
  return check.failures() ? 1 : 0;
}
