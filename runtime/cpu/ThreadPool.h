/// The CPU device's threads: they run task lists together.
#pragma once
#include "runtime/cpu/TaskList.h"
#include "runtime/support/Result.h"
#include <thread>

namespace ingot {

/// A fixed set of threads. The calling thread is worker 0 and works too. Whoever is free takes
/// grains of the earliest task whose predecessors are done, so nobody waits while anything can be
/// done, and a thread that the operating system holds back delays only what waits for the grains
/// that it has begun. Idle workers spin for a moment, since the next task is usually microseconds
/// away, then let other threads have the CPU, and then sleep.
///
/// `run` must not be called by two threads at once, nor from inside a task.
class ThreadPool {
public:
  /// Computes grains [lo, hi) of a task as worker 0 … size()-1.
  using Work = void (*)(void *context, int worker, const TaskList::Range &range);

  /// An error if the system grants fewer threads.
  static Result<std::unique_ptr<ThreadPool>> create(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;

  int size() const { return static_cast<int>(threads.size()) + 1; }

  /// Returns when every task is done; what tasks wrote is then visible to the caller.
  void run(TaskList &tasks, Work work, void *context);

  /// The same for a callable `(int worker, const TaskList::Range &)`.
  template <typename Callable> void run(TaskList &tasks, Callable &&callable) {
    run(
        tasks,
        [](void *context, int worker, const TaskList::Range &range) {
          (*static_cast<std::remove_reference_t<Callable> *>(context))(worker, range);
        },
        &callable);
  }

  /// Returns when no worker looks at the last list any more: call it before a list is destroyed.
  void release();

private:
  explicit ThreadPool(int count);
  class Patience;
  void workerLoop(int worker);
  void takePart(TaskList &tasks, int worker);
  void waitForRun(uint32_t seen);
  template <typename Condition> void sleepUnless(Condition &&condition);
  void wake();

  // What idle workers watch lies apart from what working ones write.
  alignas(64) std::atomic<uint32_t> runs{0};
  std::atomic<TaskList *> current{nullptr};
  std::atomic<bool> stopping{false};
  alignas(64) std::atomic<uint32_t> wakeups{0}; ///< what sleepers sleep on
  std::atomic<int> sleepers{0};
  std::atomic<bool> callerSleeps{false};
  alignas(64) std::atomic<int> inside{0}; ///< workers that may look at `current`
  bool oversubscribed = false;

  // Of the current run; who has taken a range may read them.
  alignas(64) Work work = nullptr;
  void *context = nullptr;

  std::vector<std::thread> threads;
};

} // namespace ingot
