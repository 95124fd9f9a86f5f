#include "runtime/cpu/TaskList.h"
#include <algorithm>
#include <bit>

namespace ingot {

namespace {

/// Ever smaller shares, so that all threads end together. The first ones are large: a range packs
/// operands for itself, so few ranges are cheaper than many. None is so small that taking it costs
/// more than it gains, and what would be left over is taken along.
int64_t share(int64_t left, int64_t workers, int64_t smallest) {
  const int64_t fair = (3 * left + 4 * workers - 1) / (4 * workers);
  const int64_t count = std::max(fair, smallest);
  return left - count < smallest ? left : count;
}

} // namespace

TaskList::TaskList(const std::vector<Task> &tasks, TaskGraph taskGraph)
    : graph(std::move(taskGraph)), states(new State[graph.size()]), words((graph.size() + 63) / 64),
      openBits(new std::atomic<uint64_t>[words]) {
  for (size_t word = 0; word < words; ++word)
    openBits[word].store(0, std::memory_order_relaxed);
  for (size_t task = 0; task < graph.size(); ++task) {
    State &state = states[task];
    state.grains = tasks[task].grains;
    state.smallest = tasks[task].smallest;
    state.unfinished.store(state.grains, std::memory_order_relaxed);
    state.waitsFor.store(static_cast<uint32_t>(graph.predecessors[task].size()),
                         std::memory_order_relaxed);
  }
}

bool TaskList::start() {
  unfinishedTasks.store(graph.size());
  int opened = 0;
  bool shared = false;
  for (size_t task = 0; task < graph.size(); ++task)
    if (graph.predecessors[task].empty()) {
      shared |= isShared(task);
      ++opened;
      open(static_cast<uint32_t>(task));
    }
  return opened > 1 || shared;
}

/// Who sees untaken grains may take them, and sees what all predecessors wrote. The bit only says
/// where to look. It is set with sequential consistency against a sleeper's "count myself, then
/// look": one of both sees the other.
void TaskList::open(uint32_t task) {
  states[task].untaken.store(states[task].grains, std::memory_order_release);
  openBits[task / 64].fetch_or(uint64_t(1) << task % 64);
}

bool TaskList::hasOpen() const {
  for (size_t word = 0; word < words; ++word)
    if (openBits[word].load())
      return true;
  return false;
}

bool TaskList::take(int workers, Range &range) {
  for (size_t word = 0; word < words; ++word) {
    for (uint64_t bits = openBits[word].load(std::memory_order_acquire); bits; bits &= bits - 1) {
      const size_t task = word * 64 + static_cast<size_t>(std::countr_zero(bits));
      State &state = states[task];
      int64_t left = state.untaken.load(std::memory_order_relaxed);
      while (left > 0) {
        const int64_t count = share(left, workers, state.smallest);
        if (!state.untaken.compare_exchange_weak(left, left - count, std::memory_order_acquire))
          continue;
        if (count == left) // the bit cannot be set anew before this range is finished
          openBits[word].fetch_and(~(uint64_t(1) << task % 64), std::memory_order_relaxed);
        range = {static_cast<uint32_t>(task), state.grains - left, state.grains - left + count};
        return true;
      }
    }
  }
  return false;
}

TaskList::Outcome TaskList::finish(const Range &range) {
  State &state = states[range.task];
  const int64_t count = range.hi - range.lo;
  if (state.unfinished.fetch_sub(count, std::memory_order_acq_rel) != count)
    return {};
  // As at the start, for the next run. Nobody looks at these before it.
  state.unfinished.store(state.grains, std::memory_order_relaxed);
  state.waitsFor.store(static_cast<uint32_t>(graph.predecessors[range.task].size()),
                       std::memory_order_relaxed);
  int opened = 0;
  bool shared = false;
  for (uint32_t next : graph.successors[range.task])
    if (states[next].waitsFor.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      shared |= isShared(next);
      ++opened;
      open(next);
    }
  const bool isLast = unfinishedTasks.fetch_sub(1) == 1;
  return {.opensMore = opened > 1 || shared, .isLast = isLast};
}

} // namespace ingot
