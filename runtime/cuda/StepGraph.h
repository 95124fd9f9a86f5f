/// What a function's steps are on a GPU: CUDA graphs, and what the host walks between them.
#pragma once
#include "runtime/cuda/KernelLaunch.h"

namespace ingot::cuda {

/// A call of an unrolled loop.
struct UnrolledCall {
  /// The iteration of a loop that the host walks.
  static constexpr int64_t walked = -1;
  const CallStep *step = nullptr;
  int64_t iteration = 0;
};

struct GpuStep;
using GpuSteps = std::vector<GpuStep>;

/// Calls of one graph, in program order.
struct CallSequence {
  std::vector<UnrolledCall> calls;
  /// Whether arguments move with a loop that the host walks: then every call is launched alone.
  bool moves = false;
  GraphExecutable graph = {}; ///< made when it is first launched
};
struct WalkedLoop {
  const LoopStep *step;
  GpuSteps body; ///< empty if it calls no kernel: then only the trip count is checked
};
struct WalkedBranch {
  int64_t condition; ///< byte offset of the i1, which the host reads
  GpuSteps thenBody, elseBody;
};
struct GpuStep {
  std::variant<CallSequence, WalkedLoop, WalkedBranch> node;
};

/// Loops without branches, run-time trip counts and counters are unrolled as long as they make no
/// more than `mostUnrolled` calls; a graph has at most `mostNodes`.
inline constexpr int64_t mostUnrolled = 1 << 16, mostNodes = 1 << 12;
/// The first step is a sequence, so that there is a graph that can begin with the inputs.
GpuSteps planSteps(std::span<const Step> steps);

/// A copy within device memory that a graph begins with.
struct InputCopy {
  const Port *port = nullptr; ///< where to
  CUdeviceptr from = 0;
};

/// The graph of a sequence: a node for each copy and call, an edge where one must wait for another.
Result<GraphExecutable> makeGraph(const std::shared_ptr<Gpu> &gpu, const LaunchContext &context,
                                  std::span<const InputCopy> copies,
                                  std::span<const UnrolledCall> calls);

} // namespace ingot::cuda
