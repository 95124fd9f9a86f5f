/// `ingot check`: a device against the reference.
#include "frontend/check/Check.h"
#include "frontend/check/RandomGraphs.h"
#include "runtime/support/Json.h"
#include "runtime/support/Print.h"
#include "tools/commands/Command.h"
#include "tools/commands/CompileFlags.h"
#include "tools/commands/ModelFlags.h"
#include "tools/commands/Numbers.h"
#include "tools/commands/TensorText.h"
#include "tools/commands/TrainingFlags.h"

namespace ingot {
namespace {

struct CheckFlags {
  ModelFlags model;
  TrainingFlags training;
  CompileFlags compile;
  uint64_t seed = 0;
  int64_t graphs = 100;
  std::optional<double> tolerance;
  bool train = false, json = false, noOps = false;
  bool isRandom() const { return model.model == "random"; }
};

std::string verdict(const CheckRow &row) {
  if (!row.problem.empty())
    return "WRONG  " + row.problem;
  return fmt::format("{}  {:.1e}", row.fine ? "ok   " : "WRONG", row.relative);
}

nlohmann::json toJson(const std::vector<CheckRow> &rows) {
  nlohmann::json list = nlohmann::json::array();
  for (const CheckRow &row : rows) {
    nlohmann::json entry = {{"function", row.function},
                            {"what", row.what},
                            {"relative", row.relative},
                            {"fine", row.fine}};
    if (!row.problem.empty())
      entry["problem"] = row.problem;
    list.push_back(entry);
  }
  return list;
}

void printEnd(const CheckReport &report) {
  size_t wrong = 0;
  for (const auto *rows : {&report.outputs, &report.ops})
    wrong += size_t(std::ranges::count(*rows, false, &CheckRow::fine));
  print("{} outputs and {} ops compared, {} wrong\n", report.outputs.size(), report.ops.size(),
        wrong);
  if (!report.culprit.empty())
    print("first wrong value: {}\n", report.culprit);
  for (const std::string &kernel : report.kernels)
    print("  computed by kernel {}\n", kernel);
}

//===--------------------------------------------------------------------------------------------===//
// Random graphs
//===--------------------------------------------------------------------------------------------===//

void printFinding(const RandomFinding &finding) {
  print("WRONG  graph {}: {}\n", finding.seed, finding.what);
  print("  again: ingot check random --seed={} --graphs=1{}\n", finding.seed,
        finding.training
            ? fmt::format("   (a training step, {})", enumName(finding.training->optimizer))
            : "");
  print("{}", finding.graph);
  for (const auto &[name, value] : finding.values)
    print("  {} = {}\n", name, printTensor(value));
}

/// Without what did not happen.
nlohmann::json toJson(const RandomReport &report) {
  nlohmann::json json = {{"compared", report.compared},
                         {"trained", report.trained},
                         {"failed_alike", report.failedAlike},
                         {"rough", report.rough},
                         {"ops", report.ops}};
  if (!report.refused.empty())
    json["refused"] = report.refused;
  for (const RandomFinding &finding : report.findings)
    json["findings"].push_back(
        {{"seed", finding.seed}, {"what", finding.what}, {"graph", finding.graph}});
  return json;
}

void printEnd(const RandomReport &report) {
  int64_t refused = 0;
  for (const auto &[why, times] : report.refused)
    refused += times;
  print("{} graphs compared, {} of them training steps, {} apart by rounding alone; {} end in an "
        "error on both; {} refused; {} wrong\n",
        report.compared, report.trained, report.rough, report.failedAlike, refused,
        report.findings.size());
  for (const auto &[why, times] : report.refused)
    print("  refused {} times: {}\n", times, why);
}

Status checkRandom(const CheckFlags &flags) {
  INGOT_ASSIGN(CompileOptions compileOptions, flags.compile.options(std::nullopt));
  compileOptions.cacheDirectory.clear(); // No graph comes twice.
  const RandomOptions options{compileOptions, flags.compile.device, flags.compile.threads(),
                              flags.seed, flags.graphs};
  auto found = [&](const RandomFinding &finding) {
    if (!flags.json)
      printFinding(finding);
  };
  auto progress = [&](int64_t done) {
    if (!flags.json && done % 1000 == 0)
      print("{} graphs\n", done);
  };
  INGOT_ASSIGN(RandomReport report, checkRandomGraphs(options, found, progress));
  if (flags.json)
    print("{}\n", toText(toJson(report)));
  else
    printEnd(report);
  if (!report.findings.empty())
    return failure(Error::Code::Mismatch, "random",
                   "{} and the reference differ on {} of {} graphs", flags.compile.device,
                   report.findings.size(), flags.graphs);
  return {};
}

//===--------------------------------------------------------------------------------------------===//
// A model
//===--------------------------------------------------------------------------------------------===//

Status check(const CLI::App &app, const CheckFlags &flags) {
  std::vector<Circumstance> circumstances =
      circumstancesOf(flags.model, flags.training, flags.compile);
  if (flags.compile.device == "reference")
    return failure(Error::Code::Usage, "--device",
                   "the reference is what devices are compared with");
  circumstances.push_back(flags.isRandom() ? Circumstance::RandomGraphs : Circumstance::GivenModel);
  if (!flags.train)
    circumstances.push_back(Circumstance::NoTraining);
  INGOT_TRY(refuseIdleOptions(app, circumstances));
  if (flags.isRandom())
    return checkRandom(flags);
  INGOT_ASSIGN(Model model, flags.model.build());
  std::optional<TrainingOptions> training;
  if (flags.train) {
    INGOT_ASSIGN(training, flags.training.optionsFor(model));
  }
  INGOT_ASSIGN(CompileOptions compileOptions, flags.compile.options(training));
  constexpr double usual = 1e-4, ofNarrow = 2e-2;
  const bool isNarrow = training && training->dtype != TrainingOptions::Dtype::F32;
  CheckOptions options{.compile = compileOptions,
                       .device = flags.compile.device,
                       .threads = flags.compile.threads(),
                       .seed = flags.seed,
                       .tolerance = flags.tolerance.value_or(usual),
                       .functionTolerance = flags.tolerance.value_or(isNarrow ? ofNarrow : usual),
                       .ops = !flags.noOps};
  auto show = [&](const CheckRow &row) {
    if (!flags.json)
      print("{}  @{} {}\n", verdict(row), row.function, row.what);
  };
  INGOT_ASSIGN(CheckReport report, checkModel(model, options, show));
  if (flags.json)
    print("{}\n", toText({{"outputs", toJson(report.outputs)},
                          {"ops", toJson(report.ops)},
                          {"culprit", report.culprit},
                          {"kernels", report.kernels},
                          {"fine", report.fine()}}));
  else
    printEnd(report);
  if (!report.fine())
    return failure(Error::Code::Mismatch, flags.model.model,
                   "{} and the reference differ (seed {})", flags.compile.device, flags.seed);
  return {};
}

} // namespace

Action declareCheck(CLI::App &app) {
  auto flags = std::make_shared<CheckFlags>();
  flags->model.declare(app);
  app.add_flag("--train", flags->train, "the whole training step instead of the model alone");
  app.get_option("model")->description("gpt, mlp, an ONNX or .mlir file, - for the latter on "
                                       "standard input, or random: graphs drawn "
                                       "from a seed, forward and backward");
  addNumber(app, "--graphs", flags->graphs, atLeast(1), "random: how many; default 100");
  addNumber(app, "--seed", flags->seed, Bounds(),
            "of the random inputs, or of the first random graph; the next one has the next");
  addNumber(app, "--tolerance", flags->tolerance, atLeast(0),
            "largest relative difference; default 1e-4, of whole functions 2e-2 with --dtype=bf16");
  app.add_flag("--no-ops", flags->noOps, "whole functions only, no single ops");
  app.add_flag("--json", flags->json, "one JSON object to stdout");
  flags->training.declare(app);
  flags->compile.declare(app);
  return [flags, &app] { return check(app, *flags); };
}

} // namespace ingot
