/// Which sizes of blocks `ingot tune` tries.
#pragma once
#include "codegen/cpu/MachineShape.h"
#include "passes/options/BlockChoice.h"
#include <span>
#include <string_view>
#include <vector>

namespace ingot {

/// Sizes are varied group by group; each group starts from the best of those before.
enum class TuningGroup { Tile, Depth, Packing, Units };
inline constexpr TuningGroup tuningGroups[] = {TuningGroup::Tile, TuningGroup::Depth,
                                               TuningGroup::Packing, TuningGroup::Units};
std::string_view name(TuningGroup group);

/// Variations of the sizes that a kernel took (`takenBlocks`); none where the kernel has no such
/// sizes. What a shape does not allow is bent to what it does, so two may come out the same.
std::vector<BlockChoice> tuningCandidates(TuningGroup group, const BlockChoice &taken,
                                          const MachineShape &machine);

} // namespace ingot
