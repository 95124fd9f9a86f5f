/// Memory pools, and hints about managed memory. All pools take from the device's one memory.
#include "runtime/emulator/cudart/Runtime.h"
#include <cstring>

using namespace ingot;
using namespace ingot::emulator;
using namespace ingot::emulator::cudart;

namespace {

constexpr int releaseThreshold = 4, reservedCurrent = 5, reservedHigh = 6, usedCurrent = 7,
              usedHigh = 8;

struct Pool {
  uint64_t attributes[9] = {0, 1, 1, 1, 0, 0, 0, 0, 0};
};

/// The device's own; null names it too.
Pool &defaultPool() {
  static Pool &pool = *new Pool;
  return pool;
}

cudaError usedBytes(Runtime &runtime, uint64_t &bytes) {
  size_t available = 0, total = 0;
  const cudaError error = cudaError(runtime.driver.cuMemGetInfo(&available, &total));
  bytes = total - available;
  return error;
}

/// A hint about where memory should be: it has to exist, nothing more.
cudaError hint(const char *name, const void *pointer, size_t bytes) {
  return call(name, [&](Runtime &) {
    const auto range = emulatedMemory().range(reinterpret_cast<uint64_t>(pointer), bytes);
    return range ? cudaSuccess : fail(cudaErrorInvalidValue, range.error().text());
  });
}

cudaError give(const char *name, Pool **pool) {
  return call(name, [&](Runtime &) {
    *pool = &defaultPool();
    return cudaSuccess;
  });
}

cudaError nothing(const char *name) {
  return call(name, [](Runtime &) { return cudaSuccess; });
}

} // namespace

INGOT_CUDART cudaError cudaDeviceGetDefaultMemPool(Pool **pool, int) {
  return give(__func__, pool);
}
INGOT_CUDART cudaError cudaDeviceGetMemPool(Pool **pool, int) { return give(__func__, pool); }
INGOT_CUDART cudaError cudaMemGetDefaultMemPool(Pool **pool, MemoryLocation *, int) {
  return give(__func__, pool);
}
INGOT_CUDART cudaError cudaMemGetMemPool(Pool **pool, MemoryLocation *, int) {
  return give(__func__, pool);
}
INGOT_CUDART cudaError cudaDeviceSetMemPool(int, Pool *) { return nothing(__func__); }
INGOT_CUDART cudaError cudaMemSetMemPool(MemoryLocation *, int, Pool *) {
  return nothing(__func__);
}

INGOT_CUDART cudaError cudaMemPoolCreate(Pool **pool, const MemoryPoolProperties *) {
  return call(__func__, [&](Runtime &) {
    *pool = new Pool;
    return cudaSuccess;
  });
}

INGOT_CUDART cudaError cudaMemPoolDestroy(Pool *pool) {
  return call(__func__, [&](Runtime &) {
    if (pool == &defaultPool())
      return fail(cudaErrorInvalidValue, "the device's own pool cannot be destroyed");
    delete pool;
    return cudaSuccess;
  });
}

INGOT_CUDART cudaError cudaMemPoolSetAttribute(Pool *pool, int attribute, void *value) {
  return call(__func__, [&](Runtime &) {
    if (!pool || attribute < 1 || attribute > usedHigh)
      return fail(cudaErrorInvalidValue, fmt::format("a pool has no attribute {}", attribute));
    pool->attributes[attribute] = 0;
    std::memcpy(&pool->attributes[attribute], value, attribute < releaseThreshold ? 4 : 8);
    return cudaSuccess;
  });
}

INGOT_CUDART cudaError cudaMemPoolGetAttribute(Pool *pool, int attribute, void *value) {
  return call(__func__, [&](Runtime &runtime) {
    if (!pool || attribute < 1 || attribute > usedHigh)
      return fail(cudaErrorInvalidValue, fmt::format("a pool has no attribute {}", attribute));
    uint64_t used = 0;
    if (const cudaError error = usedBytes(runtime, used))
      return error;
    for (const int current : {reservedCurrent, usedCurrent})
      pool->attributes[current] = used;
    for (const int high : {reservedHigh, usedHigh})
      pool->attributes[high] = std::max(pool->attributes[high], used);
    std::memcpy(value, &pool->attributes[attribute], attribute < releaseThreshold ? 4 : 8);
    return cudaSuccess;
  });
}

INGOT_CUDART cudaError cudaMemPoolTrimTo(Pool *, size_t) { return nothing(__func__); }
INGOT_CUDART cudaError cudaMemPoolSetAccess(Pool *, const void *, size_t) {
  return nothing(__func__);
}

INGOT_CUDART cudaError cudaMemPoolGetAccess(int *flags, Pool *, MemoryLocation *) {
  return call(__func__, [&](Runtime &) {
    constexpr int readWrite = 3;
    *flags = readWrite;
    return cudaSuccess;
  });
}

// The arguments that follow say where to, and differ between CUDA 12 and 13.

INGOT_CUDART cudaError cudaMemPrefetchAsync(const void *pointer, size_t bytes) {
  return hint(__func__, pointer, bytes);
}
INGOT_CUDART cudaError cudaMemAdvise(const void *pointer, size_t bytes) {
  return hint(__func__, pointer, bytes);
}

INGOT_CUDART_ALIAS(cudaMemPrefetchAsync_ptsz, cudaMemPrefetchAsync);
