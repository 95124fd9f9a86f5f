/// What is remembered of 128 bytes of memory: who wrote and read which of them, and when.
#pragma once
#include "runtime/emulator/checks/Clocks.h"
#include "runtime/emulator/machine/Runs.h"
#include <array>
#include <bit>
#include <bitset>
#include <cstddef>
#include <cstdlib>
#include <deque>
#include <mutex>

namespace ingot::emulator {

inline constexpr uint32_t lineBytes = 128;

/// An access of neighbouring lanes to neighbouring bytes of one line, or of several lanes to the
/// same bytes.
struct Entry {
  uint32_t clock = 0; ///< of its slot; 0: none
  uint32_t cluster = 0;
  Slot16 slot = 0;
  uint8_t begin = 0, end = 0; ///< bytes of the line
  int8_t firstLane = 0;       ///< of byte 0, counted in pieces of `shift`; or of several lanes
  uint8_t lanes = 1;          ///< that access all of the bytes, if `shift` is `together`
  uint8_t shift = together;   ///< each lane has 1 << shift bytes
  uint8_t flags = 0;

  static constexpr uint8_t together = 255;
  static constexpr uint8_t writes = 1, strong = 2, async = 4, swaps = 8, scopeShift = 4;
  /// A write whose value need not be in memory yet.
  static constexpr uint8_t later = 64;

  bool has(uint8_t flag) const { return flags & flag; }
  Scope scope() const { return Scope(flags >> scopeShift & 3); }
  int laneOf(uint32_t byte) const {
    return shift == together ? firstLane : firstLane + int(byte >> shift);
  }
  bool overlaps(const Entry &other) const { return begin < other.end && other.begin < end; }
  /// All but the clock and the bytes is the same. Lists of entries are searched for it: two
  /// comparisons of words.
  bool sameLanes(const Entry &other) const {
    return whoWord() == other.whoWord() && cluster == other.cluster;
  }
  /// Slot, lanes and flags.
  uint64_t whoWord() const;
  /// One thread, the same for every byte that both touch.
  bool sameThreads(const Entry &other) const;
};
static_assert(sizeof(Entry) == 16 && offsetof(Entry, slot) == 8 && offsetof(Entry, begin) == 10);

inline uint64_t Entry::whoWord() const {
  return std::bit_cast<std::array<uint64_t, 2>>(*this)[1] & 0xffff'ffff'0000'ffff;
}

/// What does not fit into a line.
struct MoreEntries {
  std::vector<Entry> entries;
  size_t recent = 0;           ///< the last one that a read has extended; its next is likely near
  std::bitset<256> whoIsThere; ///< see hashOf; others may have the same bit
};

/// Owns it.
class EntryPool {
public:
  MoreEntries *make() {
    std::lock_guard lock(mutex);
    return &lists.emplace_back();
  }

private:
  std::mutex mutex;
  std::deque<MoreEntries> lists;
};

// Entries are passed by value: two registers, where memory would be written byte by byte and read
// at once as a whole.

/// Entries of writes cover disjoint bytes: the last one of each, the last weak one beside it. Reads
/// stay until a write to their bytes. Memory of zeros is a line that nobody has touched.
struct alignas(64) Line {
  Entry write, read;
  MoreEntries *more = nullptr;
  // Of `more`, which is far away in the host's memory:
  uint64_t lanesOfMore = 0;   ///< see bitOf; others may have the same bit
  uint32_t writesInMore = 0;  ///< entries
  uint32_t entriesInMore = 0; ///< all
  uint32_t nonCoherent = 0;   ///< words that ld.global.nc has read
  uint32_t written = 0;       ///< words that the launch has written

  /// Reads that are remembered of a line: of a line that more have read, these stand for the rest.
  static constexpr size_t mostEntries = 64;

  /// A read collides with nothing: the last write to its bytes comes before it.
  template <typename IsKnown> bool isQuiet(const Entry &read, IsKnown isKnown) const {
    return (!write.clock || !write.overlaps(read) || isKnown(write)) && !writesInMore;
  }
  /// Calls `visit(entry)` for what `access` may collide with: overlapping writes and, if it writes,
  /// reads. Stops when that returns true.
  template <typename Visit> bool forOverlapping(const Entry &access, Visit visit) const {
    const auto concerns = [&](const Entry &entry) {
      return entry.clock && entry.overlaps(access) &&
             (access.has(Entry::writes) || entry.has(Entry::writes));
    };
    if (concerns(write) && visit(write))
      return true;
    if (concerns(read) && visit(read))
      return true;
    if (writesInMore || (entriesInMore && access.has(Entry::writes)))
      for (const Entry &entry : more->entries)
        if (concerns(entry) && visit(entry))
          return true;
    return false;
  }
  /// `isKnown(entry)`: the access comes after it.
  template <typename IsKnown> void rememberRead(Entry access, EntryPool &pool, IsKnown isKnown) {
    if (extend(read, access))
      return;
    if (!read.clock) {
      read = access;
      return;
    }
    if ((lanesOfMore & bitOf(access)) && extendMore(access))
      return;
    if (entriesInMore >= mostEntries)
      return;
    if (entriesInMore % 8 == 7 && std::erase_if(more->entries, [&](const Entry &entry) {
          return !entry.has(Entry::writes) && access.begin <= entry.begin &&
                 entry.end <= access.end && isKnown(entry);
        }))
      summarise();
    if (access.begin <= read.begin && read.end <= access.end && isKnown(read))
      read = access;
    else
      add(access, pool);
  }
  void rememberWrite(Entry access, EntryPool &pool);

  /// Calls `visit(entry)` for all that is remembered.
  template <typename Visit> void forAll(Visit visit) const {
    for (const Entry &entry : {write, read})
      if (entry.clock)
        visit(entry);
    if (entriesInMore)
      for (const Entry &entry : more->entries)
        visit(entry);
  }

private:
  /// The same lanes have read the entry's bytes again, or their neighbours.
  static bool extend(Entry &entry, const Entry &access) {
    if (!entry.clock || !entry.sameLanes(access))
      return false;
    if (entry.clock == access.clock && access.begin <= entry.end && entry.begin <= access.end) {
      entry.begin = std::min(entry.begin, access.begin);
      entry.end = std::max(entry.end, access.end);
      return true;
    }
    if (access.begin > entry.begin || access.end < entry.end)
      return false;
    entry = access;
    return true;
  }
  bool extendMore(Entry access);
  static uint64_t hashOf(const Entry &entry) {
    return (entry.whoWord() ^ uint64_t(entry.cluster) << 16) * 0x9e3779b97f4a7c15u;
  }
  static uint64_t bitOf(const Entry &entry) { return uint64_t(1) << (hashOf(entry) >> 58); }
  /// Its bit in the list's own filter.
  static size_t placeOf(const Entry &entry) { return hashOf(entry) >> 40 & 255; }
  void add(Entry entry, EntryPool &pool);
  /// After entries of `more` have changed.
  void summarise();
  void cut(const Entry &access, EntryPool &pool);
};

/// A line for every 128 bytes of shared memory, or of an allocation.
class Lines {
public:
  Lines() = default;
  Lines(const Lines &) = delete;
  ~Lines() {
    std::free(memory);
    std::free(marks);
  }
  /// Memory that costs nothing until it is touched; false if there is none.
  bool allocate(uint64_t bytes) {
    size_t space = (bytes / lineBytes + 2) * sizeof(Line);
    void *first = memory = std::calloc(space, 1);
    count = bytes / lineBytes + 1;
    marks = static_cast<uint8_t *>(std::calloc(count / linesOfMark + 1, 1));
    if (memory)
      lines = static_cast<Line *>(std::align(alignof(Line), sizeof(Line), first, space));
    return lines && marks;
  }
  explicit operator bool() const { return lines && marks; }
  Line &operator[](uint64_t number) { return lines[number]; }
  /// A line that will be remembered, for `forTouched`.
  Line &touch(uint64_t number) {
    Line &line = lines[number];
    if (!line.write.clock && !line.read.clock)
      __atomic_store_n(&marks[number / linesOfMark], 1, __ATOMIC_RELAXED);
    return line;
  }
  /// Calls `visit(number, line)` for marked lines and their neighbours, in order.
  template <typename Visit> void forTouched(Visit visit) const {
    for (uint64_t block = 0; block * linesOfMark < count; ++block)
      for (uint64_t i = 0; marks[block] && i < linesOfMark && block * linesOfMark + i < count; ++i)
        visit(block * linesOfMark + i, lines[block * linesOfMark + i]);
  }

  EntryPool pool;

private:
  void *memory = nullptr;
  Line *lines = nullptr; ///< in it
  static constexpr uint64_t linesOfMark = 32;
  uint8_t *marks = nullptr; ///< one for so many lines
  uint64_t count = 0;       ///< of lines
};

/// Calls `visit(line number, entry)` for each line of a run; the entry's clock, cluster, slot and
/// flags are those of `like`. `address` counts from the start of the lines.
template <typename Visit>
void forLines(const Run &run, uint64_t address, uint32_t laneBytes, const Entry &like,
              Visit visit) {
  const bool single = run.together || run.lanes == 1;
  for (uint64_t at = address, end = address + run.bytes; at < end;) {
    const uint64_t line = at / lineBytes, next = std::min(end, (line + 1) * lineBytes);
    Entry entry = like;
    entry.begin = uint8_t(at % lineBytes);
    entry.end = uint8_t(next - line * lineBytes);
    if (single) {
      entry.firstLane = int8_t(run.firstLane);
      entry.lanes = uint8_t(run.lanes);
    } else {
      entry.shift = uint8_t(std::countr_zero(laneBytes));
      entry.firstLane = int8_t(run.firstLane + int((at - address) >> entry.shift) -
                               int(entry.begin >> entry.shift));
    }
    visit(line, entry);
    at = next;
  }
}

} // namespace ingot::emulator
