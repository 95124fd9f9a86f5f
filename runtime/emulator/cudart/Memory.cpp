/// Memory: allocations, copies, fills, variables, pointers.
#include "runtime/emulator/cudart/Runtime.h"
#include <tuple>

using namespace ingot;
using namespace ingot::emulator;
using namespace ingot::emulator::cudart;

namespace {

using cuda::CUdeviceptr;

CUdeviceptr address(const void *pointer) { return reinterpret_cast<CUdeviceptr>(pointer); }

/// The live allocation that holds the address; null if none does.
const Allocation *allocationOf(const void *pointer) {
  const Allocation *found = emulatedMemory().nearest(address(pointer));
  return found && !found->freed && address(pointer) - found->address < found->bytes ? found
                                                                                    : nullptr;
}

bool isDeviceAlone(const void *pointer) {
  const Allocation *found = allocationOf(pointer);
  return found && found->kind != Allocation::Kind::Host && found->kind != Allocation::Kind::Managed;
}

/// Whether the pointers are what the kind of copy says. Memory of the device that is called the
/// host's is copied all the same, as on a card, and worth a word.
cudaError checkKind(const void *target, const void *source, CopyKind kind) {
  if (kind < HostToHost || kind > AnyToAny)
    return fail(cudaErrorInvalidMemcpyDirection, fmt::format("{} is no kind of copy", int(kind)));
  if (kind == AnyToAny)
    return cudaSuccess;
  const bool toDevice = kind == HostToDevice || kind == DeviceToDevice;
  const bool fromDevice = kind == DeviceToHost || kind == DeviceToDevice;
  for (const auto &[what, pointer, device] :
       {std::tuple("target", target, toDevice), std::tuple("source", source, fromDevice)}) {
    if (device && !allocationOf(pointer))
      return fail(cudaErrorInvalidValue,
                  fmt::format("the {} {} is no memory of the device{}", what, pointer,
                              emulatedMemory().describe(address(pointer))));
    if (!device && isDeviceAlone(pointer))
      FindingLog::note(fmt::format("a copy calls its {} {} memory of the host; it is the device's",
                                   what, pointer));
  }
  return cudaSuccess;
}

/// `async` copies go through a stream, which may capture them.
struct Place {
  bool async = false;
  Stream stream = nullptr;
};

cudaError copy(Runtime &runtime, void *target, const void *source, size_t bytes, CopyKind kind,
               Place place) {
  if (!bytes)
    return cudaSuccess;
  if (const cudaError error = checkKind(target, source, kind))
    return error;
  return cudaError(place.async ? runtime.driver.cuMemcpyAsync(address(target), address(source),
                                                              bytes, place.stream)
                               : runtime.driver.cuMemcpy(address(target), address(source), bytes));
}

cudaError fill(Runtime &runtime, void *target, int value, size_t bytes, Place place) {
  if (!bytes)
    return cudaSuccess;
  if (!allocationOf(target))
    return fail(cudaErrorInvalidValue, fmt::format("{} is no memory of the device", target));
  const auto byte = static_cast<unsigned char>(value);
  return cudaError(place.async
                       ? runtime.driver.cuMemsetD8Async(address(target), byte, bytes, place.stream)
                       : runtime.driver.cuMemsetD8(address(target), byte, bytes));
}

/// Row by row, and at once where rows follow each other.
template <typename Row>
cudaError forRows(size_t width, size_t height, size_t depth, bool dense, const Row &row) {
  if (dense)
    return row(0, 0, width * height);
  for (size_t z = 0; z < depth; ++z)
    for (size_t y = 0; y < height; ++y)
      if (const cudaError error = row(y, z, width))
        return error;
  return cudaSuccess;
}

cudaError copy2(Runtime &runtime, void *target, size_t targetPitch, const void *source,
                size_t sourcePitch, size_t width, size_t height, CopyKind kind, Place place) {
  if (width > targetPitch || width > sourcePitch)
    return fail(cudaErrorInvalidPitchValue, fmt::format("rows of {} bytes, pitches of {} and {}",
                                                        width, targetPitch, sourcePitch));
  return forRows(width, height, 1, width == targetPitch && width == sourcePitch,
                 [&](size_t y, size_t, size_t bytes) {
                   return copy(runtime, static_cast<char *>(target) + y * targetPitch,
                               static_cast<const char *>(source) + y * sourcePitch, bytes, kind,
                               place);
                 });
}

cudaError copy3(Runtime &runtime, const Copy3 &of, Place place) {
  if (of.sourceArray || of.targetArray)
    return fail(cudaErrorNotSupported, "CUDA arrays are not emulated");
  const auto at = [](const PitchedPointer &memory, const Position3 &from, size_t y, size_t z) {
    return static_cast<char *>(memory.pointer) + from.x + (from.y + y) * memory.pitch +
           (from.z + z) * memory.pitch * memory.height;
  };
  return forRows(of.extent.width, of.extent.height, of.extent.depth, false,
                 [&](size_t y, size_t z, size_t bytes) {
                   return copy(runtime, at(of.target, of.targetPosition, y, z),
                               at(of.source, of.sourcePosition, y, z), bytes, of.kind, place);
                 });
}

Copy3 withoutPeers(const CopyPeer3 &of) {
  return {of.sourceArray,    of.sourcePosition, of.source, of.targetArray,
          of.targetPosition, of.target,         of.extent, AnyToAny};
}

cudaError fill2(Runtime &runtime, const PitchedPointer &memory, int value, const Extent3 &extent,
                Place place) {
  return forRows(
      extent.width, extent.height, extent.depth, false, [&](size_t y, size_t z, size_t bytes) {
        return fill(runtime,
                    static_cast<char *>(memory.pointer) + (y + z * memory.height) * memory.pitch,
                    value, bytes, place);
      });
}

/// The address of `bytes` of a variable at `offset`.
cudaError symbolRange(Runtime &runtime, const void *symbol, size_t bytes, size_t offset,
                      void *&address) {
  const Variable *variable = runtime.variable(symbol);
  if (!variable)
    return fail(cudaErrorInvalidSymbol, "no variable was registered under this address");
  if (offset > variable->bytes || bytes > variable->bytes - offset)
    return fail(cudaErrorInvalidValue, fmt::format("{} bytes at {} of '{}', which has {}", bytes,
                                                   offset, variable->name, variable->bytes));
  CUdeviceptr start = 0;
  const cudaError error = runtime.addressOf(*variable, start);
  address = reinterpret_cast<void *>(start + offset);
  return error;
}

cudaError toSymbol(Runtime &runtime, const void *symbol, const void *source, size_t bytes,
                   size_t offset, CopyKind kind, Place place) {
  void *target = nullptr;
  const cudaError error = symbolRange(runtime, symbol, bytes, offset, target);
  return error ? error : copy(runtime, target, source, bytes, kind, place);
}

cudaError fromSymbol(Runtime &runtime, void *target, const void *symbol, size_t bytes,
                     size_t offset, CopyKind kind, Place place) {
  void *source = nullptr;
  const cudaError error = symbolRange(runtime, symbol, bytes, offset, source);
  return error ? error : copy(runtime, target, source, bytes, kind, place);
}

/// Nothing, for no bytes.
template <typename Allocate> cudaError allocate(void **pointer, size_t bytes, Allocate &&from) {
  if (!pointer)
    return fail(cudaErrorInvalidValue, "no place for the pointer");
  *pointer = nullptr;
  CUdeviceptr made = 0;
  const cudaError error = bytes ? cudaError(from(&made)) : cudaSuccess;
  if (!error)
    *pointer = reinterpret_cast<void *>(made);
  return error;
}

constexpr size_t pitchMultiple = 512;
size_t pitchOf(size_t width) { return (width + pitchMultiple - 1) / pitchMultiple * pitchMultiple; }

} // namespace

// Allocation.

INGOT_CUDART cudaError cudaMalloc(void **pointer, size_t bytes) {
  return call(__func__, [&](Runtime &runtime) {
    return allocate(pointer, bytes,
                    [&](CUdeviceptr *made) { return runtime.driver.cuMemAlloc(made, bytes); });
  });
}

INGOT_CUDART cudaError cudaMallocManaged(void **pointer, size_t bytes, unsigned flags) {
  return call(__func__, [&](Runtime &runtime) {
    return allocate(pointer, bytes, [&](CUdeviceptr *made) {
      return runtime.driver.cuMemAllocManaged(made, bytes, flags);
    });
  });
}

INGOT_CUDART cudaError cudaMallocPitch(void **pointer, size_t *pitch, size_t width, size_t height) {
  return call(__func__, [&](Runtime &runtime) {
    *pitch = pitchOf(width);
    const size_t bytes = *pitch * height;
    return allocate(pointer, bytes,
                    [&](CUdeviceptr *made) { return runtime.driver.cuMemAlloc(made, bytes); });
  });
}

INGOT_CUDART cudaError cudaMalloc3D(PitchedPointer *made, Extent3 extent) {
  *made = {nullptr, 0, extent.width, extent.height};
  return cudaMallocPitch(&made->pointer, &made->pitch, extent.width, extent.height * extent.depth);
}

INGOT_CUDART cudaError cudaMallocAsync(void **pointer, size_t bytes, Stream stream) {
  return call(__func__, [&](Runtime &runtime) {
    return allocate(pointer, bytes, [&](CUdeviceptr *made) {
      return runtime.driver.cuMemAllocAsync(made, bytes, stream);
    });
  });
}

INGOT_CUDART cudaError cudaMallocFromPoolAsync(void **pointer, size_t bytes, void *,
                                               Stream stream) {
  return cudaMallocAsync(pointer, bytes, stream);
}

INGOT_CUDART cudaError cudaFree(void *pointer) {
  return call(__func__,
              [&](Runtime &runtime) { return runtime.driver.cuMemFree(address(pointer)); });
}

INGOT_CUDART cudaError cudaFreeAsync(void *pointer, Stream stream) {
  return call(__func__, [&](Runtime &runtime) {
    return runtime.driver.cuMemFreeAsync(address(pointer), stream);
  });
}

INGOT_CUDART cudaError cudaHostAlloc(void **pointer, size_t bytes, unsigned flags) {
  return call(__func__, [&](Runtime &runtime) {
    return allocate(pointer, bytes, [&](CUdeviceptr *made) {
      void *host = nullptr;
      const cuda::CUresult result = runtime.driver.cuMemHostAlloc(&host, bytes, flags);
      *made = address(host);
      return result;
    });
  });
}

INGOT_CUDART cudaError cudaMallocHost(void **pointer, size_t bytes) {
  return cudaHostAlloc(pointer, bytes, 0);
}

INGOT_CUDART cudaError cudaFreeHost(void *pointer) {
  return call(__func__, [&](Runtime &runtime) {
    return pointer ? runtime.driver.cuMemFreeHost(pointer) : cuda::CUDA_SUCCESS;
  });
}

INGOT_CUDART cudaError cudaHostRegister(void *pointer, size_t bytes, unsigned flags) {
  return call(__func__, [&](Runtime &runtime) {
    return runtime.driver.cuMemHostRegister(pointer, bytes, flags);
  });
}

INGOT_CUDART cudaError cudaHostUnregister(void *pointer) {
  return call(__func__,
              [&](Runtime &runtime) { return runtime.driver.cuMemHostUnregister(pointer); });
}

INGOT_CUDART cudaError cudaHostGetDevicePointer(void **device, void *host, unsigned flags) {
  return call(__func__, [&](Runtime &runtime) {
    CUdeviceptr found = 0;
    const cuda::CUresult result = runtime.driver.cuMemHostGetDevicePointer(&found, host, flags);
    *device = result ? nullptr : reinterpret_cast<void *>(found);
    return result;
  });
}

INGOT_CUDART cudaError cudaHostGetFlags(unsigned *flags, void *host) {
  return call(__func__, [&](Runtime &) {
    constexpr unsigned mapped = 2;
    *flags = mapped;
    const Allocation *found = allocationOf(host);
    return found && found->kind == Allocation::Kind::Host
               ? cudaSuccess
               : fail(cudaErrorInvalidValue, "the memory is not cudaHostAlloc's");
  });
}

INGOT_CUDART cudaError cudaMemGetInfo(size_t *available, size_t *total) {
  return call(__func__,
              [&](Runtime &runtime) { return runtime.driver.cuMemGetInfo(available, total); });
}

INGOT_CUDART cudaError cudaPointerGetAttributes(PointerAttributes *attributes,
                                                const void *pointer) {
  return call(__func__, [&](Runtime &) {
    void *here = const_cast<void *>(pointer);
    const Allocation *found = allocationOf(pointer);
    if (!found)
      *attributes = {MemoryType::Unregistered, -2, nullptr, here};
    else if (found->kind == Allocation::Kind::Host)
      *attributes = {MemoryType::Host, 0, here, here};
    else if (found->kind == Allocation::Kind::Managed)
      *attributes = {MemoryType::Managed, 0, here, here};
    else
      *attributes = {MemoryType::Device, 0, here, nullptr};
    return cudaSuccess;
  });
}

// Copies.

INGOT_CUDART cudaError cudaMemcpy(void *target, const void *source, size_t bytes, CopyKind kind) {
  return call(__func__,
              [&](Runtime &runtime) { return copy(runtime, target, source, bytes, kind, {}); });
}

INGOT_CUDART cudaError cudaMemcpyAsync(void *target, const void *source, size_t bytes,
                                       CopyKind kind, Stream stream) {
  return call(__func__, [&](Runtime &runtime) {
    return copy(runtime, target, source, bytes, kind, {true, stream});
  });
}

INGOT_CUDART cudaError cudaMemcpyPeer(void *target, int, const void *source, int, size_t bytes) {
  return cudaMemcpy(target, source, bytes, AnyToAny);
}

INGOT_CUDART cudaError cudaMemcpyPeerAsync(void *target, int, const void *source, int, size_t bytes,
                                           Stream stream) {
  return cudaMemcpyAsync(target, source, bytes, AnyToAny, stream);
}

INGOT_CUDART cudaError cudaMemcpy2D(void *target, size_t targetPitch, const void *source,
                                    size_t sourcePitch, size_t width, size_t height,
                                    CopyKind kind) {
  return call(__func__, [&](Runtime &runtime) {
    return copy2(runtime, target, targetPitch, source, sourcePitch, width, height, kind, {});
  });
}

INGOT_CUDART cudaError cudaMemcpy2DAsync(void *target, size_t targetPitch, const void *source,
                                         size_t sourcePitch, size_t width, size_t height,
                                         CopyKind kind, Stream stream) {
  return call(__func__, [&](Runtime &runtime) {
    return copy2(runtime, target, targetPitch, source, sourcePitch, width, height, kind,
                 {true, stream});
  });
}

INGOT_CUDART cudaError cudaMemcpy3D(const Copy3 *of) {
  return call(__func__, [&](Runtime &runtime) { return copy3(runtime, *of, {}); });
}

INGOT_CUDART cudaError cudaMemcpy3DAsync(const Copy3 *of, Stream stream) {
  return call(__func__, [&](Runtime &runtime) { return copy3(runtime, *of, {true, stream}); });
}

INGOT_CUDART cudaError cudaMemcpy3DPeer(const CopyPeer3 *of) {
  return call(__func__, [&](Runtime &runtime) { return copy3(runtime, withoutPeers(*of), {}); });
}

INGOT_CUDART cudaError cudaMemcpy3DPeerAsync(const CopyPeer3 *of, Stream stream) {
  return call(__func__,
              [&](Runtime &runtime) { return copy3(runtime, withoutPeers(*of), {true, stream}); });
}

INGOT_CUDART cudaError cudaMemcpyToSymbol(const void *symbol, const void *source, size_t bytes,
                                          size_t offset, CopyKind kind) {
  return call(__func__, [&](Runtime &runtime) {
    return toSymbol(runtime, symbol, source, bytes, offset, kind, {});
  });
}

INGOT_CUDART cudaError cudaMemcpyToSymbolAsync(const void *symbol, const void *source, size_t bytes,
                                               size_t offset, CopyKind kind, Stream stream) {
  return call(__func__, [&](Runtime &runtime) {
    return toSymbol(runtime, symbol, source, bytes, offset, kind, {true, stream});
  });
}

INGOT_CUDART cudaError cudaMemcpyFromSymbol(void *target, const void *symbol, size_t bytes,
                                            size_t offset, CopyKind kind) {
  return call(__func__, [&](Runtime &runtime) {
    return fromSymbol(runtime, target, symbol, bytes, offset, kind, {});
  });
}

INGOT_CUDART cudaError cudaMemcpyFromSymbolAsync(void *target, const void *symbol, size_t bytes,
                                                 size_t offset, CopyKind kind, Stream stream) {
  return call(__func__, [&](Runtime &runtime) {
    return fromSymbol(runtime, target, symbol, bytes, offset, kind, {true, stream});
  });
}

INGOT_CUDART cudaError cudaGetSymbolAddress(void **address, const void *symbol) {
  return call(__func__,
              [&](Runtime &runtime) { return symbolRange(runtime, symbol, 0, 0, *address); });
}

INGOT_CUDART cudaError cudaGetSymbolSize(size_t *bytes, const void *symbol) {
  return call(__func__, [&](Runtime &runtime) {
    const Variable *variable = runtime.variable(symbol);
    if (!variable)
      return fail(cudaErrorInvalidSymbol, "no variable was registered under this address");
    *bytes = variable->bytes;
    return cudaSuccess;
  });
}

// Fills.

INGOT_CUDART cudaError cudaMemset(void *target, int value, size_t bytes) {
  return call(__func__, [&](Runtime &runtime) { return fill(runtime, target, value, bytes, {}); });
}

INGOT_CUDART cudaError cudaMemsetAsync(void *target, int value, size_t bytes, Stream stream) {
  return call(__func__, [&](Runtime &runtime) {
    return fill(runtime, target, value, bytes, {true, stream});
  });
}

INGOT_CUDART cudaError cudaMemset2D(void *target, size_t pitch, int value, size_t width,
                                    size_t height) {
  return call(__func__, [&](Runtime &runtime) {
    return fill2(runtime, {target, pitch, width, height}, value, {width, height, 1}, {});
  });
}

INGOT_CUDART cudaError cudaMemset2DAsync(void *target, size_t pitch, int value, size_t width,
                                         size_t height, Stream stream) {
  return call(__func__, [&](Runtime &runtime) {
    return fill2(runtime, {target, pitch, width, height}, value, {width, height, 1},
                 {true, stream});
  });
}

INGOT_CUDART cudaError cudaMemset3D(PitchedPointer memory, int value, Extent3 extent) {
  return call(__func__,
              [&](Runtime &runtime) { return fill2(runtime, memory, value, extent, {}); });
}

INGOT_CUDART cudaError cudaMemset3DAsync(PitchedPointer memory, int value, Extent3 extent,
                                         Stream stream) {
  return call(__func__, [&](Runtime &runtime) {
    return fill2(runtime, memory, value, extent, {true, stream});
  });
}

// Managed memory is where it is.

INGOT_CUDART cudaError cudaStreamAttachMemAsync(Stream, void *, size_t, unsigned) {
  return call(__func__, [](Runtime &) { return cudaSuccess; });
}

INGOT_CUDART_ALIAS(cudaMallocAsync_ptsz, cudaMallocAsync);
INGOT_CUDART_ALIAS(cudaMallocFromPoolAsync_ptsz, cudaMallocFromPoolAsync);
INGOT_CUDART_ALIAS(cudaFreeAsync_ptsz, cudaFreeAsync);
INGOT_CUDART_ALIAS(cudaMemcpy_ptds, cudaMemcpy);
INGOT_CUDART_ALIAS(cudaMemcpyAsync_ptsz, cudaMemcpyAsync);
INGOT_CUDART_ALIAS(cudaMemcpy2D_ptds, cudaMemcpy2D);
INGOT_CUDART_ALIAS(cudaMemcpy2DAsync_ptsz, cudaMemcpy2DAsync);
INGOT_CUDART_ALIAS(cudaMemcpy3D_ptds, cudaMemcpy3D);
INGOT_CUDART_ALIAS(cudaMemcpy3DAsync_ptsz, cudaMemcpy3DAsync);
INGOT_CUDART_ALIAS(cudaMemcpy3DPeer_ptds, cudaMemcpy3DPeer);
INGOT_CUDART_ALIAS(cudaMemcpy3DPeerAsync_ptsz, cudaMemcpy3DPeerAsync);
INGOT_CUDART_ALIAS(cudaMemcpyToSymbol_ptds, cudaMemcpyToSymbol);
INGOT_CUDART_ALIAS(cudaMemcpyToSymbolAsync_ptsz, cudaMemcpyToSymbolAsync);
INGOT_CUDART_ALIAS(cudaMemcpyFromSymbol_ptds, cudaMemcpyFromSymbol);
INGOT_CUDART_ALIAS(cudaMemcpyFromSymbolAsync_ptsz, cudaMemcpyFromSymbolAsync);
INGOT_CUDART_ALIAS(cudaMemset_ptds, cudaMemset);
INGOT_CUDART_ALIAS(cudaMemsetAsync_ptsz, cudaMemsetAsync);
INGOT_CUDART_ALIAS(cudaMemset2D_ptds, cudaMemset2D);
INGOT_CUDART_ALIAS(cudaMemset2DAsync_ptsz, cudaMemset2DAsync);
INGOT_CUDART_ALIAS(cudaMemset3D_ptds, cudaMemset3D);
INGOT_CUDART_ALIAS(cudaMemset3DAsync_ptsz, cudaMemset3DAsync);
INGOT_CUDART_ALIAS(cudaStreamAttachMemAsync_ptsz, cudaStreamAttachMemAsync);
