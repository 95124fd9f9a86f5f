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

class KernelLaunch {
public:
  /// In one iteration of the loop around the call, with which its arguments move. Encodes its
  /// tensor maps, too. The call must outlive the launch.
  static Result<KernelLaunch> make(const LaunchContext &context, const CallStep &call,
                                   int64_t iteration);

  Status start(CUstream stream) const;
  /// Makes a node that runs after others.
  Result<CUgraphNode> addTo(CUgraph graph, std::span<const CUgraphNode> after) const;

private:
  KernelLaunch(const LaunchContext &context, const CallStep &call);
  Status addMap(const KernelParameter &parameter, CUdeviceptr address);
  Status check(CUresult result) const;
  /// For errors: the kernel and its op.
  std::string what() const;

  const Gpu *gpu;
  const CallStep *call;
  const Kernel *kernel;
  const CudaGrid *grid;
  CUfunction function;
  std::vector<uint64_t> words; ///< addresses and scalars
  std::vector<CUtensorMap> maps;
  std::vector<void *> parameters; ///< where the value of each lies
};

} // namespace ingot::cuda
