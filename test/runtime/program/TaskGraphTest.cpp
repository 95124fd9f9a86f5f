/// Random task graphs: their edges against the definition, and their runs against program order.
#include "runtime/program/TaskGraph.h"
#include "runtime/cpu/ThreadPool.h"
#include "test/runtime/TestPrograms.h"
#include <algorithm>
#include <chrono>
#include <gtest/gtest.h>

namespace ingot {
namespace {

constexpr int64_t arenaCells = 24;

/// Tasks that read and write cells of a small arena, so that they often meet.
std::vector<TaskMemory> randomTasks(std::mt19937_64 &random, size_t count) {
  auto range = [&] {
    const int64_t first = int64_t(random() % arenaCells);
    return ByteRange{first, std::min(arenaCells, first + 1 + int64_t(random() % 3))};
  };
  std::vector<TaskMemory> tasks(count);
  for (TaskMemory &task : tasks) {
    for (uint64_t i = random() % 4; i > 0; --i)
      task.reads.push_back(range());
    for (uint64_t i = random() % 3; i > 0; --i)
      task.writes.push_back(range());
  }
  return tasks;
}

/// By cells, not by ranges: an implementation of its own.
bool meet(const TaskMemory &a, const TaskMemory &b) {
  auto cells = [](const std::vector<ByteRange> &ranges) {
    uint64_t mask = 0;
    for (const ByteRange &range : ranges)
      for (int64_t cell = range.first; cell < range.end; ++cell)
        mask |= uint64_t(1) << cell;
    return mask;
  };
  const uint64_t aReads = cells(a.reads), aWrites = cells(a.writes), bReads = cells(b.reads),
                 bWrites = cells(b.writes);
  return (aWrites & (bReads | bWrites)) || (aReads & bWrites);
}

/// comesAfter[i][j]: edges lead from j to i.
std::vector<std::vector<bool>> closure(const TaskGraph &graph) {
  std::vector<std::vector<bool>> after(graph.size(), std::vector<bool>(graph.size()));
  for (size_t task = 0; task < graph.size(); ++task)
    for (uint32_t other : graph.predecessors[task]) {
      after[task][other] = true;
      for (size_t earlier = 0; earlier < other; ++earlier)
        if (after[other][earlier])
          after[task][earlier] = true;
    }
  return after;
}

/// Pairs of tasks that conflict and that no path orders.
int unorderedPairs(const TaskGraph &graph, const std::vector<TaskMemory> &tasks) {
  const auto after = closure(graph);
  int count = 0;
  for (size_t task = 0; task < tasks.size(); ++task)
    for (size_t other = 0; other < task; ++other)
      count += meet(tasks[task], tasks[other]) && !after[task][other];
  return count;
}

TEST(TaskGraph, ordersWhatConflictsByAsFewEdgesAsPossible) {
  std::mt19937_64 random(test::freshSeed());
  for (int round = 0; round < 30; ++round) {
    const std::vector<TaskMemory> tasks = randomTasks(random, 1 + random() % 150);
    const TaskGraph graph = buildTaskGraph(tasks);
    ASSERT_EQ(unorderedPairs(graph, tasks), 0);
    const auto after = closure(graph);
    size_t edges = 0, reversed = 0;
    for (size_t task = 0; task < tasks.size(); ++task) {
      edges += graph.predecessors[task].size();
      reversed += graph.successors[task].size();
      for (uint32_t other : graph.predecessors[task]) {
        ASSERT_LT(other, task);
        ASSERT_TRUE(meet(tasks[task], tasks[other])); // no order that nothing demands
        ASSERT_TRUE(std::ranges::count(graph.successors[other], uint32_t(task)) == 1);
        for (uint32_t between : graph.predecessors[task])
          ASSERT_FALSE(after[between][other]) << "an edge that others imply";
      }
    }
    EXPECT_EQ(edges, reversed);
  }
}

/// The definition, pair by pair: latest first, an edge to what conflicts and is not implied.
std::vector<std::vector<uint32_t>> edgesByDefinition(const std::vector<TaskMemory> &tasks) {
  TaskGraph graph{std::vector<std::vector<uint32_t>>(tasks.size()), {}};
  std::vector<std::vector<bool>> after(tasks.size(), std::vector<bool>(tasks.size()));
  for (uint32_t task = 0; task < tasks.size(); ++task)
    for (uint32_t other = task; other-- > 0;) {
      if (after[task][other] || !conflict(tasks[task], tasks[other]))
        continue;
      graph.predecessors[task].push_back(other);
      after[task][other] = true;
      for (uint32_t earlier = 0; earlier < other; ++earlier)
        after[task][earlier] = after[task][earlier] || after[other][earlier];
    }
  return graph.predecessors;
}

TEST(TaskGraph, hasTheEdgesOfTheDefinition) {
  std::mt19937_64 random(test::freshSeed());
  for (int round = 0; round < 20; ++round) {
    const std::vector<TaskMemory> tasks = randomTasks(random, 1 + random() % 400);
    ASSERT_EQ(buildTaskGraph(tasks).predecessors, edgesByDefinition(tasks));
  }
}

// A step of 20,000 calls, as training makes them; with pairs of calls this would take minutes.
TEST(TaskGraph, longStepsAreNoTrouble) {
  constexpr int64_t layers = 6666, bytes = 64;
  auto place = [](int64_t tensor, int64_t layer) {
    const int64_t first = (tensor * (layers + 1) + layer) * bytes;
    return ByteRange{first, first + bytes};
  };
  enum { Parameter, Activation, Gradient, Derivative };
  std::vector<TaskMemory> tasks;
  for (int64_t layer = 0; layer < layers; ++layer)
    tasks.push_back(
        {{place(Parameter, layer), place(Activation, layer)}, {place(Activation, layer + 1)}});
  for (int64_t layer = layers; layer-- > 0;) {
    tasks.push_back({{place(Parameter, layer), place(Activation, layer),
                      place(Activation, layer + 1), place(Derivative, layer + 1)},
                     {place(Derivative, layer), place(Gradient, layer)}});
    tasks.push_back({{place(Gradient, layer), place(Parameter, layer)}, {place(Parameter, layer)}});
  }
  // Whoever reads or writes everything comes after all that nothing else comes after.
  tasks.push_back({{{0, 4 * (layers + 1) * bytes}}, {}});
  tasks.push_back({{}, {{0, 4 * (layers + 1) * bytes}}});
  const TaskGraph graph = buildTaskGraph(tasks);
  ASSERT_EQ(graph.size(), 20000u);
  for (uint32_t layer = 1; layer < layers; ++layer) // forward: a chain
    ASSERT_EQ(graph.predecessors[layer], std::vector<uint32_t>{layer - 1});
  for (uint32_t back = 0; back < layers; ++back) { // backward: a chain with an update at each link
    const uint32_t task = layers + 2 * back, previous = back ? task - 2 : task - 1;
    ASSERT_EQ(graph.predecessors[task], std::vector<uint32_t>{previous});
    ASSERT_EQ(graph.predecessors[task + 1], std::vector<uint32_t>{task});
  }
  ASSERT_EQ(graph.predecessors[19998].size(), size_t(layers)); // the updates
  ASSERT_EQ(graph.predecessors[19999], std::vector<uint32_t>{19998});
}

// The example in runtime/README.md.
TEST(TaskGraph, readmeExample) {
  const std::vector<TaskMemory> tasks = {{{{0, 64}}, {{128, 192}}},
                                         {{{64, 128}}, {{192, 256}}},
                                         {{{128, 256}}, {{256, 320}}},
                                         {{{0, 64}}, {{0, 64}}},
                                         {{{256, 320}}, {{128, 192}}}};
  const TaskGraph graph = buildTaskGraph(tasks);
  EXPECT_EQ(graph.predecessors, (std::vector<std::vector<uint32_t>>{{}, {}, {1, 0}, {0}, {2}}));
}

/// Runs tasks on threads and judges, as each range begins, whether it may: all earlier tasks that
/// it conflicts with are done, no later one has begun. Also computes with the cells, grain by
/// grain.
class CheckedRun {
public:
  CheckedRun(const std::vector<TaskMemory> &tasks, std::vector<TaskList::Task> sizes)
      : tasks(tasks), sizes(std::move(sizes)), cells(arenaCells, std::vector<uint64_t>(64, 1)),
        begun(tasks.size()), left(tasks.size()) {}

  int violations = 0;

  std::vector<std::vector<uint64_t>> run(ThreadPool &pool, TaskList &list,
                                         std::chrono::microseconds dawdle = {}) {
    for (size_t task = 0; task < tasks.size(); ++task) {
      begun[task] = false;
      left[task] = sizes[task].grains;
    }
    std::atomic<int> wrong = 0;
    pool.run(list, [&](int, const TaskList::Range &range) {
      begun[range.task] = true;
      wrong += !mayRun(range.task);
      if (dawdle.count())
        std::this_thread::sleep_for(dawdle);
      else
        for (int64_t grain = range.lo; grain < range.hi; ++grain)
          compute(range.task, static_cast<size_t>(grain));
      left[range.task] -= range.hi - range.lo;
    });
    violations += wrong;
    return cells;
  }

  /// The same, in program order.
  std::vector<std::vector<uint64_t>> runInOrder() {
    for (size_t task = 0; task < tasks.size(); ++task)
      for (int64_t grain = 0; grain < sizes[task].grains; ++grain)
        compute(task, static_cast<size_t>(grain));
    return cells;
  }

private:
  bool mayRun(size_t task) const {
    for (size_t other = 0; other < tasks.size(); ++other)
      if (other != task && meet(tasks[task], tasks[other]) &&
          (other < task ? left[other] != 0 : begun[other].load()))
        return false;
    return true;
  }

  /// A grain owns one column of what its task writes; it reads the whole of its other cells.
  void compute(size_t task, size_t grain) {
    auto isWritten = [&](int64_t cell) {
      return std::ranges::any_of(tasks[task].writes, [&](const ByteRange &range) {
        return range.first <= cell && cell < range.end;
      });
    };
    uint64_t value = task * 0x9e3779b97f4a7c15 + grain;
    for (const ByteRange &range : tasks[task].reads)
      for (int64_t cell = range.first; cell < range.end; ++cell)
        if (!isWritten(cell))
          for (uint64_t element : cells[static_cast<size_t>(cell)])
            value = (value ^ element) * 0xbf58476d1ce4e5b9;
    for (const ByteRange &range : tasks[task].writes)
      for (int64_t cell = range.first; cell < range.end; ++cell) {
        uint64_t &element = cells[static_cast<size_t>(cell)][grain % 64];
        element = element * 31 + value;
      }
  }

  const std::vector<TaskMemory> &tasks;
  std::vector<TaskList::Task> sizes;
  std::vector<std::vector<uint64_t>> cells;
  std::vector<std::atomic<bool>> begun;
  std::vector<std::atomic<int64_t>> left;
};

std::vector<TaskList::Task> randomSizes(std::mt19937_64 &random, size_t count) {
  std::vector<TaskList::Task> sizes(count);
  for (TaskList::Task &size : sizes) {
    size.grains = 1 + int64_t(random() % (random() % 3 ? 4 : 60));
    size.smallest = 1 + int64_t(random() % uint64_t(size.grains));
  }
  return sizes;
}

class TaskGraphRun : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Threads, TaskGraphRun, testing::Values(1, 2, 3, 8));

TEST_P(TaskGraphRun, computesWhatProgramOrderDoes) {
  std::mt19937_64 random(test::freshSeed());
  auto pool = *ThreadPool::create(GetParam());
  for (int round = 0; round < 8; ++round) {
    const std::vector<TaskMemory> tasks = randomTasks(random, 1 + random() % 120);
    const std::vector<TaskList::Task> sizes = randomSizes(random, tasks.size());
    TaskList list(sizes, buildTaskGraph(tasks));
    CheckedRun checked(tasks, sizes), inOrder(tasks, sizes);
    for (int repeat = 0; repeat < 5; ++repeat)
      ASSERT_EQ(checked.run(*pool, list), inOrder.runInOrder());
    EXPECT_EQ(checked.violations, 0);
    pool->release();
  }
}

// The checker itself: one write that the graph is not told of.
TEST(TaskGraph, aMissingDependencyIsSeen) {
  std::mt19937_64 random(test::freshSeed());
  auto pool = *ThreadPool::create(2);
  // The last of some readers of cell 0 depends on its writer alone.
  std::vector<TaskMemory> tasks = {{{}, {{0, 1}}}, {{{0, 1}}, {{1, 2}}}};
  for (int64_t cell = 2; cell < arenaCells; ++cell)
    tasks.push_back({{}, {{cell, cell + 1}}});
  const std::vector<TaskList::Task> sizes(tasks.size());
  std::vector<TaskMemory> told = tasks;
  told[0].writes.clear();
  const TaskGraph wrong = buildTaskGraph(told);
  EXPECT_EQ(unorderedPairs(wrong, tasks), 1);
  EXPECT_EQ(unorderedPairs(buildTaskGraph(tasks), tasks), 0);
  TaskList list(sizes, wrong), right(sizes, buildTaskGraph(tasks));
  CheckedRun checked(tasks, sizes), fine(tasks, sizes);
  for (int repeat = 0; repeat < 50 && !checked.violations; ++repeat)
    checked.run(*pool, list, std::chrono::milliseconds(1));
  EXPECT_GT(checked.violations, 0);
  for (int repeat = 0; repeat < 3; ++repeat)
    fine.run(*pool, right, std::chrono::milliseconds(1));
  EXPECT_EQ(fine.violations, 0);
  pool->release();
}

} // namespace
} // namespace ingot
