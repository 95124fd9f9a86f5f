#include "runtime/cpu/CpuDevice.h"
#include "runtime/cpu/CpuInfo.h"
#include "runtime/cpu/CpuSession.h"

namespace ingot {

namespace {

constexpr int mostThreads = 1024;

class CpuDevice final : public Device {
public:
  explicit CpuDevice(std::shared_ptr<ThreadPool> pool) : pool(std::move(pool)) {}

  std::string_view name() const override { return "cpu"; }

  Result<std::unique_ptr<Session>> load(std::shared_ptr<const Program> program) override {
    INGOT_ASSIGN(std::unique_ptr<CpuSession> session, CpuSession::create(std::move(program), pool));
    return session;
  }

private:
  std::shared_ptr<ThreadPool> pool;
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
