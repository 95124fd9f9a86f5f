/// The emulated driver's memory: allocations, copies and fills.
#include "runtime/emulator/driver/DriverState.h"
#include <cstring>

namespace ingot::emulator {

using namespace cuda;

namespace {

CUresult allocate(CUdeviceptr *address, size_t bytes,
                  Allocation::Kind kind = Allocation::Kind::Device) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  if (!state.initialized)
    return driverError(CUDA_ERROR_NOT_INITIALIZED, "cuInit has not been called");
  if (!address || bytes == 0)
    return driverError(CUDA_ERROR_INVALID_VALUE, "an allocation of no bytes");
  if (bytes > state.options.memoryBytes - state.allocated)
    return driverError(CUDA_ERROR_OUT_OF_MEMORY,
                       fmt::format("{} bytes are asked for, {} of {} are free", bytes,
                                   state.options.memoryBytes - state.allocated,
                                   state.options.memoryBytes));
  auto made = state.memory->allocate(bytes, kind);
  if (!made)
    return driverError(CUDA_ERROR_OUT_OF_MEMORY, made.error().text());
  state.memory->describe(*made, {}, state.nextAllocation());
  state.allocated += bytes;
  *address = *made;
  return CUDA_SUCCESS;
}

CUresult release(CUdeviceptr address) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  if (!address)
    return CUDA_SUCCESS;
  const Allocation *allocation = state.memory->nearest(address);
  const uint64_t bytes = allocation ? allocation->bytes : 0;
  if (allocation && !allocation->freed && allocation->kind != Allocation::Kind::Device &&
      allocation->kind != Allocation::Kind::Managed)
    return driverError(CUDA_ERROR_INVALID_VALUE,
                       fmt::format("{:#x} is not cuMemAlloc's or cuMemAllocManaged's{}", address,
                                   state.memory->describe(address)));
  if (auto freed = state.memory->release(address); !freed)
    return driverError(CUDA_ERROR_INVALID_VALUE, freed.error().text());
  state.allocated -= bytes;
  state.order.forget(address, bytes);
  return CUDA_SUCCESS;
}

/// Host address of a range on either side: a device address, or one of the host itself.
std::byte *locate(CUdeviceptr address, size_t bytes, std::string &error) {
  auto range = driverState().memory->range(address, bytes);
  if (range)
    return *range;
  const bool isDevice = address - globalWindow < functionWindow + windowBytes - globalWindow;
  if (!isDevice && address > 65536)
    return reinterpret_cast<std::byte *>(address);
  error = range.error().text();
  return nullptr;
}

CUresult copyMemory(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  std::lock_guard lock(driverState().mutex);
  if (bytes == 0)
    return CUDA_SUCCESS;
  std::string error;
  std::byte *target = locate(to, bytes, error);
  const std::byte *source = locate(from, bytes, error);
  if (!target || !source)
    return driverError(CUDA_ERROR_INVALID_VALUE, "copy: " + error);
  std::memmove(target, source, bytes);
  driverState().memory->copied(to, from, bytes);
  return CUDA_SUCCESS;
}

/// Memory that the device knows: other memory of the host comes and goes unseen.
void addRange(Footprint &footprint, CUdeviceptr address, size_t bytes, bool writes) {
  const Allocation *allocation = driverState().memory->nearest(address);
  if (bytes && allocation && !allocation->freed &&
      address - allocation->address < allocation->bytes)
    footprint[size_t(writes ? Touch::Write : Touch::Read)].push_back({address, address + bytes});
}

CUdeviceptr asAddress(const void *host) { return reinterpret_cast<CUdeviceptr>(host); }

template <typename T> CUresult fill(CUdeviceptr to, T value, size_t count) {
  std::lock_guard lock(driverState().mutex);
  if (count == 0)
    return CUDA_SUCCESS;
  if (to % sizeof(T))
    return driverError(CUDA_ERROR_INVALID_VALUE, "memset: a misaligned address");
  std::string error;
  std::byte *target = locate(to, count * sizeof(T), error);
  if (!target)
    return driverError(CUDA_ERROR_INVALID_VALUE, "memset: " + error);
  for (size_t i = 0; i < count; ++i)
    std::memcpy(target + i * sizeof(T), &value, sizeof value);
  driverState().memory->written(to, count * sizeof(T));
  return CUDA_SUCCESS;
}

template <typename T> Work fillWork(CUdeviceptr to, T value, size_t count) {
  std::lock_guard lock(driverState().mutex);
  Work work{.run = [=] { return fill(to, value, count); },
            .name = fmt::format("a fill of {} bytes", count * sizeof(T))};
  addRange(work.footprint, to, count * sizeof(T), true);
  return work;
}

bool isOfHost(CUdeviceptr address) {
  const Allocation *allocation = driverState().memory->nearest(address);
  return !allocation || address - allocation->address >= allocation->bytes ||
         allocation->kind == Allocation::Kind::Host ||
         allocation->kind == Allocation::Kind::Managed;
}

/// In the default stream. The host waits where its memory is touched; what concerns the device
/// alone may go on after the call.
CUresult runNow(const Work &work, bool hostWaits) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  const CUresult result = submit(nullptr, work);
  if (hostWaits)
    state.host.join(state.clockOf(state.defaultStream));
  return result;
}

CUresult copyNow(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return runNow(copyWork(to, from, bytes), isOfHost(to) || isOfHost(from));
}

template <typename T> CUresult fillNow(CUdeviceptr to, T value, size_t count) {
  return runNow(fillWork(to, value, count), isOfHost(to));
}

CUresult mayAllocateIn(CUstream handle) {
  const StreamHandle *stream = driverState().stream(handle);
  if (!stream)
    return driverError(CUDA_ERROR_INVALID_HANDLE, "no such stream");
  return stream->capture ? driverError(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
                                       "allocations cannot be captured here")
                         : CUDA_SUCCESS;
}

/// In the order of a stream: who uses the memory comes after it was made and before it goes.
CUresult allocateInStream(CUdeviceptr *address, size_t bytes, CUstream stream) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  if (const CUresult result = mayAllocateIn(stream))
    return result;
  if (const CUresult result = allocate(address, bytes))
    return result;
  Work work{.name = fmt::format("the allocation of {} bytes", bytes)};
  addRange(work.footprint, *address, bytes, true);
  return submit(stream, std::move(work));
}

CUresult releaseInStream(CUdeviceptr address, CUstream stream) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  if (const CUresult result = mayAllocateIn(stream))
    return result;
  Work work{.run = [=] { return release(address); }, .name = "the release of memory"};
  if (const Allocation *known = state.memory->nearest(address);
      known && !known->freed && known->address == address)
    addRange(work.footprint, address, known->bytes, true);
  return submit(stream, std::move(work));
}

CUresult allocateHost(void **host, size_t bytes, unsigned flags) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  if (!host || bytes == 0)
    return driverError(CUDA_ERROR_INVALID_VALUE, "an allocation of no bytes");
  // Pages of its own, as from the real driver.
  std::unique_ptr<std::byte, Free> owned(
      static_cast<std::byte *>(std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096)));
  if (!owned)
    return driverError(CUDA_ERROR_OUT_OF_MEMORY, fmt::format("{} bytes of host memory", bytes));
  std::memset(owned.get(), 0, bytes);
  if (auto adopted = state.memory->adopt(owned.get(), bytes); !adopted)
    return driverError(CUDA_ERROR_OUT_OF_MEMORY, adopted.error().text());
  state.memory->describe(asAddress(owned.get()), {}, state.nextAllocation());
  *host = owned.get();
  state.hostMemory.emplace(*host, std::pair(std::move(owned), bytes));
  return CUDA_SUCCESS;
}

CUresult registerHost(void *host, size_t bytes, unsigned flags) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  if (!host || bytes == 0)
    return driverError(CUDA_ERROR_INVALID_VALUE, "a range of no bytes");
  const Allocation *before = state.memory->nearest(asAddress(host) + bytes - 1);
  if (before && !before->freed && before->address + before->bytes > asAddress(host))
    return driverError(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED,
                       "the range is known to the device already");
  if (auto adopted = state.memory->adopt(host, bytes); !adopted)
    return driverError(CUDA_ERROR_INVALID_VALUE, adopted.error().text());
  state.memory->describe(asAddress(host), {}, state.nextAllocation());
  state.registered.insert(host);
  return CUDA_SUCCESS;
}

CUresult unregisterHost(void *host) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  if (!state.registered.erase(host))
    return driverError(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED,
                       "the memory is not cuMemHostRegister's");
  state.order.forget(asAddress(host), state.memory->nearest(asAddress(host))->bytes);
  (void)state.memory->release(asAddress(host));
  return CUDA_SUCCESS;
}

CUresult releaseHost(void *host) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  if (!state.hostMemory.count(host))
    return driverError(CUDA_ERROR_INVALID_VALUE, "the memory is not cuMemHostAlloc's");
  (void)state.memory->release(asAddress(host));
  state.order.forget(asAddress(host), state.hostMemory.at(host).second);
  state.hostMemory.erase(host);
  return CUDA_SUCCESS;
}

} // namespace

Work copyWork(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  std::lock_guard lock(driverState().mutex);
  Work work{.run = [=] { return copyMemory(to, from, bytes); },
            .name = fmt::format("a copy of {} bytes", bytes)};
  addRange(work.footprint, from, bytes, false);
  addRange(work.footprint, to, bytes, true);
  return work;
}

void fillMemoryFunctions(Driver &driver) {
  driver.cuMemGetInfo = [](size_t *available, size_t *total) {
    const DriverState &state = driverState();
    *total = state.options.memoryBytes;
    *available = state.options.memoryBytes - state.allocated;
    return CUDA_SUCCESS;
  };
  driver.cuMemAlloc = [](CUdeviceptr *address, size_t bytes) { return allocate(address, bytes); };
  driver.cuMemAllocManaged = [](CUdeviceptr *address, size_t bytes, unsigned flags) {
    return allocate(address, bytes, Allocation::Kind::Managed);
  };
  driver.cuMemFree = release;
  driver.cuMemAllocAsync = allocateInStream;
  driver.cuMemFreeAsync = releaseInStream;
  driver.cuMemHostAlloc = allocateHost;
  driver.cuMemFreeHost = releaseHost;
  driver.cuMemHostRegister = registerHost;
  driver.cuMemHostUnregister = unregisterHost;
  driver.cuMemHostGetDevicePointer = [](CUdeviceptr *address, void *host, unsigned flags) {
    *address = asAddress(host);
    std::lock_guard lock(driverState().mutex);
    const Allocation *allocation = emulatedMemory().nearest(*address);
    return allocation && !allocation->freed && allocation->kind == Allocation::Kind::Host &&
                   *address - allocation->address < allocation->bytes
               ? CUDA_SUCCESS
               : driverError(CUDA_ERROR_INVALID_VALUE,
                             "the memory is not cuMemHostAlloc's or cuMemHostRegister's");
  };
  driver.cuMemcpy = copyNow;
  driver.cuMemcpyDtoD = driver.cuMemcpy;
  driver.cuMemcpyHtoD = [](CUdeviceptr to, const void *from, size_t bytes) {
    return copyNow(to, asAddress(from), bytes);
  };
  driver.cuMemcpyDtoH = [](void *to, CUdeviceptr from, size_t bytes) {
    return copyNow(asAddress(to), from, bytes);
  };
  driver.cuMemcpyAsync = [](CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
    return submit(stream, copyWork(to, from, bytes));
  };
  driver.cuMemcpyDtoDAsync = driver.cuMemcpyAsync;
  driver.cuMemcpyHtoDAsync = [](CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
    return submit(stream, copyWork(to, asAddress(from), bytes));
  };
  driver.cuMemcpyDtoHAsync = [](void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
    return submit(stream, copyWork(asAddress(to), from, bytes));
  };
  driver.cuMemsetD8 = [](CUdeviceptr to, unsigned char value, size_t count) {
    return fillNow(to, value, count);
  };
  driver.cuMemsetD32 = [](CUdeviceptr to, unsigned value, size_t count) {
    return fillNow(to, value, count);
  };
  driver.cuMemsetD8Async = [](CUdeviceptr to, unsigned char value, size_t count, CUstream stream) {
    return submit(stream, fillWork(to, value, count));
  };
  driver.cuMemsetD32Async = [](CUdeviceptr to, unsigned value, size_t count, CUstream stream) {
    return submit(stream, fillWork(to, value, count));
  };
}

} // namespace ingot::emulator
