/// mbarrier objects of one block: phases, pending arrivals and transaction counts.
///
/// A barrier's state lies in its 8 bytes of shared memory, in an encoding of our own, and beside
/// them in a table; where the two differ somebody wrote over it, which is reported.
#pragma once
#include "runtime/emulator/machine/AsyncMemory.h"
#include <optional>
#include <unordered_map>

namespace ingot::emulator {

struct MemoryBarrier {
  static constexpr uint32_t maximumCount = (1 << 20) - 1;
  static constexpr int64_t maximumTransactions = (1 << 20) - 1;

  uint32_t phase = 0;       ///< completed so far
  uint32_t expected = 0;    ///< arrivals of a phase
  uint32_t pending = 0;     ///< arrivals left in this phase
  int64_t transactions = 0; ///< bytes left in this phase; below 0 what came early

  uint64_t encoded() const;
  /// What `arrive` gives: phase and pending arrivals before it.
  uint64_t token() const { return uint64_t(phase) << 32 | pending; }
};

class MemoryBarriers {
public:
  explicit MemoryBarriers(Block &block) : block(block) {}

  // Each returns false after a report; `offset` is in the block's own shared memory.
  bool initialise(const Origin &origin, uint32_t offset, uint32_t count);
  bool invalidate(const Origin &origin, uint32_t offset);
  /// Adds `transactions` to what the phase waits for, then takes `count` arrivals; `drop` takes
  /// them from later phases too; without `completes` the phase must not end by it.
  bool arrive(const Origin &origin, uint32_t offset, uint32_t count, int64_t transactions,
              bool drop, bool completes, uint64_t *token, MemoryOrder order);
  bool expect(const Origin &origin, uint32_t offset, int64_t transactions);
  /// A copy has moved so many bytes.
  bool complete(const Origin &origin, uint32_t offset, int64_t transactions);
  /// cp.async.mbarrier.arrive without .noinc: one more arrival is pending.
  bool addPending(const Origin &origin, uint32_t offset);
  /// Null after a report.
  const MemoryBarrier *find(const Origin &origin, uint32_t offset);

  /// Phases that a barrier has completed; 0 if there is none.
  uint32_t phase(uint32_t offset) const {
    const auto found = barriers.find(offset);
    return found == barriers.end() ? 0 : found->second.phase;
  }
  /// A barrier in use that the range touches.
  std::optional<uint32_t> overlapping(uint32_t offset, uint32_t bytes) const;
  /// Grows with every change.
  uint64_t changes() const { return changeCount; }
  /// One line a barrier.
  std::string describe() const;

private:
  void report(const Origin &origin, uint32_t offset, std::string message) const;
  MemoryBarrier *look(const Origin &origin, uint32_t offset);
  /// Stores the state and, if the phase is over, begins the next and wakes who waits.
  void update(uint32_t offset, MemoryBarrier &barrier);
  bool addTransactions(const Origin &origin, uint32_t offset, MemoryBarrier &barrier,
                       int64_t transactions);

  Block &block;
  std::unordered_map<uint32_t, MemoryBarrier> barriers; ///< by offset
  uint32_t firstOffset = ~uint32_t(0), lastOffset = 0;  ///< of all that there have been
  uint64_t changeCount = 0;
};

} // namespace ingot::emulator
