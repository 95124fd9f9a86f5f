/// One random graph on a device and in the reference; the graph made smaller.
#pragma once
#include "frontend/check/RandomGraphs.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <span>

namespace ingot {

struct Trial {
  enum class Outcome : uint8_t {
    Alike,
    Rough,       ///< apart by what rounding explains
    FailedAlike, ///< both end in an error
    Refused,     ///< the compiler does not take it
    Differs,
  } outcome = Outcome::Alike;
  std::string what; ///< the difference, or why it is refused
};

/// `ops` hears the names of the ops of stage `train`.
Trial tryGraph(const RandomGraph &graph, const RandomOptions &options,
               const std::function<void(std::string_view)> &ops = {});

/// Compares what a device makes of a function's arguments with what the reference does.
Trial compareResults(mlir::func::FuncOp function, std::span<const Tensor> arguments,
                     const Result<std::vector<Tensor>> &actual,
                     const Result<std::vector<Tensor>> &expected);

/// The smallest part of a graph that is still wrong which a number of trials finds: outputs and ops
/// go, and what they gave becomes an input.
RandomGraph reduceGraph(RandomGraph graph, const std::function<bool(const RandomGraph &)> &isWrong);

} // namespace ingot
