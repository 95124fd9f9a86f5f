/// Sizes of one kernel's blocks that were chosen by measuring instead of derived from its shape.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace ingot {

/// What is absent is derived from shape and machine (MachineShape.h). No choice changes a bit of a
/// result: every sum keeps the order of its additions.
///
/// As text, in IR and in files: `tile_rows=8 tile_columns=48 depth=128`; the default is empty.
struct BlockChoice {
  using Size = std::optional<int64_t>;
  // Contractions (codegen/cpu/ContractionBlocks.h):
  Size tileRows = {}, tileColumns = {}; ///< of the tile of sums in registers
  Size depth = {};                      ///< of a panel of the right operand
  Size rows = {}, columns = {};         ///< of a unit
  Size packLhs = {}, packRhs = {}; ///< 1: the operand is copied into panels; 0: read where it lies
  // Attention:
  Size queries = {}; ///< of a block of scores

  bool operator==(const BlockChoice &) const = default;
  /// The sizes of `other` where it has any, else these.
  BlockChoice with(const BlockChoice &other) const;

  std::string text() const;
  /// The inverse of `text`. None if a word is wrong; `problem` then says which.
  static std::optional<BlockChoice> parse(std::string_view text, std::string &problem);
};

/// Choices by the kernel's name, which is a hash of its body.
using BlockChoices = std::map<std::string, BlockChoice>;

} // namespace ingot
