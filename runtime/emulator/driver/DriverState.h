/// What the emulated driver's functions share.
#pragma once
#include "runtime/emulator/driver/Driver.h"
#include <chrono>
#include <functional>
#include <set>

namespace ingot::emulator {

using Work = std::function<cuda::CUresult()>;

/// A graph is its work in the order of capture, which respects every dependency.
struct GraphHandle {
  std::vector<Work> nodes;
};
struct StreamHandle {
  std::shared_ptr<GraphHandle> capture; ///< null: not capturing
  bool captureOrigin = false;
};
struct EventHandle {
  std::chrono::steady_clock::time_point time;
  bool recorded = false;
  std::shared_ptr<GraphHandle> capture; ///< recorded in a stream that was capturing
};
struct FunctionHandle {
  Module *module = nullptr;
  const CompiledKernel *kernel = nullptr; ///< null: it cannot run here
  std::string refusal;                    ///< then
  int maximumDynamicShared = 0;
  bool nonPortableCluster = false;
};
struct ModuleHandle {
  std::unique_ptr<Module> module;
  std::map<std::string, std::unique_ptr<FunctionHandle>, std::less<>> functions;
};

struct Free {
  void operator()(void *memory) const { std::free(memory); }
};

struct DriverState {
  std::recursive_mutex mutex;
  EmulatedDeviceOptions options;
  std::unique_ptr<GlobalMemory> memory = std::make_unique<GlobalMemory>();
  uint64_t allocated = 0;
  bool initialized = false;
  int retained = 0;                       ///< of the context
  int moduleCapability = 0;               ///< the highest that a module was made for
  uint64_t allocations = 0, launches = 0; ///< so far
  std::string lastKernel;                 ///< launched
  std::vector<Finding> findings;
  std::map<void *, std::unique_ptr<ModuleHandle>> modules;
  std::map<void *, std::unique_ptr<StreamHandle>> streams;
  std::map<void *, std::unique_ptr<EventHandle>> events;
  std::map<void *, std::shared_ptr<GraphHandle>> graphs;
  std::map<void *, std::shared_ptr<GraphHandle>> executables;
  std::map<void *, std::pair<std::unique_ptr<std::byte, Free>, size_t>> hostMemory;
  std::set<void *> registered; ///< of the host's memory
  StreamHandle defaultStream;

  StreamHandle *stream(cuda::CUstream stream);
  FunctionHandle *function(cuda::CUfunction function);
  /// A function whose kernel can run, or the error of the call that needs one.
  cuda::CUresult runnable(cuda::CUfunction handle, const FunctionHandle *&found);
  int capability() const;
  void configure(EmulatedDeviceOptions options);
  /// "allocation 3, after launch 2 (of 'gemm')": counts an allocation.
  std::string nextAllocation();
  /// Memory that nobody has freed becomes findings.
  void reportLeaks();
  void clear();
};

DriverState &driverState();
/// Keeps the sentence for `lastEmulatedError` and returns the code.
cuda::CUresult driverError(cuda::CUresult code, std::string message);

/// Runs the work now, or adds it to the graph that the stream captures.
cuda::CUresult submit(cuda::CUstream stream, Work work);

void fillLaunchFunctions(cuda::Driver &driver);
void fillMemoryFunctions(cuda::Driver &driver);

} // namespace ingot::emulator
