/// Prepares the next batch on a thread of its own while the current one trains.
#pragma once
#include "runtime/data/BatchSource.h"
#include <array>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace ingot {

/// Hands out the batches of steps firstStep … endStep - 1, in order. The batches are those of the
/// source; only the time of their making changes. The destructor stops and joins the thread.
class Prefetch {
public:
  Prefetch(const BatchSource &source, int64_t firstStep, int64_t endStep);
  Prefetch(const Prefetch &) = delete;
  Prefetch &operator=(const Prefetch &) = delete;
  ~Prefetch();

  /// The next step's batch, valid until the following call; an error of the source appears at its
  /// own step. Must not be called past the last step or after an error.
  Result<const Batch *> next();

private:
  struct Slot {
    Batch batch;
    Status status;
  };
  void work(int64_t firstStep, int64_t endStep);

  const BatchSource &source;
  std::array<Slot, 2> slots;
  std::mutex mutex;
  std::condition_variable changed;
  int64_t filled = 0;   ///< batches made so far
  int64_t consumed = 0; ///< batches handed out so far
  bool stopping = false;
  std::thread worker;
};

} // namespace ingot
