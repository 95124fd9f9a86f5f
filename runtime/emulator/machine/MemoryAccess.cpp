#include "runtime/emulator/machine/MemoryAccess.h"
#include "runtime/emulator/machine/Lanes.h"

namespace ingot::emulator {
namespace {

template <typename T>
INGOT_INLINE void addressesOf(const T *base, int64_t offset, uint32_t mask, LaneAddresses &out) {
  for (int lane = 0; lane < lanes; ++lane)
    out.value[lane] = uint64_t(T(base[lane] + uint64_t(offset)));
  if (mask == allLanes)
    return;
  const uint64_t first = out.value[std::countr_zero(mask)];
  for (int lane = 0; lane < lanes; ++lane)
    out.value[lane] = mask >> lane & 1 ? out.value[lane] : first;
}

/// Whether all lanes lie in [origin, origin + bytes) with `size` bytes each and are aligned.
INGOT_INLINE bool allInside(const LaneAddresses &addresses, uint64_t origin, uint64_t bytes,
                            uint64_t size, uint64_t alignment) {
  if (bytes < size)
    return false;
  const uint64_t last = bytes - size;
  uint64_t outside = 0, low = 0;
  for (int lane = 0; lane < lanes; ++lane) {
    outside |= uint64_t(addresses.value[lane] - origin > last);
    low |= addresses.value[lane];
  }
  return !outside && !(low & (alignment - 1));
}

#if defined(__x86_64__)
#define CLONED __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define CLONED
#endif

CLONED void computeAddresses(const std::byte *base, bool wide, int64_t offset, uint32_t mask,
                             LaneAddresses &out) {
  if (wide)
    addressesOf(reinterpret_cast<const uint64_t *>(base), offset, mask, out);
  else
    addressesOf(reinterpret_cast<const uint32_t *>(base), offset, mask, out);
}

CLONED bool insideRange(const LaneAddresses &addresses, uint64_t origin, uint64_t bytes,
                        uint64_t size, uint64_t alignment) {
  return allInside(addresses, origin, bytes, size, alignment);
}

std::string_view verb(Access::Kind kind) {
  return kind == Access::Kind::Read || kind == Access::Kind::AsyncRead ? "read" : "write";
}

struct Lane {
  Warp &warp;
  const Instruction &instruction;
  const AccessRequest &request;
  int lane;

  void fault(CheckName check, std::string message, uint64_t address) const {
    warp.report(instruction, uint32_t(1) << lane, check, std::move(message), address);
  }

  std::byte *global(uint64_t address) const {
    const Extent *extent = warp.launch->memory.find(address);
    if (!extent || !extent->holds(address, request.bytes)) {
      fault(warp.launch->memory.wasFreed(address) ? CheckName("use-after-free")
                                                  : CheckName("out-of-bounds"),
            fmt::format("{} of {} bytes at {:#x}{}", verb(request.kind), request.bytes, address,
                        warp.launch->memory.describe(address)),
            address);
      return nullptr;
    }
    if (extent->allocation->kind == Allocation::Kind::Constant &&
        request.kind != Access::Kind::Read) {
      fault("out-of-bounds",
            fmt::format("write to constant memory at {:#x}{}", address,
                        warp.launch->memory.describe(address)),
            address);
      return nullptr;
    }
    return extent->host + (address - extent->address);
  }

  std::byte *shared(uint32_t address, bool cluster) const {
    const uint32_t rank = address >> 24, offset = address & 0xffffff;
    const auto &blocks = warp.block->cluster->blocks;
    if (rank >= blocks.size() || (!cluster && rank != warp.block->rank)) {
      fault("out-of-bounds",
            fmt::format("{} of {} bytes at shared address {:#x}, which is not in this block's "
                        "shared memory",
                        verb(request.kind), request.bytes, address),
            address);
      return nullptr;
    }
    Block &block = *blocks[rank];
    if (offset > block.shared.size() || request.bytes > block.shared.size() - offset) {
      fault("out-of-bounds",
            fmt::format("{} of {} bytes at offset {} of the block's {} bytes of shared memory: {}",
                        verb(request.kind), request.bytes, offset, block.shared.size(),
                        nameShared(block, offset)),
            address);
      return nullptr;
    }
    if (rank != warp.block->rank && block.liveThreads == 0) {
      fault("ended-block",
            fmt::format("{} of {} in the shared memory of block {} of the cluster, which has ended",
                        verb(request.kind), nameShared(block, offset), rank),
            address);
      return nullptr;
    }
    return block.shared.data() + offset;
  }

  std::byte *local(uint64_t address) const {
    const int64_t top = warp.frame->localBase + warp.frame->function->localBytes;
    if (address >= uint64_t(top) || request.bytes > uint64_t(top) - address) {
      fault("out-of-bounds",
            fmt::format("{} of {} bytes at offset {} of the thread's {} bytes of local memory: {}",
                        verb(request.kind), request.bytes, int64_t(address), top,
                        nameLocal(*warp.frame, int64_t(address))),
            localWindow + address);
      return nullptr;
    }
    return warp.local.data() + lane * warp.localStride + address;
  }

  /// ": …" about what lies at an address of the space, which may be generic.
  std::string nameOf(Space space, uint64_t address) const {
    if (space == Space::Generic) {
      space = spaceOf(address);
      address -= space == Space::Shared  ? sharedWindow
                 : space == Space::Local ? localWindow
                 : space == Space::Param ? paramWindow
                                         : 0;
    }
    switch (space) {
    case Space::Shared:
    case Space::SharedCluster: {
      const auto &blocks = warp.block->cluster->blocks;
      const uint32_t rank = uint32_t(address) >> 24;
      return rank < blocks.size() ? ": " + nameShared(*blocks[rank], address & 0xffffff) : "";
    }
    case Space::Local:
      return ": " + nameLocal(*warp.frame, int64_t(address));
    case Space::Param:
      return ": " + nameParameter(*warp.launch->request.kernel, int64_t(address));
    default:
      return warp.launch->memory.describe(address);
    }
  }

  std::byte *parameter(uint64_t address) const {
    const auto &parameters = warp.launch->request.parameters;
    if (address > parameters.size() || request.bytes > parameters.size() - address) {
      fault("out-of-bounds",
            fmt::format("{} of {} bytes at offset {} of the kernel's {} bytes of parameters: {}",
                        verb(request.kind), request.bytes, address, parameters.size(),
                        nameParameter(*warp.launch->request.kernel, int64_t(address))),
            paramWindow + address);
      return nullptr;
    }
    return const_cast<std::byte *>(parameters.data()) + address;
  }
};

} // namespace

namespace {

/// A variable in a memory that has several.
struct NamedRange {
  std::string_view name;
  int64_t offset, bytes;
};

/// "byte 3 of 'tile'" or "byte 0 behind the end of 'tile' (64 bytes)"
std::string nameIn(const std::vector<NamedRange> &ranges, int64_t offset, std::string_view memory) {
  const NamedRange *before = nullptr;
  for (const NamedRange &range : ranges) {
    if (offset >= range.offset && offset < range.offset + range.bytes)
      return fmt::format("byte {} of '{}'", offset - range.offset, range.name);
    if (offset >= range.offset && (!before || range.offset >= before->offset))
      before = &range;
  }
  return before ? fmt::format("byte {} behind the end of '{}' ({} bytes)",
                              offset - before->offset - before->bytes, before->name, before->bytes)
                : fmt::format("byte {} of {}", offset, memory);
}

} // namespace

std::string nameShared(const Block &block, int64_t offset) {
  std::vector<NamedRange> ranges;
  for (const SharedVariable &variable : block.launch->request.kernel->shared)
    ranges.push_back({variable.variable->name, variable.offset,
                      variable.variable->bytes ? variable.variable->bytes
                                               : int64_t(block.shared.size()) - variable.offset});
  return nameIn(ranges, offset, "shared memory");
}

std::string placeShared(const Block &block, int64_t offset) {
  return fmt::format("shared address {:#x} ({})", offset, nameShared(block, offset));
}

std::string nameLocal(const Frame &frame, int64_t offset) {
  std::vector<NamedRange> ranges;
  const CompiledFunction &function = *frame.function;
  for (size_t i = 0; i < function.variableOffsets.size(); ++i)
    if (function.variableOffsets[i] >= 0)
      ranges.push_back({function.source->variables[i].name,
                        frame.localBase + function.variableOffsets[i],
                        function.source->variables[i].bytes});
  return nameIn(ranges, offset, "local memory");
}

std::string nameParameter(const CompiledKernel &kernel, int64_t offset) {
  std::vector<NamedRange> ranges;
  for (const CompiledKernel::Parameter &parameter : kernel.parameters)
    ranges.push_back({parameter.name, parameter.offset, parameter.bytes});
  return nameIn(ranges, offset, "the parameters");
}

LaneAddresses laneAddresses(Warp &warp, Slot base, bool wide, int64_t offset, uint32_t mask) {
  LaneAddresses result;
  computeAddresses(warp.registers + base, wide, offset, mask, result);
  return result;
}

namespace {

void tellObserver(Warp &warp, const Instruction &instruction, const AccessRequest &request,
                  Space space, uint32_t mask, const LaneAddresses &addresses, uint64_t window,
                  const Runs *runs, const Extent *extent) {
  Access access;
  access.kind = request.kind;
  access.space = space;
  access.order = request.order;
  access.bytes = request.bytes;
  access.mask = mask;
  access.addresses = addresses.value;
  access.window = window;
  access.runs = runs;
  access.collective = request.collective;
  access.nonCoherent = request.nonCoherent;
  access.values = request.values;
  access.values.slots = instruction.slots + 1; // of stores
  access.extent = extent;
  warp.observer->access(warp, instruction, access);
}

} // namespace

void resolve(Warp &warp, const Instruction &instruction, uint32_t mask,
             const AccessRequest &request, const LaneAddresses &addresses, Resolved &result) {
  ++(request.order.strong() ? warp.orderedAccesses : warp.plainAccesses);
  Space space = request.localParameter ? Space::Local : request.space;
  if (space == Space::Const)
    space = Space::Global;
  if (space == Space::Generic) {
    // Usually all lanes are in one window.
    space = spaceOf(addresses.value[0]);
    for (int lane = 1; lane < lanes; ++lane)
      if (spaceOf(addresses.value[lane]) != space) {
        space = Space::Generic;
        break;
      }
    if (space != Space::Global)
      space = Space::Generic;
  }
  const Runs *runs = nullptr;
  if (warp.observer && (space == Space::Global || space == Space::Shared))
    runs = &warp.block->cluster->recentRuns.of(instruction, mask, request.bytes, addresses.value);
  const auto inside = [&](uint64_t origin, uint64_t bytes) {
    return runs ? runs->inside(origin, bytes, request.bytes, request.alignment)
                : insideRange(addresses, origin, bytes, request.bytes, request.alignment);
  };
  if (space == Space::Global) {
    const Extent *&recent = warp.recent[instruction.index & 7];
    const uint64_t first = addresses.value[0];
    if (!recent || !recent->holds(first, 1))
      recent = warp.launch->memory.find(first);
    if (recent && inside(recent->address, recent->bytes) &&
        !(recent->allocation->kind == Allocation::Kind::Constant &&
          request.kind != Access::Kind::Read)) {
      result.together = true;
      result.base = recent->host;
      result.origin = recent->address;
      result.ok = mask;
      result.runs = runs;
      if (warp.observer)
        tellObserver(warp, instruction, request, space, mask, addresses, 0, runs, recent);
      return;
    }
  } else if (space == Space::Shared || space == Space::SharedCluster) {
    const uint64_t origin = uint64_t(warp.block->rank) << 24;
    auto &shared = warp.block->shared;
    if (inside(origin, shared.size())) {
      result.together = true;
      result.base = shared.data();
      result.origin = origin;
      result.ok = mask;
      result.runs = runs;
      if (warp.observer)
        tellObserver(warp, instruction, request, Space::Shared, mask, addresses, sharedWindow, runs,
                     nullptr);
      return;
    }
  }
  // Lane by lane.
  result.together = false;
  result.ok = 0;
  LaneAddresses generic = addresses;
  uint32_t inSpace[8] = {};
  for (uint32_t left = mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    const uint64_t address = addresses.value[lane];
    const Lane access{warp, instruction, request, lane};
    result.pointers[lane] = nullptr;
    if (address & (request.alignment - 1)) {
      access.fault("misaligned",
                   fmt::format("{} of {} bytes at {:#x}, which is no multiple of {}{}",
                               verb(request.kind), request.bytes, address, request.alignment,
                               access.nameOf(space, address)),
                   address);
      continue;
    }
    Space actual = space;
    uint64_t inWindow = address;
    bool cluster = space == Space::SharedCluster;
    if (space == Space::Generic) {
      actual = spaceOf(address);
      inWindow = actual == Space::Shared  ? address - sharedWindow
                 : actual == Space::Local ? address - localWindow
                 : actual == Space::Param ? address - paramWindow
                                          : address;
      cluster = true;
    }
    std::byte *pointer = nullptr;
    switch (actual) {
    case Space::Shared:
    case Space::SharedCluster:
      actual = Space::Shared;
      generic.value[lane] = sharedWindow + uint32_t(inWindow);
      pointer = access.shared(uint32_t(inWindow), cluster);
      break;
    case Space::Local:
      generic.value[lane] = localWindow + inWindow;
      pointer = access.local(inWindow);
      break;
    case Space::Param:
      pointer = access.parameter(inWindow);
      break;
    default:
      pointer = access.global(inWindow);
    }
    if (!pointer)
      continue;
    result.pointers[lane] = pointer;
    result.ok |= uint32_t(1) << lane;
    inSpace[int(actual)] |= uint32_t(1) << lane;
  }
  if (warp.observer)
    for (int i = 0; i < 8; ++i)
      if (inSpace[i])
        tellObserver(warp, instruction, request, Space(i), inSpace[i], generic, 0, nullptr,
                     nullptr);
}

std::byte *resolveGeneric(Warp &warp, int lane, uint64_t address, uint64_t bytes) {
  switch (spaceOf(address)) {
  case Space::Shared: {
    const uint32_t rank = uint32_t(address) >> 24, offset = uint32_t(address) & 0xffffff;
    const auto &blocks = warp.block->cluster->blocks;
    if (rank >= blocks.size() || offset > blocks[rank]->shared.size() ||
        bytes > blocks[rank]->shared.size() - offset)
      return nullptr;
    return blocks[rank]->shared.data() + offset;
  }
  case Space::Local: {
    const uint64_t offset = address - localWindow;
    if (offset > uint64_t(warp.localStride) || bytes > warp.localStride - offset)
      return nullptr;
    return warp.local.data() + lane * warp.localStride + offset;
  }
  case Space::Param: {
    const auto &parameters = warp.launch->request.parameters;
    const uint64_t offset = address - paramWindow;
    if (offset > parameters.size() || bytes > parameters.size() - offset)
      return nullptr;
    return const_cast<std::byte *>(parameters.data()) + offset;
  }
  default: {
    const Extent *extent = warp.launch->memory.find(address);
    return extent && extent->holds(address, bytes) ? extent->host + (address - extent->address)
                                                   : nullptr;
  }
  }
}

Space takeSpaceModifier(Decoder &d) {
  constexpr std::pair<std::string_view, Space> spaces[] = {
      {"global", Space::Global},      {"shared::cluster", Space::SharedCluster},
      {"shared::cta", Space::Shared}, {"shared", Space::Shared},
      {"local", Space::Local},        {"const", Space::Const},
      {"param::entry", Space::Param}, {"param::func", Space::Param},
      {"param", Space::Param},
  };
  for (const auto &[name, space] : spaces)
    if (d.flag(name))
      return space;
  return Space::Generic;
}

bool takeCacheModifiers(Decoder &d) {
  d.oneOf({"ca", "cg", "cs", "lu", "cv", "wb", "wt"});
  d.oneOf({"L1::evict_normal", "L1::evict_unchanged", "L1::evict_first", "L1::evict_last",
           "L1::no_allocate"});
  d.oneOf({"L2::evict_normal", "L2::evict_first", "L2::evict_last"});
  d.oneOf({"L2::64B", "L2::128B", "L2::256B"});
  return d.flag("L2::cache_hint");
}

MemoryOrder takeOrder(Decoder &d, Order otherwise) {
  constexpr Order orders[] = {Order::Weak,    Order::Relaxed,        Order::Relaxed, Order::Acquire,
                              Order::Release, Order::AcquireRelease, Order::Relaxed};
  const int order =
      d.oneOf({"weak", "volatile", "relaxed", "acquire", "release", "acq_rel", "mmio"});
  if (order == 2)
    d.flag("mmio");
  if (order == 6)
    d.flag("relaxed");
  return {order < 0 ? otherwise : orders[order], takeScope(d)};
}

Scope takeScope(Decoder &d) {
  constexpr Scope scopes[] = {Scope::Block, Scope::Cluster, Scope::Device, Scope::Device};
  const int scope = d.oneOf({"cta", "cluster", "gpu", "sys"});
  return scope < 0 ? Scope::Device : scopes[scope];
}

} // namespace ingot::emulator
