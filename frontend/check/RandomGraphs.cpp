#include "frontend/check/RandomGraphs.h"
#include "frontend/check/RandomTrial.h"
#include "llvm/Support/PrettyStackTrace.h"
#include <set>

namespace ingot {
namespace {

void count(RandomReport &report, const Trial &trial, const RandomGraph &graph) {
  switch (trial.outcome) {
  case Trial::Outcome::Rough:
    ++report.rough;
    [[fallthrough]];
  case Trial::Outcome::Alike:
  case Trial::Outcome::Differs:
    ++report.compared;
    report.trained += graph.training.has_value();
    break;
  case Trial::Outcome::FailedAlike:
    ++report.failedAlike;
    break;
  case Trial::Outcome::Refused:
    ++report.refused[trial.what];
  }
}

/// What a difference is, without places and numbers: a smaller graph must be wrong in the same way.
std::string kindOf(const Trial &trial) {
  if (trial.what.find("element ") != std::string::npos)
    return "element";
  std::string kind;
  for (char c : trial.what)
    if (!std::isdigit(static_cast<unsigned char>(c)))
      kind += c;
  return kind;
}

/// The finding of the reduced graph: reducing may change what differs first.
RandomFinding findingOf(uint64_t seed, RandomGraph graph, const Trial &trial,
                        const RandomOptions &options) {
  RandomGraph small = reduceGraph(std::move(graph), [&](const RandomGraph &part) {
    const Trial again = tryGraph(part, options);
    return again.outcome == Trial::Outcome::Differs && kindOf(again) == kindOf(trial);
  });
  const Trial again = tryGraph(small, options);
  const bool differs = again.outcome == Trial::Outcome::Differs;
  return {seed, differs ? again.what : trial.what, small.model.text(), small.values,
          small.training};
}

} // namespace

Result<RandomReport> checkRandomGraphs(const RandomOptions &options,
                                       const std::function<void(const RandomFinding &)> &found,
                                       const std::function<void(int64_t)> &progress) {
  RandomReport report;
  for (int64_t i = 0; i < options.graphs; ++i) {
    const uint64_t seed = options.seed + uint64_t(i);
    // What a crash prints.
    llvm::PrettyStackTraceFormat place("random graph %llu", static_cast<unsigned long long>(seed));
    INGOT_ASSIGN(RandomGraph graph, drawGraph(seed));
    std::set<std::string> ops;
    const Trial trial = tryGraph(graph, options, [&](std::string_view op) { ops.emplace(op); });
    count(report, trial, graph);
    for (const std::string &op : ops)
      ++report.ops[op];
    if (trial.outcome == Trial::Outcome::Differs) {
      report.findings.push_back(findingOf(seed, std::move(graph), trial, options));
      if (found)
        found(report.findings.back());
    }
    if (progress)
      progress(i + 1);
  }
  return report;
}

} // namespace ingot
