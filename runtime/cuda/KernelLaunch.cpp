#include "runtime/cuda/KernelLaunch.h"

namespace ingot::cuda {
namespace {

CUtensorMapDataType mapType(ElementType type) {
  switch (type) {
  case ElementType::F64:
    return CU_TENSOR_MAP_DATA_TYPE_FLOAT64;
  case ElementType::F32:
    return CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
  case ElementType::F16:
    return CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
  case ElementType::BF16:
    return CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
  case ElementType::I64:
    return CU_TENSOR_MAP_DATA_TYPE_INT64;
  case ElementType::U64:
    return CU_TENSOR_MAP_DATA_TYPE_UINT64;
  case ElementType::I32:
    return CU_TENSOR_MAP_DATA_TYPE_INT32;
  case ElementType::U32:
    return CU_TENSOR_MAP_DATA_TYPE_UINT32;
  case ElementType::I16:
  case ElementType::U16:
    return CU_TENSOR_MAP_DATA_TYPE_UINT16;
  default:
    return CU_TENSOR_MAP_DATA_TYPE_UINT8;
  }
}

/// The driver counts sizes as 0 (none), 1, 2, 3 from `first` on.
int stepsFrom(int64_t first, int64_t bytes) {
  int steps = 0;
  for (int64_t size = first; bytes >= size; size *= 2)
    ++steps;
  return steps;
}

bool hasCluster(const CudaGrid &grid) { return grid.cluster != CudaGrid::Extents{1, 1, 1}; }

CUlaunchAttributeValue clusterOf(const CudaGrid &grid) {
  CUlaunchAttributeValue value = {};
  value.clusterDim = {unsigned(grid.cluster[0]), unsigned(grid.cluster[1]),
                      unsigned(grid.cluster[2])};
  return value;
}

} // namespace

KernelLaunch::KernelLaunch(const LaunchContext &context, const CallStep &call)
    : gpu(&context.gpu), call(&call), kernel(&context.program.kernels[call.kernel]),
      grid(&std::get<CudaGrid>(kernel->launch)), function(context.code.function(call.kernel)) {}

std::string KernelLaunch::what() const {
  return fmt::format("kernel '{}'{}", kernel->name,
                     call->op.empty() ? "" : fmt::format(" ({})", call->op));
}

Result<KernelLaunch> KernelLaunch::make(const LaunchContext &context, const CallStep &call,
                                        int64_t iteration) {
  KernelLaunch launch(context, call);
  // Values stay where they are: the driver is told their addresses.
  launch.words.reserve(launch.kernel->parameters.size());
  launch.maps.reserve(launch.kernel->parameters.size());
  size_t place = 0;
  for (const KernelParameter &parameter : launch.kernel->parameters) {
    CUdeviceptr address = context.scratch;
    if (parameter.hasPlace()) {
      const int64_t moved = call.strides.empty() ? 0 : iteration * call.strides[place];
      address = reinterpret_cast<CUdeviceptr>(context.addresses.at(call.arguments[place] + moved));
      ++place;
    }
    if (parameter.kind == KernelParameter::Kind::TensorMap) {
      INGOT_TRY(launch.addMap(parameter, address));
      continue;
    }
    // A scalar's low bytes come first, as on the device.
    launch.parameters.push_back(&launch.words.emplace_back(
        parameter.kind == KernelParameter::Kind::Scalar ? parameter.value : address));
  }
  return launch;
}

Status KernelLaunch::addMap(const KernelParameter &parameter, CUdeviceptr address) {
  const TensorMap &map = parameter.map;
  const std::vector<uint64_t> sizes(map.sizes.begin(), map.sizes.end()),
      strides(map.strides.begin(), map.strides.end());
  const std::vector<uint32_t> box(map.box.begin(), map.box.end()),
      steps(map.steps.begin(), map.steps.end());
  CUtensorMap &encoded = maps.emplace_back();
  parameters.push_back(&encoded);
  const CUresult result = gpu->driver.cuTensorMapEncodeTiled(
      &encoded, mapType(map.type), uint32_t(sizes.size()), reinterpret_cast<void *>(address),
      sizes.data(), strides.data(), box.data(), steps.data(), /*interleave=*/0,
      stepsFrom(32, map.swizzle), stepsFrom(64, map.promotion), /*outOfBoundsFill=*/0);
  if (result == CUDA_SUCCESS)
    return {};
  return gpu->check(result, fmt::format("a tensor map of {}", what()));
}

Status KernelLaunch::check(CUresult result) const {
  if (result == CUDA_SUCCESS)
    return {};
  return gpu->check(result,
                    fmt::format("launching {} as {} blocks of {} threads", what(),
                                fmt::join(grid->grid, " x "), fmt::join(grid->block, " x ")));
}

Status KernelLaunch::start(CUstream stream) const {
  CUlaunchAttribute cluster = {};
  cluster.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
  cluster.value = clusterOf(*grid);
  const CUlaunchConfig config = {unsigned(grid->grid[0]),
                                 unsigned(grid->grid[1]),
                                 unsigned(grid->grid[2]),
                                 unsigned(grid->block[0]),
                                 unsigned(grid->block[1]),
                                 unsigned(grid->block[2]),
                                 unsigned(grid->sharedBytes),
                                 stream,
                                 &cluster,
                                 hasCluster(*grid) ? 1u : 0u};
  return check(gpu->driver.cuLaunchKernelEx(&config, function,
                                            const_cast<void **>(parameters.data()), nullptr));
}

Result<CUgraphNode> KernelLaunch::addTo(CUgraph graph, std::span<const CUgraphNode> after) const {
  CUDA_KERNEL_NODE_PARAMS node = {};
  node.func = function;
  node.gridDimX = unsigned(grid->grid[0]);
  node.gridDimY = unsigned(grid->grid[1]);
  node.gridDimZ = unsigned(grid->grid[2]);
  node.blockDimX = unsigned(grid->block[0]);
  node.blockDimY = unsigned(grid->block[1]);
  node.blockDimZ = unsigned(grid->block[2]);
  node.sharedMemBytes = unsigned(grid->sharedBytes);
  node.kernelParams = const_cast<void **>(parameters.data());
  CUgraphNode made = nullptr;
  INGOT_TRY(
      check(gpu->driver.cuGraphAddKernelNode(&made, graph, after.data(), after.size(), &node)));
  if (hasCluster(*grid)) {
    const CUlaunchAttributeValue cluster = clusterOf(*grid);
    INGOT_TRY(check(gpu->driver.cuGraphKernelNodeSetAttribute(
        made, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, &cluster)));
  }
  return made;
}

} // namespace ingot::cuda
