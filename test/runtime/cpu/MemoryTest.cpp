#include "runtime/cpu/Memory.h"
#include "runtime/cpu/PageSize.h"
#include "runtime/cpu/ThreadPool.h"
#include <gtest/gtest.h>

namespace ingot {
namespace {

constexpr int64_t size = (int64_t(160) << 20) + 4096, stride = 1 << 16;

class PagesOnThreads : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Threads, PagesOnThreads, testing::Values(1, 2, 3));

TEST_P(PagesOnThreads, PopulatingLeavesContentsAlone) {
  Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(GetParam());
  ASSERT_TRUE(pool) << pool.error().text();
  Result<Pages> pages = Pages::allocate(size, "test");
  ASSERT_TRUE(pages) << pages.error().text();
  pages->populate(**pool);
  for (int64_t at = 0; at < size; at += stride) {
    EXPECT_EQ(pages->data()[at], 0) << at;
    pages->data()[at] = uint8_t(at / stride + 1);
  }
  pages->populate(**pool); // a second time is once too often, but harmless
  Pages moved = std::move(*pages);
  for (int64_t at = 0; at < size; at += stride) {
    EXPECT_EQ(moved.data()[at], uint8_t(at / stride + 1)) << at;
    EXPECT_EQ(moved.data()[at + 1], 0) << at;
  }
}

TEST(Pages, FewOnesComeWhenTheyAreTouched) {
  Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(2);
  ASSERT_TRUE(pool) << pool.error().text();
  Result<Pages> pages = Pages::allocate(100, "test");
  ASSERT_TRUE(pages) << pages.error().text();
  pages->populate(**pool);
  EXPECT_EQ(pages->data()[99], 0);
  Pages none;
  none.populate(**pool);
  EXPECT_EQ(none.size(), 0);
}

/// Milliseconds that the system takes for the bytes of a huge page, and how many of 1000 come huge.
int64_t hugePagesOf(int64_t pages, double (*hugeMs)(int64_t), double (*smallMs)(int64_t),
                    double *milliseconds) {
  PageSizeChoice choice;
  int64_t hugeOnes = 0;
  for (int64_t done = 0; done < pages;) {
    PageSizeChoice::Stretch stretch = choice.next();
    double taken = 0;
    for (int64_t page = done; page < done + stretch.count; ++page)
      taken += stretch.huge ? hugeMs(page) : smallMs(page);
    choice.took(stretch, taken / 1e3);
    *milliseconds += taken;
    done += stretch.count;
    hugeOnes += stretch.huge ? stretch.count : 0;
  }
  return hugeOnes;
}

TEST(PageSizeChoice, HugePagesThatAreReadyAreTaken) {
  double milliseconds = 0;
  auto ready = [](int64_t) { return 0.1; };
  auto small = [](int64_t) { return 0.7; };
  EXPECT_GE(hugePagesOf(1000, ready, small, &milliseconds), 990);
  auto slightlyBetter = [](int64_t) { return 0.08; };
  EXPECT_GE(hugePagesOf(1000, ready, slightlyBetter, &milliseconds), 990);
}

TEST(PageSizeChoice, SmallPagesStandInForDearHugeOnes) {
  double milliseconds = 0;
  auto expensive = [](int64_t) { return 5.0; };
  auto small = [](int64_t) { return 0.7; };
  EXPECT_LE(hugePagesOf(1000, expensive, small, &milliseconds), 10);
  EXPECT_LT(milliseconds, 1000);
}

TEST(PageSizeChoice, FollowsWhatChangesOnTheWay) {
  double milliseconds = 0;
  auto dearAfter200 = [](int64_t page) { return page < 200 ? 0.1 : 5.0; };
  auto small = [](int64_t) { return 0.7; };
  EXPECT_NEAR(double(hugePagesOf(1000, dearAfter200, small, &milliseconds)), 200, 20);
  // Small blocks run out as well, and come back.
  auto expensive = [](int64_t) { return 5.0; };
  auto expensiveFor300 = [](int64_t page) { return page > 100 && page < 400 ? 5.0 : 0.7; };
  EXPECT_NEAR(double(hugePagesOf(1000, expensive, expensiveFor300, &milliseconds)), 270, 50);
}

} // namespace
} // namespace ingot
