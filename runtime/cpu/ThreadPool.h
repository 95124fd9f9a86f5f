/// Fork-join over grains: the CPU device's way of running a range kernel on several threads.
#pragma once
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace ingot {

/// Runs ranges of independent grains on a fixed set of threads. The calling thread is worker 0 and
/// works too. Grains go to whoever is free, in ever smaller ranges; a thread that the operating
/// system holds back delays only the range that it has begun. Idle workers spin for a moment, since
/// the next kernel is usually microseconds away, and then sleep.
///
/// `run` must not be called by two threads at once, nor from inside a task.
class ThreadPool {
public:
  /// Computes grains [lo, hi) as worker 0 … size()-1.
  using Task = void (*)(void *context, int worker, int64_t lo, int64_t hi);

  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;

  int size() const { return static_cast<int>(threads.size()) + 1; }

  /// Returns when every grain is done; what tasks wrote is then visible to the caller.
  void run(int64_t grains, Task task, void *context);

  /// The same for a callable `(int worker, int64_t lo, int64_t hi)`.
  template <typename Callable> void run(int64_t grains, Callable &&callable) {
    run(
        grains,
        [](void *context, int worker, int64_t lo, int64_t hi) {
          (*static_cast<std::remove_reference_t<Callable> *>(context))(worker, lo, hi);
        },
        &callable);
  }

private:
  void workerLoop(int worker);
  void runBatch(int64_t first, int64_t grains, Task task, void *context);
  void takeRanges(int worker, uint32_t generation);
  void waitForWork(uint32_t seen);
  void pauseOrYield(int spins) const;

  // Each on a cache line of its own: workers write `ticket` and `finished` all the time.
  /// Generation of the current run in the upper half, grains not yet taken in the lower: one
  /// compare-and-swap takes a range and proves that it belongs to the run whose fields were read.
  alignas(64) std::atomic<uint64_t> ticket{0};
  alignas(64) std::atomic<int64_t> finished{0}; ///< grains of the current run that are done
  /// Equals the ticket's generation; what idle workers watch and sleep on.
  alignas(64) std::atomic<uint32_t> generation{0};
  std::atomic<int> sleepers{0};
  std::atomic<bool> stopping{false};
  bool oversubscribed = false;

  // The current run; stable while one of its grains is unfinished.
  alignas(64) Task task = nullptr;
  void *context = nullptr;
  int64_t firstGrain = 0;
  int64_t grainCount = 0;

  std::vector<std::thread> threads;
};

} // namespace ingot
