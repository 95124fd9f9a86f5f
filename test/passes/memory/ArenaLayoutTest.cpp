#include "passes/memory/ArenaLayout.h"
#include <gtest/gtest.h>
#include <random>

namespace ingot {
namespace {

int64_t peak(const std::vector<ArenaBuffer> &buffers, int64_t steps) {
  int64_t most = 0;
  for (int64_t step = 0; step < steps; ++step) {
    int64_t live = 0;
    for (const ArenaBuffer &buffer : buffers)
      if (buffer.first <= step && step <= buffer.last)
        live += (buffer.bytes + 63) / 64 * 64;
    most = std::max(most, live);
  }
  return most;
}

TEST(ArenaLayout, BuffersThatLiveTogetherDoNotOverlap) {
  unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 200; ++round) {
    std::vector<ArenaBuffer> buffers(1 + random() % 40);
    for (ArenaBuffer &buffer : buffers) {
      buffer.bytes = random() % 1000;
      buffer.first = random() % 20;
      buffer.last = buffer.first + random() % 8;
    }
    int64_t end = layOutArena(buffers, 100);
    EXPECT_GE(end - 128, peak(buffers, 30));
    for (const ArenaBuffer &a : buffers) {
      EXPECT_EQ(a.offset % arenaAlignment, 0);
      EXPECT_GE(a.offset, 100);
      EXPECT_LE(a.offset + a.bytes, end);
      for (const ArenaBuffer &b : buffers)
        if (&a != &b && a.first <= b.last && b.first <= a.last && a.bytes && b.bytes) {
          EXPECT_TRUE(a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset);
        }
    }
  }
}

TEST(ArenaLayout, MemoryIsReusedOnceItsOwnerIsDead) {
  std::vector<ArenaBuffer> chain;
  for (int64_t step = 0; step < 10; ++step)
    chain.push_back({.bytes = 640, .first = step, .last = step + 1});
  EXPECT_EQ(layOutArena(chain, 0), 2 * 640);
}

} // namespace
} // namespace ingot
