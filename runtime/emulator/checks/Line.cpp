#include "runtime/emulator/checks/Line.h"
#include "runtime/emulator/arithmetic/VectorClones.h"
#include <algorithm>

namespace ingot::emulator {

bool Entry::sameThreads(const Entry &other) const {
  if (slot != other.slot || cluster != other.cluster)
    return false;
  if (shift == other.shift && shift != together)
    return firstLane == other.firstLane;
  if ((shift == together && lanes > 1) || (other.shift == together && other.lanes > 1))
    return false;
  for (uint32_t byte = std::max(begin, other.begin); byte < std::min(end, other.end); ++byte)
    if (laneOf(byte) != other.laneOf(byte))
      return false;
  return true;
}

void Line::add(Entry entry, EntryPool &pool) {
  if (!more)
    more = pool.make();
  more->entries.push_back(entry);
  ++entriesInMore;
  writesInMore += entry.has(Entry::writes);
  lanesOfMore |= bitOf(entry);
}

bool Line::extendMore(Entry access) {
  std::vector<Entry> &entries = more->entries;
  size_t at = more->recent;
  for (size_t i = 0; i < entries.size(); ++i, ++at) {
    if (at >= entries.size())
      at = 0;
    if (extend(entries[at], access)) {
      more->recent = at;
      return true;
    }
  }
  return false;
}

void Line::summarise() {
  lanesOfMore = 0;
  writesInMore = 0;
  entriesInMore = uint32_t(more->entries.size());
  for (const Entry &entry : more->entries) {
    writesInMore += entry.has(Entry::writes);
    lanesOfMore |= bitOf(entry);
  }
}

void Line::cut(const Entry &access, EntryPool &pool) {
  std::vector<Entry> rest; // behind a cut in the middle
  const auto trim = [&](Entry &entry) {
    if (!entry.clock || !entry.overlaps(access))
      return;
    // A strong write is no race with others, but a weak one before it may be.
    if (access.has(Entry::strong) && entry.has(Entry::writes) && !entry.has(Entry::strong))
      return;
    const bool before = entry.begin < access.begin, behind = access.end < entry.end;
    if (before && behind) {
      rest.push_back(entry);
      rest.back().begin = access.end;
    }
    if (before)
      entry.end = access.begin;
    else if (behind)
      entry.begin = access.end;
    else
      entry.clock = 0;
  };
  trim(write);
  trim(read);
  if (entriesInMore) {
    for (Entry &entry : more->entries)
      trim(entry);
    std::erase_if(more->entries, [](const Entry &entry) { return !entry.clock; });
    summarise();
  }
  for (const Entry &entry : rest)
    add(entry, pool);
}

void Line::rememberWrite(Entry access, EntryPool &pool) {
  cut(access, pool);
  if (!write.clock)
    write = access;
  else if (write.clock == access.clock && write.sameLanes(access) && write.end == access.begin)
    write.end = access.end;
  else
    add(access, pool);
}

namespace {

/// Lanes whose address is that of the lane before, and those `bytes` behind it.
INGOT_VECTOR_CLONES void compareNeighbours(const uint64_t *addresses, uint64_t bytes,
                                           uint32_t &same, uint32_t &beside) {
  uint32_t equal = 0, next = 0;
  for (int lane = 1; lane < lanes; ++lane) {
    const uint64_t distance = addresses[lane] - addresses[lane - 1];
    equal |= uint32_t(distance == 0) << lane;
    next |= uint32_t(distance == bytes) << lane;
  }
  same = equal;
  beside = next;
}

INGOT_VECTOR_CLONES bool sameDistances(const uint64_t *addresses, const uint64_t *distances) {
  uint64_t other = 0;
  for (int lane = 0; lane < lanes; ++lane)
    other |= (addresses[lane] - addresses[0]) ^ distances[lane];
  return !other;
}

} // namespace

bool RecentRuns::fits(const Shape &shape, const uint64_t *addresses) {
  return sameDistances(addresses, shape.distances);
}

const Runs &RecentRuns::make(Shape &shape, const Access &access) {
  shape.mask = access.mask;
  shape.bytes = access.bytes;
  shape.first = access.addresses[0];
  for (int lane = 0; lane < lanes; ++lane)
    shape.distances[lane] = access.addresses[lane] - shape.first;
  shape.runs = Runs(access);
  return shape.runs;
}

Runs::Runs(const Access &access) {
  const uint64_t *addresses = access.addresses;
  uint32_t same, beside;
  compareNeighbours(addresses, access.bytes, same, beside);
  constexpr uint32_t allButFirst = ~uint32_t(1);
  if (access.mask == allLanes && beside == allButFirst)
    pattern = LanePattern::SideBySide;
  else if (access.mask == allLanes && same == allButFirst)
    pattern = LanePattern::Together;
  for (uint32_t left = access.mask; left;) {
    const int first = std::countr_zero(left);
    // Lanes that follow the first one without a gap.
    const auto follow = [&](uint32_t alike) {
      return std::countr_one(uint64_t(left & alike) >> (first + 1));
    };
    const int equal = follow(same), next = follow(beside);
    const int more = std::max(equal, next);
    runs[count++] = {addresses[first], access.bytes * uint32_t(equal ? 1 : 1 + next), first,
                     1 + more, equal > 0};
    left &= ~uint32_t(((uint64_t(2) << more) - 1) << first);
  }
}

} // namespace ingot::emulator
