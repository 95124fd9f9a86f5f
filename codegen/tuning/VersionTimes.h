/// Times of versions of a program's kernels that took turns.
#pragma once
#include <cstddef>
#include <vector>

namespace ingot {

/// The middle one, or the mean of the two in the middle; 0 of none.
double median(std::vector<double> values);

/// Seconds of each kernel and of the whole function, turn by turn. In a turn every version runs
/// once, and version 0 a second time at the end, which shows the noise.
struct VersionTimes {
  std::vector<std::vector<std::vector<double>>> kernels; ///< version (the last: 0 again), kernel
  std::vector<std::vector<double>> whole;                ///< version

  size_t turns() const { return whole.front().size(); }
  /// What version 0 took in a turn.
  double base(size_t kernel, size_t turn) const;
  /// What a version takes of version 0's time: the median over turns `first`, `first + step`, …; 1
  /// if the kernel does not run.
  double ratio(size_t version, size_t kernel, size_t first = 0, size_t step = 1) const;
  /// By what part of its time version 0 differs from itself in a turn: the median.
  double noise(size_t kernel) const;
};

} // namespace ingot
