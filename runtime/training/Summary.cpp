#include "runtime/training/Summary.h"
#include "runtime/training/Progress.h"
#include <algorithm>
#include <fstream>
#include <set>

namespace ingot {

namespace {

int64_t launches(const std::vector<Step> &steps) {
  int64_t count = 0;
  for (const Step &step : steps) {
    if (auto *loop = std::get_if<LoopStep>(&step.node)) // how often is known to the run alone
      count += (loop->count ? 1 : loop->trips) * launches(loop->body);
    else if (auto *branch = std::get_if<IfStep>(&step.node))
      count += std::max(launches(branch->thenBody), launches(branch->elseBody));
    else
      ++count;
  }
  return count;
}

void collectKernels(const std::vector<Step> &steps, std::set<uint32_t> &kernels) {
  for (const Step &step : steps) {
    if (auto *call = std::get_if<CallStep>(&step.node)) {
      kernels.insert(call->kernel);
    } else if (auto *loop = std::get_if<LoopStep>(&step.node)) {
      collectKernels(loop->body, kernels);
    } else {
      const auto &branch = std::get<IfStep>(step.node);
      collectKernels(branch.thenBody, kernels);
      collectKernels(branch.elseBody, kernels);
    }
  }
}

double median(std::vector<double> values) {
  if (values.empty())
    return 0;
  auto middle = values.begin() + int64_t(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return values.size() % 2 ? *middle : (*middle + *std::max_element(values.begin(), middle)) / 2;
}

void setEnds(const std::vector<LossPoint> &points, std::optional<double> &first,
             std::optional<double> &last) {
  if (points.empty())
    return;
  first = points.front().loss;
  last = points.back().loss;
}

} // namespace

int64_t countLaunches(const Function &function) { return launches(function.steps); }

int64_t countDistinctKernels(const Function &function) {
  std::set<uint32_t> kernels;
  collectKernels(function.steps, kernels);
  return int64_t(kernels.size());
}

int64_t peakResidentBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string key; status >> key;) {
    int64_t kibibytes = 0;
    if (key == "VmHWM:" && status >> kibibytes)
      return kibibytes * 1024;
  }
  return 0;
}

TrainingSummary summarize(const Program &program, const TrainingResult &result, double compileMs) {
  TrainingSummary summary;
  summary.steps = result.step;
  summary.compileMs = compileMs;
  summary.operators = program.operators;
  if (const Function *step = program.function("step")) {
    summary.kernels = countLaunches(*step);
    summary.distinctKernels = countDistinctKernels(*step);
  }
  summary.stepMsMedian = median(result.stepMs);
  summary.countsTokens = result.countsTokens;
  if (summary.stepMsMedian > 0)
    summary.tokensPerSecond = double(result.tokensPerStep) / summary.stepMsMedian * 1e3;
  summary.plannedBytes = program.arenaBytes;
  summary.peakRssBytes = peakResidentBytes();
  setEnds(result.losses.training, summary.firstLoss, summary.lastLoss);
  setEnds(result.losses.validation, summary.firstValidationLoss, summary.lastValidationLoss);
  return summary;
}

std::string TrainingSummary::toJson() const {
  std::string text = fmt::format(
      "{{\"summary\":{{\"steps\":{},\"compile_ms\":{:.3f},\"kernels\":{},"
      "\"distinct_kernels\":{},\"step_ms_median\":{:.3f},\"{}_per_s\":{:.1f},"
      "\"planned_bytes\":{},\"peak_rss_bytes\":{}",
      steps, compileMs, kernels, distinctKernels, stepMsMedian,
      countsTokens ? "tokens" : "examples", tokensPerSecond, plannedBytes, peakRssBytes);
  auto add = [&](std::string_view key, const std::optional<double> &value, auto narrow) {
    if (value)
      text += fmt::format(",\"{}\":{}", key, shortestNumber(decltype(narrow)(*value)));
  };
  if (operators)
    text += fmt::format(",\"operators\":{}", operators);
  add("first_loss", firstLoss, float{});
  add("loss", lastLoss, float{});
  add("first_validation_loss", firstValidationLoss, double{});
  add("validation_loss", lastValidationLoss, double{});
  add("accuracy", accuracy, double{});
  return text + "}}";
}

std::string TrainingSummary::toText() const {
  std::string text = (operators ? fmt::format("{} operators became ", operators) : "") +
                     fmt::format("{} kernels a step ({} distinct), compiled in {:.2f} s\n"
                                 "step {:.1f} ms (median), {:.0f} {}/s\n"
                                 "memory planned {:.1f} MB, peak of the process {:.1f} MB\n",
                                 kernels, distinctKernels, compileMs / 1e3, stepMsMedian,
                                 tokensPerSecond, countsTokens ? "tokens" : "examples",
                                 double(plannedBytes) / 1e6, double(peakRssBytes) / 1e6);
  if (firstLoss && lastLoss)
    text += fmt::format("loss {:.4f} -> {:.4f}", *firstLoss, *lastLoss);
  if (firstValidationLoss && lastValidationLoss)
    text += fmt::format(", validation {:.4f} -> {:.4f}", *firstValidationLoss, *lastValidationLoss);
  if (accuracy)
    text += fmt::format(", accuracy {:.2f} %", 100 * *accuracy);
  return text + "\n";
}

} // namespace ingot
