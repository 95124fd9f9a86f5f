/// What asynchronous instructions share: where they come from, and checked ranges of memory.
#pragma once
#include "runtime/emulator/machine/Decoder.h"
#include "runtime/emulator/machine/Machine.h"

namespace ingot::emulator {

/// One lane's execution of an instruction. What goes on by itself keeps it to report later.
struct Origin {
  Warp *warp = nullptr;
  Frame *frame = nullptr;
  const Instruction *instruction = nullptr;
  int lane = 0;

  static Origin of(Warp &warp, const Instruction &instruction, int lane) {
    return {&warp, warp.frame, &instruction, lane};
  }
  void report(CheckName check, std::string message, uint64_t address = 0) const;
  Block &block() const { return *warp->block; }
};

/// Shared addresses have the rank of their block in the cluster in the upper byte.
inline constexpr int clusterRankShift = 24;
constexpr uint32_t sharedOffset(uint32_t address) {
  return address & ((1u << clusterRankShift) - 1);
}
/// The same place in another block.
constexpr uint32_t mapToRank(uint32_t address, uint32_t rank) {
  return sharedOffset(address) | rank << clusterRankShift;
}
/// The block whose memory a shared address means; null if the cluster has no such rank.
Block *blockOfShared(Block &own, uint32_t address);

/// [base + offset] of an instruction, with the space that its modifiers name.
struct MemoryOperand {
  Address address;
  Space space = Space::Generic;

  static MemoryOperand decode(Decoder &decoder, Space space);
  static MemoryOperand decode(Decoder &decoder, const ptx::Operand &operand, Space space);
  /// The address in its own space.
  uint64_t of(const Warp &warp, int lane) const;
  /// As a shared address (of the cluster); reports a generic address outside of shared memory.
  bool shared(const Origin &origin, uint32_t &result) const;
};

/// Host memory of a range, after checking bounds and alignment and telling the observer; null after
/// a report. Alignment is a power of two. `like` is what the observer is told beside the range.
std::byte *sharedRange(const Origin &origin, uint32_t address, uint32_t bytes, uint32_t alignment,
                       const Access &like);
std::byte *globalRange(const Origin &origin, uint64_t address, uint64_t bytes, uint32_t alignment,
                       const Access &like);
/// An access of the kind, and nothing more to say about it.
inline Access accessOf(Access::Kind kind) {
  Access access;
  access.kind = kind;
  return access;
}

/// All 32 lanes of the warp must run the instruction (`.sync.aligned`). False: the handler returns,
/// because lanes are missing (which is reported) or others have to come first.
bool wholeWarp(Warp &warp, const Instruction &instruction, uint32_t mask);

/// The value of a 16-, 32- or 64-bit register.
inline uint32_t lane32(Warp &warp, Slot slot, int lane) { return warp.reg<uint32_t>(slot)[lane]; }
inline uint64_t lane64(Warp &warp, Slot slot, int lane) { return warp.reg<uint64_t>(slot)[lane]; }

/// Calls `visit(lane)` for the lanes of a mask.
template <typename Visit> void forLanes(uint32_t mask, Visit visit) {
  for (; mask; mask &= mask - 1)
    visit(std::countr_zero(mask));
}

} // namespace ingot::emulator
