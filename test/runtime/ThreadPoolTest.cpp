#include "runtime/cpu/ThreadPool.h"
#include "test/runtime/TestPrograms.h"
#include <gtest/gtest.h>
#include <numeric>

namespace ingot {
namespace {

class ThreadPoolTest : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolTest, testing::Values(1, 2, 3, 8));

TEST_P(ThreadPoolTest, runsEveryGrainOnce) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.size(), GetParam());
  for (int64_t grains : {0, 1, 2, 7, 64, 1000}) {
    std::vector<int> counts(grains, 0);
    pool.run(grains, [&](int worker, int64_t lo, int64_t hi) {
      EXPECT_TRUE(worker >= 0 && worker < GetParam());
      EXPECT_LT(lo, hi);
      for (int64_t i = lo; i < hi; ++i)
        ++counts[i];
    });
    EXPECT_EQ(counts, std::vector<int>(grains, 1)) << grains << " grains";
  }
}

TEST_P(ThreadPoolTest, oneWorkerNeverRunsTwoRangesAtOnce) {
  ThreadPool pool(GetParam());
  std::vector<std::atomic<int>> busy(GetParam());
  pool.run(500, [&](int worker, int64_t, int64_t) {
    EXPECT_EQ(busy[worker].fetch_add(1), 0);
    std::this_thread::yield();
    busy[worker].fetch_sub(1);
  });
}

// Many short runs in a row: a worker that comes late must not touch the next run's grains, and what
// one run wrote is there for the next.
TEST_P(ThreadPoolTest, stress) {
  ThreadPool pool(GetParam());
  std::mt19937_64 random(test::freshSeed());
  std::vector<int64_t> values(64, 0);
  int64_t expected = 0;
  for (int run = 0; run < 3000; ++run) {
    const int64_t grains = 1 + int64_t(random() % values.size());
    const int64_t amount = int64_t(random() % 100);
    pool.run(grains, [&](int, int64_t lo, int64_t hi) {
      for (int64_t i = lo; i < hi; ++i)
        values[i] += amount;
    });
    expected += amount * grains;
    if (random() % 500 == 0) // long enough that the workers fall asleep
      std::this_thread::sleep_for(std::chrono::milliseconds(3));
  }
  EXPECT_EQ(std::accumulate(values.begin(), values.end(), int64_t(0)), expected);
}

TEST(ThreadPool, takesMoreGrainsThanATicketHolds) {
  ThreadPool pool(2);
  const int64_t grains = (int64_t(1) << 33) + 5;
  std::atomic<int64_t> done = 0, last = 0;
  pool.run(grains, [&](int, int64_t lo, int64_t hi) {
    done += hi - lo;
    if (hi == grains)
      last = hi;
  });
  EXPECT_EQ(done, grains);
  EXPECT_EQ(last, grains);
}

} // namespace
} // namespace ingot
