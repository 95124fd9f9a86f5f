#include "test/emulator/Support.h"
#include <algorithm>
#include <cstring>

namespace ingot::emulator::test {

using namespace cuda;

namespace {

int devices = 0;

void expectSuccess(CUresult result) {
  if (result != CUDA_SUCCESS)
    ADD_FAILURE() << lastEmulatedError();
}

} // namespace

std::string header(std::string_view target) {
  return fmt::format(".version 9.0\n.target {}\n.address_size 64\n", target);
}

Device::Device() {
  options.seed = freshSeed();
  if (devices++ == 0)
    resetEmulatedDevice();
  CUcontext context;
  expectSuccess(driver.cuInit(0));
  expectSuccess(driver.cuDevicePrimaryCtxRetain(&context, 0));
}

Device::Device(const std::string &ptx, const std::string &name) : Device() { load(ptx, name); }

Device::~Device() {
  for (const uint64_t address : buffers)
    expectSuccess(driver.cuMemFree(address));
  if (module)
    expectSuccess(driver.cuModuleUnload(module));
  expectSuccess(driver.cuDevicePrimaryCtxRelease(0));
  if (--devices == 0)
    for (const Finding &finding : takeEmulatedFindings())
      ADD_FAILURE() << finding.str();
}

void Device::load(const std::string &ptx, const std::string &name) {
  EmulatedDeviceOptions device;
  device.capability = 0;
  device.moduleName = name;
  configureEmulatedDevice(std::move(device));
  expectSuccess(driver.cuModuleLoadData(&module, ptx.c_str()));
}

uint64_t Device::allocate(size_t bytes, const std::string &name) {
  CUdeviceptr address = 0;
  expectSuccess(driver.cuMemAlloc(&address, std::max<size_t>(bytes, 1)));
  if (!address)
    return 0;
  emulatedMemory().describe(address, name, {});
  buffers.push_back(address);
  return address;
}

void Device::write(uint64_t address, const void *data, size_t bytes) {
  expectSuccess(driver.cuMemcpyHtoD(address, data, bytes));
}

void Device::read(uint64_t address, void *data, size_t bytes) {
  expectSuccess(driver.cuMemcpyDtoH(data, address, bytes));
}

void Device::free(uint64_t address) {
  expectSuccess(driver.cuMemFree(address));
  std::erase(buffers, address);
}

void Device::append(std::vector<std::byte> &to, const void *value, size_t bytes) {
  to.resize((to.size() + bytes - 1) / bytes * bytes);
  const auto *from = static_cast<const std::byte *>(value);
  to.insert(to.end(), from, from + bytes);
}

CUfunction Device::function(const std::string &name) {
  CUfunction found = nullptr;
  if (module)
    expectSuccess(driver.cuModuleGetFunction(&found, module, name.c_str()));
  return found;
}

const CompiledKernel *Device::kernel(const std::string &name) {
  const CUfunction found = function(name);
  const CompiledKernel *kernel = found ? emulatedKernel(found) : nullptr;
  if (found && !kernel)
    ADD_FAILURE() << lastEmulatedError();
  return kernel;
}

LaunchResult Device::launchBytes(const std::string &kernel, Dim3 grid, Dim3 block,
                                 std::vector<std::byte> parameters) {
  const CUfunction launched = function(kernel);
  if (!launched) {
    if (!module)
      ADD_FAILURE() << "no module is loaded";
    return {};
  }
  LaunchResult result;
  bool ran = false;
  EmulatedDeviceOptions device;
  device.capability = 0;
  device.launch = options;
  device.checks = checks;
  device.launched = [&](const LaunchRequest &, const LaunchResult &end,
                        const MemoryCounters &counted) {
    ran = true;
    result = end;
    counters = counted;
  };
  configureEmulatedDevice(device);
  CUlaunchAttribute attributes[2] = {};
  CUlaunchConfig config = {grid.x,
                           grid.y,
                           grid.z,
                           block.x,
                           block.y,
                           block.z,
                           static_cast<unsigned>(dynamicSharedBytes),
                           nullptr,
                           attributes,
                           0};
  if (cluster.count() > 1) {
    CUlaunchAttribute &attribute = attributes[config.numAttrs++];
    attribute.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
    attribute.value.clusterDim = {cluster.x, cluster.y, cluster.z};
  }
  if (cooperative) {
    CUlaunchAttribute &attribute = attributes[config.numAttrs++];
    attribute.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE;
    attribute.value.cooperative = 1;
  }
  constexpr int64_t withoutAsking = 48 * 1024;
  if (dynamicSharedBytes > withoutAsking)
    expectSuccess(driver.cuFuncSetAttribute(launched,
                                            CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                            static_cast<int>(dynamicSharedBytes)));
  size_t bytes = parameters.size();
  void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, parameters.data(), CU_LAUNCH_PARAM_BUFFER_SIZE,
                   &bytes, CU_LAUNCH_PARAM_END};
  const CUresult code = driver.cuLaunchKernelEx(&config, launched, nullptr, extra);
  device.launched = nullptr;
  configureEmulatedDevice(std::move(device));
  if (!ran)
    ADD_FAILURE() << lastEmulatedError();
  else
    EXPECT_EQ(code == CUDA_SUCCESS,
              std::ranges::all_of(result.findings, [](const Finding &f) { return f.note; }))
        << lastEmulatedError();
  const std::vector<Finding> findings = takeEmulatedFindings();
  EXPECT_EQ(findings.size(), result.findings.size());
  if (!expectFindings)
    for (const Finding &finding : findings)
      ADD_FAILURE() << finding.str();
  return result;
}

} // namespace ingot::emulator::test
