/// The order in which a CPU device's sessions use its threads: one job after the other.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace ingot {

/// Jobs that are added run on a thread of the queue's own, which is the pool's worker 0 for their
/// time; whoever added them is free meanwhile. The thread starts with the first job, so that a
/// process that never adds one has none. Work that is done at once stays on the caller's thread.
class CpuQueue {
public:
  CpuQueue() = default;
  CpuQueue(const CpuQueue &) = delete;
  ~CpuQueue();

  /// Runs a job after all that were added before.
  void add(std::function<void()> job);
  /// Waits until nothing is left to run.
  void drain();
  /// Runs `work` on this thread when nothing else is left to run.
  template <typename Work> void runHere(Work &&work) {
    begin();
    work();
    end();
  }

private:
  void begin();
  void end();
  void loop();

  std::mutex mutex;
  std::condition_variable hasJobs, isIdle;
  std::deque<std::function<void()>> jobs;
  bool isBusy = false; ///< somebody runs something
  bool stopping = false;
  std::thread thread;
};

} // namespace ingot
