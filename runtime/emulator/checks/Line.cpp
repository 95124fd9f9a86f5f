#include "runtime/emulator/checks/Line.h"
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
  if (more->entries.size() == more->entries.capacity())
    more->entries.reserve(std::max<size_t>(8, 3 * more->entries.size()));
  more->entries.push_back(entry);
  more->whoIsThere.set(placeOf(entry));
  ++entriesInMore;
  writesInMore += entry.has(Entry::writes);
  lanesOfMore |= bitOf(entry);
}

bool Line::extendMore(Entry access) {
  if (!more->whoIsThere.test(placeOf(access)))
    return false;
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
  more->whoIsThere.reset();
  writesInMore = 0;
  entriesInMore = uint32_t(more->entries.size());
  for (const Entry &entry : more->entries) {
    writesInMore += entry.has(Entry::writes);
    lanesOfMore |= bitOf(entry);
    more->whoIsThere.set(placeOf(entry));
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

} // namespace ingot::emulator
