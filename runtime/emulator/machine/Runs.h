/// How the lanes of an access lie: runs of neighbours.
#pragma once
#include "runtime/emulator/machine/Code.h"
#include <cstddef>
#include <iterator>

namespace ingot::emulator {

/// Lanes of an access that go together: neighbours at neighbouring addresses, or at the same one.
struct Run {
  uint64_t address;
  uint32_t bytes; ///< of all lanes
  int firstLane, lanes;
  bool together; ///< all at the same address

  uint32_t mask() const { return uint32_t((uint64_t(1) << lanes) - 1) << firstLane; }
};

/// Where the lanes' addresses lie.
enum class LanePattern : uint8_t {
  Any,
  SideBySide, ///< all 32 lanes, each beside the one before
  Together,   ///< all 32 lanes at one address
};

/// The runs of an access; one for most. Addresses of inactive lanes are that of an active one.
class Runs {
public:
  Runs() = default;
  Runs(uint32_t mask, uint32_t bytes, const uint64_t *addresses);
  const Run *begin() const { return runs; }
  const Run *end() const { return runs + count; }
  int size() const { return count; }
  LanePattern pattern = LanePattern::Any;

  /// All lanes lie in [origin, origin + bytes) with `laneBytes` each and are aligned.
  bool inside(uint64_t origin, uint64_t bytes, uint64_t laneBytes, uint64_t alignment) const {
    const uint64_t last = bytes - laneBytes;
    return bytes >= laneBytes && low - origin <= last && high - low <= last - (low - origin) &&
           !((low | apart) & (alignment - 1));
  }
  void move(uint64_t distance) {
    low += distance;
    high += distance;
    for (int i = 0; i < count; ++i)
      runs[i].address += distance;
  }

private:
  Run runs[lanes];
  int count = 0;
  uint64_t low = 0, high = 0; ///< addresses of lanes
  uint64_t apart = 0;         ///< all bits of their distances from the lowest one
};

/// Runs of recent accesses. Loops access memory in the same shape again and again, from another
/// address on, or from another one with the same base register.
class RecentRuns {
public:
  /// Valid until the next call.
  const Runs &of(const Instruction &instruction, uint32_t mask, uint32_t bytes,
                 const uint64_t *addresses) {
    const uint32_t base = instruction.slots ? instruction.slots[0] / registerBytes : 0;
    Shape &shape = shapes[base % std::size(shapes)];
    if (shape.mask != mask || shape.bytes != bytes || !fits(shape, addresses))
      return make(shape, mask, bytes, addresses);
    const uint64_t moved = addresses[0] - shape.first;
    shape.first += moved;
    shape.runs.move(moved);
    return shape.runs;
  }

private:
  struct Shape {
    uint32_t mask = 0, bytes = 0;
    uint64_t first = 0;
    uint64_t distances[lanes]; ///< of all lanes from the first one
    Runs runs;
  };
  static bool fits(const Shape &shape, const uint64_t *addresses);
  static const Runs &make(Shape &shape, uint32_t mask, uint32_t bytes, const uint64_t *addresses);

  static constexpr uint32_t registerBytes = 4 * lanes; ///< of most

  Shape shapes[32];
};

} // namespace ingot::emulator
