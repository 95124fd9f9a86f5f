#include "passes/memory/ArenaLayout.h"
#include "runtime/support/Align.h"
#include <algorithm>
#include <limits>
#include <numeric>

namespace ingot {
namespace {

bool liveTogether(const ArenaBuffer &a, const ArenaBuffer &b) {
  return a.first <= b.last && b.first <= a.last;
}

} // namespace

int64_t layOutArena(std::vector<ArenaBuffer> &buffers, int64_t base) {
  std::vector<size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::pair(-buffers[a].bytes, a) < std::pair(-buffers[b].bytes, b);
  });

  base = alignedTo(arenaAlignment, base);
  int64_t end = base;
  std::vector<const ArenaBuffer *> placed; // by offset
  for (size_t index : order) {
    ArenaBuffer &buffer = buffers[index];
    int64_t size = alignedTo(arenaAlignment, buffer.bytes);
    int64_t cursor = base, best = -1, bestGap = std::numeric_limits<int64_t>::max();
    for (const ArenaBuffer *other : placed) {
      if (!liveTogether(buffer, *other))
        continue;
      int64_t gap = other->offset - cursor;
      if (gap >= size && gap < bestGap) {
        best = cursor;
        bestGap = gap;
      }
      cursor = std::max(cursor, other->offset + alignedTo(arenaAlignment, other->bytes));
    }
    buffer.offset = best >= 0 ? best : cursor;
    end = std::max(end, buffer.offset + size);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), &buffer,
                                   [](const ArenaBuffer *a, const ArenaBuffer *b) {
                                     return a->offset < b->offset;
                                   }),
                  &buffer);
  }
  return end;
}

} // namespace ingot
