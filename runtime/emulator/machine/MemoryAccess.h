/// From the addresses of a warp's lanes to host memory, with exact bounds.
#pragma once
#include "runtime/emulator/machine/Decoder.h"
#include "runtime/emulator/machine/Machine.h"

namespace ingot::emulator {

/// Addresses of all lanes; those of inactive lanes are that of the first active one, so that all 32
/// may be computed with.
struct LaneAddresses {
  uint64_t value[lanes];
};

/// slots[`slot`] + offset for every lane.
LaneAddresses laneAddresses(Warp &warp, Slot base, bool wide, int64_t offset, uint32_t mask);

/// Where an access lies. `ok` lanes are inside of what they may touch; the others have been
/// reported and must be left out (loads give 0).
struct Resolved {
  uint32_t ok = 0;
  bool together = false;      ///< all lanes lie in one range:
  std::byte *base = nullptr;  ///< the host address of
  uint64_t origin = 0;        ///< this address
  const Runs *runs = nullptr; ///< of the lanes then, if they are known
  std::byte *pointers[lanes]; ///< if not together

  std::byte *at(const LaneAddresses &addresses, int lane) const {
    return together ? base + (addresses.value[lane] - origin) : pointers[lane];
  }
};

struct AccessRequest {
  Space space = Space::Generic;
  Access::Kind kind = Access::Kind::Read;
  uint32_t bytes = 4;     ///< of each lane
  uint32_t alignment = 4; ///< that the ISA demands
  MemoryOrder order = {};
  bool localParameter = false; ///< a .param variable of a function: local memory
  bool nonCoherent = false;    ///< see Access, as the next
  bool collective = false;
  StoredValues values = {};
};

/// Checks bounds and alignment, tells the observer, finds the host memory. Addresses of .shared are
/// 32-bit ones, with the block's rank in its cluster in the top byte.
void resolve(Warp &warp, const Instruction &instruction, uint32_t mask,
             const AccessRequest &request, const LaneAddresses &addresses, Resolved &result);

/// One lane's generic address, for what reads strings and the like; null if out of bounds,
/// unreported.
std::byte *resolveGeneric(Warp &warp, int lane, uint64_t address, uint64_t bytes);

/// Takes a state space from the modifiers (".shared::cta", ".global", …); Generic if there is none.
Space takeSpaceModifier(Decoder &decoder);
/// Takes cache operators and eviction priorities, which have no effect here. True if a cache-hint
/// operand follows at the end.
bool takeCacheModifiers(Decoder &decoder);
/// Takes .weak, .volatile, .relaxed, .acquire, .release, .acq_rel, .mmio and the scope. `otherwise`
/// is the order of an instruction that names none.
MemoryOrder takeOrder(Decoder &decoder, Order otherwise = Order::Weak);
Scope takeScope(Decoder &decoder); ///< .cta, .cluster, .gpu, .sys; the device if there is none

// For findings: "byte 3 of 'tile'", "byte 0 behind the end of 'tile' (64 bytes)".

std::string nameShared(const Block &block, int64_t offset);
/// "shared address 0x10 (byte 0 of 'full')"
std::string placeShared(const Block &block, int64_t offset);
std::string nameLocal(const Frame &frame, int64_t offset);
std::string nameParameter(const CompiledKernel &kernel, int64_t offset);

} // namespace ingot::emulator
