/// What this machine's cores and memory can do at most, measured: what a kernel's speed is held
/// against.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

namespace ingot {

/// Rates of all measured threads together. Operations count a multiply-add as two.
struct MachineLimits {
  int threads = 1;
  double flops = 0;         ///< f32 operations a second, of independent multiply-adds
  double bf16Flops = 0;     ///< of the processor's bf16 dot product; 0: it has none
  double readBandwidth = 0; ///< bytes a second from main memory
  double copyBandwidth = 0; ///< bytes a second read and written by a large memory copy

  /// A cache, or main memory at last.
  struct Level {
    std::string_view name; ///< L2, L3, memory
    int64_t bytes = 0;     ///< what it holds
    double bandwidth = 0;  ///< bytes a second, the better of reading and of updating in place
  };
  std::vector<Level> levels; ///< small to large

  /// What a piece of work cannot beat.
  struct Bound {
    double seconds = 0;
    std::string_view by; ///< a level's name, or FMA for arithmetic
  };
  /// The bound of `operations` on `bytes` that lie in the first level that holds `workingSet`
  /// bytes.
  Bound bound(double operations, double bytes, double workingSet) const;
};

/// Keeps one core's multiply-adds busy for a few milliseconds; how many operations these were. For
/// peaks that are taken beside what is held against them: a core's clock falls while others work.
double runMultiplyAdds();

/// Measures for about a third of a second, `threads` at the same time.
MachineLimits measureMachine(int threads);

} // namespace ingot
