#include "runtime/program/Device.h"
#include "runtime/cpu/CpuDevice.h"

namespace ingot {

namespace {

/// One row a kind of device.
struct DeviceKind {
  std::string_view name;
  Result<std::unique_ptr<Device>> (*open)(const DeviceOptions &options);
  void (*list)(std::vector<DeviceInfo> &devices);
};

constexpr DeviceKind deviceKinds[] = {
    {"cpu", openCpuDevice, listCpuDevices},
};

} // namespace

Result<std::unique_ptr<Device>> openDevice(std::string_view name, const DeviceOptions &options) {
  std::string known;
  for (const DeviceKind &kind : deviceKinds) {
    if (kind.name == name)
      return kind.open(options);
    known += fmt::format("{}{}", known.empty() ? "" : ", ", kind.name);
  }
  return failure(Error::Code::Usage, "", "unknown device '{}'; devices: {}", name, known);
}

std::vector<DeviceInfo> listDevices() {
  std::vector<DeviceInfo> devices;
  for (const DeviceKind &kind : deviceKinds)
    kind.list(devices);
  return devices;
}

} // namespace ingot
