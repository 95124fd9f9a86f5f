/// The device `cpu`: range kernels on a thread pool.
#pragma once
#include "runtime/program/Device.h"

namespace ingot {

Result<std::unique_ptr<Device>> openCpuDevice(const DeviceOptions &options);
void listCpuDevices(std::vector<DeviceInfo> &devices);

} // namespace ingot
