/// The devices `cuda`, `cuda:N` and `cuda:emulated`.
#pragma once
#include "runtime/cuda/Driver.h"
#include "runtime/program/Device.h"

namespace ingot {

/// `which` is a GPU's number, `emulated`, or nothing: the first GPU.
Result<std::unique_ptr<Device>> openCudaDevice(std::string_view which,
                                               const DeviceOptions &options);
void listCudaDevices(std::vector<DeviceInfo> &devices);

namespace cuda {
/// A GPU of any driver whose table is at hand and stays; `name` is what errors call it.
Result<std::unique_ptr<Device>> openDevice(const Driver &driver, int ordinal, std::string name);
/// The driver's GPUs, of which none is put to use; each that fails says why.
std::vector<DeviceInfo> listDevices(const Driver &driver, std::string (*nameOf)(int ordinal));
} // namespace cuda

} // namespace ingot
