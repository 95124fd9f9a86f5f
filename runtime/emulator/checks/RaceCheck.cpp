#include "runtime/emulator/checks/RaceCheck.h"
#include <algorithm>

namespace ingot::emulator {

bool RaceCheck::partOf(const Entry &piece, const Entry &other, int lane, Entry &part) {
  part = piece;
  part.begin = std::max(piece.begin, other.begin);
  part.end = std::min(piece.end, other.end);
  if (piece.shift != Entry::together) {
    const int first = (lane - piece.firstLane) << piece.shift;
    part.begin = uint8_t(std::max<int>(part.begin, first));
    part.end = uint8_t(std::min<int>(part.end, first + (1 << piece.shift)));
  }
  return part.begin < part.end;
}

std::pair<int, int> RaceCheck::lanesOf(const Entry &piece) {
  if (piece.shift == Entry::together)
    return {piece.firstLane, piece.firstLane + piece.lanes - 1};
  return {piece.laneOf(piece.begin), piece.laneOf(piece.end - 1u)};
}

bool RaceCheck::isRace(const Entry &other, const Entry &piece, int &lane) const {
  if (common.knows(other) || other.sameThreads(piece))
    return false;
  if (other.has(Entry::strong) && piece.has(Entry::strong)) {
    const Scope distance = clocks.distanceOf(warp, other);
    if (other.scope() >= distance && piece.scope() >= distance)
      return false;
  }
  // A loop of compare-and-swap begins with a guess, which a plain load may well make.
  const auto guesses = [](const Entry &read, const Entry &update) {
    return !read.has(Entry::writes) && !read.has(Entry::strong) && update.has(Entry::swaps);
  };
  if (guesses(other, piece) || guesses(piece, other))
    return false;
  const auto [first, last] = lanesOf(piece);
  for (int each = first; each <= last; ++each) {
    Entry part;
    if (!partOf(piece, other, each, part) || clocks.knows(warp, each, other, part))
      continue;
    lane = each;
    return true;
  }
  return false;
}

std::optional<uint8_t> RaceCheck::storedBy(int lane, uint64_t address) const {
  const StoredValues &values = access.values;
  if ((!values.data && !values.count) || !(access.mask >> lane & 1) ||
      address - access.addresses[lane] >= access.bytes)
    return std::nullopt;
  const uint64_t offset = address - access.addresses[lane];
  if (values.data)
    return uint8_t(values.data[offset]);
  const uint64_t element = offset / values.elementBytes, byte = offset % values.elementBytes;
  // 16 bytes are two rows of 64 bits.
  return uint8_t(elementOf(lane, element)[byte / 8 * lanes * 8 + byte % 8]);
}

const std::byte *RaceCheck::elementOf(int lane, uint64_t element) const {
  const StoredValues &values = access.values;
  const uint32_t bytes = std::min(values.registerBytes, 8u);
  return warp.registers + values.slots[element] + uint64_t(lane) * bytes;
}

bool RaceCheck::perform(const Entry &piece, uint64_t address, std::byte *memory) const {
  const StoredValues &values = access.values;
  if (access.kind != Access::Kind::Write || access.order.strong() || !values.count)
    return false;
  const auto [first, last] = lanesOf(piece);
  for (int lane = first; lane <= last; ++lane) {
    std::byte *to = memory + (access.addresses[lane] - address);
    for (uint64_t element = 0; element < values.count; ++element, to += values.elementBytes) {
      const std::byte *from = elementOf(lane, element);
      copyRelaxed(to, from, std::min(values.elementBytes, 8u));
      if (values.elementBytes == 16)
        copyRelaxed(to + 8, from + lanes * 8, 8);
    }
  }
  return true;
}

uint64_t RaceCheck::valueAt(int lane, uint64_t address) const {
  const uint64_t bytes = access.values.data ? 4 : std::min<uint64_t>(access.values.elementBytes, 8);
  uint64_t value = 0;
  for (uint64_t i = 0; i < bytes; ++i)
    value |= uint64_t(storedBy(lane, address + i).value_or(0)) << 8 * i;
  return value;
}

bool RaceCheck::storesWhatIsThere(const Entry &other, const Entry &piece, uint64_t address,
                                  const std::byte *memory) const {
  if (access.kind != Access::Kind::Write && access.kind != Access::Kind::AsyncWrite)
    return false;
  if (!other.has(Entry::writes) || other.has(Entry::strong) || piece.has(Entry::strong))
    return false;
  const bool atOnce = other.cluster == piece.cluster && other.slot == piece.slot;
  const bool isThere = memory && !other.has(Entry::later | Entry::async);
  for (uint32_t byte = std::max(piece.begin, other.begin); byte < std::min(piece.end, other.end);
       ++byte) {
    const uint64_t at = address + byte;
    const auto ours = storedBy(piece.laneOf(byte), at);
    if (!ours)
      return false;
    std::optional<uint8_t> theirs;
    if (atOnce && other.clock == piece.clock && !access.values.data)
      theirs = storedBy(other.laneOf(byte), at);
    if (atOnce && access.values.data && issued)
      for (const IssuedStore &store : *issued)
        if (store.warp == &warp && store.executed == warp.executed &&
            at - store.address < store.bytes)
          theirs = uint8_t(store.data[at - store.address]);
    if (!theirs && isThere)
      theirs = __atomic_load_n(reinterpret_cast<const uint8_t *>(memory) + byte, __ATOMIC_RELAXED);
    if (theirs != ours)
      return false;
  }
  return true;
}

std::optional<RaceCheck::Collision> RaceCheck::find(const Line &line, Entry piece, uint64_t address,
                                                    const std::byte *memory) const {
  std::optional<Collision> found;
  line.forOverlapping(piece, [&](const Entry &other) {
    int lane = 0;
    if (!isRace(other, piece, lane))
      return false;
    const bool same = storesWhatIsThere(other, piece, address, memory);
    if (found && same)
      return false;
    uint32_t byte = std::max(piece.begin, other.begin);
    if (Entry part; partOf(piece, other, lane, part))
      byte = part.begin;
    found = {other, byte, lane, same, same ? valueAt(lane, address + byte) : 0};
    return !same;
  });
  return found;
}

std::optional<RaceCheck::Collision> RaceCheck::withinRun(const Run &run) const {
  if (access.kind != Access::Kind::Write || access.order.strong() || access.collective)
    return std::nullopt;
  Collision collision;
  collision.lane = run.firstLane + 1;
  collision.sameValue = true;
  collision.other = clocks.entryOf(warp);
  collision.other.flags = Entry::writes;
  collision.other.firstLane = int8_t(run.firstLane);
  for (int lane = run.firstLane + 1; lane < run.firstLane + run.lanes; ++lane)
    for (uint32_t byte = 0; byte < access.bytes && collision.sameValue; ++byte) {
      const auto first = storedBy(run.firstLane, run.address + byte);
      if (first && first == storedBy(lane, run.address + byte))
        continue;
      collision.sameValue = false;
      collision.lane = lane;
    }
  collision.value = valueAt(run.firstLane, run.address);
  return collision;
}

std::optional<RaceCheck::Collision> RaceCheck::unfenced(const Line &line, const Entry &piece,
                                                        Known kind) const {
  std::optional<Collision> found;
  line.forOverlapping(piece, [&](const Entry &other) {
    if (other.has(Entry::async))
      return false;
    const bool single = piece.shift == Entry::together;
    const int first = single ? piece.firstLane : piece.laneOf(piece.begin);
    Entry part;
    if (!partOf(piece, other, first, part) || clocks.knows(warp, first, other, part, kind))
      return false;
    found = {other, part.begin, first, false, 0};
    return true;
  });
  return found;
}

std::string RaceCheck::describe(const Collision &collision, bool withBlock) const {
  const std::string name = clocks.nameOf(collision.other, collision.byte, withBlock);
  if (collision.sameValue)
    return fmt::format("where {} stores the same value, {:#x} with nothing to order the two", name,
                       collision.value);
  return fmt::format("which {} {}{}", name, collision.other.has(Entry::writes) ? "writes" : "reads",
                     isUnawaited(collision) ? ": this thread does not know of the wait for it"
                                            : " with nothing to order the two");
}

} // namespace ingot::emulator
