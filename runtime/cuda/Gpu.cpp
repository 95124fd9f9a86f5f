#include "runtime/cuda/Gpu.h"
#include <map>

namespace ingot::cuda {

Status check(const Driver &driver, CUresult result, std::string_view name, std::string_view what) {
  if (result == CUDA_SUCCESS)
    return {};
  const char *code = nullptr, *text = nullptr;
  driver.cuGetErrorName(result, &code);
  driver.cuGetErrorString(result, &text);
  const std::string more = driver.lastError ? driver.lastError() : "";
  return failure(Error::Code::Io, std::string(name), "{}: {} ({}){}{}", what,
                 code ? code : fmt::format("error {}", int(result)), text ? text : "unknown",
                 more.empty() ? "" : ": ", more);
}

Result<int> countGpus(const Driver &driver, std::string_view name) {
  int count = 0;
  CUresult result = driver.cuInit(0);
  if (result == CUDA_SUCCESS)
    result = driver.cuDeviceGetCount(&count);
  if (result == CUDA_ERROR_NO_DEVICE)
    return 0;
  INGOT_TRY(check(driver, result, name, "starting the driver"));
  return count;
}

Result<GpuProperties> GpuProperties::of(const Driver &driver, int ordinal, std::string_view name) {
  GpuProperties gpu;
  INGOT_TRY(check(driver, driver.cuDeviceGet(&gpu.device, ordinal), name, "finding the GPU"));
  char model[256] = {};
  INGOT_TRY(
      check(driver, driver.cuDeviceGetName(model, sizeof model, gpu.device), name, "its name"));
  gpu.model = model;
  size_t bytes = 0;
  INGOT_TRY(check(driver, driver.cuDeviceTotalMem(&bytes, gpu.device), name, "its memory"));
  gpu.memoryBytes = int64_t(bytes);
  int major = 0, minor = 0;
  struct Row {
    CUdevice_attribute attribute;
    int &value;
  };
  for (const Row &row : {Row{CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, major},
                         Row{CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, minor},
                         Row{CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, gpu.multiprocessors}})
    INGOT_TRY(check(driver, driver.cuDeviceGetAttribute(&row.value, row.attribute, gpu.device),
                    name, "its attributes"));
  gpu.capability = 10 * major + minor;
  return gpu;
}

Result<std::shared_ptr<Gpu>> Gpu::open(const Driver &driver, int ordinal, std::string name) {
  static std::mutex mutex;
  static std::map<std::pair<const Driver *, int>, std::weak_ptr<Gpu>> used;
  std::lock_guard lock(mutex);
  std::weak_ptr<Gpu> &known = used[{&driver, ordinal}];
  if (std::shared_ptr<Gpu> gpu = known.lock())
    return gpu;
  INGOT_ASSIGN(std::shared_ptr<Gpu> gpu, start(driver, ordinal, std::move(name)));
  known = gpu;
  return gpu;
}

Result<std::shared_ptr<Gpu>> Gpu::start(const Driver &driver, int ordinal, std::string name) {
  std::shared_ptr<Gpu> gpu(new Gpu(driver, std::move(name)));
  INGOT_ASSIGN(const int count, countGpus(driver, gpu->name));
  if (count == 0)
    return failure(Error::Code::Io, gpu->name, "the driver finds no GPU");
  if (ordinal < 0 || ordinal >= count)
    return failure(Error::Code::Usage, gpu->name, "there is no such GPU: {} found, counted from 0",
                   count == 1 ? "1 is" : fmt::format("{} are", count));
  INGOT_ASSIGN(GpuProperties properties, GpuProperties::of(driver, ordinal, gpu->name));
  gpu->device = properties.device;
  gpu->model = std::move(properties.model);
  gpu->capability = properties.capability;
  INGOT_TRY(
      gpu->check(driver.cuDevicePrimaryCtxRetain(&gpu->context, gpu->device), "making a context"));
  INGOT_TRY(gpu->enter());
  for (CUstream *stream : {&gpu->compute, &gpu->copies})
    INGOT_TRY(gpu->check(driver.cuStreamCreate(stream, CU_STREAM_NON_BLOCKING), "making a stream"));
  return gpu;
}

Gpu::~Gpu() {
  if (!context)
    return;
  if (enter())
    for (CUstream stream : {compute, copies})
      if (stream)
        driver.cuStreamDestroy(stream);
  driver.cuDevicePrimaryCtxRelease(device);
}

Status Gpu::enter() const { return check(driver.cuCtxSetCurrent(context), "using the GPU"); }

Status Gpu::check(CUresult result, std::string_view what) const {
  return cuda::check(driver, result, name, what);
}

Status Gpu::finish() const {
  INGOT_TRY(check(driver.cuStreamSynchronize(copies), "waiting for copies"));
  return check(driver.cuStreamSynchronize(compute), "waiting for the GPU");
}

// The compute stream keeps the order; the host's memory may be anything, so it is waited for.

Status Gpu::copyIn(CUdeviceptr to, const void *from, size_t bytes, std::string_view what) const {
  if (bytes == 0)
    return {};
  INGOT_TRY(issueCopyIn(to, from, bytes, what));
  return check(driver.cuStreamSynchronize(compute), what);
}

Status Gpu::issueCopyIn(CUdeviceptr to, const void *from, size_t bytes,
                        std::string_view what) const {
  return bytes ? check(driver.cuMemcpyHtoDAsync(to, from, bytes, compute), what) : Status();
}

Status Gpu::copyOut(void *to, CUdeviceptr from, size_t bytes, std::string_view what) const {
  if (bytes == 0)
    return {};
  INGOT_TRY(check(driver.cuMemcpyDtoHAsync(to, from, bytes, compute), what));
  return check(driver.cuStreamSynchronize(compute), what);
}

Status Gpu::clear(CUdeviceptr memory, size_t bytes, std::string_view what) const {
  return bytes ? check(driver.cuMemsetD8Async(memory, 0, bytes, compute), what) : Status();
}

std::pair<int64_t, int64_t> Gpu::memory() const {
  size_t available = 0, total = 0;
  driver.cuMemGetInfo(&available, &total);
  return {int64_t(available), int64_t(total)};
}

Result<DeviceMemory> allocate(const std::shared_ptr<Gpu> &gpu, int64_t bytes,
                              std::string_view what) {
  if (bytes == 0)
    return DeviceMemory();
  CUdeviceptr address = 0;
  INGOT_TRY(gpu->check(gpu->driver.cuMemAlloc(&address, size_t(bytes)),
                       fmt::format("{} of {} bytes", what, bytes)));
  return DeviceMemory(gpu, address,
                      [](const Driver &driver, CUdeviceptr memory) { driver.cuMemFree(memory); });
}

Result<PinnedMemory> allocatePinned(const std::shared_ptr<Gpu> &gpu, int64_t bytes,
                                    std::string_view what) {
  if (bytes == 0)
    return PinnedMemory();
  void *address = nullptr;
  INGOT_TRY(gpu->check(gpu->driver.cuMemHostAlloc(&address, size_t(bytes), 0),
                       fmt::format("{} of {} bytes of the host", what, bytes)));
  return PinnedMemory(gpu, address,
                      [](const Driver &driver, void *memory) { driver.cuMemFreeHost(memory); });
}

Result<Event> makeEvent(const std::shared_ptr<Gpu> &gpu, bool timed) {
  CUevent event = nullptr;
  INGOT_TRY(gpu->check(gpu->driver.cuEventCreate(&event, timed ? 0 : CU_EVENT_DISABLE_TIMING),
                       "making an event"));
  return Event(gpu, event, [](const Driver &driver, CUevent old) { driver.cuEventDestroy(old); });
}

} // namespace ingot::cuda
