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

std::vector<DeviceInfo> listDevices(const Driver &driver, std::string (*nameOf)(int ordinal)) {
  std::vector<DeviceInfo> devices;
  const Result<int> count = countGpus(driver, nameOf(0));
  if (!count)
    devices.push_back({.name = nameOf(0), .error = count.error().message});
  for (int ordinal = 0; count && ordinal < *count; ++ordinal) {
    DeviceInfo &device = devices.emplace_back(DeviceInfo{.name = nameOf(ordinal)});
    const Result<GpuProperties> gpu = GpuProperties::of(driver, ordinal, device.name);
    if (!gpu) {
      device.error = gpu.error().message;
      continue;
    }
    device.model = gpu->model;
    device.features = {fmt::format("sm_{}", gpu->capability)};
    device.cores = gpu->multiprocessors;
    device.memoryBytes = gpu->memoryBytes;
  }
  return devices;
}

} // namespace cuda

namespace {

constexpr const char *emulatedName = "cuda:emulated";

/// As `openDevice` takes it; the first GPU has one name, too.
std::string nameOf(int ordinal) { return ordinal ? fmt::format("cuda:{}", ordinal) : "cuda"; }

Result<std::unique_ptr<Device>> openFrom(Result<const cuda::Driver *> driver, int ordinal,
                                         std::string name) {
  if (!driver) {
    Error error = driver.error();
    error.place = std::move(name);
    return tl::unexpected(std::move(error));
  }
  return cuda::openDevice(**driver, ordinal, std::move(name));
}

} // namespace

Result<std::unique_ptr<Device>> openCudaDevice(std::string_view which,
                                               const DeviceOptions &options) {
  if (which == "emulated")
    return openFrom(cuda::openEmulatedDriver(), 0, emulatedName);
  int ordinal = 0;
  const char *end = which.data() + which.size();
  if (!which.empty())
    if (const auto [rest, error] = std::from_chars(which.data(), end, ordinal);
        error != std::errc() || rest != end || ordinal < 0)
      return failure(Error::Code::Usage, fmt::format("cuda:{}", which),
                     "'{}' is neither a GPU's number nor emulated", which);
  return openFrom(cuda::openNvidiaDriver(), ordinal, nameOf(ordinal));
}

void listCudaDevices(std::vector<DeviceInfo> &devices) {
  const auto add = [&](const Result<const cuda::Driver *> &driver, std::string (*nameOf)(int)) {
    if (driver)
      for (DeviceInfo &device : cuda::listDevices(**driver, nameOf))
        devices.push_back(std::move(device));
  };
  add(cuda::openNvidiaDriver(), nameOf);
  add(cuda::openEmulatedDriver(), [](int) { return std::string(emulatedName); });
}

} // namespace ingot
