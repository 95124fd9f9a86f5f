/// Types of the CUDA runtime's binary interface, as far as functions here use them.
///
/// Layouts and values are the interface's own (CUDA 12 and 13 agree on them, but for the device's
/// properties), declared here so that neither CUDA's headers nor its libraries are needed.
#pragma once
#include "runtime/cuda/Driver.h"
#include <cstddef>
#include <cstdint>

namespace ingot::emulator::cudart {

/// cudaError_t. Most codes are the driver's, under the same number.
enum cudaError : int {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInitializationError = 3,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInvalidPitchValue = 12,
  cudaErrorInvalidSymbol = 13,
  cudaErrorInvalidMemcpyDirection = 21,
  cudaErrorMissingConfiguration = 52,
  cudaErrorInvalidDeviceFunction = 98,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorNoKernelImageForDevice = 209,
  cudaErrorUnsupportedLimit = 215,
  cudaErrorInvalidPtx = 218,
  cudaErrorInvalidResourceHandle = 400,
  cudaErrorSymbolNotFound = 500,
  cudaErrorNotReady = 600,
  cudaErrorPeerAccessUnsupported = 217,
  cudaErrorNotSupported = 801,
  cudaErrorGraphExecUpdateFailure = 910,
  cudaErrorUnknown = 999,
};

struct Dim {
  unsigned x, y, z;
};

using Stream = cuda::CUstream;
using Event = cuda::CUevent;

enum CopyKind : int { HostToHost, HostToDevice, DeviceToHost, DeviceToDevice, AnyToAny };

struct PitchedPointer {
  void *pointer;
  size_t pitch, width, height;
};
struct Extent3 {
  size_t width, height, depth;
};
struct Position3 {
  size_t x, y, z;
};
/// cudaMemcpy3DParms
struct Copy3 {
  void *sourceArray;
  Position3 sourcePosition;
  PitchedPointer source;
  void *targetArray;
  Position3 targetPosition;
  PitchedPointer target;
  Extent3 extent;
  CopyKind kind;
};
/// cudaMemcpy3DPeerParms
struct CopyPeer3 {
  void *sourceArray;
  Position3 sourcePosition;
  PitchedPointer source;
  int sourceDevice;
  void *targetArray;
  Position3 targetPosition;
  PitchedPointer target;
  int targetDevice;
  Extent3 extent;
};

/// cudaLaunchConfig_t; its attributes are the driver's.
struct LaunchConfig {
  Dim grid, block;
  size_t dynamicSharedBytes;
  Stream stream;
  cuda::CUlaunchAttribute *attributes;
  unsigned attributeCount;
};

struct FunctionAttributes {
  size_t sharedBytes, constantBytes, localBytes;
  int maximumThreads, registers, ptxVersion, binaryVersion, cacheMode, maximumDynamicShared;
  int preferredCarveout, clusterMustBeSet, requiredCluster[3], clusterPolicy, nonPortableCluster;
  int reserved[16];
};

enum class MemoryType : int { Unregistered, Host, Device, Managed };

/// What cudaPointerGetAttributes writes; CUDA 13 has room for more behind it.
struct PointerAttributes {
  MemoryType type;
  int device;
  void *devicePointer, *hostPointer;
};

struct MemoryLocation {
  int type, id;
};

struct MemoryPoolProperties {
  int allocationType, handleTypes;
  MemoryLocation location;
  void *securityAttributes;
  size_t maximumBytes;
  unsigned short usage;
  unsigned char reserved[54];
};

struct ChannelFormat {
  int x, y, z, w, kind;
};

struct KernelNode {
  void *function;
  Dim grid, block;
  unsigned dynamicSharedBytes;
  void **parameters;
  void **extra;
};
struct MemsetNode {
  void *target;
  size_t pitch;
  unsigned value, elementBytes;
  size_t width, height;
};
struct HostNode {
  void (*function)(void *);
  void *data;
};

} // namespace ingot::emulator::cudart

/// An exported function of the runtime's C interface.
#define INGOT_CUDART extern "C" __attribute__((visibility("default")))
/// The same function under the name that programs use whose default stream is each thread's own.
#define INGOT_CUDART_ALIAS(alias_, name)                                                           \
  INGOT_CUDART decltype(name) alias_ __attribute__((alias(#name)))
