/// Single kernels beside their peers with Google Benchmark: the sides take turns.
#pragma once
#include <algorithm>
#include <benchmark/benchmark.h>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace ingot {

inline double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + values.size() / 2);
  return values[values.size() / 2];
}

/// One side of a comparison.
struct Side {
  std::string name;
  std::function<void()> run;
};

/// Keeps the seconds of a call of every repetition instead of printing them.
class SecondsByName : public benchmark::BenchmarkReporter {
public:
  bool ReportContext(const Context &) override { return true; }
  void ReportRuns(const std::vector<Run> &runs) override {
    for (const Run &run : runs)
      if (run.run_type == Run::RT_Iteration)
        seconds[run.run_name.function_name].push_back(
            run.GetAdjustedRealTime() / benchmark::GetTimeUnitMultiplier(run.time_unit));
  }
  std::map<std::string, std::vector<double>> seconds;
};

/// The median seconds of a call of each side. Repetitions of the sides are shuffled; each lasts
/// `leastSeconds` or one call.
inline std::vector<double> takeTurns(const std::vector<Side> &sides, int repetitions = 15,
                                     double leastSeconds = 2e-3) {
  static const bool ready = [] {
    std::string name = "benchmark", shuffle = "--benchmark_enable_random_interleaving=true";
    char *arguments[] = {name.data(), shuffle.data(), nullptr};
    int count = 2;
    benchmark::Initialize(&count, arguments);
    return true;
  }();
  (void)ready;
  for (const Side &side : sides)
    benchmark::RegisterBenchmark(side.name.c_str(),
                                 [&side](benchmark::State &state) {
                                   for (auto _ : state)
                                     side.run();
                                 })
        ->UseRealTime()
        ->MinTime(leastSeconds)
        ->Repetitions(repetitions);
  SecondsByName reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  benchmark::ClearRegisteredBenchmarks();
  std::vector<double> medians;
  for (const Side &side : sides)
    medians.push_back(median(reporter.seconds.at(side.name)));
  return medians;
}

} // namespace ingot
