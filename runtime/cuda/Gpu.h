/// One GPU of a driver: its context, its streams, and what is allocated on it.
#pragma once
#include "runtime/cuda/Driver.h"
#include "runtime/support/Result.h"
#include <memory>
#include <mutex>
#include <utility>

namespace ingot::cuda {

/// The error says in the driver's words what is wrong; `name` is what it calls the GPU.
Status check(const Driver &driver, CUresult result, std::string_view name, std::string_view what);

/// GPUs that the driver finds, which it starts; 0 if it says that there is none.
Result<int> countGpus(const Driver &driver, std::string_view name);

/// What the driver says of a GPU that nobody has begun to use.
struct GpuProperties {
  CUdevice device = 0;
  std::string model;  ///< the card's own name
  int capability = 0; ///< 90: sm_90
  int multiprocessors = 0;
  int64_t memoryBytes = 0;

  /// After `countGpus`.
  static Result<GpuProperties> of(const Driver &driver, int ordinal, std::string_view name);
};

class Gpu {
public:
  /// A GPU of a driver is one object, however many use it: what they do with its memory is in the
  /// order of one stream. `name` is what errors call it. The table must outlive the GPU.
  static Result<std::shared_ptr<Gpu>> open(const Driver &driver, int ordinal, std::string name);
  ~Gpu();
  Gpu(const Gpu &) = delete;

  const Driver &driver;
  const std::string name; ///< as `openDevice` takes it
  std::string model;      ///< the card's own name
  int capability = 0;     ///< 90: sm_90
  /// Runs of all sessions follow each other in one stream; what they will need is copied in
  /// another.
  CUstream compute = nullptr, copies = nullptr;
  /// Held while a run is given to the streams, so that runs do not mix.
  std::mutex issuing;

  /// Makes the context the calling thread's: before any other call.
  Status enter() const;
  /// An error that says what was done, and in the driver's words what is wrong.
  Status check(CUresult result, std::string_view what) const;
  /// Waits for all that was given to the streams.
  Status finish() const;
  // After all runs that were issued. `what` names the use in the error.
  Status copyIn(CUdeviceptr to, const void *from, size_t bytes, std::string_view what) const;
  /// The same, but the host's memory must stay until `finish`.
  Status issueCopyIn(CUdeviceptr to, const void *from, size_t bytes, std::string_view what) const;
  Status copyOut(void *to, CUdeviceptr from, size_t bytes, std::string_view what) const;
  /// Does not wait: it is zero for all that the compute stream does from now on.
  Status clear(CUdeviceptr memory, size_t bytes, std::string_view what) const;
  /// Free and total bytes.
  std::pair<int64_t, int64_t> memory() const;

private:
  Gpu(const Driver &driver, std::string name) : driver(driver), name(std::move(name)) {}
  static Result<std::shared_ptr<Gpu>> start(const Driver &driver, int ordinal, std::string name);
  CUdevice device = 0;
  CUcontext context = nullptr;
};

/// Something of a GPU's that is given back at the end; empty by default.
template <typename Handle> class Owned {
public:
  using Release = void (*)(const Driver &driver, Handle handle);
  Owned() = default;
  Owned(std::shared_ptr<const Gpu> gpu, Handle handle, Release release)
      : gpu(std::move(gpu)), handle(handle), release(release) {}
  Owned(Owned &&other) noexcept { *this = std::move(other); }
  Owned &operator=(Owned &&other) noexcept {
    std::swap(gpu, other.gpu);
    std::swap(handle, other.handle);
    std::swap(release, other.release);
    return *this;
  }
  ~Owned() {
    if (gpu && gpu->enter())
      release(gpu->driver, handle);
  }
  Handle get() const { return handle; }

private:
  std::shared_ptr<const Gpu> gpu;
  Handle handle = {};
  Release release = nullptr;
};

using DeviceMemory = Owned<CUdeviceptr>;
using PinnedMemory = Owned<void *>; ///< of the host, within the copy engines' reach
using Event = Owned<CUevent>;
using Library = Owned<CUlibrary>;
using Graph = Owned<CUgraph>;
using GraphExecutable = Owned<CUgraphExec>;

/// No bytes need no memory. `what` names the use in the error.
Result<DeviceMemory> allocate(const std::shared_ptr<Gpu> &gpu, int64_t bytes,
                              std::string_view what);
Result<PinnedMemory> allocatePinned(const std::shared_ptr<Gpu> &gpu, int64_t bytes,
                                    std::string_view what);
/// `timed` events tell when they were reached.
Result<Event> makeEvent(const std::shared_ptr<Gpu> &gpu, bool timed = false);

} // namespace ingot::cuda
