#include "runtime/program/Device.h"
#include "runtime/cpu/CpuDevice.h"
#include "runtime/cuda/CudaDevice.h"
#include <algorithm>
#include <cstring>

namespace ingot {

namespace {

/// One row a kind of device.
struct DeviceKind {
  std::string_view name;   ///< what stands before the colon
  std::string_view listed; ///< what there is of it
  /// `which` is what stands after the colon.
  Result<std::unique_ptr<Device>> (*open)(std::string_view which, const DeviceOptions &options);
  void (*list)(std::vector<DeviceInfo> &devices);
};

Result<std::unique_ptr<Device>> openCpu(std::string_view which, const DeviceOptions &options) {
  if (!which.empty())
    return failure(Error::Code::Usage, fmt::format("cpu:{}", which), "there is one cpu");
  return openCpuDevice(options);
}

constexpr DeviceKind deviceKinds[] = {
    {"cpu", "cpu", openCpu, listCpuDevices},
    {"cuda", "cuda, cuda:N, cuda:emulated", openCudaDevice, listCudaDevices},
};

} // namespace

/// Devices without a queue run at once.
Result<Ticket> Session::enqueue(std::string_view function, std::span<const NamedTensor> inputs,
                                std::span<const std::string> outputs) {
  for (const NamedTensor &input : inputs)
    INGOT_TRY(write(function, input.name, input.value));
  auto runAndRead = [&]() -> Result<std::vector<NamedTensor>> {
    INGOT_TRY(run(function));
    std::vector<NamedTensor> values;
    for (const std::string &output : outputs) {
      INGOT_ASSIGN(Tensor value, read(function, output));
      values.push_back({output, std::move(value)});
    }
    return values;
  };
  ended.emplace(++tickets, runAndRead());
  return Ticket{tickets};
}

Result<std::vector<NamedTensor>> Session::wait(Ticket ticket) {
  auto found = ended.find(ticket.number);
  if (found == ended.end())
    return failure(Error::Code::Usage, "", "run {} was waited for already", ticket.number);
  Result<std::vector<NamedTensor>> result = std::move(found->second);
  ended.erase(found);
  return result;
}

Status Session::readInto(std::string_view function, std::string_view port, Tensor &value) const {
  INGOT_ASSIGN(const Tensor read, this->read(function, port));
  INGOT_TRY(checkPlace(function, *program().function(function)->port(port), value));
  if (value.bytes())
    std::memcpy(value.data(), read.data(), read.bytes());
  return {};
}

Result<std::unique_ptr<Device>> openDevice(std::string_view name, const DeviceOptions &options) {
  std::string known;
  const std::string_view kindName = name.substr(0, name.find(':'));
  const std::string_view which = name.substr(std::min(kindName.size() + 1, name.size()));
  for (const DeviceKind &kind : deviceKinds) {
    if (kind.name == kindName)
      return kind.open(which, options);
    known += fmt::format("{}{}", known.empty() ? "" : ", ", kind.listed);
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
