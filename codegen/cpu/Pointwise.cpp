/// Elementwise and update kernels: one pass over the points of the results.
#include "codegen/cpu/Code.h"
#include "codegen/cpu/Emitters.h"
#include "codegen/cpu/KernelScheduler.h"
#include "codegen/cpu/Lanes.h"
#include "codegen/kernel/Nests.h"
#include "codegen/kernel/Sharing.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ingot {
namespace {

/// By nest, in the order of their first results:
struct PointwiseSizes {
  SmallVector<int64_t> outer, inner;
  SmallVector<int64_t> rows;   ///< whole rows of a grain; 0: a grain is a part of one row
  SmallVector<int64_t> chunk;  ///< elements of such a part
  SmallVector<int64_t> unroll; ///< blocks of lanes that are written out

  template <typename Field> void fields(Field field) {
    field("outer", outer);
    field("inner", inner);
    field("rows", rows);
    field("chunk", chunk);
    field("unroll", unroll);
  }
};

/// A nest and its part of the sizes.
struct CpuNest : Nest {
  int64_t rows = 0, chunk = 0, unroll = 1;

  int64_t chunksPerRow() const { return llvm::divideCeilSigned(inner, chunk); }
  int64_t grains() const {
    return rows ? llvm::divideCeilSigned(outer, rows) : chunksPerRow() * outer;
  }
};

SmallVector<CpuNest> cpuNestsOf(func::FuncOp kernel) {
  return llvm::map_to_vector(nestsOf(kernel.getResultTypes()),
                             [](Nest &nest) { return CpuNest{std::move(nest)}; });
}

//===--------------------------------------------------------------------------------------------===//
// Schedule
//===--------------------------------------------------------------------------------------------===//

void cutGrains(CpuNest &nest, int64_t pointsPerGrain, int64_t lanes) {
  if (nest.outer > 1 && nest.inner <= pointsPerGrain)
    nest.rows = pointsPerGrain / nest.inner;
  else
    nest.chunk = llvm::alignTo(pointsPerGrain, nest.unroll * lanes);
}

} // namespace

LogicalResult schedulePointwise(KernelScheduler &kernel, int64_t pointsPerGrain) {
  func::FuncOp function = kernel.kernel;
  SmallVector<CpuNest> nests = cpuNestsOf(function);
  int64_t total = 0, grains = 0;
  for (CpuNest &nest : nests) {
    if (failed(chooseLoops(kernel, nest, Code::lanes)))
      return failure();
    total += nest.count;
  }
  if (!pointsPerGrain && total)
    pointsPerGrain =
        llvm::divideCeilSigned(total, kernel.costs.grains(kernel.nanoseconds(), total));
  PointAccess points(function);
  SharingFinder finder(function, points);
  PointwiseSizes sizes;
  const double work = kernel.operations();
  for (auto [stage, nest] : llvm::enumerate(nests)) {
    nest.unroll = unrollFor(work / double(total), nest.inner, points.lanes());
    cutGrains(nest, pointsPerGrain, points.lanes());
    grains += nest.grains();
    finder.record(stage, accessBlock(function, points, nest));
    sizes.outer.push_back(nest.outer);
    sizes.inner.push_back(nest.inner);
    sizes.rows.push_back(nest.rows);
    sizes.chunk.push_back(nest.chunk);
    sizes.unroll.push_back(nest.unroll);
  }
  for (auto [stage, nest] : llvm::enumerate(nests))
    for (unsigned result : nest.results)
      kernel.share(finder.pairs(result, stage));
  kernel.launch("pointwise", grains, sizes);
  return success(points.ok());
}

namespace {

//===--------------------------------------------------------------------------------------------===//
// Emission
//===--------------------------------------------------------------------------------------------===//

class PointwiseEmitter {
public:
  PointwiseEmitter(KernelBuilder &kernel)
      : kernel(kernel), builder(kernel.builder), location(kernel.location()),
        points(kernel.points()) {
    kernel.kernel.walk([&](linalg::LinalgOp op) { readsWindows |= op.getNumReductionLoops() > 0; });
  }

  LogicalResult emit();

private:
  LogicalResult readNests();
  void emitNest(const CpuNest &nest, Value lo, Value hi);
  void emitBlock(const CpuNest &nest, const PointIndex &row, const PointIndex &index, Value mask);
  void prefetchWindows(const CpuNest &nest, const PointIndex &position);
  Value times(Value value, int64_t factor) {
    return arith::MulIOp::create(builder, location, value, kernel.index(factor));
  }
  Value atMost(Value value, int64_t bound) {
    return arith::MinUIOp::create(builder, location, value, kernel.index(bound));
  }

  KernelBuilder &kernel;
  OpBuilder &builder;
  Location location;
  PointEmitter points;
  SmallVector<CpuNest> nests;
  bool readsWindows = false; ///< a point reduces elements of its own
};

LogicalResult PointwiseEmitter::readNests() {
  PointwiseSizes sizes;
  if (failed(readSizes(kernel.kernel, kernel.launch, sizes)))
    return failure();
  nests = cpuNestsOf(kernel.kernel);
  int64_t grains = 0;
  bool fits =
      llvm::all_of(ArrayRef{&sizes.outer, &sizes.inner, &sizes.rows, &sizes.chunk, &sizes.unroll},
                   [&](auto *list) { return list->size() == nests.size(); });
  for (size_t index = 0; fits && index < nests.size(); ++index) {
    CpuNest &nest = nests[index];
    nest.outer = sizes.outer[index], nest.inner = sizes.inner[index];
    nest.rows = sizes.rows[index], nest.chunk = sizes.chunk[index];
    nest.unroll = sizes.unroll[index];
    fits = nest.outer > 0 && nest.outer * nest.inner == nest.count && nest.rows >= 0 &&
           nest.unroll > 0 && nest.unroll <= 16 &&
           (nest.rows || (nest.chunk > 0 && nest.chunk % (nest.unroll * points.lanes()) == 0));
    grains += fits ? nest.grains() : 0;
  }
  if (fits && grains == kernel.launch.getGrains())
    return success();
  return kernel.kernel.emitError("kernel.schedule: these nests do not make its results");
}

void PointwiseEmitter::emitBlock(const CpuNest &nest, const PointIndex &row,
                                 const PointIndex &index, Value mask) {
  PointIndex position = row * nest.inner + index;
  SmallVector<Value> values;
  for (unsigned result : nest.results)
    values.push_back(points.at(kernel.returned(result),
                               points.split(position, kernel.type(result).getShape()), mask));
  for (auto [result, value] : llvm::zip(nest.results, values))
    points.store(value, kernel.resultMemory(result), position, mask,
                 kernel.type(result).getElementType());
  if (readsWindows)
    prefetchWindows(nest, position);
}

/// Windows reach several lines of an operand at once; the hardware prefetcher follows each for a
/// moment only. Prefetches 512 results ahead (2 KiB in f32), at the corresponding place of each
/// operand.
void PointwiseEmitter::prefetchWindows(const CpuNest &nest, const PointIndex &position) {
  constexpr int64_t ahead = 512, mostPerResult = 8;
  Code code{builder, location};
  Value next;
  for (unsigned operand = 0; operand < kernel.operands(); ++operand) {
    auto type = cast<RankedTensorType>(kernel.tensor(operand).getType());
    const int64_t perResult = type.getNumElements() / nest.count;
    if (perResult == 0 || perResult > mostPerResult)
      continue;
    if (!next)
      next = code.add(position.scalar(builder, location, builder.getIndexType()), ahead);
    for (int64_t number = 0; number < perResult; ++number)
      code.prefetch(code.flat(kernel.operandMemory(operand)),
                    code.add(code.mul(next, perResult), number * Code::lanes), /*level=*/2);
  }
}

void PointwiseEmitter::emitNest(const CpuNest &nest, Value lo, Value hi) {
  auto line = [&](const PointIndex &row, Value from, Value to) {
    forEachBlock(points, location, from, to, nest.inner, nest.unroll,
                 [&](const PointIndex &index, Value mask) { emitBlock(nest, row, index, mask); });
  };
  if (nest.outer == 1) {
    if (nest.grains() == 1)
      return line(PointIndex::constant(0), {}, {});
    return line(PointIndex::constant(0), times(lo, nest.chunk),
                atMost(times(hi, nest.chunk), nest.inner));
  }
  Value from = nest.rows ? times(lo, nest.rows) : lo;
  Value to = nest.rows ? atMost(times(hi, nest.rows), nest.outer) : hi;
  auto loop = scf::ForOp::create(builder, location, from, to, kernel.index(1));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value grain = loop.getInductionVar();
  if (nest.rows)
    return line(PointIndex::uniform(grain, nest.outer), {}, {});
  Value perRow = kernel.index(nest.chunksPerRow());
  Value row = arith::DivUIOp::create(builder, location, grain, perRow);
  Value start = times(arith::RemUIOp::create(builder, location, grain, perRow), nest.chunk);
  Value end = arith::AddIOp::create(builder, location, start, kernel.index(nest.chunk));
  line(PointIndex::uniform(row, nest.outer), start, atMost(end, nest.inner));
}

LogicalResult PointwiseEmitter::emit() {
  if (failed(readNests()))
    return failure();
  // Each nest has grains of its own; they are numbered one nest after the other.
  int64_t first = 0;
  for (const CpuNest &nest : nests) {
    Value lo = kernel.lo(), hi = kernel.hi();
    OpBuilder::InsertionGuard guard(builder);
    if (nests.size() > 1) {
      Value start = kernel.index(first);
      auto within = [&](Value bound) -> Value {
        Value above = arith::MaxUIOp::create(builder, location, bound, start);
        return atMost(arith::SubIOp::create(builder, location, above, start), nest.grains());
      };
      lo = within(lo), hi = within(hi);
      if (nest.grains() == 1) {
        auto mine = scf::IfOp::create(
            builder, location,
            arith::CmpIOp::create(builder, location, arith::CmpIPredicate::ult, lo, hi),
            /*else=*/false);
        builder.setInsertionPointToStart(mine.thenBlock());
      }
    }
    emitNest(nest, lo, hi);
    first += nest.grains();
  }
  return success(points.ok());
}

} // namespace

LogicalResult scheduleElementwise(KernelScheduler &kernel) { return schedulePointwise(kernel, 0); }

LogicalResult emitPointwise(KernelBuilder &kernel) { return PointwiseEmitter(kernel).emit(); }

} // namespace ingot
