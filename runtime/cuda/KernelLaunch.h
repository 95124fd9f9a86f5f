/// One call of a kernel with its addresses: what a stream or a graph's node needs.
#pragma once
#include "runtime/cuda/LoadedCode.h"
#include "runtime/program/AddressSpace.h"

namespace ingot::cuda {

/// What calls of a session share.
struct LaunchContext {
  const Gpu &gpu;
  const Program &program;
  const LoadedCode &code;
  const AddressSpace &addresses;
  CUdeviceptr scratch; ///< `Program::workspaceBytes` of memory for one call at a time
};

/// The call in one iteration of the loop around it: its arguments have moved.
CallStep inIteration(const CallStep &call, int64_t iteration);

class KernelLaunch {
public:
  /// Encodes its tensor maps, too.
  static Result<KernelLaunch> make(const LaunchContext &context, const CallStep &call);

  Status start(CUstream stream) const;
  /// Makes a node that runs after others.
  Result<CUgraphNode> addTo(CUgraph graph, std::span<const CUgraphNode> after) const;

private:
  KernelLaunch(const LaunchContext &context, const CallStep &call);
  Status addMap(const KernelParameter &parameter, CUdeviceptr address);
  Status check(CUresult result) const;

  const Gpu *gpu;
  const Kernel *kernel;
  const CudaGrid *grid;
  CUfunction function;
  std::string what;            ///< for errors: the kernel and its op
  std::vector<uint64_t> words; ///< addresses and scalars
  std::vector<CUtensorMap> maps;
  std::vector<void *> parameters; ///< where the value of each lies
};

} // namespace ingot::cuda
