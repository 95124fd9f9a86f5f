/// What a bulk copy does when it is issued.
///
/// Addresses, bounds and alignments are checked then; the bytes move later (see AsyncEngine.h). A
/// copy to several blocks (.multicast::cluster) is one copy for each of them.
#pragma once
#include "runtime/emulator/arithmetic/Reduction.h"
#include "runtime/emulator/machine/AsyncMemory.h"

namespace ingot::emulator {

/// Where a bulk copy goes.
enum class Direction : uint8_t {
  ToShared,   ///< global to shared memory of the cluster
  Across,     ///< own shared memory to the cluster's
  FromShared, ///< own shared memory to global
  Prefetch,
};

/// A decoded bulk copy.
struct Bulk {
  Direction direction = Direction::ToShared;
  MemoryOperand destination, source, barrier;
  MemoryOperand map;
  int rank = 0; ///< of a tensor; 0: a plain range
  bool im2col = false, fourRows = false;
  int coordinateCount = 0, offsetCount = 0;
  Slot coordinates[5] = {};
  Slot offsets[3] = {};
  Slot size = noSlot;
  Slot multicast = noSlot;
  Slot byteMask = noSlot;
  std::optional<ReductionOp> reduction;
  Type type = Type::None;
};

/// Begins the copies of one lane: of a plain range, of a tile of a tensor.
void startRange(const Origin &origin, const Bulk &bulk);
void startTile(const Origin &origin, const Bulk &bulk);

} // namespace ingot::emulator
