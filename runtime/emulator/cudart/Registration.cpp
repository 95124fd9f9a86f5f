/// What code that nvcc generates calls: registration before main, and `<<<…>>>`.
#include "runtime/emulator/cudart/Runtime.h"

using namespace ingot::emulator::cudart;

namespace {

/// What `<<<…>>>` has said about the launch that follows.
struct Configuration {
  Dim grid, block;
  size_t sharedBytes;
  void *stream;
};
std::vector<Configuration> &configurations() {
  thread_local std::vector<Configuration> stack;
  return stack;
}

Binary &binaryOf(void **handle) { return *reinterpret_cast<Binary *>(handle); }

} // namespace

INGOT_CUDART void **__cudaRegisterFatBinary(void *wrapper) {
  Runtime &runtime = Runtime::get();
  std::lock_guard lock(runtime.mutex);
  return reinterpret_cast<void **>(&runtime.addBinary(wrapper));
}

INGOT_CUDART void __cudaRegisterFatBinaryEnd(void **handle) {}

INGOT_CUDART void __cudaUnregisterFatBinary(void **handle) {
  Runtime &runtime = Runtime::get();
  std::lock_guard lock(runtime.mutex);
  runtime.removeBinary(binaryOf(handle));
}

INGOT_CUDART void __cudaRegisterFunction(void **handle, const char *hostFunction, char *,
                                         const char *deviceName, int, void *, void *, void *,
                                         void *, int *) {
  Runtime &runtime = Runtime::get();
  std::lock_guard lock(runtime.mutex);
  runtime.addFunction(binaryOf(handle), hostFunction, deviceName);
}

INGOT_CUDART void __cudaRegisterVar(void **handle, char *hostVariable, char *,
                                    const char *deviceName, int, size_t bytes, int, int) {
  Runtime &runtime = Runtime::get();
  std::lock_guard lock(runtime.mutex);
  Variable variable;
  variable.name = deviceName;
  variable.bytes = bytes;
  runtime.addVariable(binaryOf(handle), hostVariable, std::move(variable));
}

INGOT_CUDART void __cudaRegisterManagedVar(void **handle, void **hostVariable, char *,
                                           const char *deviceName, int, size_t bytes, int, int) {
  Runtime &runtime = Runtime::get();
  std::lock_guard lock(runtime.mutex);
  Variable variable;
  variable.name = deviceName;
  variable.bytes = bytes;
  variable.managed = hostVariable;
  runtime.addVariable(binaryOf(handle), hostVariable, std::move(variable));
}

/// Before the host's first use of a managed variable.
INGOT_CUDART char __cudaInitModule(void **handle) {
  Runtime &runtime = Runtime::get();
  std::lock_guard lock(runtime.mutex);
  return !runtime.prepare() && !runtime.load(binaryOf(handle));
}

INGOT_CUDART cudaError __cudaGetKernel(Function **kernel, const void *entry) {
  return call(__func__, [&](Runtime &runtime) {
    *kernel = runtime.function(entry);
    return *kernel ? cudaSuccess
                   : fail(cudaErrorInvalidDeviceFunction, "no kernel was registered under it");
  });
}

INGOT_CUDART unsigned __cudaPushCallConfiguration(Dim grid, Dim block, size_t sharedBytes,
                                                  void *stream) {
  configurations().push_back({grid, block, sharedBytes, stream});
  return 0;
}

INGOT_CUDART cudaError __cudaPopCallConfiguration(Dim *grid, Dim *block, size_t *sharedBytes,
                                                  void *stream) {
  std::vector<Configuration> &stack = configurations();
  if (stack.empty())
    return lastError() = cudaErrorMissingConfiguration;
  const Configuration top = stack.back();
  stack.pop_back();
  *grid = top.grid;
  *block = top.block;
  *sharedBytes = top.sharedBytes;
  *static_cast<void **>(stream) = top.stream;
  return cudaSuccess;
}

namespace {
__attribute__((destructor)) void closeRuntime() { Runtime::get().close(); }
} // namespace
