#include "runtime/emulator/checks/SharedChecks.h"
#include "runtime/emulator/machine/MemoryAccess.h"
#include <bit>

namespace ingot::emulator {

void SharedChecks::begin(Block &owner, const CheckOptions &chosen) {
  block = &owner;
  options = chosen;
  clocks.begin(uint32_t(owner.warps.size()));
  cells.assign(options.sharedRaces ? owner.shared.size() / 4 + 1 : 0, AccessCell());
  defined.assign(options.memory ? owner.shared.size() : 0, 1);
  if (!options.memory)
    return;
  // What belongs to no variable of the program is the system's.
  const CompiledKernel &kernel = *owner.launch->request.kernel;
  for (const SharedVariable &variable : kernel.shared)
    std::fill_n(defined.begin() + variable.offset,
                variable.variable->bytes ? variable.variable->bytes
                                         : owner.launch->request.dynamicSharedBytes,
                0);
}

uint32_t SharedChecks::offsetOf(const Access &access, int lane) {
  return uint32_t(access.addresses[lane] - sharedWindow) & ((1u << 24) - 1);
}

std::string SharedChecks::threadName(uint32_t thread) const {
  const Dim3 index = block->warps[thread / 32]->threadOf(int(thread % 32));
  return fmt::format("thread ({}, {}, {})", index.x, index.y, index.z);
}

void SharedChecks::report(Warp &warp, const Instruction &instruction, int lane, CheckName check,
                          std::string message, uint32_t offset) const {
  warp.report(instruction, uint32_t(1) << lane, check, std::move(message), sharedWindow + offset);
}

void SharedChecks::access(Warp &warp, const Instruction &instruction, const Access &access) {
  const uint32_t number = uint32_t(warp.index);
  const bool async =
      access.kind == Access::Kind::AsyncRead || access.kind == Access::Kind::AsyncWrite;
  const bool writes = access.kind == Access::Kind::Write || access.kind == Access::Kind::AsyncWrite;
  if (options.memory)
    for (uint32_t left = access.mask; left; left &= left - 1) {
      const int lane = std::countr_zero(left);
      const auto first = defined.begin() + offsetOf(access, lane);
      // Nothing of it: copies of structures read their gaps, too.
      if (!writes && std::none_of(first, first + access.bytes, [](uint8_t d) { return d; }))
        report(warp, instruction, lane, "uninitialised-memory",
               nameShared(*block, offsetOf(access, lane)) + " has not been written",
               offsetOf(access, lane));
      if (writes || access.kind == Access::Kind::Atomic)
        std::fill(first, first + access.bytes, 1);
    }
  if (!options.sharedRaces || async || warp.block != block)
    return; // copies are races only once somebody has waited for them, see `copied`
  const bool ordered = access.kind == Access::Kind::Atomic || access.ordered;
  if (ordered) {
    clocks.publish(number);
    clocks.hear(number);
    if (access.ordered)
      return;
  }
  for (uint32_t left = access.mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    const uint32_t begin = offsetOf(access, lane), end = begin + access.bytes;
    for (uint32_t cell = begin / 4; cell * 4 < end; ++cell) {
      const CellAccess one{number, uint32_t(lane), coveredBytes(cell, begin, end), writes};
      const Collision collision = collide(cells[cell], clocks, one);
      if (collision.kind == Collision::Kind::None)
        continue;
      const bool withRead = collision.kind == Collision::Kind::WithRead;
      report(warp, instruction, lane, "shared-race",
             fmt::format("{} {}, which {} {} with no barrier between", writes ? "writes" : "reads",
                         nameShared(*block, std::max(begin, cell * 4)),
                         withRead ? fmt::format("warp {}", collision.thread / 32)
                                  : threadName(collision.thread),
                         withRead ? "reads" : "writes"),
             std::max(begin, cell * 4));
      left = 1; // one finding an access
      break;
    }
  }
  if (ordered)
    return;
  for (uint32_t left = access.mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    const uint32_t begin = offsetOf(access, lane), end = begin + access.bytes;
    for (uint32_t cell = begin / 4; cell * 4 < end; ++cell)
      remember(cells[cell], clocks,
               {number, uint32_t(lane), coveredBytes(cell, begin, end), writes});
  }
}

void SharedChecks::copied(uint32_t warp, uint32_t offset, uint32_t bytes) {
  if (!options.sharedRaces)
    return;
  for (uint32_t cell = offset / 4; cell * 4 < offset + bytes; ++cell)
    remember(cells[cell], clocks, {warp, 0, coveredBytes(cell, offset, offset + bytes), true});
  clocks.meet(warp); // which lane it was does not matter
}

void SharedChecks::forget(uint32_t offset, uint32_t bytes) {
  if (options.sharedRaces)
    for (uint32_t cell = offset / 4; cell * 4 < offset + bytes; ++cell)
      cells[cell] = AccessCell();
}

void SharedChecks::effect(Warp &warp, const Instruction &instruction, Effect effect,
                          uint32_t mask) {
  const uint32_t number = uint32_t(warp.index);
  switch (effect) {
  case Effect::Barrier:
    if (warp.resumed)
      clocks.leave(int(warp.reg<uint32_t>(instruction.slots[0])[std::countr_zero(mask)]) & 15,
                   number);
    else
      clocks.publish(number);
    break;
  case Effect::BlockSync:
  case Effect::DeviceSync:
    if (!warp.resumed)
      clocks.publish(number);
    clocks.hear(number);
    break;
  case Effect::CopyWait:
  case Effect::Reduction:
  case Effect::None:
    break;
  }
}

} // namespace ingot::emulator
