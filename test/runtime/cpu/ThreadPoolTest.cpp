#include "runtime/cpu/ThreadPool.h"
#include "test/runtime/TestPrograms.h"
#include <csignal>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ingot {
namespace {

std::unique_ptr<ThreadPool> makePool(int threads) {
  auto pool = ThreadPool::create(threads);
  EXPECT_TRUE(pool) << pool.error().text();
  return std::move(*pool);
}

TaskList oneTask(int64_t grains, int64_t smallest = 1) {
  return TaskList({{grains, smallest}}, buildTaskGraph(std::vector<TaskMemory>(1)));
}

class ThreadPoolTest : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolTest, testing::Values(1, 2, 3, 8));

TEST_P(ThreadPoolTest, runsEveryGrainOnce) {
  auto pool = makePool(GetParam());
  EXPECT_EQ(pool->size(), GetParam());
  for (int64_t grains : {1, 2, 7, 64, 1000})
    for (int64_t smallest : {1, 3, 1000}) {
      TaskList tasks = oneTask(grains, std::min(smallest, grains));
      std::vector<int> counts(static_cast<size_t>(grains), 0);
      pool->run(tasks, [&](int worker, const TaskList::Range &range) {
        EXPECT_TRUE(worker >= 0 && worker < GetParam());
        EXPECT_EQ(range.task, 0u);
        EXPECT_GE(range.hi - range.lo, std::min(smallest, grains));
        EXPECT_LE(range.hi, grains);
        for (int64_t i = range.lo; i < range.hi; ++i)
          ++counts[static_cast<size_t>(i)];
      });
      pool->release();
      EXPECT_EQ(counts, std::vector<int>(static_cast<size_t>(grains), 1)) << grains << " grains";
    }
}

TEST_P(ThreadPoolTest, oneWorkerNeverRunsTwoRangesAtOnce) {
  auto pool = makePool(GetParam());
  std::vector<std::atomic<int>> busy(static_cast<size_t>(GetParam()));
  TaskList tasks = oneTask(500);
  pool->run(tasks, [&](int worker, const TaskList::Range &) {
    EXPECT_EQ(busy[static_cast<size_t>(worker)].fetch_add(1), 0);
    std::this_thread::yield();
    busy[static_cast<size_t>(worker)].fetch_sub(1);
  });
  pool->release();
}

// Many short runs in a row, of several lists: a worker that comes late must not harm, and what one
// run wrote is there for the next.
TEST_P(ThreadPoolTest, stress) {
  auto pool = makePool(GetParam());
  std::mt19937_64 random(test::freshSeed());
  std::vector<int64_t> values(64, 0);
  TaskList lists[] = {oneTask(1), oneTask(2), oneTask(7), oneTask(33), oneTask(64)};
  int64_t expected = 0;
  for (int run = 0; run < 3000; ++run) {
    TaskList &tasks = lists[random() % std::size(lists)];
    const int64_t amount = int64_t(random() % 100);
    pool->run(tasks, [&](int, const TaskList::Range &range) {
      for (int64_t i = range.lo; i < range.hi; ++i)
        values[static_cast<size_t>(i)] += amount;
    });
    expected += amount * tasks.grains(0);
    if (random() % 500 == 0) // long enough that the workers fall asleep
      std::this_thread::sleep_for(std::chrono::milliseconds(3));
  }
  pool->release();
  int64_t sum = 0;
  for (int64_t value : values)
    sum += value;
  EXPECT_EQ(sum, expected);
}

TEST(ThreadPool, takesMoreGrainsThanFitIntoAnInt) {
  auto pool = makePool(2);
  const int64_t grains = (int64_t(1) << 33) + 5;
  std::atomic<int64_t> done = 0, last = 0;
  TaskList tasks = oneTask(grains);
  pool->run(tasks, [&](int, const TaskList::Range &range) {
    done += range.hi - range.lo;
    if (range.hi == grains)
      last = range.hi;
  });
  pool->release();
  EXPECT_EQ(done, grains);
  EXPECT_EQ(last, grains);
}

// A task that nothing holds up begins while another is still being worked on.
TEST(ThreadPool, independentTasksOverlap) {
  auto pool = makePool(2);
  std::vector<TaskMemory> memory = {{{}, {{0, 8}}}, {{}, {{8, 16}}}};
  TaskList tasks({{1, 1}, {1, 1}}, buildTaskGraph(memory));
  std::atomic<bool> begun[2] = {};
  pool->run(tasks, [&](int, const TaskList::Range &range) {
    begun[range.task] = true;
    while (!begun[1 - range.task]) // each waits for the other
      std::this_thread::yield();
  });
  pool->release();
}

// A trainer is stopped by a signal, whose handler may run on any thread at any moment.
TEST(ThreadPool, signalsDoNotDisturb) {
  static std::atomic<int> signals;
  struct sigaction action = {}, before = {};
  action.sa_handler = [](int) { ++signals; };
  ASSERT_EQ(::sigaction(SIGUSR1, &action, &before), 0);
  auto pool = makePool(3);
  TaskList tasks = oneTask(50);
  std::atomic<int64_t> grains = 0;
  std::atomic<bool> isDone = false;
  std::thread sender([&] {
    while (!isDone) {
      ::kill(::getpid(), SIGUSR1);
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  });
  for (int run = 0; run < 200; ++run) {
    pool->run(tasks, [&](int, const TaskList::Range &range) { grains += range.hi - range.lo; });
    if (run % 40 == 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(3));
  }
  isDone = true;
  sender.join();
  pool->release();
  ::sigaction(SIGUSR1, &before, nullptr);
  EXPECT_EQ(grains, 200 * 50);
  EXPECT_GT(signals, 0);
}

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__) &&                             \
    !__has_feature(thread_sanitizer) && !__has_feature(address_sanitizer)
// Sanitizers need more address space than this leaves.
TEST(ThreadPool, saysWhenThereAreNoThreads) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    rlimit limit = {64 << 20, 64 << 20}; // a few stacks
    ::setrlimit(RLIMIT_AS, &limit);
    auto pool = ThreadPool::create(200);
    ::_exit(!pool && pool.error().text().find("of 200: Resource temporarily unavailable") !=
                         std::string::npos
                ? 0
                : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
#endif

} // namespace
} // namespace ingot
