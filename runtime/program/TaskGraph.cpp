#include "runtime/program/TaskGraph.h"
#include <algorithm>
#include <functional>
#include <map>

namespace ingot {

namespace {

bool overlap(std::span<const ByteRange> a, std::span<const ByteRange> b) {
  for (const ByteRange &left : a)
    for (const ByteRange &right : b)
      if (left.first < right.end && right.first < left.end)
        return true;
  return false;
}

} // namespace

TaskMemory memoryOf(const Kernel &kernel, const CallStep &call, int64_t trips) {
  TaskMemory memory;
  const std::vector<const KernelParameter *> parameters = kernel.placed();
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    const KernelParameter &argument = *parameters[i];
    const int64_t first = call.arguments[i];
    const int64_t last = first + (call.strides.empty() ? 0 : call.strides[i] * (trips - 1));
    const ByteRange range{std::min(first, last), std::max(first, last) + argument.bytes};
    if (argument.bytes == 0)
      continue;
    if (argument.reads())
      memory.reads.push_back(range);
    if (argument.writes())
      memory.writes.push_back(range);
  }
  return memory;
}

bool conflict(const TaskMemory &a, const TaskMemory &b) {
  return overlap(a.writes, b.writes) || overlap(a.writes, b.reads) || overlap(a.reads, b.writes);
}

namespace {

/// Who last touched each byte: for any bytes, the tasks that a new access must come after. What is
/// older conflicts with one of these and so comes before it.
class LastTouches {
public:
  void beforeRead(const ByteRange &range, std::vector<uint32_t> &found) {
    for (auto at = firstAt(range); at != touches.end() && at->first < range.end; ++at)
      if (at->second.writer != nobody)
        found.push_back(at->second.writer);
  }
  void beforeWrite(const ByteRange &range, std::vector<uint32_t> &found) {
    for (auto at = firstAt(range); at != touches.end() && at->first < range.end; ++at) {
      const Touch &touch = at->second;
      found.insert(found.end(), touch.readers.begin(), touch.readers.end());
      if (touch.readers.empty() && touch.writer != nobody) // readers come after the writer
        found.push_back(touch.writer);
    }
  }
  void read(const ByteRange &range, uint32_t task) {
    cut(range);
    int64_t covered = range.first;
    for (auto at = touches.lower_bound(range.first); at != touches.end() && at->first < range.end;
         ++at) {
      if (covered < at->first)
        touches.emplace_hint(at, covered, Touch{at->first, nobody, {task}});
      covered = at->second.end;
      if (std::vector<uint32_t> &readers = at->second.readers;
          readers.empty() || readers.back() != task)
        readers.push_back(task);
    }
    if (covered < range.end)
      touches.emplace(covered, Touch{range.end, nobody, {task}});
  }
  void write(const ByteRange &range, uint32_t task) {
    cut(range);
    touches.erase(touches.lower_bound(range.first), touches.lower_bound(range.end));
    touches.emplace(range.first, Touch{range.end, task, {}});
  }

private:
  static constexpr uint32_t nobody = UINT32_MAX;
  struct Touch {
    int64_t end;
    uint32_t writer;               ///< of these bytes
    std::vector<uint32_t> readers; ///< since then, in order
  };
  using Touches = std::map<int64_t, Touch>; // by first byte; they do not overlap

  Touches::iterator firstAt(const ByteRange &range) {
    auto at = touches.upper_bound(range.first);
    if (at != touches.begin() && std::prev(at)->second.end > range.first)
      --at;
    return at;
  }
  void cutAt(int64_t byte) {
    auto at = touches.upper_bound(byte);
    if (at == touches.begin())
      return;
    --at;
    if (at->first == byte || at->second.end <= byte)
      return;
    Touch rest = at->second;
    at->second.end = byte;
    touches.emplace(byte, std::move(rest));
  }
  void cut(const ByteRange &range) {
    cutAt(range.first);
    cutAt(range.end);
  }

  Touches touches;
};

/// What each task comes after, as bits. In a step nearly everything comes after nearly everything
/// older, so all words below a floor are ones and are not stored.
class Ancestors {
public:
  explicit Ancestors(size_t tasks) : rows(tasks), row((tasks + 63) / 64) {}

  /// Begins the row of the next task, which comes after nothing yet.
  void begin() {
    floor = 0;
    used = false;
  }
  bool contains(uint32_t task) const {
    return used && (task / 64 < floor || (row[task / 64] >> task % 64 & 1));
  }
  /// The row's task comes after `other`, and so after all that `other` comes after.
  void add(uint32_t other, uint32_t task) {
    const Row &theirs = rows[other];
    if (!used) {
      used = true;
      floor = theirs.floor;
      std::fill(row.begin() + ptrdiff_t(floor), row.begin() + task / 64 + 1, 0);
    }
    floor = std::max(floor, theirs.floor);
    for (size_t word = floor; word < theirs.floor + theirs.bits.size(); ++word)
      row[word] |= theirs.bits[word - theirs.floor];
    if (other / 64 >= floor)
      row[other / 64] |= uint64_t(1) << other % 64;
  }
  void end(uint32_t task) {
    if (!used)
      return;
    while (floor < task / 64 && row[floor] == ~uint64_t(0))
      ++floor;
    rows[task] = {floor, {row.begin() + ptrdiff_t(floor), row.begin() + task / 64 + 1}};
  }

private:
  struct Row {
    size_t floor = 0;
    std::vector<uint64_t> bits;
  };
  std::vector<Row> rows;
  std::vector<uint64_t> row; ///< of the task at hand
  size_t floor = 0;
  bool used = false;
};

} // namespace

TaskGraph buildTaskGraph(std::span<const TaskMemory> tasks) {
  TaskGraph graph{std::vector<std::vector<uint32_t>>(tasks.size()),
                  std::vector<std::vector<uint32_t>>(tasks.size())};
  LastTouches touches;
  Ancestors ancestors(tasks.size());
  std::vector<uint32_t> candidates;
  for (uint32_t task = 0; task < tasks.size(); ++task) {
    candidates.clear();
    for (const ByteRange &range : tasks[task].reads)
      touches.beforeRead(range, candidates);
    for (const ByteRange &range : tasks[task].writes)
      touches.beforeWrite(range, candidates);
    std::ranges::sort(candidates, std::greater());
    const auto repeated = std::ranges::unique(candidates);
    candidates.erase(repeated.begin(), repeated.end());
    // Latest first: whatever the predecessors found so far come after needs no edge of its own.
    ancestors.begin();
    for (uint32_t other : candidates) {
      if (ancestors.contains(other))
        continue;
      graph.predecessors[task].push_back(other);
      graph.successors[other].push_back(task);
      ancestors.add(other, task);
    }
    ancestors.end(task);
    for (const ByteRange &range : tasks[task].reads)
      touches.read(range, task);
    for (const ByteRange &range : tasks[task].writes)
      touches.write(range, task);
  }
  return graph;
}

} // namespace ingot
