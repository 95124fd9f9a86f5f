/// The emulated driver's launches and tensor maps.
#include "runtime/emulator/driver/DriverState.h"
#include "runtime/emulator/machine/Budget.h"
#include "runtime/emulator/machine/TensorMap.h"
#include <algorithm>
#include <cstring>

namespace ingot::emulator {

using namespace cuda;

namespace {

/// The code that a launch ends with, from the first finding for which the driver has one. Notes do
/// not fail it.
CUresult codeOf(const LaunchResult &result, bool findingsAreErrors) {
  const std::vector<Finding> &findings = result.findings;
  struct Row {
    std::string_view check;
    CUresult code;
  };
  constexpr Row rows[] = {{"out-of-bounds", CUDA_ERROR_ILLEGAL_ADDRESS},
                          {"use-after-free", CUDA_ERROR_ILLEGAL_ADDRESS},
                          {"misaligned", CUDA_ERROR_MISALIGNED_ADDRESS},
                          {"assert", CUDA_ERROR_ASSERT},
                          {"no-end", CUDA_ERROR_LAUNCH_TIMEOUT}};
  for (const Finding &finding : findings)
    for (const Row &row : rows)
      if (finding.check == row.check)
        return driverError(row.code, finding.str());
  const auto failed = std::ranges::find(findings, false, &Finding::note);
  return failed != findings.end() && (findingsAreErrors || result.stopped)
             ? driverError(CUDA_ERROR_LAUNCH_FAILED, failed->str())
             : CUDA_SUCCESS;
}

CUresult runNow(const LaunchRequest &request, Footprint &footprint) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  Checks checks(*request.kernel, state.options.checks);
  auto result = run(request, state.options.launch, *state.memory,
                    state.options.checks.any() ? &checks : nullptr);
  if (!result)
    return driverError(CUDA_ERROR_INVALID_VALUE, result.error().text());
  footprint = checks.footprint();
  ++state.launches;
  state.lastKernel = request.kernel->source->name;
  if (state.options.launched)
    state.options.launched(request, *result, checks.counters());
  const CUresult code = codeOf(*result, state.options.findingsAreErrors);
  for (Finding &finding : result->findings)
    state.findings.push_back(std::move(finding));
  return code;
}

/// With the driver's memory for barriers of the grid, which is there for this launch alone.
CUresult runCooperative(LaunchRequest request, Footprint &footprint) {
  GlobalMemory &memory = *driverState().memory;
  const Result<uint64_t> workspace =
      memory.allocate(8, Allocation::Kind::Device, "the grid's barrier");
  if (!workspace)
    return driverError(CUDA_ERROR_OUT_OF_MEMORY, workspace.error().text());
  memory.written(*workspace, 8);
  request.gridWorkspace = *workspace;
  const CUresult result = runNow(request, footprint);
  if (const Status status = memory.release(*workspace); !status)
    return driverError(CUDA_ERROR_UNKNOWN, status.error().text());
  return result;
}

CUresult gatherParameters(const CompiledKernel &kernel, void **parameters, void **extra,
                          std::vector<std::byte> &bytes) {
  bytes.resize(size_t(kernel.parameterBytes));
  if (extra) {
    const void *buffer = nullptr;
    size_t size = 0;
    for (; *extra != CU_LAUNCH_PARAM_END; extra += 2) {
      if (*extra == CU_LAUNCH_PARAM_BUFFER_POINTER)
        buffer = extra[1];
      else if (*extra == CU_LAUNCH_PARAM_BUFFER_SIZE)
        size = *static_cast<size_t *>(extra[1]);
      else
        return driverError(CUDA_ERROR_INVALID_VALUE, "unknown extra launch parameter");
    }
    if ((!buffer && size) || size != bytes.size())
      return driverError(CUDA_ERROR_INVALID_VALUE,
                         fmt::format("kernel '{}' takes {} bytes of parameters, {} were given",
                                     kernel.source->name, bytes.size(), size));
    if (size) // a kernel without parameters has no buffer either
      std::memcpy(bytes.data(), buffer, size);
    return CUDA_SUCCESS;
  }
  if (!kernel.parameters.empty() && !parameters)
    return driverError(CUDA_ERROR_INVALID_VALUE,
                       fmt::format("kernel '{}' takes {} parameters, none were given",
                                   kernel.source->name, kernel.parameters.size()));
  for (size_t i = 0; i < kernel.parameters.size(); ++i)
    std::memcpy(bytes.data() + kernel.parameters[i].offset, parameters[i],
                size_t(kernel.parameters[i].bytes));
  return CUDA_SUCCESS;
}

} // namespace

CUresult KernelWork::run(Footprint &footprint) const {
  return cooperative ? runCooperative(request, footprint) : runNow(request, footprint);
}

CUresult prepareLaunch(const CUlaunchConfig &config, CUfunction handle, void **parameters,
                       void **extra, KernelWork &work) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  const FunctionHandle *function = nullptr;
  if (const CUresult result = state.runnable(handle, function))
    return result;
  const CompiledKernel &kernel = *function->kernel;
  LaunchRequest &request = work.request;
  request.kernel = &kernel;
  request.grid = {config.gridDimX, config.gridDimY, config.gridDimZ};
  request.block = {config.blockDimX, config.blockDimY, config.blockDimZ};
  request.dynamicSharedBytes = config.sharedMemBytes;
  if (const auto &cluster = kernel.source->requiredCluster; cluster[0])
    request.cluster = {uint32_t(cluster[0]), uint32_t(cluster[1]), uint32_t(cluster[2])};
  for (unsigned i = 0; i < config.numAttrs; ++i) {
    const CUlaunchAttribute &attribute = config.attrs[i];
    switch (attribute.id) {
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION: {
      const auto &size = attribute.value.clusterDim;
      request.cluster = {size.x, size.y, size.z};
      break;
    }
    // Every block is resident in time, so only the barrier's memory is special.
    case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
      work.cooperative = attribute.value.cooperative != 0;
      break;
    // Launches of a stream run one after the other.
    case CU_LAUNCH_ATTRIBUTE_IGNORE:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION:
      break;
    default:
      return driverError(CUDA_ERROR_NOT_SUPPORTED,
                         fmt::format("launch attribute {} is not supported", int(attribute.id)));
    }
  }
  if (const CUresult result = gatherParameters(kernel, parameters, extra, request.parameters))
    return result;
  return checkLaunch(*function, work);
}

CUresult checkLaunch(const FunctionHandle &function, const KernelWork &work) {
  const DriverState &state = driverState();
  const LaunchRequest &request = work.request;
  const CompiledKernel &kernel = *request.kernel;
  if (const Status shape = checkShape(request); !shape)
    return driverError(CUDA_ERROR_INVALID_VALUE, shape.error().text());
  if (request.cluster.count() >
      uint64_t(function.nonPortableCluster ? Budget::largestCluster : Budget::portableCluster))
    return driverError(CUDA_ERROR_INVALID_CLUSTER_SIZE,
                       fmt::format("kernel '{}': a cluster of {} blocks; {} are portable, {} need "
                                   "CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED",
                                   kernel.source->name, request.cluster.count(),
                                   Budget::portableCluster, Budget::largestCluster));
  if (request.dynamicSharedBytes > function.maximumDynamicShared)
    return driverError(CUDA_ERROR_INVALID_VALUE,
                       fmt::format("kernel '{}': {} bytes of dynamic shared memory, {} are allowed "
                                   "(see CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES)",
                                   kernel.source->name, request.dynamicSharedBytes,
                                   function.maximumDynamicShared));
  if (const Status budget = checkBudget(request, state.capability()); !budget)
    return driverError(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, budget.error().text());
  const int64_t together = int64_t(multiprocessors(state.capability())) *
                           residentBlocks(kernel, int64_t(request.block.count()),
                                          request.dynamicSharedBytes, state.capability());
  if (work.cooperative && int64_t(request.grid.count()) > together)
    return driverError(CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE,
                       fmt::format("kernel '{}': {} blocks; {} can be resident together",
                                   kernel.source->name, request.grid.count(), together));
  return CUDA_SUCCESS;
}

namespace {

CUresult launch(const CUlaunchConfig *config, CUfunction handle, void **parameters, void **extra) {
  if (!config)
    return driverError(CUDA_ERROR_INVALID_VALUE, "no launch configuration");
  KernelWork work;
  if (const CUresult result = prepareLaunch(*config, handle, parameters, extra, work))
    return result;
  return submit(config->hStream, std::move(work));
}

CUresult setAttribute(CUfunction handle, CUfunction_attribute attribute, int value) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  FunctionHandle *function = state.function(handle);
  if (const FunctionHandle *found; const CUresult result = state.runnable(handle, found))
    return result;
  switch (attribute) {
  case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: {
    const int most =
        maximumSharedBytes(state.capability()) - int(function->kernel->staticSharedBytes);
    if (value < 0 || value > most)
      return driverError(CUDA_ERROR_INVALID_VALUE,
                         fmt::format("kernel '{}': {} bytes of dynamic shared memory; sm_{} has {} "
                                     "beside the {} static ones",
                                     function->kernel->source->name, value, state.capability(),
                                     most, function->kernel->staticSharedBytes));
    function->maximumDynamicShared = value;
    return CUDA_SUCCESS;
  }
  case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
    function->nonPortableCluster = value != 0;
    return CUDA_SUCCESS;
  default:
    return driverError(CUDA_ERROR_INVALID_VALUE,
                       fmt::format("function attribute {} cannot be set", int(attribute)));
  }
}

CUresult getAttribute(int *value, CUfunction_attribute attribute, CUfunction handle) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  const FunctionHandle *function = nullptr;
  if (const CUresult result = state.runnable(handle, function))
    return result;
  if (!value)
    return driverError(CUDA_ERROR_INVALID_VALUE, "nowhere to write the attribute to");
  const CompiledKernel &kernel = *function->kernel;
  const auto &most = kernel.source->maximumThreads;
  switch (attribute) {
  case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
    *value = most[0] ? most[0] * most[1] * most[2] : 1024;
    break;
  case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
    *value = int(kernel.staticSharedBytes);
    break;
  case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
    *value = int(kernel.functions[0]->localBytes);
    break;
  case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES:
    *value = 0;
    break;
  case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
    *value = function->maximumDynamicShared;
    break;
  case CU_FUNC_ATTRIBUTE_PTX_VERSION:
  case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
    *value = state.capability();
    break;
  default:
    // Registers are the assembler's affair.
    return driverError(
        CUDA_ERROR_NOT_SUPPORTED,
        fmt::format("function attribute {} is not known to the emulator", int(attribute)));
  }
  return CUDA_SUCCESS;
}

CUresult occupancy(int *blocks, CUfunction handle, int threads, size_t dynamicSharedBytes) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  const FunctionHandle *function = nullptr;
  if (const CUresult result = state.runnable(handle, function))
    return result;
  if (!blocks || threads <= 0)
    return driverError(CUDA_ERROR_INVALID_VALUE, "a block needs threads");
  *blocks =
      residentBlocks(*function->kernel, threads, int64_t(dynamicSharedBytes), state.capability());
  return CUDA_SUCCESS;
}

CUresult encode(CUtensorMap *map, const TensorMapArguments &arguments) {
  if (!map || reinterpret_cast<uintptr_t>(map) % 64)
    return driverError(CUDA_ERROR_INVALID_VALUE, "a tensor map is aligned to 64 bytes");
  auto made = TensorMap::make(arguments);
  if (!made)
    return driverError(CUDA_ERROR_INVALID_VALUE, made.error().text());
  made->encode(reinterpret_cast<uint8_t *>(map));
  return CUDA_SUCCESS;
}

CUresult encodeTiled(CUtensorMap *map, int type, uint32_t rank, void *address,
                     const uint64_t *dimensions, const uint64_t *strides, const uint32_t *box,
                     const uint32_t *elementStrides, int interleave, int swizzle, int l2Promotion,
                     int outOfBoundsFill) {
  if (!box)
    return driverError(CUDA_ERROR_INVALID_VALUE, "a tiled map needs boxDim");
  return encode(map, {.dataType = uint32_t(type),
                      .rank = rank,
                      .address = reinterpret_cast<uint64_t>(address),
                      .dimensions = dimensions,
                      .strides = strides,
                      .box = box,
                      .elementStrides = elementStrides,
                      .interleave = uint32_t(interleave),
                      .swizzle = uint32_t(swizzle),
                      .l2Promotion = uint32_t(l2Promotion),
                      .outOfBoundsFill = uint32_t(outOfBoundsFill)});
}

CUresult encodeIm2col(CUtensorMap *map, int type, uint32_t rank, void *address,
                      const uint64_t *dimensions, const uint64_t *strides, const int *lower,
                      const int *upper, uint32_t channels, uint32_t pixels,
                      const uint32_t *elementStrides, int interleave, int swizzle, int l2Promotion,
                      int outOfBoundsFill) {
  return encode(map, {.dataType = uint32_t(type),
                      .rank = rank,
                      .address = reinterpret_cast<uint64_t>(address),
                      .dimensions = dimensions,
                      .strides = strides,
                      .elementStrides = elementStrides,
                      .interleave = uint32_t(interleave),
                      .swizzle = uint32_t(swizzle),
                      .l2Promotion = uint32_t(l2Promotion),
                      .outOfBoundsFill = uint32_t(outOfBoundsFill),
                      .lower = lower,
                      .upper = upper,
                      .channels = channels,
                      .pixels = pixels});
}

} // namespace

void fillLaunchFunctions(Driver &driver) {
  driver.cuKernelGetFunction = [](CUfunction *function, CUkernel kernel) {
    *function = reinterpret_cast<CUfunction>(kernel);
    return driverState().function(*function)
               ? CUDA_SUCCESS
               : driverError(CUDA_ERROR_INVALID_HANDLE, "no such kernel");
  };
  driver.cuKernelSetAttribute = [](CUfunction_attribute attribute, int value, CUkernel kernel,
                                   CUdevice device) {
    return setAttribute(reinterpret_cast<CUfunction>(kernel), attribute, value);
  };
  driver.cuFuncSetAttribute = setAttribute;
  driver.cuFuncGetAttribute = getAttribute;
  driver.cuOccupancyMaxActiveBlocksPerMultiprocessor = occupancy;
  driver.cuLaunchKernelEx = launch;
  driver.cuLaunchKernel = [](CUfunction function, unsigned gridX, unsigned gridY, unsigned gridZ,
                             unsigned blockX, unsigned blockY, unsigned blockZ,
                             unsigned sharedBytes, CUstream stream, void **parameters,
                             void **extra) {
    const CUlaunchConfig config = {gridX,  gridY,       gridZ,  blockX,  blockY,
                                   blockZ, sharedBytes, stream, nullptr, 0};
    return launch(&config, function, parameters, extra);
  };
  driver.cuLaunchCooperativeKernel = [](CUfunction function, unsigned gridX, unsigned gridY,
                                        unsigned gridZ, unsigned blockX, unsigned blockY,
                                        unsigned blockZ, unsigned sharedBytes, CUstream stream,
                                        void **parameters) {
    CUlaunchAttribute cooperative = {};
    cooperative.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE;
    cooperative.value.cooperative = 1;
    const CUlaunchConfig config = {gridX,  gridY,       gridZ,  blockX,       blockY,
                                   blockZ, sharedBytes, stream, &cooperative, 1};
    return launch(&config, function, parameters, nullptr);
  };
  driver.cuTensorMapEncodeTiled = encodeTiled;
  driver.cuTensorMapEncodeIm2col = encodeIm2col;
}

} // namespace ingot::emulator
