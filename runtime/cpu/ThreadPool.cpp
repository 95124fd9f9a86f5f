#include "runtime/cpu/ThreadPool.h"
#include "runtime/cpu/CpuInfo.h"
#include <chrono>
#include <immintrin.h>
#include <system_error>

namespace ingot {

namespace {

using Clock = std::chrono::steady_clock;

/// How long an idle worker keeps its CPU to itself: longer than most waits inside a step and the
/// gaps between short steps, and no more than a scheduler's time slice loses to a wake-up.
constexpr auto pauseTime = std::chrono::microseconds(50);
/// How long it stays awake, and lets others have the CPU: longer than the gaps between a trainer's
/// steps, shorter than anyone would notice on a fan.
constexpr auto awakeTime = std::chrono::milliseconds(1);

} // namespace

/// One wait, from its first look to sleep.
class ThreadPool::Patience {
public:
  explicit Patience(bool oversubscribed) : yieldsAtOnce(oversubscribed) {}

  /// Spends a moment; false once it is time to sleep.
  bool wait() {
    // A look at the clock costs as much as a few pauses.
    if (const uint32_t look = looks++; yields || look % 32 == 0) {
      const Clock::time_point now = Clock::now();
      if (look == 0)
        start = now;
      if (now - start > awakeTime)
        return false;
      yields = yieldsAtOnce || now - start > pauseTime;
    }
    if (yields)
      std::this_thread::yield();
    else
      _mm_pause();
    return true;
  }
  void reset() { looks = 0, yields = false; }

private:
  bool yieldsAtOnce, yields = false;
  uint32_t looks = 0;
  Clock::time_point start;
};

ThreadPool::ThreadPool(int count) : oversubscribed(count > usableCpus()) {}

Result<std::unique_ptr<ThreadPool>> ThreadPool::create(int count) {
  std::unique_ptr<ThreadPool> pool(new ThreadPool(count));
  pool->threads.reserve(static_cast<size_t>(std::max(0, count - 1)));
  for (int worker = 1; worker < count; ++worker) {
    try {
      pool->threads.emplace_back([raw = pool.get(), worker] { raw->workerLoop(worker); });
    } catch (const std::system_error &error) {
      return failure(Error::Code::Io, "threads", "cannot start thread {} of {}: {}", worker + 1,
                     count, error.code().message());
    }
  }
  return pool;
}

ThreadPool::~ThreadPool() {
  stopping.store(true);
  runs.fetch_add(1);
  wake();
  for (std::thread &thread : threads)
    thread.join();
}

void ThreadPool::run(TaskList &tasks, Work newWork, void *newContext) {
  if (tasks.size() == 0)
    return;
  if (threads.empty()) {
    for (uint32_t task = 0; task < tasks.size(); ++task)
      newWork(newContext, 0, {task, 0, tasks.grains(task)});
    return;
  }
  work = newWork;
  context = newContext;
  const bool isShared = tasks.start();
  current.store(&tasks);
  runs.fetch_add(1);
  if (isShared && sleepers.load() > 0)
    wake();
  takePart(tasks, 0);
  current.store(nullptr);
}

void ThreadPool::release() {
  wake(); // who fell asleep before the end of the run has slept through it
  while (inside.load() > 0)
    std::this_thread::yield();
}

/// Works until all of the list is done.
void ThreadPool::takePart(TaskList &tasks, int worker) {
  Patience patience(oversubscribed);
  TaskList::Range range;
  for (;;) {
    if (tasks.take(size(), range)) {
      work(context, worker, range);
      const TaskList::Outcome outcome = tasks.finish(range);
      if ((outcome.opensMore && sleepers.load() > 0) || (outcome.isLast && callerSleeps.load()))
        wake();
      patience.reset();
    } else if (tasks.finished()) {
      return;
    } else if (!patience.wait()) {
      if (worker == 0)
        callerSleeps.store(true);
      sleepUnless([&] { return tasks.hasOpen() || tasks.finished(); });
      if (worker == 0)
        callerSleeps.store(false);
      patience.reset();
    }
  }
}

void ThreadPool::workerLoop(int worker) {
  uint32_t seen = 0;
  while (!stopping.load(std::memory_order_relaxed)) {
    waitForRun(seen);
    // Sequentially consistent against `release`: it sees this worker, or this worker sees nothing.
    inside.fetch_add(1);
    seen = runs.load();
    if (TaskList *tasks = current.load())
      takePart(*tasks, worker);
    inside.fetch_sub(1);
  }
}

void ThreadPool::waitForRun(uint32_t seen) {
  Patience patience(oversubscribed);
  while (runs.load(std::memory_order_acquire) == seen)
    if (!patience.wait()) {
      sleepUnless([&] { return runs.load() != seen; });
      patience.reset();
    }
}

/// Sleeps until somebody calls `wake`. Whoever makes the condition true does that if he sees a
/// sleeper; a sleeper that he does not see yet sees the condition.
template <typename Condition> void ThreadPool::sleepUnless(Condition &&condition) {
  const uint32_t before = wakeups.load();
  sleepers.fetch_add(1);
  if (!condition())
    wakeups.wait(before);
  sleepers.fetch_sub(1);
}

void ThreadPool::wake() {
  wakeups.fetch_add(1);
  wakeups.notify_all();
}

} // namespace ingot
