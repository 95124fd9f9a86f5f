#include "codegen/cuda/WarpgroupSizes.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ingot {
namespace {

constexpr int64_t multiprocessorsOfH100 = 132;
constexpr int64_t leastStages = 2, mostStages = 6;

struct Tile {
  int64_t rows, columns;
};
/// The largest first: of equal ones it moves least.
constexpr Tile tiles[] = {{128, 256}, {128, 128}, {64, 256}, {128, 64}, {64, 128}, {64, 64}};

/// Maps of both factors; empty if one has none.
std::vector<int64_t> mapsOf(func::FuncOp kernel, const ContractionProduct &product,
                            const WarpgroupSizes &sizes) {
  std::optional<FactorMap> left = mapOfFactor(kernel, product.left, sizes.rows),
                           right = mapOfFactor(kernel, product.right, sizes.columns);
  return left && right ? writeMaps({left->map, right->map}) : std::vector<int64_t>();
}

/// Tiles that a block takes in turn.
int64_t turns(const WarpgroupSizes &sizes, const ContractionProduct &product) {
  return llvm::divideCeilSigned(sizes.tiles().count(product), multiprocessorsOfH100);
}

/// Cycles until all tiles are done, from the rates of an H100's multiprocessor.
double cycles(const WarpgroupSizes &sizes, const ContractionProduct &product) {
  constexpr double productsPerCycle = 2048, sharedBytesPerCycle = 128, cachedBytesPerCycle = 64,
                   memoryBytesPerCycle = 1900; ///< the last of the whole chip
  constexpr double leastStep = 200, turn = 500, start = 2000, launch = 4000;
  const double rows = double(sizes.rows), columns = double(sizes.columns);
  // Each group reads its rows and all columns.
  const double read = (rows + columns * double(sizes.groups())) * lineBytes;
  const double step =
      std::max({rows * columns * lineElements / productsPerCycle, read / sharedBytesPerCycle,
                double(sizes.stageBytes()) / cachedBytesPerCycle, leastStep});
  const double stored = rows * columns * 4 / cachedBytesPerCycle;
  double total = start + double(turns(sizes, product)) *
                             (double(sizes.tiles().stepsOfSplit(product)) * step + stored + turn);
  if (sizes.splits > 1)
    total += launch + 2 * 4 * double(partialSums(product, sizes.splits).getNumElements()) /
                          memoryBytesPerCycle;
  return total;
}

/// Stages and parts of results that fit into shared memory, stages as many as there is use for.
void fill(WarpgroupSizes &sizes, const ContractionProduct &product, int64_t sharedBytes) {
  const int64_t useful = std::clamp(sizes.tiles().stepsOfSplit(product) * turns(sizes, product),
                                    leastStages, mostStages);
  sizes.partColumns = 64;
  for (sizes.stages = useful; sizes.stages > leastStages && sizes.scratch() > sharedBytes;)
    --sizes.stages;
}

} // namespace

int64_t WarpgroupSizes::blocks(const ContractionProduct &product) const {
  return std::min(tiles().count(product), multiprocessorsOfH100);
}

std::optional<WarpgroupSizes>
chooseWarpgroupSizes(func::FuncOp kernel, const ContractionProduct &product, int64_t sharedBytes) {
  constexpr int64_t leastSteps = 4, mostPartials = 64 << 20, leastSize = 32;
  if (product.depth == 0 || product.rows <= leastSize || product.columns <= leastSize)
    return std::nullopt;
  std::optional<WarpgroupSizes> best;
  double least = 0;
  for (const Tile &tile : tiles) {
    WarpgroupSizes sizes;
    sizes.rows = tile.rows;
    sizes.columns = tile.columns;
    sizes.threads = warpgroupThreads * (1 + sizes.groups());
    sizes.maps = mapsOf(kernel, product, sizes);
    if (sizes.maps.empty())
      continue;
    const int64_t steps = sizes.tiles().steps(product);
    for (int64_t wanted = 1; wanted == 1 || steps / wanted >= leastSteps; ++wanted) {
      sizes.splits = splitsOf(steps, wanted);
      if (wanted > 1 && (partialSums(product, sizes.splits).getNumElements() * 4 > mostPartials ||
                         sizes.tiles().count(product) > 2 * multiprocessorsOfH100))
        break;
      if (const double needed = cycles(sizes, product); !best || needed < least) {
        least = needed;
        best = sizes;
      }
    }
  }
  if (!best)
    return std::nullopt;
  best->lanes = storedLanes(kernel, product);
  fill(*best, product, sharedBytes);
  return best;
}

bool fitTogether(func::FuncOp kernel, const WarpgroupSizes &sizes,
                 const ContractionProduct &product) {
  auto isPower = [](int64_t size, int64_t least, int64_t most) {
    return size >= least && size <= most && llvm::isPowerOf2_64(size);
  };
  return isPower(sizes.rows, warpgroupRows, 128) && isPower(sizes.columns, 64, 256) &&
         sizes.threads == warpgroupThreads * (1 + sizes.groups()) && sizes.stages >= leastStages &&
         sizes.stages <= 8 && sizes.splits >= 1 && sizes.tiles().fillsSplits(product) &&
         isPower(sizes.partColumns, 32, 64) && isPower(sizes.lanes, 1, 8) &&
         product.columns % sizes.lanes == 0 && product.depth > 0 && !sizes.maps.empty() &&
         sizes.maps == mapsOf(kernel, product, sizes);
}

} // namespace ingot
