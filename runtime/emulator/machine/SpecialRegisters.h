/// Special registers (%tid.x, %laneid, …) and the other values that a frame starts with.
#pragma once
#include "runtime/emulator/machine/Machine.h"
#include <string_view>

namespace ingot::emulator {

struct SpecialRegister {
  std::string_view name;
  int bits; ///< 32, 64, or 1 for a predicate
  /// Changes while a warp runs: only `mov` reads it, through `read`, each time.
  bool isVolatile;
  uint64_t (*read)(const Warp &warp, int lane);
};

/// Bytes of shared memory that the system keeps for itself in each block, as on sm_80 and later.
inline constexpr int64_t reservedSharedBytes = 1024;

/// Row of a name, or -1.
int findSpecialRegister(std::string_view name);
const SpecialRegister &specialRegister(int row);

void fillFrameValue(const Warp &warp, Frame &frame, const FrameValue &value);

} // namespace ingot::emulator
