#include "codegen/cuda/MatrixSizes.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ingot {
namespace {

constexpr int64_t mostStages = 4;

struct Tile {
  int64_t rows, columns, warpRows, warpColumns;
};
/// Four warps each. The largest first: of equal ones it moves least.
constexpr Tile tiles[] = {
    {128, 128, 64, 64}, {128, 64, 64, 32}, {64, 128, 32, 64}, {64, 64, 32, 32}, {32, 128, 16, 64},
    {128, 32, 64, 16},  {32, 64, 16, 32},  {64, 32, 32, 16},  {32, 32, 16, 16}, {16, 128, 16, 32},
    {128, 16, 32, 16},  {16, 64, 16, 16},  {64, 16, 16, 16}};
constexpr int64_t blockThreads = 128;

/// Cycles until all blocks are done, from the rates of an A100's multiprocessor.
double cycles(const MatrixSizes &sizes, const ContractionProduct &product) {
  const double productsPerCycle = 2048.0 / double(sizes.factorBytes);
  constexpr double sharedBytesPerCycle = 128, cachedBytesPerCycle = 64,
                   memoryBytesPerCycle = 1100; ///< the last of the whole chip
  constexpr double leastStep = 250;            ///< copies' latency, over the stages that hide it
  constexpr double start = 1500, launch = 4000;
  const double rows = double(sizes.rows), columns = double(sizes.columns),
               depth = double(sizes.depth), depthBytes = depth * double(sizes.factorBytes);
  const double copied = (rows + columns) * depthBytes;
  const double read = double(sizes.warps() * (sizes.warpRows + sizes.warpColumns)) * depthBytes;
  const double step =
      std::max({rows * columns * depth / productsPerCycle, (copied + read) / sharedBytesPerCycle,
                copied / cachedBytesPerCycle});
  const auto perMultiprocessor =
      double(llvm::divideCeilSigned(sizes.tiles().count(product), multiprocessors));
  const double steps = double(sizes.tiles().stepsOfSplit(product));
  const double stored = rows * columns * 4 / cachedBytesPerCycle;
  double total =
      steps * std::max(perMultiprocessor * step, leastStep) + start + perMultiprocessor * stored;
  if (sizes.splits > 1)
    total += launch + 2 * 4 * double(partialSums(product, sizes.splits).getNumElements()) /
                          memoryBytesPerCycle;
  return total;
}

/// Registers of a thread that hold a tile of a factor between memory and a stage.
int64_t registersOf(const FactorReading &reading, int64_t tile, const MatrixSizes &sizes) {
  constexpr int64_t registerBytes = 4;
  if (reading.isCopied)
    return 0;
  const int64_t runs = llvm::divideCeilSigned(tile * sizes.depth, sizes.threads * reading.lanes);
  return runs * llvm::divideCeilSigned(reading.lanes * sizes.factorBytes, registerBytes);
}

/// True if the sums of the tile, fragments and what is on its way do not fit a thread's registers.
bool wouldSpill(const MatrixSizes &sizes) {
  constexpr int64_t mostSums = 64, mostBeside = 16;
  return sizes.warpRows * sizes.warpColumns / warpSize > mostSums &&
         std::max(registersOf(sizes.left, sizes.rows, sizes),
                  registersOf(sizes.right, sizes.columns, sizes)) > mostBeside;
}

} // namespace

int64_t MatrixSizes::sumRows() const {
  int64_t count = warpRows;
  while (count > matrixRows && warps() * count * warpColumns * 4 > stages * stageBytes())
    count /= 2;
  return count;
}

int64_t MatrixSizes::scratch() const {
  return std::max(stages * stageBytes(), warps() * sumRows() * warpColumns * 4);
}

int64_t factorBytes(const ContractionProduct &product) {
  return getElementTypeOrSelf(product.left.tensor.getType()).getIntOrFloatBitWidth() / 8;
}

bool isForTensorCores(graph::ContractOp contract, const ContractionProduct &product, bool tf32) {
  Type factor = getElementTypeOrSelf(contract.getLhs().getType());
  return product.sumType.isF32() &&
         (isa<BFloat16Type, Float16Type>(factor) || (tf32 && factor.isF32()));
}

MatrixSizes chooseMatrixSizes(func::FuncOp kernel, const ContractionProduct &product) {
  constexpr int64_t leastSteps = 4, mostPartials = 64 << 20;
  const FactorReading left = chooseFactorReading(kernel, product, product.left, product.rows),
                      right = chooseFactorReading(kernel, product, product.right, product.columns);
  MatrixSizes best;
  double least = 0;
  for (const Tile &tile : tiles) {
    MatrixSizes sizes;
    sizes.threads = blockThreads;
    sizes.rows = tile.rows;
    sizes.columns = tile.columns;
    sizes.factorBytes = factorBytes(product);
    sizes.depth = (tile.rows + tile.columns <= 128 ? 128 : 64) / sizes.factorBytes;
    sizes.warpRows = tile.warpRows;
    sizes.warpColumns = tile.warpColumns;
    sizes.left = left;
    sizes.right = right;
    if (wouldSpill(sizes))
      continue;
    const int64_t steps = sizes.tiles().steps(product);
    for (int64_t wanted = 1; wanted == 1 || steps / wanted >= leastSteps; ++wanted) {
      sizes.splits = splitsOf(steps, wanted);
      if (wanted > 1 && (partialSums(product, sizes.splits).getNumElements() * 4 > mostPartials ||
                         sizes.tiles().count(product) > 4 * multiprocessors))
        break;
      if (const double needed = cycles(sizes, product); !least || needed < least) {
        least = needed;
        best = sizes;
      }
    }
  }
  best.stages = std::clamp<int64_t>(best.tiles().stepsOfSplit(product), 2, mostStages);
  best.lanes = storedLanes(kernel, product);
  return best;
}

bool fitTogether(func::FuncOp kernel, const MatrixSizes &sizes, const ContractionProduct &product) {
  auto isPower = [](int64_t size, int64_t least, int64_t most) {
    return size >= least && size <= most && llvm::isPowerOf2_64(size);
  };
  return isPower(sizes.rows, 16, 256) && isPower(sizes.columns, 16, 256) &&
         isPower(sizes.depth, 16, 128) && isPower(sizes.warpRows, 16, sizes.rows) &&
         isPower(sizes.warpColumns, 16, sizes.columns) &&
         sizes.threads == sizes.rows / sizes.warpRows * (sizes.columns / sizes.warpColumns) * 32 &&
         sizes.threads <= 1024 && sizes.stages >= 2 && sizes.stages <= 8 && sizes.splits >= 1 &&
         sizes.tiles().fillsSplits(product) && isPower(sizes.lanes, 1, 8) &&
         product.columns % sizes.lanes == 0 &&
         sizes.left == chooseFactorReading(kernel, product, product.left, product.rows) &&
         sizes.right == chooseFactorReading(kernel, product, product.right, product.columns);
}

} // namespace ingot
