#include "runtime/program/AddressSpace.h"
#include "runtime/support/Align.h"
#include <algorithm>

namespace ingot {

Result<AddressSpace> AddressSpace::make(const Program &program, Store &store) {
  INGOT_ASSIGN(const std::vector<PersistentGroup> groups, persistentGroups(program));
  INGOT_ASSIGN(const std::vector<uint8_t *> places, store.admit(groups));
  AddressSpace space;
  space.persistentBytes = program.persistentBytes;
  space.transientBytes = program.arenaBytes - program.persistentBytes;
  for (size_t i = 0; i < groups.size(); ++i) {
    space.stretches.push_back({groups[i].first, groups[i].end, places[i]});
    space.ownBytes += places[i] ? 0 : alignedTo(64, groups[i].end - groups[i].first);
  }
  return space;
}

void AddressSpace::place(uint8_t *constants, uint8_t *newArena) {
  arena = newArena;
  for (Stretch &stretch : stretches)
    if (!stretch.memory) {
      stretch.memory = constants;
      constants += alignedTo(64, stretch.end - stretch.first);
    }
}

uint8_t *AddressSpace::at(int64_t offset) const {
  if (offset >= persistentBytes)
    return arena + (offset - persistentBytes);
  auto after = std::ranges::upper_bound(stretches, offset, {}, &Stretch::first);
  if (after == stretches.begin() || std::prev(after)->end <= offset)
    return nullptr;
  return std::prev(after)->memory + (offset - std::prev(after)->first);
}

} // namespace ingot
