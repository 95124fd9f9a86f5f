/// Launches, and what can be asked about kernels.
#include "runtime/emulator/cudart/Runtime.h"
#include "runtime/emulator/machine/Budget.h"
#include <algorithm>
#include <cstring>

using namespace ingot;
using namespace ingot::emulator;
using namespace ingot::emulator::cudart;

namespace {

/// Attributes that change no result: priorities, caches, memory domains.
bool isHint(int id) {
  constexpr int hints[] = {1, 3, 8, 9, 10, 14};
  return std::find(std::begin(hints), std::end(hints), id) != std::end(hints);
}

/// What the runtime itself refuses before the driver is asked.
cudaError checkDims(Dim grid, Dim block) {
  const uint64_t threads = uint64_t(block.x) * block.y * block.z;
  const bool possible = threads && threads <= Budget::threadsPerBlock && block.z <= 64 && grid.x &&
                        grid.x <= 0x7fffffff && grid.y && grid.y <= 65535 && grid.z &&
                        grid.z <= 65535;
  return possible ? cudaSuccess
                  : fail(cudaErrorInvalidConfiguration,
                         fmt::format("a grid of {} x {} x {} blocks of {} x {} x {} threads",
                                     grid.x, grid.y, grid.z, block.x, block.y, block.z));
}

cudaError launch(Runtime &runtime, const LaunchConfig &config, const void *entry,
                 void **arguments) {
  if (const cudaError error = checkDims(config.grid, config.block))
    return error;
  cudaError error = cudaSuccess;
  const cuda::CUfunction function = runtime.loaded(entry, error);
  if (error)
    return error;
  std::vector<cuda::CUlaunchAttribute> attributes(config.attributes,
                                                  config.attributes + config.attributeCount);
  std::erase_if(attributes, [](const auto &attribute) { return isHint(attribute.id); });
  const cuda::CUlaunchConfig driverConfig = {config.grid.x,
                                             config.grid.y,
                                             config.grid.z,
                                             config.block.x,
                                             config.block.y,
                                             config.block.z,
                                             unsigned(config.dynamicSharedBytes),
                                             config.stream,
                                             attributes.data(),
                                             unsigned(attributes.size())};
  return cudaError(runtime.driver.cuLaunchKernelEx(&driverConfig, function, arguments, nullptr));
}

cudaError setAttribute(Runtime &runtime, const void *entry, int attribute, int value) {
  cudaError error = cudaSuccess;
  const cuda::CUfunction function = runtime.loaded(entry, error);
  return error ? error
               : cudaError(runtime.driver.cuFuncSetAttribute(
                     function, cuda::CUfunction_attribute(attribute), value));
}

/// Blocks of a kernel that a multiprocessor holds.
cudaError occupancy(Runtime &runtime, int *blocks, const void *entry, int threads, size_t shared) {
  cudaError error = cudaSuccess;
  const cuda::CUfunction function = runtime.loaded(entry, error);
  return error ? error
               : cudaError(runtime.driver.cuOccupancyMaxActiveBlocksPerMultiprocessor(
                     blocks, function, threads, shared));
}

int chipAttribute(Runtime &runtime, cuda::CUdevice_attribute attribute) {
  int value = 0;
  runtime.driver.cuDeviceGetAttribute(&value, attribute, 0);
  return value;
}

/// Blocks of the cluster that the configuration asks for.
unsigned clusterBlocks(const LaunchConfig &config) {
  unsigned blocks = 1;
  for (unsigned i = 0; i < config.attributeCount; ++i)
    if (config.attributes[i].id == cuda::CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION) {
      const auto &size = config.attributes[i].value.clusterDim;
      blocks = std::max(1u, size.x * size.y * size.z);
    }
  return blocks;
}

} // namespace

INGOT_CUDART cudaError cudaLaunchKernel(const void *entry, Dim grid, Dim block, void **arguments,
                                        size_t sharedBytes, Stream stream) {
  return callThatRuns(__func__, [&](Runtime &runtime) {
    return launch(runtime, {grid, block, sharedBytes, stream, nullptr, 0}, entry, arguments);
  });
}

INGOT_CUDART cudaError __cudaLaunchKernel(Function *kernel, Dim grid, Dim block, void **arguments,
                                          size_t sharedBytes, Stream stream) {
  return callThatRuns("cudaLaunchKernel", [&](Runtime &runtime) {
    return launch(runtime, {grid, block, sharedBytes, stream, nullptr, 0}, kernel, arguments);
  });
}

INGOT_CUDART cudaError cudaLaunchKernelExC(const LaunchConfig *config, const void *entry,
                                           void **arguments) {
  return callThatRuns(__func__, [&](Runtime &runtime) {
    return config ? launch(runtime, *config, entry, arguments)
                  : fail(cudaErrorInvalidValue, "no configuration");
  });
}

INGOT_CUDART cudaError cudaLaunchCooperativeKernel(const void *entry, Dim grid, Dim block,
                                                   void **arguments, size_t sharedBytes,
                                                   Stream stream) {
  return callThatRuns(__func__, [&](Runtime &runtime) {
    cuda::CUlaunchAttribute cooperative = {};
    cooperative.id = cuda::CU_LAUNCH_ATTRIBUTE_COOPERATIVE;
    cooperative.value.cooperative = 1;
    return launch(runtime, {grid, block, sharedBytes, stream, &cooperative, 1}, entry, arguments);
  });
}

INGOT_CUDART cudaError cudaFuncGetAttributes(FunctionAttributes *attributes, const void *entry) {
  return call(__func__, [&](Runtime &runtime) {
    cudaError error = cudaSuccess;
    const cuda::CUfunction function = runtime.loaded(entry, error);
    if (error)
      return error;
    const auto get = [&](cuda::CUfunction_attribute attribute) {
      int value = 0;
      runtime.driver.cuFuncGetAttribute(&value, attribute, function);
      return value;
    };
    const CompiledKernel &kernel = *emulatedKernel(function);
    *attributes = {};
    attributes->sharedBytes = size_t(get(cuda::CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES));
    attributes->constantBytes = size_t(get(cuda::CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES));
    attributes->localBytes = size_t(get(cuda::CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES));
    attributes->maximumThreads = get(cuda::CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
    // What the text says; otherwise only the assembler knows.
    attributes->registers = std::min(registersAtEntry(*kernel.source), Budget::registersPerThread);
    attributes->ptxVersion = get(cuda::CU_FUNC_ATTRIBUTE_PTX_VERSION);
    attributes->binaryVersion = get(cuda::CU_FUNC_ATTRIBUTE_BINARY_VERSION);
    attributes->maximumDynamicShared = get(cuda::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
    attributes->preferredCarveout = -1;
    for (int i = 0; i < 3; ++i)
      attributes->requiredCluster[i] = kernel.source->requiredCluster[i];
    attributes->clusterMustBeSet = kernel.source->requiredCluster[0] != 0;
    return cudaSuccess;
  });
}

INGOT_CUDART cudaError cudaFuncSetAttribute(const void *entry, int attribute, int value) {
  return call(__func__,
              [&](Runtime &runtime) { return setAttribute(runtime, entry, attribute, value); });
}

INGOT_CUDART cudaError cudaKernelSetAttributeForDevice(const void *entry, int attribute, int value,
                                                       int) {
  return call(__func__,
              [&](Runtime &runtime) { return setAttribute(runtime, entry, attribute, value); });
}

INGOT_CUDART cudaError cudaFuncSetCacheConfig(const void *entry, int) {
  return call(__func__, [&](Runtime &runtime) {
    return runtime.function(entry) ? cudaSuccess
                                   : fail(cudaErrorInvalidDeviceFunction, "no such kernel");
  });
}

INGOT_CUDART cudaError cudaFuncSetSharedMemConfig(const void *entry, int config) {
  return cudaFuncSetCacheConfig(entry, config);
}

INGOT_CUDART cudaError cudaFuncGetName(const char **name, const void *entry) {
  return call(__func__, [&](Runtime &runtime) {
    const Function *function = runtime.function(entry);
    if (!function)
      return fail(cudaErrorInvalidDeviceFunction, "no such kernel");
    *name = function->name.c_str();
    return cudaSuccess;
  });
}

INGOT_CUDART cudaError cudaFuncGetParamInfo(const void *entry, size_t index, size_t *offset,
                                            size_t *bytes) {
  return call(__func__, [&](Runtime &runtime) {
    cudaError error = cudaSuccess;
    const cuda::CUfunction function = runtime.loaded(entry, error);
    if (error)
      return error;
    const auto &parameters = emulatedKernel(function)->parameters;
    if (index >= parameters.size())
      return fail(cudaErrorInvalidValue,
                  fmt::format("the kernel has {} parameters", parameters.size()));
    *offset = size_t(parameters[index].offset);
    if (bytes)
      *bytes = size_t(parameters[index].bytes);
    return cudaSuccess;
  });
}

INGOT_CUDART cudaError cudaGetFuncBySymbol(Function **function, const void *entry) {
  return call(__func__, [&](Runtime &runtime) {
    *function = runtime.function(entry);
    return *function ? cudaSuccess : fail(cudaErrorInvalidDeviceFunction, "no such kernel");
  });
}

INGOT_CUDART cudaError cudaGetKernel(Function **kernel, const void *entry) {
  return cudaGetFuncBySymbol(kernel, entry);
}

INGOT_CUDART cudaError cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, const void *entry,
                                                                     int threads, size_t shared) {
  return call(__func__,
              [&](Runtime &runtime) { return occupancy(runtime, blocks, entry, threads, shared); });
}

INGOT_CUDART cudaError cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
    int *blocks, const void *entry, int threads, size_t shared, unsigned) {
  return call(__func__,
              [&](Runtime &runtime) { return occupancy(runtime, blocks, entry, threads, shared); });
}

INGOT_CUDART cudaError cudaOccupancyAvailableDynamicSMemPerBlock(size_t *bytes, const void *entry,
                                                                 int blocks, int) {
  return call(__func__, [&](Runtime &runtime) {
    cudaError error = cudaSuccess;
    const cuda::CUfunction function = runtime.loaded(entry, error);
    if (error)
      return error;
    if (blocks <= 0)
      return fail(cudaErrorInvalidValue, "at least one block is needed");
    const int64_t whole =
        chipAttribute(runtime, cuda::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR);
    const int64_t reserved =
        chipAttribute(runtime, cuda::CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK);
    const int64_t most =
        chipAttribute(runtime, cuda::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
    const int64_t used = emulatedKernel(function)->staticSharedBytes;
    *bytes = size_t(std::max<int64_t>(0, std::min(most, whole / blocks - reserved) - used));
    return cudaSuccess;
  });
}

INGOT_CUDART cudaError cudaOccupancyMaxPotentialClusterSize(int *blocks, const void *entry,
                                                            const LaunchConfig *) {
  return call(__func__, [&](Runtime &runtime) {
    cudaError error = cudaSuccess;
    const bool clusters = chipAttribute(runtime, cuda::CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH);
    if (runtime.loaded(entry, error))
      *blocks = clusters ? Budget::portableCluster : 1;
    return error;
  });
}

INGOT_CUDART cudaError cudaOccupancyMaxActiveClusters(int *clusters, const void *entry,
                                                      const LaunchConfig *config) {
  return call(__func__, [&](Runtime &runtime) {
    int blocks = 0;
    const Dim &block = config->block;
    if (const cudaError error = occupancy(runtime, &blocks, entry, int(block.x * block.y * block.z),
                                          config->dynamicSharedBytes))
      return error;
    *clusters = blocks * chipAttribute(runtime, cuda::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT) /
                int(clusterBlocks(*config));
    return cudaSuccess;
  });
}

INGOT_CUDART_ALIAS(cudaLaunchKernel_ptsz, cudaLaunchKernel);
INGOT_CUDART_ALIAS(__cudaLaunchKernel_ptsz, __cudaLaunchKernel);
INGOT_CUDART_ALIAS(cudaLaunchKernelExC_ptsz, cudaLaunchKernelExC);
INGOT_CUDART_ALIAS(cudaLaunchCooperativeKernel_ptsz, cudaLaunchCooperativeKernel);
