#include "runtime/program/TaskGraph.h"
#include <algorithm>

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
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    const KernelArgument &argument = kernel.arguments[i];
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

TaskGraph buildTaskGraph(std::span<const TaskMemory> tasks) {
  const size_t words = (tasks.size() + 63) / 64;
  TaskGraph graph{std::vector<std::vector<uint32_t>>(tasks.size()),
                  std::vector<std::vector<uint32_t>>(tasks.size())};
  std::vector<uint64_t> before(tasks.size() * words); // row i: what task i comes after
  for (size_t task = 0; task < tasks.size(); ++task) {
    uint64_t *row = &before[task * words];
    // Latest first: whatever the predecessors found so far come after needs no edge of its own, and
    // usually that is nearly everything.
    for (size_t other = task; other-- > 0;) {
      if (row[other / 64] >> other % 64 & 1 || !conflict(tasks[task], tasks[other]))
        continue;
      graph.predecessors[task].push_back(static_cast<uint32_t>(other));
      graph.successors[other].push_back(static_cast<uint32_t>(task));
      row[other / 64] |= uint64_t(1) << other % 64;
      for (size_t word = 0; word <= other / 64; ++word)
        row[word] |= before[other * words + word];
    }
  }
  return graph;
}

} // namespace ingot
