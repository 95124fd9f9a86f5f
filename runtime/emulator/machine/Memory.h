/// Device memory: allocations with exact bounds, at addresses that no host pointer has.
#pragma once
#include "runtime/emulator/ptx/Type.h"
#include "runtime/support/Result.h"
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace ingot::emulator {

/// Where the windows of the generic address space begin. Host programs live far below (their text)
/// or above (stacks, libraries); global memory is handed out upwards from `globalWindow`.
inline constexpr uint64_t globalWindow = 0x00d0'0000'0000;
inline constexpr uint64_t sharedWindow = 0x00e0'0000'0000; ///< + 32-bit shared address
inline constexpr uint64_t localWindow = 0x00e1'0000'0000;
inline constexpr uint64_t paramWindow = 0x00e2'0000'0000;
inline constexpr uint64_t functionWindow = 0x00e3'0000'0000; ///< + 16 * index of the function
inline constexpr uint64_t windowBytes = uint64_t(1) << 32;

/// The window that a generic address lies in; everything else is global.
constexpr Space spaceOf(uint64_t address) {
  if (address - sharedWindow < windowBytes)
    return Space::Shared;
  if (address - localWindow < windowBytes)
    return Space::Local;
  if (address - paramWindow < windowBytes)
    return Space::Param;
  return Space::Global;
}

// Bytes of emulated memory, which several host threads may touch at once. Relaxed, so that a race
// of the program is none of the machine's; on the host it costs what a plain access does.
template <typename T> inline T loadRelaxed(const std::byte *from) {
  return __atomic_load_n(reinterpret_cast<const T *>(from), __ATOMIC_RELAXED);
}
template <typename T> inline void storeRelaxed(std::byte *to, T value) {
  __atomic_store_n(reinterpret_cast<T *>(to), value, __ATOMIC_RELAXED);
}
void copyRelaxed(std::byte *to, const std::byte *from, uint64_t bytes);

struct Allocation {
  /// Host memory belongs to the host; managed memory is the device's, at an address that the host
  /// can use too.
  enum class Kind : uint8_t { Device, Host, Managed, Variable, Constant };
  uint64_t address = 0;
  uint64_t bytes = 0;
  std::byte *host = nullptr; ///< null once freed
  Kind kind = Kind::Device;
  std::string name;        ///< "" or what findings call it
  std::string origin = {}; ///< "" or where it was made, for leaks
  bool freed = false;
  /// One for each byte, not 0 once it was written; null: nobody remembers, all count as written.
  uint8_t *written = nullptr;
  bool allWritten = false; ///< for certain: by one copy or fill of the host
};

/// What an access must stay inside of: an allocation, or a named part of one.
struct Extent {
  uint64_t address = 0;
  uint64_t bytes = 0;
  std::byte *host = nullptr;
  const Allocation *allocation = nullptr;
  std::string name;

  bool holds(uint64_t first, uint64_t count) const {
    return first - address < bytes && count <= bytes - (first - address);
  }
};

/// Not thread-safe; during a launch only const functions are called.
class GlobalMemory {
public:
  GlobalMemory() = default;
  ~GlobalMemory();
  GlobalMemory(const GlobalMemory &) = delete;

  /// Zero-filled. Addresses are never used twice, so a stale pointer is always found out; but the
  /// host's system may use those of managed memory again.
  Result<uint64_t> allocate(uint64_t bytes, Allocation::Kind kind = Allocation::Kind::Device,
                            std::string name = {}, uint64_t alignment = 512);
  /// Memory of the host that kernels may use under its own address.
  Status adopt(void *host, uint64_t bytes, std::string name = {});
  Status release(uint64_t address);

  struct Part {
    uint64_t offset = 0, bytes = 0;
    std::string name;
  };
  /// From now on accesses must stay inside one of these parts of the allocation at `address`;
  /// overlapping parts count as one. No parts: the whole allocation again.
  Status divide(uint64_t address, std::vector<Part> parts);

  /// Changes what findings call the allocation at `address`, and where it was made; "" leaves it.
  void describe(uint64_t address, const std::string &name, const std::string &origin);

  /// Device memory that is allocated from now on remembers which of its bytes were ever written.
  void rememberWrites(bool on = true) { remembers = on; }
  /// The host has written a range, which must lie inside one allocation.
  void written(uint64_t address, uint64_t bytes);
  /// The host has copied: what was not written at `from` is not at `to`. Ranges of the host count
  /// as written; others must lie inside one allocation each.
  void copied(uint64_t to, uint64_t from, uint64_t bytes);

  /// The extent that holds the address; null if none does, or a freed one.
  const Extent *find(uint64_t address) const;
  /// The allocation that holds the address or held it, else the nearest one below.
  const Allocation *nearest(uint64_t address) const { return below(address); }
  /// Whether the address lies in what has been freed.
  bool wasFreed(uint64_t address) const;
  /// One sentence about what lies at an address, for findings.
  std::string describe(uint64_t address) const;

  /// Host address of a range, which must lie inside one allocation (parts do not matter).
  Result<std::byte *> range(uint64_t address, uint64_t bytes) const;
  /// Allocations that have not been freed.
  std::vector<const Allocation *> live() const;

private:
  Allocation *below(uint64_t address) const;
  Status insertHost(void *host, uint64_t bytes, Allocation::Kind kind, std::string name);
  void dropExtents(const Allocation &allocation);
  void insertExtent(Extent extent);

  std::map<uint64_t, std::unique_ptr<Allocation>> allocations;
  std::vector<std::unique_ptr<Extent>> extents; ///< by address; stable while a launch runs
  uint64_t next = globalWindow;
  bool remembers = false;
};

} // namespace ingot::emulator
