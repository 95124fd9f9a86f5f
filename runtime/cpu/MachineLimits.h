/// What this machine's cores and memory can do at most, measured: what a kernel's speed is held
/// against.
#pragma once
#include <cstdint>
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
    int64_t bytes = 0;    ///< what it holds
    double bandwidth = 0; ///< bytes a second, the better of reading and of updating in place
  };
  std::vector<Level> levels; ///< L2, last cache, main memory

  /// Seconds that nothing can beat which does `operations` on `bytes` that lie where
  /// `workingSet` bytes fit.
  double leastSeconds(double operations, double bytes, double workingSet) const;
};

/// Measures for about a third of a second, `threads` at the same time.
MachineLimits measureMachine(int threads);

} // namespace ingot
