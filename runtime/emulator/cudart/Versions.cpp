/// Where CUDA 12 and 13 differ: the layout of the device's properties, and names.
#include "runtime/emulator/cudart/Device.h"
#include <algorithm>
#include <cstring>

using namespace ingot;
using namespace ingot::emulator::cudart;

namespace {

constexpr int version = INGOT_CUDART_VERSION;

/// Fields of cudaDeviceProp after its name and identifiers, in order; each is filled from
/// attributes of the device, 0 where there is none.
struct Field {
  enum class In { Both, Cuda12 } in;
  size_t bytes;  ///< of an element
  int elements;  ///< of an array
  int attribute; ///< cudaDeviceAttr of the first; 0: the field stays 0
};
constexpr Field::In both = Field::In::Both, old = Field::In::Cuda12;
constexpr int memoryBytes = -1; ///< what no attribute tells
constexpr Field fields[] = {
    {both, 8, 1, memoryBytes}, // totalGlobalMem
    {both, 8, 1, 8},           // sharedMemPerBlock
    {both, 4, 1, 12},          // regsPerBlock
    {both, 4, 1, 10},          // warpSize
    {both, 8, 1, 11},          // memPitch
    {both, 4, 1, 1},           // maxThreadsPerBlock
    {both, 4, 3, 2},           // maxThreadsDim
    {both, 4, 3, 5},           // maxGridSize
    {old, 4, 1, 13},           // clockRate
    {both, 8, 1, 9},           // totalConstMem
    {both, 4, 2, 75},          // major, minor
    {both, 8, 1, 14},          // textureAlignment
    {both, 8, 1, 51},          // texturePitchAlignment
    {old, 4, 1, 15},           // deviceOverlap
    {both, 4, 1, 16},          // multiProcessorCount
    {old, 4, 1, 17},           // kernelExecTimeoutEnabled
    {both, 4, 1, 18},          // integrated
    {both, 4, 1, 19},          // canMapHostMemory
    {old, 4, 1, 20},           // computeMode
    {both, 4, 2, 0},           // maxTexture1D, maxTexture1DMipmap
    {old, 4, 1, 0},            // maxTexture1DLinear
    {both, 4, 37, 0},          // other textures and surfaces
    {both, 8, 1, 26},          // surfaceAlignment
    {both, 4, 1, 31},          // concurrentKernels
    {both, 4, 5, 0},           // ECCEnabled, pciBusID, pciDeviceID, pciDomainID, tccDriver
    {both, 4, 1, 40},          // asyncEngineCount
    {both, 4, 1, 41},          // unifiedAddressing
    {old, 4, 1, 36},           // memoryClockRate
    {both, 4, 1, 37},          // memoryBusWidth
    {both, 4, 1, 38},          // l2CacheSize
    {both, 4, 1, 108},         // persistingL2CacheMaxSize
    {both, 4, 1, 39},          // maxThreadsPerMultiProcessor
    {both, 4, 3, 78},          // streamPrioritiesSupported, global- and localL1CacheSupported
    {both, 8, 1, 81},          // sharedMemPerMultiprocessor
    {both, 4, 1, 82},          // regsPerMultiprocessor
    {both, 4, 4, 83},  // managedMemory, isMultiGpuBoard, its group, hostNativeAtomicSupported
    {old, 4, 1, 87},   // singleToDoublePrecisionPerfRatio
    {both, 4, 4, 88},  // pageableMemoryAccess … canUseHostPointerForRegisteredMem
    {both, 4, 1, 95},  // cooperativeLaunch
    {old, 4, 1, 0},    // cooperativeMultiDeviceLaunch
    {both, 8, 1, 97},  // sharedMemPerBlockOptin
    {both, 4, 2, 100}, // pageableMemoryAccessUsesHostPageTables, directManagedMemAccess…
    {both, 4, 1, 106}, // maxBlocksPerMultiProcessor
    {both, 4, 1, 109}, // accessPolicyMaxWindowSize
    {both, 8, 1, 111}, // reservedSharedMemPerBlock
    {both, 4, 1, 99},  // hostRegisterSupported
    {both, 4, 1, 112}, // sparseCudaArraySupported
    {both, 4, 1, 113}, // hostRegisterReadOnlySupported
    {both, 4, 1, 114}, // timelineSemaphoreInteropSupported
    {both, 4, 1, 115}, // memoryPoolsSupported
    {both, 4, 4, 116}, // gpuDirectRDMASupported … memoryPoolSupportedHandleTypes
    {both, 4, 1, 121}, // deferredMappingCudaArraySupported
    {both, 4, 1, 125}, // ipcEventSupported
    {both, 4, 1, 120}, // clusterLaunch
    {both, 4, 1, 0},   // unifiedFunctionPointers
};
constexpr size_t nameBytes = 256, identifierBytes = 16 + 8 + 4;
constexpr size_t propertyBytes = version == 12 ? 1032 : 1008;

constexpr size_t alignTo(size_t offset, size_t bytes) {
  return (offset + bytes - 1) / bytes * bytes;
}

/// Calls `write(field, offset)` for each field of this version; returns where they end.
template <typename Write> constexpr size_t layOut(const Write &write) {
  size_t offset = nameBytes + identifierBytes;
  for (const Field &field : fields) {
    if (field.in == old && version != 12)
      continue;
    offset = alignTo(offset, field.bytes);
    write(field, offset);
    offset += field.bytes * size_t(field.elements);
  }
  return offset;
}
// Then 63 words that CUDA 12 reserves, of which 13 has named seven.
static_assert(alignTo(layOut([](const Field &, size_t) {}) + 63 * 4, 8) == propertyBytes);

cudaError getProperties(const char *name, void *properties, int device) {
  return call(name, [&](Runtime &runtime) {
    if (device != 0)
      return fail(cudaErrorInvalidDevice,
                  fmt::format("there is no device {}; the emulated one is 0", device));
    auto *bytes = static_cast<char *>(properties);
    std::memset(bytes, 0, propertyBytes);
    cudaError error = cudaError(runtime.driver.cuDeviceGetName(bytes, nameBytes, 0));
    layOut([&](const Field &field, size_t offset) {
      for (int i = 0; i < field.elements && !error; ++i) {
        uint64_t value = 0;
        int attribute = 0;
        if (field.attribute == memoryBytes)
          error = cudaError(runtime.driver.cuDeviceTotalMem(&value, 0));
        else if (field.attribute)
          error = deviceAttribute(runtime, field.attribute + i, attribute);
        if (field.attribute > 0)
          value = uint64_t(attribute);
        std::memcpy(bytes + offset + size_t(i) * field.bytes, &value, field.bytes);
      }
    });
    return error;
  });
}

} // namespace

INGOT_CUDART cudaError cudaRuntimeGetVersion(int *number) {
  return call(__func__, [&](Runtime &) {
    *number = version == 12 ? 12090 : 13000;
    return cudaSuccess;
  });
}

#if INGOT_CUDART_VERSION == 12

INGOT_CUDART cudaError cudaGetDeviceProperties_v2(void *properties, int device) {
  return getProperties(__func__, properties, device);
}

/// With the layout of CUDA 11.
INGOT_CUDART cudaError cudaGetDeviceProperties() { return Runtime::get().refuse(__func__); }

INGOT_CUDART cudaError cudaEventElapsedTime(float *milliseconds, Event start, Event end);
INGOT_CUDART cudaError cudaEventElapsedTime_v2(float *milliseconds, Event start, Event end) {
  return cudaEventElapsedTime(milliseconds, start, end);
}
INGOT_CUDART cudaError cudaMemPrefetchAsync(const void *pointer, size_t bytes);
INGOT_CUDART cudaError cudaMemPrefetchAsync_v2(const void *pointer, size_t bytes) {
  return cudaMemPrefetchAsync(pointer, bytes);
}
INGOT_CUDART cudaError cudaMemAdvise(const void *pointer, size_t bytes);
INGOT_CUDART cudaError cudaMemAdvise_v2(const void *pointer, size_t bytes) {
  return cudaMemAdvise(pointer, bytes);
}
INGOT_CUDART cudaError cudaDeviceSynchronize();
INGOT_CUDART cudaError cudaThreadSynchronize() { return cudaDeviceSynchronize(); }
INGOT_CUDART cudaError cudaDeviceReset();
INGOT_CUDART cudaError cudaThreadExit() { return cudaDeviceReset(); }
INGOT_CUDART_ALIAS(cudaMemPrefetchAsync_v2_ptsz, cudaMemPrefetchAsync_v2);

#else

INGOT_CUDART cudaError cudaGetDeviceProperties(void *properties, int device) {
  return getProperties(__func__, properties, device);
}

#endif
