#include "runtime/emulator/machine/Memory.h"
#include <algorithm>
#include <cstring>
#include <sys/mman.h>

namespace ingot::emulator {

namespace {

/// In pieces of T, as long as they are aligned.
template <typename T> void copyPieces(std::byte *&to, const std::byte *&from, uint64_t &bytes) {
  for (; bytes >= sizeof(T) &&
         (reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from)) % sizeof(T) == 0;
       to += sizeof(T), from += sizeof(T), bytes -= sizeof(T))
    storeRelaxed(to, loadRelaxed<T>(from));
}

constexpr uint64_t pageBytes = 4096;
uint64_t roundUp(uint64_t value, uint64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

bool owned(const Allocation &allocation) { return allocation.kind != Allocation::Kind::Host; }

/// Memory that costs nothing until it is touched; null if there is none.
void *zeroPages(uint64_t bytes) {
  void *pages = mmap(nullptr, roundUp(std::max<uint64_t>(bytes, 1), pageBytes),
                     PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return pages == MAP_FAILED ? nullptr : pages;
}

void unmap(Allocation &allocation) {
  if (allocation.host && owned(allocation))
    munmap(allocation.host, roundUp(std::max<uint64_t>(allocation.bytes, 1), pageBytes));
  if (allocation.written)
    munmap(allocation.written, roundUp(std::max<uint64_t>(allocation.bytes, 1), pageBytes));
  allocation.host = nullptr;
  allocation.written = nullptr;
}

} // namespace

void copyRelaxed(std::byte *to, const std::byte *from, uint64_t bytes) {
  if ((reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from) | bytes) % 8 == 0) {
    for (uint64_t i = 0; i < bytes; i += 8)
      storeRelaxed(to + i, loadRelaxed<uint64_t>(from + i));
    return;
  }
  copyPieces<uint64_t>(to, from, bytes);
  copyPieces<uint32_t>(to, from, bytes);
  copyPieces<uint16_t>(to, from, bytes);
  copyPieces<uint8_t>(to, from, bytes);
}

GlobalMemory::~GlobalMemory() {
  for (auto &[address, allocation] : allocations)
    unmap(*allocation);
}

Result<uint64_t> GlobalMemory::allocate(uint64_t bytes, Allocation::Kind kind, std::string name,
                                        uint64_t alignment) {
  const uint64_t address = roundUp(next, std::max<uint64_t>(alignment, 16));
  if (bytes > sharedWindow - pageBytes || address > sharedWindow - pageBytes - bytes)
    return failure(Error::Code::Io, "cuda:emulated", "no addresses are left for {} bytes", bytes);
  void *host = zeroPages(bytes);
  if (!host)
    return failure(Error::Code::Io, "cuda:emulated", "out of memory: {} bytes", bytes);
  if (kind == Allocation::Kind::Managed) {
    if (const Status status = insertHost(host, bytes, kind, std::move(name)); !status) {
      munmap(host, roundUp(std::max<uint64_t>(bytes, 1), pageBytes));
      return tl::unexpected(status.error());
    }
    return reinterpret_cast<uint64_t>(host);
  }
  // A gap after each allocation: an overrun never lands in a neighbour.
  next = roundUp(address + bytes + 1, pageBytes);
  auto allocation = std::make_unique<Allocation>(
      Allocation{address, bytes, static_cast<std::byte *>(host), kind, std::move(name)});
  if (remembers && kind == Allocation::Kind::Device)
    allocation->written = static_cast<uint8_t *>(zeroPages(bytes));
  insertExtent({address, bytes, allocation->host, allocation.get(), allocation->name});
  allocations[address] = std::move(allocation);
  return address;
}

void GlobalMemory::written(uint64_t address, uint64_t bytes) {
  Allocation *allocation = below(address);
  if (!allocation || !allocation->written)
    return;
  std::memset(allocation->written + (address - allocation->address), 1, bytes);
  allocation->allWritten |= bytes == allocation->bytes;
}

void GlobalMemory::copied(uint64_t to, uint64_t from, uint64_t bytes) {
  Allocation *target = below(to);
  const Allocation *source = nearest(from);
  const auto inside = [bytes](const Allocation *allocation, uint64_t address) {
    return allocation && !allocation->freed && address - allocation->address <= allocation->bytes &&
           bytes <= allocation->bytes - (address - allocation->address);
  };
  if (!inside(target, to) || !target->written)
    return;
  uint8_t *flags = target->written + (to - target->address);
  const bool isKnown = inside(source, from) && source->written;
  if (isKnown)
    std::memmove(flags, source->written + (from - source->address), bytes);
  else
    std::memset(flags, 1, bytes);
  if (isKnown && !source->allWritten)
    target->allWritten = false;
  else
    target->allWritten |= bytes == target->bytes;
}

void GlobalMemory::describe(uint64_t address, const std::string &name, const std::string &origin) {
  const auto found = allocations.find(address);
  if (found == allocations.end())
    return;
  Allocation &allocation = *found->second;
  if (!origin.empty())
    allocation.origin = origin;
  if (name.empty())
    return;
  allocation.name = name;
  for (const auto &extent : extents)
    if (extent->allocation == &allocation && extent->bytes == allocation.bytes)
      extent->name = name;
}

Status GlobalMemory::adopt(void *host, uint64_t bytes, std::string name) {
  return insertHost(host, bytes, Allocation::Kind::Host, std::move(name));
}

Status GlobalMemory::insertHost(void *host, uint64_t bytes, Allocation::Kind kind,
                                std::string name) {
  const auto address = reinterpret_cast<uint64_t>(host);
  if (address - globalWindow < functionWindow + windowBytes - globalWindow)
    return failure(Error::Code::Internal, "cuda:emulated",
                   "host memory lies where device addresses are");
  auto allocation = std::make_unique<Allocation>(
      Allocation{address, bytes, static_cast<std::byte *>(host), kind, std::move(name)});
  // The host gives addresses out again: what was there before is forgotten.
  auto old = allocations.upper_bound(address);
  if (old != allocations.begin() &&
      std::prev(old)->second->address + std::prev(old)->second->bytes > address)
    --old;
  while (old != allocations.end() && old->first < address + bytes) {
    dropExtents(*old->second);
    old = allocations.erase(old);
  }
  insertExtent({address, bytes, allocation->host, allocation.get(), allocation->name});
  allocations[address] = std::move(allocation);
  return {};
}

Status GlobalMemory::release(uint64_t address) {
  const auto found = allocations.find(address);
  if (found == allocations.end())
    return failure(Error::Code::Usage, "cuda:emulated", "{:#x} is not the start of an allocation{}",
                   address, describe(address));
  Allocation &allocation = *found->second;
  if (allocation.freed)
    return failure(Error::Code::Usage, "cuda:emulated", "{:#x} was freed before", address);
  dropExtents(allocation);
  unmap(allocation);
  allocation.freed = true;
  return {};
}

void GlobalMemory::dropExtents(const Allocation &allocation) {
  std::erase_if(extents, [&](const auto &extent) { return extent->allocation == &allocation; });
}

void GlobalMemory::insertExtent(Extent extent) {
  const auto place = std::upper_bound(
      extents.begin(), extents.end(), extent.address,
      [](uint64_t address, const auto &other) { return address < other->address; });
  extents.insert(place, std::make_unique<Extent>(std::move(extent)));
}

Status GlobalMemory::divide(uint64_t address, std::vector<Part> parts) {
  const auto found = allocations.find(address);
  if (found == allocations.end() || found->second->freed)
    return failure(Error::Code::Usage, "cuda:emulated", "{:#x} is not the start of an allocation",
                   address);
  const Allocation &allocation = *found->second;
  for (const Part &part : parts)
    if (part.offset > allocation.bytes || part.bytes > allocation.bytes - part.offset)
      return failure(Error::Code::Usage, "cuda:emulated", "part '{}' ends outside its allocation",
                     part.name);
  dropExtents(allocation);
  if (parts.empty())
    parts.push_back({0, allocation.bytes, allocation.name});
  std::ranges::sort(parts, [](const Part &a, const Part &b) {
    return std::tie(a.offset, a.name) < std::tie(b.offset, b.name);
  });
  for (size_t i = 0; i < parts.size();) {
    Part joint = parts[i++];
    while (i < parts.size() && parts[i].offset < joint.offset + joint.bytes) {
      joint.bytes = std::max(joint.bytes, parts[i].offset + parts[i].bytes - joint.offset);
      joint.name += '|' + parts[i++].name;
    }
    insertExtent({address + joint.offset, joint.bytes, allocation.host + joint.offset, &allocation,
                  joint.name});
  }
  return {};
}

const Extent *GlobalMemory::find(uint64_t address) const {
  auto after =
      std::upper_bound(extents.begin(), extents.end(), address,
                       [](uint64_t value, const auto &extent) { return value < extent->address; });
  if (after == extents.begin())
    return nullptr;
  const Extent *extent = std::prev(after)->get();
  return extent->holds(address, 1) ? extent : nullptr;
}

Allocation *GlobalMemory::below(uint64_t address) const {
  auto after = allocations.upper_bound(address);
  return after == allocations.begin() ? nullptr : std::prev(after)->second.get();
}

bool GlobalMemory::wasFreed(uint64_t address) const {
  const Allocation *allocation = nearest(address);
  return allocation && allocation->freed && address - allocation->address < allocation->bytes;
}

std::string GlobalMemory::describe(uint64_t address) const {
  constexpr uint64_t nearby = 1 << 20;
  const auto labelOf = [](const Allocation &allocation) {
    return allocation.name.empty()
               ? fmt::format("the {} bytes at {:#x}", allocation.bytes, allocation.address)
               : fmt::format("'{}' ({} bytes at {:#x})", allocation.name, allocation.bytes,
                             allocation.address);
  };
  const Allocation *allocation = nearest(address);
  const uint64_t behind = !allocation ? ~uint64_t(0)
                          : address - allocation->address < allocation->bytes
                              ? 0
                              : address - allocation->address - allocation->bytes;
  if (const auto after = allocations.upper_bound(address);
      after != allocations.end() && !after->second->freed && after->first - address < behind &&
      after->first - address < nearby)
    return fmt::format(": {} bytes before {}", after->first - address, labelOf(*after->second));
  if (!allocation)
    return ": no allocation lies there";
  const std::string label = labelOf(*allocation);
  const uint64_t offset = address - allocation->address;
  if (offset >= allocation->bytes && behind > nearby)
    return address >> 40 ? ": no allocation lies there; it looks like a pointer of the host"
                         : ": no allocation lies there";
  if (offset >= allocation->bytes)
    return fmt::format(": {} bytes behind the end of {}{}", offset - allocation->bytes,
                       allocation->freed ? "the freed " : "", label);
  if (allocation->freed)
    return fmt::format(": offset {} of {}, which was freed", offset, label);
  if (const Extent *extent = find(address))
    return fmt::format(
        ": offset {} of {}", address - extent->address,
        extent->bytes == allocation->bytes
            ? label
            : fmt::format("'{}' ({} bytes), part of {}", extent->name, extent->bytes, label));
  // Inside the allocation but between its parts.
  const Extent *before = nullptr;
  for (const auto &extent : extents)
    if (extent->allocation == allocation && extent->address <= address)
      before = extent.get();
  if (before)
    return fmt::format(": {} bytes behind the end of '{}' ({} bytes), part of {}",
                       address - before->address - before->bytes, before->name, before->bytes,
                       label);
  return fmt::format(": before the first part of {}", label);
}

Result<std::byte *> GlobalMemory::range(uint64_t address, uint64_t bytes) const {
  const Allocation *allocation = nearest(address);
  if (!allocation || allocation->freed || address - allocation->address > allocation->bytes ||
      bytes > allocation->bytes - (address - allocation->address))
    return failure(Error::Code::BadInput, "cuda:emulated", "{} bytes at {:#x}{}", bytes, address,
                   describe(address));
  return allocation->host + (address - allocation->address);
}

std::vector<const Allocation *> GlobalMemory::live() const {
  std::vector<const Allocation *> result;
  for (const auto &[address, allocation] : allocations)
    if (!allocation->freed)
      result.push_back(allocation.get());
  return result;
}

} // namespace ingot::emulator
