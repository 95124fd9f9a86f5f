/// Elementwise and update kernels: one pass over the points of the results.
#include "codegen/cpu/Lanes.h"
#include "codegen/kernel/InPlace.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ingot {
namespace {

/// Results of one element count share loops over `outer` rows of `inner` elements, both in
/// row-major order of their own shapes.
struct Nest {
  SmallVector<unsigned> results;
  int64_t outer = 1, inner = 1;
};

/// How a nest is cut: `rows` whole rows a grain, or, if 0, stretches of `chunk` elements of one
/// row.
struct Grains {
  int64_t count = 1, rows = 0, chunk = 0, chunksPerRow = 1;
};

Grains cut(const Nest &nest, int64_t pointsPerGrain, int64_t multiple) {
  Grains grains;
  if (nest.outer > 1 && nest.inner <= pointsPerGrain) {
    grains.rows = pointsPerGrain / nest.inner;
    grains.count = llvm::divideCeilSigned(nest.outer, grains.rows);
    return grains;
  }
  grains.chunk = llvm::alignTo(pointsPerGrain, multiple);
  grains.chunksPerRow = llvm::divideCeilSigned(nest.inner, grains.chunk);
  grains.count = grains.chunksPerRow * nest.outer;
  return grains;
}

class PointwiseEmitter {
public:
  PointwiseEmitter(KernelBuilder &kernel)
      : kernel(kernel), builder(kernel.builder), location(kernel.location()),
        points(kernel.points()), finder(points) {}

  /// `pointsPerGrain` 0: by cost.
  LogicalResult emit(int64_t pointsPerGrain);

private:
  RankedTensorType type(unsigned result) {
    return cast<RankedTensorType>(kernel.returned(result).getType());
  }
  SmallVector<Nest> nests();
  void chooseLoops(Nest &nest);
  double costOfLoops(const Nest &nest);
  void emitNest(int stage, const Nest &nest, const Grains &grains, int64_t unroll, Value lo,
                Value hi);
  void emitBlock(int stage, const Nest &nest, const PointIndex &row, const PointIndex &index,
                 Value mask);
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
  InPlaceFinder finder;
  bool broken = false;
};

SmallVector<Nest> PointwiseEmitter::nests() {
  llvm::MapVector<int64_t, Nest> byCount;
  for (unsigned result = 0; result < kernel.results(); ++result)
    byCount[type(result).getNumElements()].results.push_back(result);
  SmallVector<Nest> list;
  for (auto &[count, nest] : byCount)
    if (count) {
      chooseLoops(nest);
      list.push_back(nest);
    }
  return list;
}

/// Cost of one lane's work under these loops: a bad choice pays by gathers and index divisions, and
/// by lanes that a short inner loop leaves idle.
double PointwiseEmitter::costOfLoops(const Nest &nest) {
  KernelBuilder trial(kernel.kernel, kernel.machine, kernel.choice);
  PointEmitter emitter = trial.points();
  PointIndex row = PointIndex::uniform(trial.lo(), nest.outer);
  PointIndex index = PointIndex::consecutive(trial.hi(), nest.inner, /*aligned=*/true);
  for (unsigned result : nest.results)
    emitter.at(kernel.returned(result),
               emitter.split(row * nest.inner + index, type(result).getShape()));
  double divisions = 0;
  for (const PointEmitter::Access &access : emitter.accesses())
    for (const PointIndex::Digit &digit : access.position.digits())
      divisions += (digit.divisor != 1) + !digit.full();
  int64_t lanes = emitter.lanes();
  double cost =
      2 + double(emitter.accesses().size()) + 16 * double(emitter.slowAccesses()) + divisions;
  double used = double(nest.inner) / double(llvm::alignTo(nest.inner, lanes));
  broken |= !emitter.ok();
  trial.abandon();
  return cost / used;
}

/// Fewer, longer loops win ties: the whole space as one line comes first.
void PointwiseEmitter::chooseLoops(Nest &nest) {
  ArrayRef<int64_t> shape = type(nest.results.front()).getShape();
  int64_t count = type(nest.results.front()).getNumElements();
  double least = std::numeric_limits<double>::infinity();
  Nest candidate = nest;
  for (size_t dim = 0; dim < std::max<size_t>(1, shape.size()) && !broken; ++dim) {
    candidate.outer *= dim == 0 ? 1 : shape[dim - 1];
    candidate.inner = count / candidate.outer;
    double cost = costOfLoops(candidate);
    if (cost < least) {
      least = cost;
      nest = candidate;
    }
  }
}

void PointwiseEmitter::emitBlock(int stage, const Nest &nest, const PointIndex &row,
                                 const PointIndex &index, Value mask) {
  PointIndex position = row * nest.inner + index;
  SmallVector<Value> values;
  for (unsigned result : nest.results)
    values.push_back(
        points.at(kernel.returned(result), points.split(position, type(result).getShape()), mask));
  finder.record(stage, position);
  for (auto [result, value] : llvm::zip(nest.results, values))
    points.store(value, kernel.resultMemory(result), position, mask, type(result).getElementType());
}

void PointwiseEmitter::emitNest(int stage, const Nest &nest, const Grains &grains, int64_t unroll,
                                Value lo, Value hi) {
  auto line = [&](const PointIndex &row, Value from, Value to) {
    forEachBlock(
        points, location, from, to, nest.inner, unroll,
        [&](const PointIndex &index, Value mask) { emitBlock(stage, nest, row, index, mask); });
  };
  if (nest.outer == 1) {
    if (grains.count == 1)
      return line(PointIndex::constant(0), {}, {});
    return line(PointIndex::constant(0), times(lo, grains.chunk),
                atMost(times(hi, grains.chunk), nest.inner));
  }
  bool whole = grains.rows;
  Value from = whole ? times(lo, grains.rows) : lo;
  Value to = whole ? atMost(times(hi, grains.rows), nest.outer) : hi;
  auto loop = scf::ForOp::create(builder, location, from, to, kernel.index(1));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value grain = loop.getInductionVar();
  if (whole)
    return line(PointIndex::uniform(grain, nest.outer), {}, {});
  Value perRow = kernel.index(grains.chunksPerRow);
  Value row = arith::DivUIOp::create(builder, location, grain, perRow);
  Value start = times(arith::RemUIOp::create(builder, location, grain, perRow), grains.chunk);
  Value end = arith::AddIOp::create(builder, location, start, kernel.index(grains.chunk));
  line(PointIndex::uniform(row, nest.outer), start, atMost(end, nest.inner));
}

LogicalResult PointwiseEmitter::emit(int64_t pointsPerGrain) {
  SmallVector<Nest> all = nests();
  if (broken)
    return failure();
  int64_t total = 0, first = 0;
  for (const Nest &nest : all)
    total += nest.outer * nest.inner;
  if (!total) {
    kernel.setGrains(0);
    return success();
  }
  double flops = estimateFlops(kernel.kernel);
  if (!pointsPerGrain)
    pointsPerGrain = llvm::divideCeilSigned(total, grainsFor(kernel.estimatedNanoseconds(), total));

  // Each nest has grains of its own; they are numbered one nest after the other.
  for (auto [stage, nest] : llvm::enumerate(all)) {
    int64_t unroll = unrollFor(flops / double(total), nest.inner, points.lanes());
    Grains grains = cut(nest, pointsPerGrain, unroll * points.lanes());
    Value lo = kernel.lo(), hi = kernel.hi();
    if (all.size() > 1) {
      Value start = kernel.index(first);
      auto within = [&](Value bound) -> Value {
        Value above = arith::MaxUIOp::create(builder, location, bound, start);
        return atMost(arith::SubIOp::create(builder, location, above, start), grains.count);
      };
      lo = within(lo), hi = within(hi);
      if (grains.count == 1) {
        auto mine = scf::IfOp::create(
            builder, location,
            arith::CmpIOp::create(builder, location, arith::CmpIPredicate::ult, lo, hi),
            /*else=*/false);
        OpBuilder::InsertionGuard guard(builder);
        builder.setInsertionPointToStart(mine.thenBlock());
        emitNest(stage, nest, grains, unroll, lo, hi);
      } else {
        emitNest(stage, nest, grains, unroll, lo, hi);
      }
    } else {
      emitNest(stage, nest, grains, unroll, lo, hi);
    }
    first += grains.count;
  }
  for (auto [stage, nest] : llvm::enumerate(all))
    for (unsigned result : nest.results)
      finder.report(kernel, result, stage);
  kernel.setGrains(first);
  return success(points.ok());
}

} // namespace

LogicalResult emitElementwise(KernelBuilder &kernel) { return PointwiseEmitter(kernel).emit(0); }

/// The optimizer walks flat buckets: its grains are as large as its streams want them.
LogicalResult emitUpdate(KernelBuilder &kernel) {
  constexpr int64_t bucketGrain = 64 * 1024;
  return PointwiseEmitter(kernel).emit(bucketGrain);
}

} // namespace ingot
