/// What the emulated driver's functions share.
#pragma once
#include "runtime/emulator/checks/LaunchOrder.h"
#include "runtime/emulator/driver/Driver.h"
#include <array>
#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <thread>
#include <unordered_map>
#include <variant>

namespace ingot::emulator {

/// A copy, a fill, or a function of the host's.
struct Work {
  std::function<cuda::CUresult()> run = [] { return cuda::CUDA_SUCCESS; };
  std::string name = {}; ///< "a copy of 64 bytes"
  Footprint footprint = {};
};
/// A launch whose shape has been checked.
struct KernelWork {
  LaunchRequest request;
  bool cooperative = false;
  cuda::CUresult run(Footprint &footprint) const;
};
struct GraphHandle;
/// A launch of a graph.
struct GraphWork {
  std::shared_ptr<const GraphHandle> graph;
};
using AnyWork = std::variant<Work, KernelWork, GraphWork>;

/// Where in the order of all work something is done.
struct OrderPlace {
  OrderPoint point;
  OrderClock before;                ///< what was done before the operation of its line
  const NodeOrder *nodes = nullptr; ///< of the graph that the operation is
};
/// Does the work; what collides with other work is a finding.
cuda::CUresult execute(const AnyWork &work, const OrderPlace &place);

struct GraphNode {
  AnyWork work;
  std::set<size_t> after; ///< nodes of its graph, by index, that it waits for
};
struct GraphHandle {
  std::vector<std::unique_ptr<GraphNode>> nodes;
  std::unordered_map<cuda::CUgraphNode, size_t> indices; ///< of nodes, by handle

  /// Adds a node and returns its index.
  size_t add(AnyWork work, std::set<size_t> after);
  std::optional<size_t> find(cuda::CUgraphNode node) const;
  /// A graph to run: those within it are parts of it.
  std::shared_ptr<GraphHandle> executable() const;
  // Of an executable graph:
  std::optional<NodeOrder> order;
  OrderClock launched; ///< what is done when its last launch is: the next one waits for it
  /// Runs every node once, in an order that the seed draws from all that the edges allow.
  cuda::CUresult run(const OrderPlace &place) const;
};
struct StreamHandle {
  std::shared_ptr<GraphHandle> capture; ///< null: not capturing
  bool captureOrigin = false;
  std::set<size_t> last;  ///< while it captures: nodes that the next one comes after
  size_t line = 0;        ///< its number in the order of all work
  OrderClock clock;       ///< see DriverState::clockOf
  bool isBlocking = true; ///< takes turns with the default stream
};
struct EventHandle {
  std::chrono::steady_clock::time_point time;
  bool recorded = false;
  std::shared_ptr<GraphHandle> capture; ///< recorded in a stream that was capturing
  std::set<size_t> last;                ///< then: nodes that who waits for it comes after
  OrderClock clock;                     ///< what is done when it is reached
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
  int capability = 0; ///< that it was made for
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
  int retained = 0;                                          ///< of the context
  uint64_t allocations = 0, launches = 0, graphLaunches = 0; ///< so far
  std::string lastKernel;                                    ///< launched
  std::vector<Finding> findings;
  std::map<void *, std::unique_ptr<ModuleHandle>> modules;
  std::map<void *, std::unique_ptr<StreamHandle>> streams;
  std::map<void *, std::unique_ptr<EventHandle>> events;
  std::map<void *, std::shared_ptr<GraphHandle>> graphs;
  std::map<void *, std::shared_ptr<GraphHandle>> executables;
  std::map<void *, std::pair<std::unique_ptr<std::byte, Free>, size_t>> hostMemory;
  std::set<void *> registered; ///< of the host's memory
  StreamHandle defaultStream;
  std::map<std::thread::id, StreamHandle *> threadStreams; ///< among `streams`
  std::array<OrderClock, 2> endedStreams;                  ///< blocking ones: [true]
  LaunchOrder order;
  OrderClock host;  ///< what the host has waited for
  size_t lines = 1; ///< of work so far: the default stream's is 0

  StreamHandle *addStream(bool isBlocking);
  StreamHandle *stream(cuda::CUstream stream);
  /// What is done when all that was given to the stream is.
  const OrderClock &clockOf(StreamHandle &stream);
  /// The next operation of a stream.
  OrderPlace begin(StreamHandle &stream);
  /// The host has waited for all streams.
  void waitedForAll();
  FunctionHandle *function(cuda::CUfunction function);
  /// A function whose kernel can run, or the error of the call that needs one.
  cuda::CUresult runnable(cuda::CUfunction handle, const FunctionHandle *&found);
  /// What the device says it is.
  int deviceCapability() const;
  /// What bounds launches: where the options leave it open, that of the newest module.
  int capability() const;
  void configure(EmulatedDeviceOptions options);
  bool isOff(std::string_view check) const;
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
cuda::CUresult submit(cuda::CUstream stream, AnyWork work);
/// Checks a launch as the driver does when it is asked for it.
cuda::CUresult prepareLaunch(const cuda::CUlaunchConfig &config, cuda::CUfunction function,
                             void **parameters, void **extra, KernelWork &work);
/// The part of it that a graph's node repeats when it gets another cluster.
cuda::CUresult checkLaunch(const FunctionHandle &function, const KernelWork &work);
Work copyWork(cuda::CUdeviceptr to, cuda::CUdeviceptr from, size_t bytes);

template <typename Handles, typename Handle>
cuda::CUresult destroy(Handles &handles, Handle handle, std::string_view what) {
  std::lock_guard lock(driverState().mutex);
  return handles.erase(handle)
             ? cuda::CUDA_SUCCESS
             : driverError(cuda::CUDA_ERROR_INVALID_HANDLE, fmt::format("no such {}", what));
}

void fillGraphFunctions(cuda::Driver &driver);
void fillLaunchFunctions(cuda::Driver &driver);
void fillStreamFunctions(cuda::Driver &driver);
void fillMemoryFunctions(cuda::Driver &driver);

} // namespace ingot::emulator
