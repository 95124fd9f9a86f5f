/// How a tensor's elements lie in memory.
#pragma once
#include <cstdint>
#include <string>

namespace ingot {

/// Plain: row-major, without gaps. Packed: as matrices of `rows` x `depth` elements that are cut
/// into panels of 16 rows, the vectors of a contraction's right operand. Element (row, k) of a
/// panel is its element 16 * k + row; rows that are missing in the last one are zeros.
struct Layout {
  static constexpr int64_t panelRows = 16;

  int64_t matrices = 0, rows = 0, depth = 0; ///< of a packed tensor; 0: plain
  /// Element (matrix, row, k) is element [matrix, row, k] of the tensor, else [matrix, k, row].
  bool depthLast = false;

  bool operator==(const Layout &) const = default;
  bool isPlain() const { return matrices == 0; }
  int64_t panelsOfMatrix() const { return (rows + panelRows - 1) / panelRows; }
  /// Elements from a panel to the next: an odd number of lines, so that panels that are read side
  /// by side do not meet in the same sets of a cache.
  int64_t panelStride() const { return panelRows * (depth | 1); }
  int64_t matrixStride() const { return panelsOfMatrix() * panelStride(); }
  /// Elements that a tensor of `count` takes in memory.
  int64_t elements(int64_t count) const { return isPlain() ? count : matrices * matrixStride(); }
  /// Whether it describes all of a tensor of so many elements.
  bool fits(int64_t count) const;
};
/// `plain`, or `panels 1x512x4608`.
std::string toString(const Layout &layout);

} // namespace ingot
