/// What a launch did: instructions by class, bytes by space, tensor FLOPs, conflicts.
#pragma once
#include "runtime/emulator/machine/Machine.h"
#include "runtime/emulator/machine/Runs.h"
#include <nlohmann/json_fwd.hpp>

namespace ingot::emulator {

/// Of accesses that were watched. Sectors are the 32-byte parts of global memory that a warp's
/// access touches; wavefronts are the passes that an access to shared memory's 32 banks of 4 bytes
/// takes.
struct MemoryCounters {
  uint64_t globalRead = 0, globalWritten = 0, sharedRead = 0, sharedWritten = 0, localRead = 0,
           localWritten = 0, copied = 0; ///< bytes
  uint64_t globalAccesses = 0, globalSectors = 0, leastSectors = 0;
  uint64_t sharedAccesses = 0, sharedWavefronts = 0, leastWavefronts = 0;

  void count(const Access &access, const Runs &runs);
  MemoryCounters &operator+=(const MemoryCounters &other);

private:
  /// An access to global memory by any lanes at any addresses.
  void countScattered(const Access &access, const Runs &runs);
};

struct KernelProfile {
  std::string kernel;
  Dim3 grid, block;
  uint64_t warpInstructions = 0;
  std::array<uint64_t, 13> classes{}; ///< warp instructions by Class
  double tensorFlops = 0;
  MemoryCounters memory;
  double seconds = 0; ///< of the emulation
  int64_t sharedBytes = 0;

  static KernelProfile of(const LaunchRequest &request, const LaunchResult &result,
                          const MemoryCounters &memory);
  std::string table() const;
  nlohmann::json json() const;
};

std::string_view className(Class kind);

} // namespace ingot::emulator
