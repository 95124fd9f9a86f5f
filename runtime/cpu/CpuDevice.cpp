#include "runtime/cpu/CpuDevice.h"
#include "runtime/cpu/CpuInfo.h"
#include "runtime/cpu/CpuQueue.h"
#include "runtime/cpu/CpuSession.h"
#include "runtime/support/UsableMemory.h"

namespace ingot {

namespace {

constexpr int mostThreads = 1024;

/// Pages of this process, found by all threads at once.
class CpuStoreMemory final : public StoreMemory {
public:
  CpuStoreMemory(std::shared_ptr<ThreadPool> pool, std::shared_ptr<CpuQueue> queue)
      : pool(std::move(pool)), queue(std::move(queue)) {}

  std::string_view device() const override { return "cpu"; }
  Result<uint8_t *> allocate(int64_t bytes) override {
    INGOT_ASSIGN(Pages allocated, Pages::allocate(bytes, "parameters and state"));
    queue->runHere([&] { allocated.populate(*pool); });
    return pages.emplace_back(std::move(allocated)).data();
  }
  Status copyIn(uint8_t *to, const void *from, size_t bytes) override {
    if (bytes)
      std::memcpy(to, from, bytes);
    return {};
  }
  Status copyOut(void *to, const uint8_t *from, size_t bytes) override {
    if (bytes)
      std::memcpy(to, from, bytes);
    return {};
  }

private:
  std::shared_ptr<ThreadPool> pool;
  std::shared_ptr<CpuQueue> queue;
  std::vector<Pages> pages;
};

class CpuDevice final : public Device {
public:
  explicit CpuDevice(std::shared_ptr<ThreadPool> pool)
      : pool(std::move(pool)), queue(std::make_shared<CpuQueue>()) {}

  std::string_view name() const override { return "cpu"; }

  Result<std::unique_ptr<Session>> load(std::shared_ptr<const Program> program,
                                        std::shared_ptr<Store> store) override {
    if (!store)
      store = makeStore();
    INGOT_TRY(store->checkDevice(name()));
    INGOT_ASSIGN(std::unique_ptr<CpuSession> session,
                 CpuSession::create(std::move(program), std::move(store), pool, queue));
    return session;
  }

  std::shared_ptr<Store> makeStore() override {
    return std::make_shared<Store>(std::make_unique<CpuStoreMemory>(pool, queue));
  }

private:
  std::shared_ptr<ThreadPool> pool;
  std::shared_ptr<CpuQueue> queue;
};

} // namespace

Result<std::unique_ptr<Device>> openCpuDevice(const DeviceOptions &options) {
  if (options.threads < 0 || options.threads > mostThreads)
    return failure(Error::Code::Usage, "threads", "must be between 1 and {}, not {}", mostThreads,
                   options.threads);
  INGOT_ASSIGN(std::unique_ptr<ThreadPool> pool,
               ThreadPool::create(options.threads ? options.threads : usableCpus()));
  return std::make_unique<CpuDevice>(std::move(pool));
}

void listCpuDevices(std::vector<DeviceInfo> &devices) {
  devices.push_back({.name = "cpu",
                     .model = cpuInfo().model,
                     .features = cpuInfo().features,
                     .cores = usableCpus(),
                     .memoryBytes = usableMemory()});
}

} // namespace ingot
