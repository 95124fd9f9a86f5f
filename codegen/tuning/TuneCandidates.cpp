#include "codegen/tuning/TuneCandidates.h"
#include <algorithm>

namespace ingot {
namespace {

constexpr int64_t lanes = 16;

/// Tiles of f32 sums that fill the registers, or all but a row of them.
std::vector<BlockChoice> tiles(const BlockChoice &taken, const MachineShape &machine) {
  std::vector<BlockChoice> candidates;
  const int64_t registersPerVector = std::max<int64_t>(1, lanes * 4 / machine.vectorBytes);
  const int64_t widest = std::max<int64_t>(1, 4 / registersPerVector);
  for (int64_t vectors = widest; vectors >= std::max<int64_t>(1, widest / 2); --vectors) {
    const int64_t width = vectors * registersPerVector;
    const int64_t most = std::clamp<int64_t>((machine.registers() - 1 - width) / width, 1, 16);
    for (int64_t rows = most; rows >= std::max<int64_t>(1, most - 1); --rows)
      if (rows != taken.tileRows || vectors * lanes != taken.tileColumns)
        candidates.push_back({.tileRows = rows, .tileColumns = vectors * lanes});
  }
  return candidates;
}

} // namespace

std::string_view name(TuningGroup group) {
  switch (group) {
  case TuningGroup::Tile:
    return "tiles";
  case TuningGroup::Depth:
    return "depth";
  case TuningGroup::Packing:
    return "packing";
  case TuningGroup::Units:
    return "units";
  }
  return "";
}

std::vector<BlockChoice> tuningCandidates(TuningGroup group, const BlockChoice &taken,
                                          const MachineShape &machine) {
  std::vector<BlockChoice> candidates;
  switch (group) {
  case TuningGroup::Tile:
    if (taken.tileRows)
      return tiles(taken, machine);
    if (taken.queries)
      for (int64_t queries : {32, 64, 128})
        if (queries != taken.queries)
          candidates.push_back({.queries = queries});
    break;
  case TuningGroup::Depth:
    if (taken.depth)
      for (int64_t depth : {*taken.depth * 2, *taken.depth / 2, *taken.depth * 4})
        candidates.push_back({.depth = std::max<int64_t>(1, depth)});
    break;
  case TuningGroup::Packing:
    if (taken.packLhs && taken.packRhs) {
      const int64_t lhs = !*taken.packLhs, rhs = !*taken.packRhs;
      candidates = {{.packLhs = lhs}, {.packRhs = rhs}, {.packLhs = lhs, .packRhs = rhs}};
    }
    break;
  case TuningGroup::Units:
    if (taken.rows && taken.columns) {
      const int64_t rows = *taken.rows, columns = *taken.columns;
      const int64_t fewerRows = (rows + 1) / 2, fewerColumns = (columns + 1) / 2;
      candidates = {{.rows = rows * 2},
                    {.rows = fewerRows},
                    {.columns = columns * 2},
                    {.columns = fewerColumns},
                    {.rows = rows * 2, .columns = fewerColumns},
                    {.rows = fewerRows, .columns = columns * 2}};
    }
    break;
  }
  return candidates;
}

} // namespace ingot
