/// Which memory a launch, a copy or a fill has touched.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ingot::emulator {

/// Strong: atomic for the whole device.
enum class Touch : uint8_t { StrongRead, Read, StrongWrite, Write };
inline constexpr size_t touchKinds = 4;

struct TouchedRange {
  uint64_t begin = 0, end = 0;
};

/// By kind of touch; ranges of a kind are in the order of their addresses and do not overlap.
using Footprint = std::array<std::vector<TouchedRange>, touchKinds>;

} // namespace ingot::emulator
