#include "runtime/emulator/machine/MemoryBarrier.h"
#include "runtime/emulator/machine/MemoryAccess.h"

namespace ingot::emulator {

uint64_t MemoryBarrier::encoded() const {
  return uint64_t(phase & 1) | uint64_t(pending) << 1 | uint64_t(expected) << 21 |
         (static_cast<uint64_t>(transactions) & 0x3fffff) << 41;
}

void MemoryBarriers::report(const Origin &origin, uint32_t offset, std::string message) const {
  origin.report("mbarrier", std::move(message), sharedWindow + mapToRank(offset, block.rank));
}

MemoryBarrier *MemoryBarriers::look(const Origin &origin, uint32_t offset) {
  Access access = accessOf(Access::Kind::Atomic);
  access.order = {Order::Relaxed, Scope::Cluster};
  if (!sharedRange(origin, mapToRank(offset, block.rank), 8, 8, access))
    return nullptr;
  const auto found = barriers.find(offset);
  if (found == barriers.end()) {
    report(origin, offset,
           fmt::format("there is no initialised mbarrier at {}", placeShared(block, offset)));
    return nullptr;
  }
  uint64_t word;
  std::memcpy(&word, block.shared.data() + offset, 8);
  if (word != found->second.encoded()) {
    report(origin, offset,
           fmt::format("the mbarrier at {} has been written over", placeShared(block, offset)));
    barriers.erase(found);
    return nullptr;
  }
  return &found->second;
}

const MemoryBarrier *MemoryBarriers::find(const Origin &origin, uint32_t offset) {
  return look(origin, offset);
}

void MemoryBarriers::update(uint32_t offset, MemoryBarrier &barrier) {
  ++changeCount;
  const bool completes = barrier.pending == 0 && barrier.transactions == 0;
  if (completes) {
    ++barrier.phase;
    barrier.pending = barrier.expected;
  }
  const uint64_t word = barrier.encoded();
  std::memcpy(block.shared.data() + offset, &word, 8);
  if (completes && block.cluster->observer)
    block.cluster->observer->mbarrierComplete(block, offset, barrier.phase);
  if (completes)
    for (const auto &warp : block.warps)
      warp->resumeWaiting(Fragment::Wait::Other, static_cast<int>(offset));
}

bool MemoryBarriers::initialise(const Origin &origin, uint32_t offset, uint32_t count) {
  if (!sharedRange(origin, mapToRank(offset, block.rank), 8, 8, accessOf(Access::Kind::Write)))
    return false;
  if (count < 1 || count > MemoryBarrier::maximumCount) {
    report(origin, offset,
           fmt::format("an mbarrier cannot count {} arrivals, 1 to {} are possible", count,
                       MemoryBarrier::maximumCount));
    return false;
  }
  // Memory that still holds a live barrier must be invalidated first.
  if (const auto known = barriers.find(offset); known != barriers.end()) {
    uint64_t word;
    std::memcpy(&word, block.shared.data() + offset, 8);
    if (word == known->second.encoded()) {
      report(origin, offset,
             fmt::format("the mbarrier at {} is initialised twice", placeShared(block, offset)));
      return false;
    }
  }
  MemoryBarrier &barrier = barriers[offset];
  barrier = {.expected = count, .pending = count};
  firstOffset = std::min(firstOffset, offset);
  lastOffset = std::max(lastOffset, offset);
  if (block.cluster->observer)
    block.cluster->observer->mbarrierBegin(block, offset);
  update(offset, barrier);
  return true;
}

bool MemoryBarriers::invalidate(const Origin &origin, uint32_t offset) {
  if (!look(origin, offset))
    return false;
  barriers.erase(offset);
  ++changeCount;
  return true;
}

bool MemoryBarriers::addTransactions(const Origin &origin, uint32_t offset, MemoryBarrier &barrier,
                                     int64_t transactions) {
  barrier.transactions += transactions;
  if (std::abs(barrier.transactions) <= MemoryBarrier::maximumTransactions)
    return true;
  report(origin, offset,
         fmt::format("the mbarrier at {} would wait for {} bytes, at most {} can be counted",
                     placeShared(block, offset), barrier.transactions,
                     MemoryBarrier::maximumTransactions));
  barrier.transactions -= transactions;
  return false;
}

bool MemoryBarriers::arrive(const Origin &origin, uint32_t offset, uint32_t count,
                            int64_t transactions, bool drop, bool completes, uint64_t *token,
                            MemoryOrder order) {
  MemoryBarrier *barrier = look(origin, offset);
  if (!barrier)
    return false;
  if (token)
    *token = barrier->token();
  if (count < 1 || count > barrier->pending) {
    report(origin, offset,
           fmt::format("{} arrivals at the mbarrier at {}, whose phase {} waits for {} of {}",
                       count, placeShared(block, offset), barrier->phase, barrier->pending,
                       barrier->expected));
    return false;
  }
  if (!completes && count == barrier->pending) {
    report(origin, offset,
           fmt::format(".noComplete, but it would complete phase {} of the mbarrier at {}",
                       barrier->phase, placeShared(block, offset)));
    return false;
  }
  if (!addTransactions(origin, offset, *barrier, transactions))
    return false;
  if (ClusterObserver *observer = block.cluster->observer.get())
    observer->mbarrierArrive(*origin.warp, origin.lane, block, offset, order);
  barrier->pending -= count;
  if (drop)
    barrier->expected -= count;
  update(offset, *barrier);
  return true;
}

bool MemoryBarriers::expect(const Origin &origin, uint32_t offset, int64_t transactions) {
  MemoryBarrier *barrier = look(origin, offset);
  if (!barrier || !addTransactions(origin, offset, *barrier, transactions))
    return false;
  update(offset, *barrier);
  return true;
}

bool MemoryBarriers::complete(const Origin &origin, uint32_t offset, int64_t transactions) {
  return expect(origin, offset, -transactions);
}

bool MemoryBarriers::addPending(const Origin &origin, uint32_t offset) {
  MemoryBarrier *barrier = look(origin, offset);
  if (!barrier)
    return false;
  if (barrier->pending == MemoryBarrier::maximumCount) {
    report(origin, offset, "more arrivals are pending than can be counted");
    return false;
  }
  ++barrier->pending;
  update(offset, *barrier);
  return true;
}

std::optional<uint32_t> MemoryBarriers::overlapping(uint32_t offset, uint32_t bytes) const {
  if (barriers.empty() || offset >= lastOffset + 8 || offset + bytes <= firstOffset)
    return std::nullopt;
  for (uint32_t at = offset / 8 * 8; at < offset + bytes; at += 8)
    if (barriers.contains(at))
      return at;
  return std::nullopt;
}

std::string MemoryBarriers::describe() const {
  std::string text;
  for (const auto &[offset, barrier] : barriers)
    text += fmt::format("{}mbarrier {:#x} ({}): phase {} waits for {} of {} arrivals and {} bytes",
                        text.empty() ? "" : "; ", offset, nameShared(block, offset), barrier.phase,
                        barrier.pending, barrier.expected, barrier.transactions);
  return text;
}

} // namespace ingot::emulator
