/// A bug that a check must find, and the same kernel without it, of which all checks say nothing.
///
/// Every kernel is called k and begins with: `in`, 1024 integers that the host has written, and
/// `out`, 1024 that it has not, in d1 and d2; the thread's own elements of them in d4 and d5; its
/// number in r1. Registers r, d, h, f and p are free from 2 (d: from 6).
#pragma once
#include "test/emulator/Support.h"
#include <functional>
#include <span>

namespace ingot::emulator::test {

struct PlantedBug {
  std::string check;
  std::string name;                 ///< what was planted
  std::string body;                 ///< with PLANT where the two differ
  std::string bug = {}, clean = {}; ///< what stands there
  std::string buffer = {}; ///< what the message must name; then the finding has an address, too
  std::string module = {}; ///< text before the kernel
  std::string directives = {};
  Dim3 grid = {}, block = {32, 1, 1}, cluster = {};
  std::vector<std::string> others = {}; ///< checks that the same bug may set off
  std::string part = {};                ///< of the message
  uint64_t limit = 0;                   ///< of instructions
  /// Before the launch: divides or frees `out`.
  std::function<void(Device &, uint64_t out, bool bug)> prepare = {};
};

/// What a failing test prints of its parameter.
inline void PrintTo(const PlantedBug &bug, std::ostream *stream) {
  *stream << bug.check << " " << bug.name;
}

// One list for each family, in the file of that name.
std::span<const PlantedBug> plantedBounds();
std::span<const PlantedBug> plantedMemory();
std::span<const PlantedBug> plantedAsync();
std::span<const PlantedBug> plantedBarriers();
std::span<const PlantedBug> plantedControl();
std::span<const PlantedBug> plantedOrdering();
std::span<const PlantedBug> plantedProxies();

} // namespace ingot::emulator::test
