#include "runtime/emulator/checks/GlobalChecks.h"
#include <bit>
#include <cstring>
#include <mutex>
#include <sys/mman.h>

namespace ingot::emulator {
namespace {

constexpr uint64_t lockBytes = 4096;

} // namespace

GlobalChecks::GlobalChecks(const CheckOptions &options, const LaunchRequest &request)
    : options(options), grid(request.grid),
      synchronised(options.globalRaces ? request.grid.count() + 1 : 0) {}

GlobalChecks::~GlobalChecks() {
  for (auto &[allocation, memory] : cells)
    if (memory.first)
      munmap(memory.first, memory.second);
}

uint32_t GlobalChecks::numberOf(const Block &block) const {
  return (block.index.z * grid.y + block.index.y) * grid.x + block.index.x + 1;
}

void GlobalChecks::synchronise(const Block &block) {
  if (options.globalRaces)
    synchronised[numberOf(block)] = ++time;
}

GlobalCell *GlobalChecks::cellsOf(const Allocation &allocation) {
  {
    std::shared_lock lock(mutex);
    if (auto known = cells.find(&allocation); known != cells.end())
      return known->second.first;
  }
  std::unique_lock lock(mutex);
  auto [known, isNew] = cells.try_emplace(&allocation);
  if (isNew) {
    // Zero pages are cells that nobody has accessed.
    const size_t bytes = (allocation.bytes / 4 + 2) * sizeof(GlobalCell);
    void *pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    known->second = {pages == MAP_FAILED ? nullptr : static_cast<GlobalCell *>(pages), bytes};
  }
  return known->second.first;
}

void GlobalChecks::unwritten(Warp &warp, const Instruction &instruction, const Access &access,
                             const Allocation &allocation, bool writes) {
  const uint8_t *end = allocation.written + allocation.bytes;
  for (uint32_t left = access.mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    uint8_t *first = allocation.written + (access.addresses[lane] - allocation.address);
    if (first + access.bytes > end)
      continue; // in a neighbour; its own lanes report it
    if (!writes && std::memchr(first, 0, access.bytes)) {
      const uint64_t address = access.addresses[lane];
      warp.report(instruction, uint32_t(1) << lane, "uninitialised-memory",
                  fmt::format("reads {} bytes at {:#x} that nobody has written{}", access.bytes,
                              address, warp.launch->memory.describe(address)),
                  address);
      return;
    }
    if (access.kind != Access::Kind::Read && access.kind != Access::Kind::AsyncRead)
      std::memset(first, 1, access.bytes);
  }
}

std::string GlobalChecks::collisionOf(const GlobalCell &cell, const CellAccess &access,
                                      uint32_t self, const BlockClocks &clocks) const {
  const uint32_t mine = synchronised[self].load(std::memory_order_acquire);
  const auto ordered = [&](uint32_t who, uint32_t when) {
    return mine > when && (who == GlobalCell::several || synchronised[who].load() > when);
  };
  const auto name = [&](uint32_t who) {
    return who == GlobalCell::several
               ? std::string("another block")
               : fmt::format("block ({}, {}, {})", (who - 1) % grid.x, (who - 1) / grid.x % grid.y,
                             (who - 1) / grid.x / grid.y);
  };
  const bool foreignWrite =
      cell.writeBlock && cell.writeBlock != self && (cell.access.written & access.bytes);
  const bool foreignRead = access.writes && cell.readBlock && cell.readBlock != self &&
                           !(cell.access.flags & AccessCell::partlyRead);
  if (foreignWrite && !ordered(cell.writeBlock, cell.writeTime))
    return name(cell.writeBlock) + " writes";
  if (foreignRead && !ordered(cell.readBlock, cell.readTime))
    return name(cell.readBlock) + " reads";
  AccessCell own = cell.access;
  if (cell.writeBlock != self)
    own.writeClock = 0;
  if (cell.readBlock != self)
    own.readers = 0;
  const Collision collision = collide(own, clocks, access);
  if (collision.kind == Collision::Kind::None)
    return {};
  return fmt::format("warp {} of the same block {}", collision.thread / 32,
                     collision.kind == Collision::Kind::WithRead ? "reads" : "writes");
}

void GlobalChecks::rememberIn(GlobalCell &cell, const CellAccess &access, uint32_t self,
                              uint32_t now, const BlockClocks &clocks) {
  if (access.writes) {
    if (cell.writeBlock != self)
      cell.access.writeClock = 0;
    remember(cell.access, clocks, access);
    cell.writeBlock = self;
    cell.writeTime = now;
    cell.readBlock = 0;
    return;
  }
  cell.readTime = now;
  if (cell.readBlock == self || cell.readBlock == 0) {
    if (cell.readBlock == 0)
      cell.access.readers = 0, cell.access.flags = 0;
    remember(cell.access, clocks, access);
    cell.readBlock = self;
    return;
  }
  cell.readBlock = GlobalCell::several;
  if (access.bytes != 15)
    cell.access.flags |= AccessCell::partlyRead;
}

void GlobalChecks::access(Warp &warp, const Instruction &instruction, const Access &access,
                          BlockClocks &clocks, bool reduces, Recent &recent) {
  const Block &block = *warp.block;
  const uint32_t self = options.globalRaces ? numberOf(block) : 0, number = uint32_t(warp.index);
  const bool synchronises = access.kind == Access::Kind::Atomic || access.ordered;
  const int firstLane = std::countr_zero(access.mask);
  const Extent *extent = warp.launch->memory.find(access.addresses[firstLane]);
  if (!extent)
    return;
  const Allocation &allocation = *extent->allocation;
  const bool writes = access.kind == Access::Kind::Write || access.kind == Access::Kind::AsyncWrite;
  if (options.memory && allocation.written)
    unwritten(warp, instruction, access, allocation, writes);
  if (!options.globalRaces || reduces || allocation.kind == Allocation::Kind::Constant)
    return;
  if (synchronises) {
    clocks.publish(number);
    clocks.hear(number);
    synchronise(block);
    return; // and is no race by itself
  }
  if (recent.allocation != &allocation)
    recent = {&allocation, cellsOf(allocation)};
  GlobalCell *memory = recent.cells;
  if (!memory)
    return;
  const uint32_t now = time.load(std::memory_order_acquire);
  bool reported = false;
  std::atomic_flag *held = nullptr;
  const auto release = [&] {
    if (held)
      held->clear(std::memory_order_release);
    held = nullptr;
  };
  // What a warp writes is checked for all lanes, then remembered for all: they write together.
  // Reads are checked and remembered at once.
  for (int pass = 0; pass < (writes ? 2 : 1); ++pass)
    for (uint32_t left = access.mask; left; left &= left - 1) {
      const int lane = std::countr_zero(left);
      const uint64_t begin = access.addresses[lane] - allocation.address;
      const uint64_t end = begin + access.bytes;
      if (end > allocation.bytes)
        continue;
      for (uint64_t index = begin / 4; index * 4 < end; ++index) {
        std::atomic_flag &lock =
            locks[(allocation.address / lockBytes + index * 4 / lockBytes) % locks.size()];
        if (&lock != held) {
          release();
          while (lock.test_and_set(std::memory_order_acquire)) {
          }
          held = &lock;
        }
        GlobalCell &cell = memory[index];
        const CellAccess one{number, uint32_t(lane), coveredBytes(index, begin, end), writes};
        if (pass == 0 && !reported && (cell.writeBlock || (writes && cell.readBlock))) {
          const std::string other = collisionOf(cell, one, self, clocks);
          if (!other.empty()) {
            reported = true;
            const uint64_t address = allocation.address + std::max(begin, index * 4);
            warp.report(instruction, uint32_t(1) << lane, "global-race",
                        fmt::format("{} {:#x}{}, which {} with nothing to order the two",
                                    writes ? "writes" : "reads", address,
                                    warp.launch->memory.describe(address), other),
                        address);
          }
        }
        if (pass == 1 || !writes)
          rememberIn(cell, one, self, now, clocks);
      }
    }
  release();
}

} // namespace ingot::emulator
