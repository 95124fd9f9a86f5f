#include "runtime/cpu/ThreadPool.h"
#include "runtime/cpu/CpuInfo.h"
#include <algorithm>
#include <chrono>
#include <immintrin.h>

namespace ingot {

namespace {

using Clock = std::chrono::steady_clock;

/// How long an idle worker spins before it sleeps: longer than the gaps between a step's kernels,
/// shorter than anyone would notice on a fan.
constexpr auto spinTime = std::chrono::milliseconds(1);
constexpr int spinsBeforeYield = 4000; // tens of microseconds
constexpr int64_t largestBatch = int64_t(1) << 31;

constexpr uint64_t makeTicket(uint32_t generation, uint64_t grains) {
  return uint64_t(generation) << 32 | grains;
}

} // namespace

ThreadPool::ThreadPool(int count) : oversubscribed(count > usableCpus()) {
  threads.reserve(std::max(0, count - 1));
  for (int worker = 1; worker < count; ++worker)
    threads.emplace_back([this, worker] { workerLoop(worker); });
}

ThreadPool::~ThreadPool() {
  stopping.store(true);
  generation.fetch_add(1);
  generation.notify_all();
  for (std::thread &thread : threads)
    thread.join();
}

void ThreadPool::run(int64_t grains, Task newTask, void *newContext) {
  if (grains <= 1 || threads.empty()) {
    if (grains > 0)
      newTask(newContext, 0, 0, grains);
    return;
  }
  // A ticket counts grains in 32 bits.
  for (int64_t first = 0; first < grains; first += largestBatch)
    runBatch(first, std::min(grains - first, largestBatch), newTask, newContext);
}

void ThreadPool::runBatch(int64_t first, int64_t grains, Task newTask, void *newContext) {
  task = newTask;
  context = newContext;
  firstGrain = first;
  grainCount = grains;
  finished.store(0, std::memory_order_relaxed);
  const uint32_t current = generation.load(std::memory_order_relaxed) + 1;
  ticket.store(makeTicket(current, static_cast<uint64_t>(grains)), std::memory_order_release);
  // Sequentially consistent against the sleeper's "count myself, then look": one of both sees the
  // other.
  generation.store(current);
  if (sleepers.load() > 0)
    generation.notify_all();

  takeRanges(0, current);
  for (int spins = 0; finished.load(std::memory_order_acquire) != grains; ++spins)
    pauseOrYield(spins);
}

/// Works until the run has no grains left to take.
void ThreadPool::takeRanges(int worker, uint32_t current) {
  const int64_t sharers = 2 * size();
  uint64_t seen = ticket.load(std::memory_order_acquire);
  while (static_cast<uint32_t>(seen >> 32) == current && static_cast<uint32_t>(seen) != 0) {
    const int64_t left = static_cast<uint32_t>(seen);
    const int64_t count = std::max<int64_t>(1, left / sharers);
    if (!ticket.compare_exchange_weak(seen, seen - static_cast<uint64_t>(count),
                                      std::memory_order_acquire))
      continue;
    const int64_t lo = firstGrain + grainCount - left;
    task(context, worker, lo, lo + count);
    finished.fetch_add(count, std::memory_order_release);
    seen = ticket.load(std::memory_order_acquire);
  }
}

void ThreadPool::workerLoop(int worker) {
  uint32_t seen = 0;
  while (!stopping.load(std::memory_order_relaxed)) {
    waitForWork(seen);
    seen = generation.load(std::memory_order_acquire);
    takeRanges(worker, seen);
  }
}

void ThreadPool::waitForWork(uint32_t seen) {
  const auto deadline = Clock::now() + spinTime;
  for (int spins = 0; generation.load(std::memory_order_acquire) == seen; ++spins) {
    pauseOrYield(spins);
    if (spins % 256 != 255 || Clock::now() < deadline)
      continue;
    sleepers.fetch_add(1);
    generation.wait(seen);
    sleepers.fetch_sub(1);
  }
}

void ThreadPool::pauseOrYield(int spins) const {
  if (oversubscribed || spins > spinsBeforeYield)
    std::this_thread::yield();
  else
    _mm_pause();
}

} // namespace ingot
