/// The state of the CUDA runtime in a process: what has been registered and loaded, and errors.
///
/// Everything runs through the emulated driver's table in the thread that calls. A kernel's own
/// error is, as on a card, no result of its launch: later calls return it, all of them until the
/// device is reset.
#pragma once
#include "runtime/emulator/cudart/FindingLog.h"
#include "runtime/emulator/cudart/RuntimeTypes.h"
#include "runtime/emulator/driver/EmulatedProgram.h"
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace ingot::emulator::cudart {

struct Binary;

/// A kernel of a translation unit; also what its cudaKernel_t and cudaFunction_t point to.
struct Function {
  Binary *binary = nullptr;
  std::string name;                  ///< mangled
  cuda::CUfunction loaded = nullptr; ///< null until it is used
};

/// A __device__, __constant__ or __managed__ variable.
struct Variable {
  Binary *binary = nullptr;
  std::string name;
  uint64_t bytes = 0;
  void **managed = nullptr; ///< where the host keeps its address
};

/// What a stream or an event was made with.
struct HandleProperties {
  unsigned flags = 0;
  int priority = 0;
};

/// What one translation unit, or one library that the program loads itself, brings along.
struct Binary {
  const void *image = nullptr;
  std::string copy; ///< of the image, where the program may free it
  cuda::CUmodule module = nullptr;
  cudaError error = cudaSuccess; ///< why it cannot be loaded
  std::vector<std::unique_ptr<Function>> functions;
  std::vector<std::unique_ptr<Variable>> variables;
};

class Runtime {
public:
  /// The one of the process; it is never destroyed, since destructors of the program may call.
  static Runtime &get();

  /// What every call does first: initialises the device. Returns the error that a kernel ended
  /// with, if one did.
  cudaError prepare();
  /// Keeps the error for cudaGetLastError, and says why the call failed; returns it.
  cudaError finish(const char *call, cudaError error);
  /// The error of a kernel that ended badly; from now on every call returns it.
  void kernelFailed(cudaError error);
  bool isSticky(cudaError error) const { return sticky != cudaSuccess && error == sticky; }

  Binary &addBinary(const void *image);
  void removeBinary(Binary &binary);
  void addFunction(Binary &binary, const void *entry, std::string name);
  void addVariable(Binary &binary, const void *host, Variable variable);
  /// Loads the binary's PTX, if it is not loaded.
  cudaError load(Binary &binary);
  /// By the address of its stub on the host, or by itself; null if it is not known.
  Function *function(const void *entry);
  /// Loads it; null, and the error.
  cuda::CUfunction loaded(const void *entry, cudaError &error);
  Variable *variable(const void *host);
  cudaError addressOf(const Variable &variable, cuda::CUdeviceptr &address);

  /// Destroys the context: modules, memory, streams; leaks are findings.
  void reset();
  /// The program ends.
  void close();
  /// A function was called that is not emulated.
  cudaError refuse(const char *name);

  std::recursive_mutex mutex;
  FindingLog log;
  ProgramOptions options;
  const cuda::Driver &driver = emulatedDriver();
  std::map<void *, HandleProperties> handles; ///< of streams and events

private:
  Runtime();
  void configure();

  bool ready = false;
  cudaError sticky = cudaSuccess;
  std::map<Binary *, std::unique_ptr<Binary>> binaries;
  std::map<const void *, Function *> functions;
  std::map<const void *, Variable *> hostVariables;
};

/// The calling thread's last error.
cudaError &lastError();
/// How many kernels the calling thread has run.
uint64_t &kernelsRun();

/// A function of the interface: `body` returns a CUresult or an cudaError.
template <typename Body> cudaError call(const char *name, Body &&body) {
  Runtime &runtime = Runtime::get();
  std::lock_guard lock(runtime.mutex);
  if (const cudaError error = runtime.prepare())
    return runtime.finish(name, error);
  const cudaError error = cudaError(body(runtime));
  runtime.log.take(); // copies and fills find things, too
  return runtime.finish(name, error);
}

/// The same for what may run kernels.
template <typename Body> cudaError callThatRuns(const char *name, Body &&body) {
  return call(name, [&](Runtime &runtime) {
    const uint64_t before = kernelsRun();
    const cudaError error = cudaError(body(runtime));
    runtime.log.take();
    if (!error || kernelsRun() == before)
      return error;
    runtime.kernelFailed(error);
    return cudaSuccess;
  });
}

/// The driver's error with a sentence of our own behind it.
cudaError fail(cudaError error, std::string why);

const char *errorName(cudaError error);
const char *errorText(cudaError error);

} // namespace ingot::emulator::cudart
