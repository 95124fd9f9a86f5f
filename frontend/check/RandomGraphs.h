/// Random small models, compiled and compared with the reference.
#pragma once
#include "codegen/Compile.h"
#include "frontend/api/Model.h"
#include <functional>
#include <optional>

namespace ingot {

/// A model drawn from a seed, with the values that it runs on.
struct RandomGraph {
  Model model;
  std::map<std::string, Tensor> values;    ///< of inputs and parameters, by name
  std::optional<TrainingOptions> training; ///< then its output is the loss
};

/// The same model for the same seed.
Result<RandomGraph> drawGraph(uint64_t seed);

struct RandomOptions {
  CompileOptions compile; ///< training is the graph's own
  std::string device = "cpu";
  int threads = 0;
  uint64_t seed = 0; ///< of the first graph; the next ones have the next
  int64_t graphs = 100;
};

/// A graph that a device computes otherwise than the reference.
struct RandomFinding {
  uint64_t seed = 0;
  std::string what;                     ///< which value differs, or the error
  std::string graph;                    ///< reduced, as text
  std::map<std::string, Tensor> values; ///< of its arguments
  std::optional<TrainingOptions> training;
};

struct RandomReport {
  int64_t compared = 0;                   ///< graphs whose results were compared
  int64_t trained = 0;                    ///< of these, whole training steps
  int64_t failedAlike = 0;                ///< graphs that end in an error on both
  int64_t rough = 0;                      ///< differences no larger than those of rounding
  std::map<std::string, int64_t> refused; ///< what the compiler does not take, how often
  std::map<std::string, int64_t> ops;     ///< how many graphs of stage `train` hold which op
  std::vector<RandomFinding> findings;
};

/// Draws, runs, compares, and reduces what differs; `found` hears of each finding, `progress` of
/// the number of graphs done. Errors: a graph that cannot be drawn.
Result<RandomReport> checkRandomGraphs(const RandomOptions &options,
                                       const std::function<void(const RandomFinding &)> &found,
                                       const std::function<void(int64_t)> &progress = {});

} // namespace ingot
