/// Elementwise and update kernels: each thread computes 16 bytes of a result at a time.
#include "codegen/cuda/Emitters.h"
#include "codegen/kernel/Nests.h"
#include "codegen/kernel/Sharing.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ingot {
namespace {

/// By nest, in the order of their first results, but for the threads.
struct PointwiseSizes {
  int64_t threads = 256;
  SmallVector<int64_t> outer, inner;
  SmallVector<int64_t> lanes;  ///< elements that a thread computes at a time
  SmallVector<int64_t> blocks; ///< that walk the nest

  template <typename Field> void fields(Field field) {
    field("threads", threads);
    field("outer", outer);
    field("inner", inner);
    field("lanes", lanes);
    field("blocks", blocks);
  }
};

/// A nest and its part of the sizes.
struct CudaNest : Nest {
  int64_t lanes = 1, blocks = 1;

  int64_t runsPerRow() const { return inner / lanes; }
  int64_t runs() const { return outer * runsPerRow(); }
  /// Elements after the whole runs, of a single row.
  int64_t rest() const { return inner % lanes; }
};

SmallVector<CudaNest> cudaNestsOf(func::FuncOp kernel) {
  return llvm::map_to_vector(nestsOf(kernel.getResultTypes()),
                             [](Nest &nest) { return CudaNest{std::move(nest)}; });
}

/// Lanes of a nest's results that are moved at once.
int64_t lanesOf(func::FuncOp kernel, const Nest &nest) {
  constexpr int64_t bytes = 16;
  int64_t widest = 1;
  for (unsigned result : nest.results)
    widest = std::max<int64_t>(
        widest, kernel::memoryType(kernel.getResultTypes()[result]).getElementTypeBitWidth() / 8);
  return std::clamp<int64_t>(bytes / widest, 2, 8);
}

LogicalResult chooseSizes(const CudaScheduler &kernel, CudaNest &nest, int64_t threads) {
  nest.lanes = lanesOf(kernel.kernel, nest);
  if (failed(chooseLoops(kernel, nest, nest.lanes)))
    return failure();
  if (nest.rest() && nest.outer > 1) // rows would not start at a multiple of the lanes
    nest.lanes = 1;
  nest.blocks =
      std::clamp<int64_t>(llvm::divideCeilSigned(nest.runs(), threads), 1, kernel.costs.mostGrains);
  return success();
}

//===--------------------------------------------------------------------------------------------===//
// Emission
//===--------------------------------------------------------------------------------------------===//

class PointwiseEmitter {
public:
  explicit PointwiseEmitter(CudaKernel &kernel) : kernel(kernel), code(kernel.code) {}

  LogicalResult emit();

private:
  LogicalResult readNests();
  void emitNest(const CudaNest &nest, Value block);
  void emitRun(const CudaNest &nest, Value run);
  void emitPoints(const CudaNest &nest, const PointIndex &position, int64_t lanes);

  CudaKernel &kernel;
  IndexCode &code;
  SmallVector<CudaNest> nests;
  bool broken = false;
};

LogicalResult PointwiseEmitter::readNests() {
  PointwiseSizes sizes;
  if (failed(readSizes(kernel.kernel, kernel.launch, sizes)))
    return failure();
  nests = cudaNestsOf(kernel.kernel);
  int64_t blocks = nests.empty();
  bool fits = sizes.threads > 0 && sizes.threads <= 1024 &&
              llvm::all_of(ArrayRef{&sizes.outer, &sizes.inner, &sizes.lanes, &sizes.blocks},
                           [&](auto *list) { return list->size() == nests.size(); });
  for (size_t index = 0; fits && index < nests.size(); ++index) {
    CudaNest &nest = nests[index];
    nest.outer = sizes.outer[index], nest.inner = sizes.inner[index];
    nest.lanes = sizes.lanes[index], nest.blocks = sizes.blocks[index];
    fits = nest.outer > 0 && nest.outer * nest.inner == nest.count && nest.blocks > 0 &&
           nest.lanes > 0 && nest.lanes <= 16 && (nest.outer == 1 || nest.rest() == 0);
    blocks += nest.blocks;
  }
  if (fits && blocks == kernel.launch.getGrains())
    return success();
  return kernel.kernel.emitError("kernel.schedule: these nests do not make its results");
}

void PointwiseEmitter::emitPoints(const CudaNest &nest, const PointIndex &position, int64_t lanes) {
  PointEmitter points = kernel.points(lanes);
  SmallVector<Value> values;
  for (unsigned result : nest.results)
    values.push_back(
        points.at(kernel.returned(result), points.split(position, kernel.type(result).getShape())));
  for (auto [result, value] : llvm::zip(nest.results, values))
    points.store(value, kernel.resultMemory(result), position, {},
                 kernel.type(result).getElementType());
  broken |= !points.ok();
}

void PointwiseEmitter::emitRun(const CudaNest &nest, Value run) {
  PointIndex row = PointIndex::constant(0);
  Value column = run;
  if (nest.outer > 1) {
    row = PointIndex::uniform(code.div(run, nest.runsPerRow()), nest.outer);
    column = code.remainder(run, nest.runsPerRow());
  }
  PointIndex along = nest.lanes == 1 ? PointIndex::uniform(column, nest.inner)
                                     : PointIndex::consecutive(code.mul(column, nest.lanes),
                                                               nest.inner, /*aligned=*/true);
  emitPoints(nest, row * nest.inner + along, nest.lanes);
}

/// The runs are dealt out to the threads in turns, so that neighbours touch neighbouring memory.
void PointwiseEmitter::emitNest(const CudaNest &nest, Value block) {
  Value first = code.add(code.mul(block, kernel.threads), kernel.thread());
  const int64_t atOnce = nest.blocks * kernel.threads, runs = nest.runs();
  if (runs > atOnce)
    code.loop(first, code.index(runs), atOnce, [&](Value run) { emitRun(nest, run); });
  else if (runs)
    code.when(code.isBelow(first, runs), [&] { emitRun(nest, first); });
  if (nest.rest())
    code.when(code.isBelow(first, nest.rest()), [&] {
      emitPoints(nest,
                 PointIndex::uniform(first, nest.rest()) +
                     PointIndex::constant(nest.inner - nest.rest()),
                 1);
    });
}

LogicalResult PointwiseEmitter::emit() {
  if (failed(readNests()))
    return failure();
  // Each nest has blocks of its own; they are numbered one nest after the other.
  int64_t first = 0;
  for (const CudaNest &nest : nests) {
    if (nests.size() == 1) {
      emitNest(nest, kernel.block());
      break;
    }
    Value block = code.sub(kernel.block(), code.index(first));
    Value mine = code.create<arith::CmpIOp>(arith::CmpIPredicate::ult, block,
                                            code.index(nest.blocks)); // none is below 0
    code.when(mine, [&] { emitNest(nest, block); });
    first += nest.blocks;
  }
  return success(!broken);
}

} // namespace

LogicalResult schedulePointwise(CudaScheduler &kernel) {
  SmallVector<CudaNest> nests = cudaNestsOf(kernel.kernel);
  PointwiseSizes sizes;
  int64_t blocks = nests.empty(); // nothing to compute takes a block too
  PointAccess points(kernel.kernel);
  SharingFinder finder(kernel.kernel, points);
  for (auto [stage, nest] : llvm::enumerate(nests)) {
    if (failed(chooseSizes(kernel, nest, sizes.threads)))
      return failure();
    finder.record(stage, accessBlock(kernel.kernel, points, nest));
    blocks += nest.blocks;
    sizes.outer.push_back(nest.outer);
    sizes.inner.push_back(nest.inner);
    sizes.lanes.push_back(nest.lanes);
    sizes.blocks.push_back(nest.blocks);
  }
  for (auto [stage, nest] : llvm::enumerate(nests))
    for (unsigned result : nest.results)
      kernel.share(finder.pairs(result, stage));
  kernel.launch("pointwise", blocks, sizes);
  return success(points.ok());
}

LogicalResult emitPointwise(CudaKernel &kernel) { return PointwiseEmitter(kernel).emit(); }

} // namespace ingot
