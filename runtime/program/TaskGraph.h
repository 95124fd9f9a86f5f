/// Which calls of a sequence must wait for which earlier ones: what makes a step one task graph.
#pragma once
#include "runtime/program/Program.h"

namespace ingot {

/// Bytes [first, end) of the arena.
struct ByteRange {
  int64_t first = 0, end = 0;
};

/// All memory that a task touches.
struct TaskMemory {
  std::vector<ByteRange> reads, writes;
};

/// What a call touches, in any of the `trips` iterations of the loop around it (1 outside loops).
TaskMemory memoryOf(const Kernel &kernel, const CallStep &call, int64_t trips);

/// True if two tasks may not change places: one writes what the other reads or writes.
bool conflict(const TaskMemory &a, const TaskMemory &b);

/// Tasks in program order, and the least set of edges between them that keeps the order of every
/// two that conflict: an edge that others imply is left out.
struct TaskGraph {
  std::vector<std::vector<uint32_t>> predecessors; ///< of each task: earlier ones it waits for
  std::vector<std::vector<uint32_t>> successors;   ///< the same edges seen from the other end
  size_t size() const { return predecessors.size(); }
};

/// Time and memory grow with the number of tasks and of the bytes' owners, as long as most tasks
/// come after most that are older, as in a training step.
TaskGraph buildTaskGraph(std::span<const TaskMemory> tasks);

} // namespace ingot
