/// The one device: properties, limits, versions; peers, of which there are none.
#include "runtime/emulator/cudart/Device.h"
#include <algorithm>
#include <cstdio>
#include <cstring>

using namespace ingot;
using namespace ingot::emulator::cudart;

namespace {

struct AttributeRow {
  int attribute, value;
};
/// What the driver's table leaves out; any other that exists is 0: the device does not have it.
constexpr AttributeRow attributes[] = {
    {11, 0x7fffffff}, // pitch
    {14, 512},        // alignment of textures
    {15, 1},          // copies beside kernels
    {26, 512},        // alignment of surfaces
    {40, 3},          // engines for copies
    {51, 32},         // pitch alignment of textures
    {78, 1},          // priorities of streams
    {79, 1},          // L1 caches global memory
    {80, 1},          // and local memory
    {83, 1},          // managed memory
    {87, 2},          // f32 throughput by f64's
    {89, 1},          // managed memory beside the host
    {90, 1},          // preemption
    {91, 1},          // the host's pointers for registered memory
    {99, 1},          // registering of host memory
    {109, 128 << 20}, // window of an access policy
};
constexpr int lastAttribute = 147;

cudaError checkDevice(int device) {
  return device == 0 ? cudaSuccess
                     : fail(cudaErrorInvalidDevice,
                            fmt::format("there is no device {}; the emulated one is 0", device));
}

/// Of cudaDeviceSetLimit: stack, printf's buffer, heap, and what is of no use here.
size_t &limit(int which) {
  static size_t values[7] = {1024, 1 << 20, 8 << 20, 0, 0, 128, 0};
  return values[which];
}

} // namespace

namespace ingot::emulator::cudart {

cudaError deviceAttribute(Runtime &runtime, int attribute, int &value) {
  if (attribute <= 0 || attribute > lastAttribute)
    return fail(cudaErrorInvalidValue, fmt::format("there is no device attribute {}", attribute));
  if (!runtime.driver.cuDeviceGetAttribute(&value, cuda::CUdevice_attribute(attribute), 0))
    return cudaSuccess;
  value = 0;
  for (const AttributeRow &row : attributes)
    if (row.attribute == attribute)
      value = row.value;
  return cudaSuccess;
}

} // namespace ingot::emulator::cudart

INGOT_CUDART cudaError cudaGetDeviceCount(int *count) {
  return call(__func__, [&](Runtime &runtime) { return runtime.driver.cuDeviceGetCount(count); });
}

INGOT_CUDART cudaError cudaDeviceGetAttribute(int *value, int attribute, int device) {
  return call(__func__, [&](Runtime &runtime) {
    const cudaError error = checkDevice(device);
    return error ? error : deviceAttribute(runtime, attribute, *value);
  });
}

INGOT_CUDART cudaError cudaSetDevice(int device) {
  return call(__func__, [&](Runtime &) { return checkDevice(device); });
}

INGOT_CUDART cudaError cudaInitDevice(int device, unsigned, unsigned) {
  return cudaSetDevice(device);
}

INGOT_CUDART cudaError cudaGetDevice(int *device) {
  return call(__func__, [&](Runtime &) {
    *device = 0;
    return cudaSuccess;
  });
}

INGOT_CUDART cudaError cudaSetValidDevices(int *devices, int count) {
  return call(__func__, [&](Runtime &) {
    for (int i = 0; i < count; ++i)
      if (const cudaError error = checkDevice(devices[i]))
        return error;
    return cudaSuccess;
  });
}

INGOT_CUDART cudaError cudaChooseDevice(int *device, const void *) { return cudaGetDevice(device); }

namespace {
unsigned deviceFlags = 0;
} // namespace

INGOT_CUDART cudaError cudaSetDeviceFlags(unsigned flags) {
  return call(__func__, [&](Runtime &) {
    deviceFlags = flags;
    return cudaSuccess;
  });
}

INGOT_CUDART cudaError cudaGetDeviceFlags(unsigned *flags) {
  return call(__func__, [&](Runtime &) {
    constexpr unsigned mapHost = 8;
    *flags = deviceFlags | mapHost;
    return cudaSuccess;
  });
}

INGOT_CUDART cudaError cudaDeviceSynchronize() {
  return call(__func__, [](Runtime &runtime) { return runtime.driver.cuCtxSynchronize(); });
}

INGOT_CUDART cudaError cudaDeviceReset() {
  Runtime &runtime = Runtime::get();
  std::lock_guard lock(runtime.mutex);
  runtime.reset();
  lastError() = cudaSuccess;
  return cudaSuccess;
}

INGOT_CUDART cudaError cudaDeviceGetLimit(size_t *value, int which) {
  return call(__func__, [&](Runtime &) {
    if (which < 0 || which > 6)
      return fail(cudaErrorUnsupportedLimit, fmt::format("there is no limit {}", which));
    *value = limit(which);
    return cudaSuccess;
  });
}

/// A thread has as much stack, and the device as much heap, as it needs.
INGOT_CUDART cudaError cudaDeviceSetLimit(int which, size_t value) {
  return call(__func__, [&](Runtime &) {
    if (which < 0 || which > 6)
      return fail(cudaErrorUnsupportedLimit, fmt::format("there is no limit {}", which));
    limit(which) = value;
    return cudaSuccess;
  });
}

INGOT_CUDART cudaError cudaDeviceGetCacheConfig(int *config) {
  return call(__func__, [&](Runtime &) {
    *config = 0;
    return cudaSuccess;
  });
}

INGOT_CUDART cudaError cudaDeviceSetCacheConfig(int) {
  return call(__func__, [](Runtime &) { return cudaSuccess; });
}

INGOT_CUDART cudaError cudaDeviceGetSharedMemConfig(int *config) {
  return call(__func__, [&](Runtime &) {
    *config = 1; // banks of 4 bytes
    return cudaSuccess;
  });
}

INGOT_CUDART cudaError cudaDeviceSetSharedMemConfig(int) {
  return call(__func__, [](Runtime &) { return cudaSuccess; });
}

INGOT_CUDART cudaError cudaCtxResetPersistingL2Cache() {
  return call(__func__, [](Runtime &) { return cudaSuccess; });
}

INGOT_CUDART cudaError cudaDeviceGetPCIBusId(char *text, int bytes, int device) {
  return call(__func__, [&](Runtime &) {
    std::snprintf(text, size_t(std::max(bytes, 0)), "0000:00:00.0");
    return checkDevice(device);
  });
}

INGOT_CUDART cudaError cudaDeviceGetByPCIBusId(int *device, const char *) {
  return cudaGetDevice(device);
}

// Versions.

INGOT_CUDART cudaError cudaDriverGetVersion(int *version) {
  return call(__func__,
              [&](Runtime &runtime) { return runtime.driver.cuDriverGetVersion(version); });
}

INGOT_CUDART cudaError cudaProfilerStart() {
  return call(__func__, [](Runtime &) { return cudaSuccess; });
}

INGOT_CUDART cudaError cudaProfilerStop() {
  return call(__func__, [](Runtime &) { return cudaSuccess; });
}

// Peers.

INGOT_CUDART cudaError cudaDeviceCanAccessPeer(int *can, int device, int peer) {
  return call(__func__, [&](Runtime &) {
    *can = 0;
    const cudaError error = checkDevice(device);
    return error ? error : checkDevice(peer);
  });
}

INGOT_CUDART cudaError cudaDeviceEnablePeerAccess(int, unsigned) {
  return call(__func__, [](Runtime &) {
    return fail(cudaErrorPeerAccessUnsupported, "the emulated device has no peers");
  });
}

INGOT_CUDART cudaError cudaDeviceDisablePeerAccess(int) {
  return call(__func__,
              [](Runtime &) { return fail(cudaError(705), "the emulated device has no peers"); });
}

INGOT_CUDART ChannelFormat cudaCreateChannelDesc(int x, int y, int z, int w, int kind) {
  return {x, y, z, w, kind};
}

// The driver's own functions.

INGOT_CUDART cudaError cudaGetDriverEntryPointByVersion(const char *symbol, void **function,
                                                        unsigned, unsigned long long, int *status) {
  return call(__func__, [&](Runtime &runtime) {
    *function = nullptr;
#define INGOT_FIND(member, exported, parameters)                                                   \
  if (!std::strcmp(symbol, #member) || !std::strcmp(symbol, #exported))                            \
    *function = reinterpret_cast<void *>(runtime.driver.member);
    INGOT_CUDA_FUNCTIONS(INGOT_FIND)
#undef INGOT_FIND
    constexpr int found = 0, notFound = 1;
    if (status)
      *status = *function ? found : notFound;
    if (!*function)
      FindingLog::note(fmt::format("{} of the driver is not emulated", symbol));
    return *function || status ? cudaSuccess
                               : fail(cudaErrorSymbolNotFound, fmt::format("no {}", symbol));
  });
}

INGOT_CUDART cudaError cudaGetDriverEntryPoint(const char *symbol, void **function,
                                               unsigned long long flags, int *status) {
  return cudaGetDriverEntryPointByVersion(symbol, function, 0, flags, status);
}

INGOT_CUDART_ALIAS(cudaGetDriverEntryPoint_ptsz, cudaGetDriverEntryPoint);
INGOT_CUDART_ALIAS(cudaGetDriverEntryPointByVersion_ptsz, cudaGetDriverEntryPointByVersion);
