#include "runtime/emulator/machine/Budget.h"
#include <algorithm>

namespace ingot::emulator {

int maximumSharedBytes(int capability) {
  switch (capability) {
  case 80:
  case 87:
    return 163 * 1024;
  case 86:
  case 89:
  case 120:
    return 99 * 1024;
  default:
    return 227 * 1024;
  }
}

int multiprocessors(int capability) { return capability >= 90 ? 132 : 108; }

int64_t registersOfWarp(int perThread) { return (perThread + 7) / 8 * 8 * int64_t(lanes); }

int registersAtEntry(const ptx::Function &kernel) {
  if (kernel.maximumRegisters)
    return kernel.maximumRegisters;
  const auto &threads = kernel.requiredThreads[0] ? kernel.requiredThreads : kernel.maximumThreads;
  const int64_t count = int64_t(threads[0]) * std::max(threads[1], 1) * std::max(threads[2], 1);
  if (!count)
    return 0;
  const int64_t warps = (count + lanes - 1) / lanes;
  return int(std::min<int64_t>(Budget::registersPerThread + 1,
                               Budget::registersPerBlock / warps / lanes / 8 * 8));
}

Status checkAssembly(const CompiledKernel &kernel) {
  const ptx::Function &source = *kernel.source;
  if (kernel.staticSharedBytes > Budget::staticSharedBytes)
    return failure(Error::Code::BadInput, fmt::format("{}:{}", kernel.module->name, source.line),
                   "kernel '{}' has {} bytes of static shared memory, the assembler takes {}",
                   source.name, kernel.staticSharedBytes, Budget::staticSharedBytes);
  if (kernel.functions[0]->localBytes > Budget::localBytes)
    return failure(Error::Code::BadInput, fmt::format("{}:{}", kernel.module->name, source.line),
                   "kernel '{}' has {} bytes of local memory, a thread has {}", source.name,
                   kernel.functions[0]->localBytes, Budget::localBytes);
  return {};
}

Status checkShape(const LaunchRequest &request) {
  const CompiledKernel &kernel = *request.kernel;
  const ptx::Function &source = *kernel.source;
  const auto error = [&]<typename... Args>(fmt::format_string<Args...> format, Args &&...args) {
    return failure(Error::Code::BadInput, source.name, format, std::forward<Args>(args)...);
  };
  const Dim3 &grid = request.grid, &block = request.block, &cluster = request.cluster;
  if (!block.count() || block.count() > Budget::threadsPerBlock ||
      block.x > Budget::threadsPerBlock || block.y > Budget::threadsPerBlock || block.z > 64)
    return error("a block of {} x {} x {} threads; {} are possible, 64 of them in z", block.x,
                 block.y, block.z, Budget::threadsPerBlock);
  if (!grid.count() || grid.x > 0x7fffffff || grid.y > 65535 || grid.z > 65535)
    return error("a grid of {} x {} x {} blocks is impossible", grid.x, grid.y, grid.z);
  if (!cluster.count() || cluster.count() > Budget::largestCluster || grid.x % cluster.x ||
      grid.y % cluster.y || grid.z % cluster.z)
    return error("clusters of {} x {} x {} blocks: up to {} that divide the grid are possible",
                 cluster.x, cluster.y, cluster.z, Budget::largestCluster);
  const auto &required = source.requiredThreads;
  if (required[0] && (uint32_t(required[0]) != block.x || uint32_t(required[1]) != block.y ||
                      uint32_t(required[2]) != block.z))
    return error(".reqntid demands {} x {} x {} threads, the launch has {} x {} x {}", required[0],
                 required[1], required[2], block.x, block.y, block.z);
  const auto &maximum = source.maximumThreads;
  if (maximum[0] && block.count() > uint64_t(maximum[0]) * maximum[1] * maximum[2])
    return error(".maxntid allows {} threads, the launch has {}",
                 maximum[0] * maximum[1] * maximum[2], block.count());
  const auto &clusterSize = source.requiredCluster;
  if (clusterSize[0] &&
      (uint32_t(clusterSize[0]) != cluster.x || uint32_t(clusterSize[1]) != cluster.y ||
       uint32_t(clusterSize[2]) != cluster.z))
    return error(".reqnctapercluster demands clusters of {} x {} x {}", clusterSize[0],
                 clusterSize[1], clusterSize[2]);
  if (request.dynamicSharedBytes < 0)
    return error("a negative size of shared memory");
  if (int64_t(request.parameters.size()) != kernel.parameterBytes)
    return error("{} bytes of parameters are needed, {} were given", kernel.parameterBytes,
                 request.parameters.size());
  return {};
}

Status checkBudget(const LaunchRequest &request, int capability) {
  const CompiledKernel &kernel = *request.kernel;
  const auto error = [&]<typename... Args>(fmt::format_string<Args...> format, Args &&...args) {
    return failure(Error::Code::BadInput, kernel.source->name, format, std::forward<Args>(args)...);
  };
  const int64_t shared = kernel.dynamicSharedOffset + request.dynamicSharedBytes;
  if (shared > maximumSharedBytes(capability))
    return error("{} bytes of shared memory for a block ({} static, {} dynamic); sm_{} has {}",
                 shared, kernel.dynamicSharedOffset, request.dynamicSharedBytes, capability,
                 maximumSharedBytes(capability));
  const int64_t warps = int64_t(request.block.count() + lanes - 1) / lanes;
  const int perThread = kernel.source->maximumRegisters;
  if (warps * registersOfWarp(perThread) > Budget::registersPerBlock)
    return error("{} registers a thread (.maxnreg) for {} warps are {}; sm_{} has {} for a block",
                 perThread, warps, warps * registersOfWarp(perThread), capability,
                 Budget::registersPerBlock);
  if (request.cluster.count() > 1 && capability < 90)
    return error("clusters need sm_90, this is sm_{}", capability);
  return {};
}

int residentBlocks(const CompiledKernel &kernel, int64_t threads, int64_t dynamicSharedBytes,
                   int capability) {
  constexpr int64_t blocks = 32, threadsTogether = 2048, reserved = 1024;
  const int64_t warps = (threads + lanes - 1) / lanes;
  const int64_t shared = kernel.staticSharedBytes + dynamicSharedBytes + reserved;
  int64_t most = std::min({blocks, threadsTogether / (warps * lanes),
                           (maximumSharedBytes(capability) + reserved) / shared});
  // Without .maxnreg only the assembler knows.
  if (const int perThread = kernel.source->maximumRegisters)
    most = std::min(most, Budget::registersPerBlock / (warps * registersOfWarp(perThread)));
  return int(most);
}

} // namespace ingot::emulator
