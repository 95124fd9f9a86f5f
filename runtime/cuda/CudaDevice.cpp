#include "runtime/cuda/CudaDevice.h"
#include "runtime/cuda/CudaSession.h"
#include "runtime/cuda/OpenDriver.h"
#include <charconv>

namespace ingot {
namespace cuda {
namespace {

class CudaStoreMemory final : public StoreMemory {
public:
  explicit CudaStoreMemory(std::shared_ptr<Gpu> gpu) : gpu(std::move(gpu)) {}

  std::string_view device() const override { return gpu->name; }
  Result<uint8_t *> allocate(int64_t bytes) override {
    INGOT_TRY(gpu->enter());
    INGOT_ASSIGN(DeviceMemory allocated, cuda::allocate(gpu, bytes, "parameters and state"));
    INGOT_TRY(gpu->clear(allocated.get(), size_t(bytes), "clearing parameters and state"));
    return reinterpret_cast<uint8_t *>(blocks.emplace_back(std::move(allocated)).get());
  }
  Status copyIn(uint8_t *to, const void *from, size_t bytes) override {
    INGOT_TRY(gpu->enter());
    return gpu->copyIn(reinterpret_cast<CUdeviceptr>(to), from, bytes, "writing a parameter");
  }
  Status copyOut(void *to, const uint8_t *from, size_t bytes) override {
    INGOT_TRY(gpu->enter());
    return gpu->copyOut(to, reinterpret_cast<CUdeviceptr>(from), bytes, "reading a parameter");
  }

private:
  std::shared_ptr<Gpu> gpu;
  std::vector<DeviceMemory> blocks;
};

class CudaDevice final : public Device {
public:
  explicit CudaDevice(std::shared_ptr<Gpu> gpu) : gpu(std::move(gpu)) {}

  std::string_view name() const override { return gpu->name; }

  Result<std::unique_ptr<Session>> load(std::shared_ptr<const Program> program,
                                        std::shared_ptr<Store> store) override {
    if (!store)
      store = makeStore();
    INGOT_TRY(store->checkDevice(name()));
    INGOT_ASSIGN(std::unique_ptr<CudaSession> session,
                 CudaSession::create(std::move(program), std::move(store), gpu));
    return session;
  }

  std::shared_ptr<Store> makeStore() override {
    return std::make_shared<Store>(std::make_unique<CudaStoreMemory>(gpu));
  }

private:
  std::shared_ptr<Gpu> gpu;
};

} // namespace

Result<std::unique_ptr<Device>> openDevice(const Driver &driver, int ordinal, std::string name) {
  INGOT_ASSIGN(std::shared_ptr<Gpu> gpu, Gpu::open(driver, ordinal, std::move(name)));
  return std::make_unique<CudaDevice>(std::move(gpu));
}

} // namespace cuda

namespace {

std::string nameOf(std::string_view which) {
  return which.empty() ? "cuda" : fmt::format("cuda:{}", which);
}

Result<std::unique_ptr<Device>> openFrom(Result<const cuda::Driver *> driver, int ordinal,
                                         std::string name) {
  if (!driver) {
    Error error = driver.error();
    error.place = std::move(name);
    return tl::unexpected(std::move(error));
  }
  return cuda::openDevice(**driver, ordinal, std::move(name));
}

void listOf(const Result<const cuda::Driver *> &driver, std::string_view onlyName,
            std::vector<DeviceInfo> &devices) {
  int count = 0;
  if (!driver || (*driver)->cuInit(0) != cuda::CUDA_SUCCESS ||
      (*driver)->cuDeviceGetCount(&count) != cuda::CUDA_SUCCESS)
    return;
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    std::string name(onlyName);
    if (name.empty())
      name = ordinal ? fmt::format("cuda:{}", ordinal) : "cuda";
    const auto gpu = cuda::Gpu::open(**driver, ordinal, std::move(name));
    if (gpu)
      devices.push_back({.name = (*gpu)->name,
                         .model = (*gpu)->model,
                         .features = {fmt::format("sm_{}", (*gpu)->capability)},
                         .cores = (*gpu)->attribute(cuda::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
                         .memoryBytes = (*gpu)->memory().second});
  }
}

} // namespace

Result<std::unique_ptr<Device>> openCudaDevice(std::string_view which,
                                               const DeviceOptions &options) {
  if (which == "emulated")
    return openFrom(cuda::openEmulatedDriver(), 0, nameOf(which));
  int ordinal = 0;
  const char *end = which.data() + which.size();
  if (!which.empty())
    if (const auto [rest, error] = std::from_chars(which.data(), end, ordinal);
        error != std::errc() || rest != end || ordinal < 0)
      return failure(Error::Code::Usage, nameOf(which),
                     "'{}' is neither a GPU's number nor emulated", which);
  return openFrom(cuda::openNvidiaDriver(), ordinal, nameOf(which));
}

void listCudaDevices(std::vector<DeviceInfo> &devices) {
  listOf(cuda::openNvidiaDriver(), "", devices);
  listOf(cuda::openEmulatedDriver(), "cuda:emulated", devices);
}

} // namespace ingot
