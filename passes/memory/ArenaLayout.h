/// Places buffers with known lifetimes in one arena.
#pragma once
#include <cstdint>
#include <vector>

namespace ingot {

/// A stretch of memory that must keep its contents from step `first` to step `last`, both included.
struct ArenaBuffer {
  int64_t bytes = 0;
  int64_t first = 0, last = 0;
  int64_t offset = 0; ///< the layout's answer, a multiple of `arenaAlignment`
};

constexpr int64_t arenaAlignment = 64;

/// Chooses offsets ≥ `base` so that buffers which live at the same time do not overlap: largest
/// first, each into the tightest gap that its lifetime leaves (greedy by size, Pisarchyk & Lee
/// 2020). Returns the end of the highest buffer, at least `base`. Ties break by position: the
/// layout is a function of its input.
int64_t layOutArena(std::vector<ArenaBuffer> &buffers, int64_t base);

} // namespace ingot
