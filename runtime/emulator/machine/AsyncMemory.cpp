#include "runtime/emulator/machine/AsyncMemory.h"
#include "runtime/emulator/machine/MemoryAccess.h"

namespace ingot::emulator {

void Origin::report(CheckName check, std::string message, uint64_t address) const {
  Frame *running = warp->frame;
  warp->frame = frame;
  warp->report(*instruction, uint32_t(1) << lane, check, std::move(message), address);
  warp->frame = running;
}

Block *blockOfShared(Block &own, uint32_t address) {
  const uint32_t rank = address >> clusterRankShift;
  const auto &blocks = own.cluster->blocks;
  return rank < blocks.size() ? blocks[rank].get() : nullptr;
}

MemoryOperand MemoryOperand::decode(Decoder &decoder, Space space) {
  return {decoder.address(space), space};
}

MemoryOperand MemoryOperand::decode(Decoder &decoder, const ptx::Operand &operand, Space space) {
  return {decoder.address(operand, space), space};
}

uint64_t MemoryOperand::of(const Warp &warp, int lane) const {
  Warp &state = const_cast<Warp &>(warp); // registers are only read
  if (address.kernelParameter)
    return paramWindow + static_cast<uint64_t>(address.offset);
  const uint64_t base = address.base == noSlot ? 0
                        : address.wide         ? lane64(state, address.base, lane)
                                               : lane32(state, address.base, lane);
  return base + static_cast<uint64_t>(address.offset);
}

bool MemoryOperand::shared(const Origin &origin, uint32_t &result) const {
  uint64_t value = of(*origin.warp, origin.lane);
  if (space == Space::Generic) {
    if (spaceOf(value) != Space::Shared) {
      origin.report("out-of-bounds", fmt::format("{:#x} is no address of shared memory", value),
                    value);
      return false;
    }
    value -= sharedWindow;
  }
  result = static_cast<uint32_t>(value);
  return true;
}

namespace {

void tellObserver(const Origin &origin, Space space, uint64_t address, uint64_t bytes,
                  Access access) {
  if (!origin.warp->observer)
    return;
  uint64_t addresses[lanes] = {};
  addresses[origin.lane] = address;
  access.space = space;
  access.bytes = static_cast<uint32_t>(bytes);
  access.mask = uint32_t(1) << origin.lane;
  access.addresses = addresses;
  origin.warp->observer->access(*origin.warp, *origin.instruction, access);
}

std::string_view verb(Access::Kind kind) {
  return kind == Access::Kind::Read || kind == Access::Kind::AsyncRead ? "reads" : "writes";
}

} // namespace

std::byte *sharedRange(const Origin &origin, uint32_t address, uint32_t bytes, uint32_t alignment,
                       const Access &like) {
  Block *block = blockOfShared(origin.block(), address);
  const uint32_t offset = sharedOffset(address);
  if (!block) {
    origin.report("out-of-bounds",
                  fmt::format("shared address {:#x} names block {} of a cluster of {}", address,
                              address >> clusterRankShift, origin.block().cluster->blocks.size()),
                  address);
    return nullptr;
  }
  if (offset & (alignment - 1)) {
    origin.report("misaligned",
                  fmt::format("shared address {:#x} is not aligned to {} bytes: {}", address,
                              alignment, nameShared(*block, offset)),
                  address);
    return nullptr;
  }
  if (offset > block->shared.size() || bytes > block->shared.size() - offset) {
    origin.report("out-of-bounds",
                  fmt::format("{} {} bytes at shared address {:#x}; the block has {} bytes: {}",
                              verb(like.kind), bytes, offset, block->shared.size(),
                              nameShared(*block, offset)),
                  address);
    return nullptr;
  }
  tellObserver(origin, Space::Shared, sharedWindow + address, bytes, like);
  return block->shared.data() + offset;
}

std::byte *globalRange(const Origin &origin, uint64_t address, uint64_t bytes, uint32_t alignment,
                       const Access &like) {
  const GlobalMemory &memory = origin.warp->launch->memory;
  if (address & (alignment - 1)) {
    origin.report("misaligned",
                  fmt::format("address {:#x} is not aligned to {} bytes{}", address, alignment,
                              memory.describe(address)),
                  address);
    return nullptr;
  }
  const Extent *extent = memory.find(address);
  if (!extent || !extent->holds(address, bytes)) {
    origin.report(memory.wasFreed(address) ? CheckName("use-after-free")
                                           : CheckName("out-of-bounds"),
                  fmt::format("{} {} bytes at {:#x}{}", verb(like.kind), bytes, address,
                              memory.describe(address)),
                  address);
    return nullptr;
  }
  tellObserver(origin, Space::Global, address, bytes, like);
  return extent->host + (address - extent->address);
}

bool wholeWarp(Warp &warp, const Instruction &instruction, uint32_t mask) {
  if (!warp.converge(instruction, allLanes))
    return false;
  if (mask == allLanes)
    return true;
  warp.report(instruction, mask, "divergence",
              fmt::format("all 32 lanes must run this together, lanes {:08x} do", mask));
  return false;
}

} // namespace ingot::emulator
