#include "runtime/cpu/Memory.h"
#include <gtest/gtest.h>

namespace ingot {
namespace {

constexpr int64_t size = (int64_t(160) << 20) + 4096, stride = 1 << 16;

TEST(Pages, PopulatingLeavesContentsAlone) {
  Result<Pages> pages = Pages::allocate(size, "test");
  ASSERT_TRUE(pages) << pages.error().text();
  pages->populateInBackground();
  for (int64_t at = 0; at < size; at += stride) {
    EXPECT_EQ(pages->data()[at], 0) << at;
    pages->data()[at] = uint8_t(at / stride + 1);
  }
  pages->populateInBackground(); // a second time is once too often, but harmless
  Pages moved = std::move(*pages);
  for (int64_t at = 0; at < size; at += stride) {
    EXPECT_EQ(moved.data()[at], uint8_t(at / stride + 1)) << at;
    EXPECT_EQ(moved.data()[at + 1], 0) << at;
  }
}

TEST(Pages, GoAtOnceWhilePopulating) {
  for (int round = 0; round < 8; ++round) {
    Result<Pages> pages = Pages::allocate(size, "test");
    ASSERT_TRUE(pages) << pages.error().text();
    pages->populateInBackground();
    pages->data()[0] = 1;
  }
}

TEST(Pages, FewOnesNeedNoThread) {
  Result<Pages> pages = Pages::allocate(100, "test");
  ASSERT_TRUE(pages) << pages.error().text();
  pages->populateInBackground();
  EXPECT_EQ(pages->data()[99], 0);
  Pages none;
  none.populateInBackground();
  EXPECT_EQ(none.size(), 0);
}

} // namespace
} // namespace ingot
