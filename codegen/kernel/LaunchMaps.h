/// What a launch takes beside its kernel's memory: descriptions of operands for a GPU's copy
/// engine, which the runtime encodes for each call, since they hold an address.
#pragma once
#include "passes/schedule/KernelDialect.h"
#include <vector>

namespace ingot {

/// Part of an argument's memory as the copy engine reads it, in boxes whose lines of 128 bytes are
/// swizzled.
struct LaunchMap {
  int64_t argument = 0;         ///< of the kernel
  int64_t offset = 0;           ///< bytes from there
  std::vector<int64_t> sizes;   ///< elements, innermost first
  std::vector<int64_t> strides; ///< bytes, of all dimensions but the innermost
  std::vector<int64_t> box;     ///< elements that one copy moves
  bool operator==(const LaunchMap &) const = default;
};

/// As the size `maps` of a launch holds them.
std::vector<int64_t> writeMaps(llvm::ArrayRef<LaunchMap> maps);
/// Those of a launch of the kernel. Of a list that describes none: none, and its emitter refuses
/// it.
std::vector<LaunchMap> readMaps(kernel::ScheduleAttr schedule, kernel::LaunchAttr launch);

} // namespace ingot
