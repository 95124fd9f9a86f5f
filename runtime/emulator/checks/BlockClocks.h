/// Who in a block has heard of whom: vector clocks of its warps.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace ingot::emulator {

/// A warp's clock counts its synchronisations. Barriers, fences, atomics and ordered accesses
/// publish what a warp knows to its block and tell it what others have published. That one board
/// serves all kinds of synchronisation may hide a race but never invents one.
class BlockClocks {
public:
  void begin(uint32_t warps) {
    count = warps;
    known.assign(size_t(count) * count, 0);
    board.assign(count, 0);
    epochStart.assign(count, 0);
    for (std::vector<uint32_t> &phase : completed)
      phase.clear();
    for (uint32_t warp = 0; warp < count; ++warp)
      epochStart[warp] = of(warp, warp) = 1;
    ++epoch;
  }
  uint32_t now(uint32_t warp) const { return knownOf(warp, warp); }
  /// What `warp` has heard of `other`.
  uint32_t knownOf(uint32_t warp, uint32_t other) const {
    return known[size_t(warp) * count + other];
  }

  void publish(uint32_t warp) {
    for (uint32_t other = 0; other < count; ++other)
      board[other] = std::max(board[other], of(warp, other));
    ++of(warp, warp);
  }
  void hear(uint32_t warp) { hear(warp, board); }
  /// A barrier is complete: those who leave it hear what is published now, not what their faster
  /// neighbours publish until they run.
  void complete(int barrier) { completed[barrier] = board; }
  void leave(int barrier, uint32_t warp) { hear(warp, completed[barrier]); }
  /// Lanes of a warp have met: earlier accesses of its other lanes are done.
  void meet(uint32_t warp) { ++of(warp, warp); }
  /// All threads of the block have met: earlier reads can be forgotten.
  void nextEpoch() {
    ++epoch;
    for (uint32_t warp = 0; warp < count; ++warp)
      epochStart[warp] = now(warp);
  }

  /// `warp` knows that `other`'s accesses at its time `clock` are done.
  bool knows(uint32_t warp, uint32_t other, uint32_t clock) const {
    return knownOf(warp, other) >= clock;
  }
  /// One of `readers` (a mask) that has read in this epoch and whose reads `warp` does not know to
  /// be done; -1: none.
  int unheardReader(uint32_t warp, uint32_t readers) const {
    for (uint32_t reader = 0; reader < count; ++reader)
      if (readers >> reader & 1 && reader != warp && !knows(warp, reader, epochStart[reader]))
        return int(reader);
    return -1;
  }

  uint32_t epoch = 0;

private:
  void hear(uint32_t warp, const std::vector<uint32_t> &news) {
    for (uint32_t other = 0; other < news.size(); ++other)
      of(warp, other) = std::max(of(warp, other), news[other]);
  }
  uint32_t &of(uint32_t warp, uint32_t other) { return known[size_t(warp) * count + other]; }

  uint32_t count = 0;
  std::vector<uint32_t> known, board, epochStart;
  std::array<std::vector<uint32_t>, 17> completed; ///< 16: the cluster's
};

/// Which of the 4 bytes of cell `cell` [begin, end) covers.
inline uint8_t coveredBytes(uint64_t cell, uint64_t begin, uint64_t end) {
  if (begin <= cell * 4 && cell * 4 + 4 <= end)
    return 15;
  uint8_t bytes = 0;
  for (uint64_t byte = 0; byte < 4; ++byte)
    bytes |= uint8_t(cell * 4 + byte >= begin && cell * 4 + byte < end) << byte;
  return bytes;
}

/// What is remembered of 4 bytes of memory.
struct AccessCell {
  uint32_t writeClock = 0; ///< of the last writer; 0: nobody has written
  uint16_t writer = 0;     ///< thread in its block; warp * 32 + lane
  uint8_t written = 0;     ///< which of the 4 bytes
  uint8_t flags = 0;
  uint32_t readEpoch = 0;
  uint32_t readers = 0; ///< warps

  static constexpr uint8_t partlyRead = 1; ///< by an access of fewer than 4 bytes
};

/// An access of one lane to one cell.
struct CellAccess {
  uint32_t warp = 0, lane = 0;
  uint8_t bytes = 15; ///< which of the 4 bytes
  bool writes = false;
};

/// How an access collides with an earlier one of the same block; `Kind::None` if it does not.
struct Collision {
  enum class Kind : uint8_t { None, WithWrite, WithRead };
  Kind kind = Kind::None;
  uint32_t thread = 0; ///< of the earlier access; for a read the first of its warp
};

inline Collision collide(const AccessCell &cell, const BlockClocks &clocks,
                         const CellAccess &access) {
  if (cell.writeClock && (cell.written & access.bytes)) {
    const uint32_t writer = cell.writer / 32u;
    const bool apart = writer != access.warp ? !clocks.knows(access.warp, writer, cell.writeClock)
                                             : cell.writer % 32u != access.lane &&
                                                   cell.writeClock == clocks.now(access.warp);
    if (apart)
      return {Collision::Kind::WithWrite, cell.writer};
  }
  if (access.writes && cell.readEpoch == clocks.epoch && !(cell.flags & AccessCell::partlyRead))
    if (const int reader = clocks.unheardReader(access.warp, cell.readers); reader >= 0)
      return {Collision::Kind::WithRead, uint32_t(reader) * 32};
  return {};
}

inline void remember(AccessCell &cell, const BlockClocks &clocks, const CellAccess &access) {
  if (access.writes) {
    const bool same =
        cell.writeClock == clocks.now(access.warp) && cell.writer == access.warp * 32 + access.lane;
    cell.written = same ? cell.written | access.bytes : access.bytes;
    cell.writeClock = clocks.now(access.warp);
    cell.writer = uint16_t(access.warp * 32 + access.lane);
    cell.readers = 0;
    cell.flags = 0;
    return;
  }
  if (cell.readEpoch != clocks.epoch) {
    cell.readEpoch = clocks.epoch;
    cell.readers = 0;
    cell.flags &= ~AccessCell::partlyRead;
  }
  cell.readers |= uint32_t(1) << access.warp;
  if (access.bytes != 15)
    cell.flags |= AccessCell::partlyRead;
}

} // namespace ingot::emulator
