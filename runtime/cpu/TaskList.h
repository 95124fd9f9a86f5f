/// A task graph made ready to run again and again: who is open, who still waits.
#pragma once
#include "runtime/program/TaskGraph.h"
#include <atomic>
#include <memory>

namespace ingot {

/// Tasks of independent grains in program order. A task is open once all that it waits for is done;
/// any thread may then take grains of it. All members may be called by many threads at once, unless
/// they say otherwise.
class TaskList {
public:
  struct Task {
    int64_t grains = 1;   ///< at least 1
    int64_t smallest = 1; ///< grains that are worth being handed out on their own
  };
  TaskList(const std::vector<Task> &tasks, TaskGraph graph);

  size_t size() const { return graph.size(); }
  int64_t grains(size_t task) const { return states[task].grains; }

  /// Opens the tasks that wait for nothing. Call it alone, with all of an earlier run finished.
  /// False if one thread is about to take all that is open.
  bool start();
  /// All grains of all tasks are done, and what they wrote is visible.
  bool finished() const { return unfinishedTasks.load() == 0; }
  /// Grains can probably be taken.
  bool hasOpen() const;

  /// Grains [lo, hi) of a task, which belong to whoever took them.
  struct Range {
    uint32_t task = 0;
    int64_t lo = 0, hi = 0;
  };
  /// Takes grains of the earliest open task for one of `workers` threads; false if none is open.
  bool take(int workers, Range &range);

  /// What the end of a range has opened.
  struct Outcome {
    bool opensMore = false; ///< more than the finisher itself is about to take
    bool isLast = false;    ///< nothing is left to do
  };
  /// The range's work is done; the tasks that it was the last to hold up are opened.
  Outcome finish(const Range &range);

private:
  /// One cache line: whoever takes or finishes grains fetches it once.
  struct alignas(64) State {
    std::atomic<int64_t> untaken{0}; ///< grains that nobody has begun; 0 while the task is not open
    std::atomic<int64_t> unfinished{0};
    std::atomic<uint32_t> waitsFor{0}; ///< predecessors that are not done
    int64_t grains = 1, smallest = 1;
  };
  void open(uint32_t task);
  bool isShared(size_t task) const { return states[task].grains > states[task].smallest; }

  TaskGraph graph;
  std::unique_ptr<State[]> states;
  size_t words;
  /// A bit per task that may have grains to take, in program order.
  std::unique_ptr<std::atomic<uint64_t>[]> openBits;
  alignas(64) std::atomic<size_t> unfinishedTasks{0};
};

} // namespace ingot
