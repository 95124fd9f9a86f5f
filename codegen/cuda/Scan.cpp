/// Scan kernels: a thread a line, in order, where many lines lie side by side; else a warp or a
/// block a line, which takes tiles of as many elements as it has threads.
#include "codegen/cuda/Emitters.h"
#include "codegen/kernel/LineShape.h"
#include "codegen/kernel/LineSteps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ingot {
namespace {

struct ScanSizes {
  int64_t threads = 128;
  int64_t threadsPerLine = 1; ///< one, a warp, or all of a block's

  template <typename Field> void fields(Field field) {
    field("threads", threads);
    field("threads_per_line", threadsPerLine);
  }
  int64_t linesPerBlock() const { return threads / threadsPerLine; }
  int64_t blocks(const LineShape &shape) const {
    if (shape.elements() == 0)
      return 1;
    return llvm::divideCeilSigned(shape.lines(), linesPerBlock());
  }
  int64_t warpsPerLine() const { return threadsPerLine / warpSize; }
};

/// One thread a line reads memory in runs where lines lie side by side, and there are enough of
/// them to fill the chip.
ScanSizes chooseSizes(const LineShape &shape) {
  constexpr int64_t fewest = 4096, shortest = 8, most = 1024;
  ScanSizes sizes;
  if (shape.size <= shortest || (shape.inner >= warpSize && shape.lines() >= fewest))
    return sizes;
  if (shape.size <= 4 * warpSize) {
    sizes.threadsPerLine = warpSize;
    return sizes;
  }
  sizes.threads = std::clamp<int64_t>(llvm::PowerOf2Ceil(shape.size), 128, most);
  sizes.threadsPerLine = sizes.threads;
  return sizes;
}

/// Totals of warps, of two tiles in turn: no thread writes one while another still reads it.
int64_t scratchBytes(const ScanSizes &sizes, Type total) {
  return sizes.warpsPerLine() > 1
             ? 2 * sizes.warpsPerLine() * storageType(total).getIntOrFloatBitWidth() / 8
             : 0;
}

class ScanEmitter {
public:
  ScanEmitter(CudaKernel &kernel, graph::ScanOp op, const ScanSizes &sizes)
      : kernel(kernel), code(kernel.code), points(kernel.points(1)), op(op), step(code, op),
        shape(op.getType(), op.getDimension()), sizes(sizes) {}

  LogicalResult emit();

private:
  void emitLine(Value line);
  void inOrder();
  void byTiles();
  std::pair<Value, Value> scanTile(Value x, Value tile);
  Value fromEarlierLane(Value value, int64_t distance);
  PointIndex positionOf(Value number);
  Value element(const PointIndex &position) {
    return step.widened(
        points.at(op.getOperand(), points.split(position, op.getType().getShape())));
  }
  void store(Value total, const PointIndex &position) {
    points.store(step.narrowed(total), kernel.resultMemory(0), position, {}, step.element);
  }
  Value number32(int64_t value) {
    return code.create<arith::ConstantOp>(code.builder.getI32IntegerAttr(int32_t(value)));
  }

  CudaKernel &kernel;
  IndexCode &code;
  PointEmitter points;
  graph::ScanOp op;
  const ScanStep step;
  const LineShape shape;
  const ScanSizes sizes;
  PointIndex outer, inner;         ///< the line's
  Value place, lane, lane32, warp; ///< of this thread among those of its line
  Value totals;
};

/// Of the element that the scan comes to after so many.
PointIndex ScanEmitter::positionOf(Value number) {
  Value place = op.getReverse() ? code.sub(code.index(shape.size - 1), number) : number;
  return (outer * shape.size + PointIndex::uniform(place, shape.size)) * shape.inner + inner;
}

void ScanEmitter::inOrder() {
  code.loop(code.index(0), code.index(shape.size), 1, ValueRange{step.neutral()},
            [&](Value number, ValueRange carried) {
              PointEmitter::Scope scope(points);
              PointIndex position = positionOf(number);
              Value next = step.combine(carried[0], element(position));
              store(op.getExclusive() ? carried[0] : next, position);
              return SmallVector<Value>{next};
            });
}

/// The neutral total in lanes that have none so far before them.
Value ScanEmitter::fromEarlierLane(Value value, int64_t distance) {
  Value from = code.create<arith::SubIOp>(lane32, number32(distance));
  Value has = code.create<arith::CmpIOp>(arith::CmpIPredicate::sge, from, number32(0));
  // Lanes below the first wrap to some other one, whose value is not taken.
  Value other =
      kernel.fromLane(value, code.create<arith::AndIOp>(from, number32(warpSize - 1)).getResult());
  return code.create<arith::SelectOp>(has, other, step.neutral());
}

/// The totals before this thread's element of a tile, and of all the tile.
std::pair<Value, Value> ScanEmitter::scanTile(Value x, Value tile) {
  Value upTo = x;
  for (int64_t distance = 1; distance < warpSize; distance *= 2)
    upTo = step.combine(fromEarlierLane(upTo, distance), upTo);
  Value before = fromEarlierLane(upTo, 1), all = kernel.fromLane(upTo, number32(warpSize - 1));
  const int64_t warps = sizes.warpsPerLine();
  if (warps == 1)
    return {before, all};
  Value first = code.mul(code.remainder(tile, 2), warps);
  auto total = [&](Value number) {
    return PointIndex::uniform(code.add(first, number), 2 * warps);
  };
  code.when(code.isEqual(lane, code.index(0)),
            [&] { points.store(all, totals, total(warp), {}, step.total); });
  kernel.synchronise();
  auto sums = code.loop(
      code.index(0), code.index(warps), 1, ValueRange{step.neutral(), step.neutral()},
      [&](Value number, ValueRange carried) {
        PointEmitter::Scope scope(points);
        Value next = step.combine(carried[1], points.load(totals, step.total, total(number), {}));
        Value isEarlier = code.isBelow(number, warp);
        return SmallVector<Value>{code.create<arith::SelectOp>(isEarlier, next, carried[0]), next};
      });
  return {step.combine(sums[0], before), sums[1]};
}

void ScanEmitter::byTiles() {
  const int64_t tile = sizes.threadsPerLine, tiles = llvm::divideCeilSigned(shape.size, tile);
  code.loop(code.index(0), code.index(tiles), 1, ValueRange{step.neutral()},
            [&](Value number, ValueRange carried) {
              PointEmitter::Scope scope(points);
              Value own = code.add(code.mul(number, tile), place);
              Value isInside = code.isBelow(own, shape.size);
              PointIndex position = positionOf(code.min(own, code.index(shape.size - 1)));
              Value x = code.create<arith::SelectOp>(isInside, element(position), step.neutral());
              auto [before, all] = scanTile(x, number);
              before = step.combine(carried[0], before);
              Value total = op.getExclusive() ? before : step.combine(before, x);
              code.when(isInside, [&, total = total] { store(total, position); });
              return SmallVector<Value>{step.combine(carried[0], all)};
            });
}

void ScanEmitter::emitLine(Value line) {
  PointEmitter::Scope scope(points);
  outer = PointIndex::uniform(code.div(line, shape.inner), shape.outer);
  inner = PointIndex::uniform(code.remainder(line, shape.inner), shape.inner);
  if (sizes.threadsPerLine == 1)
    inOrder();
  else
    byTiles();
}

LogicalResult ScanEmitter::emit() {
  place = code.remainder(kernel.thread(), sizes.threadsPerLine);
  if (sizes.threadsPerLine > 1) {
    lane = code.remainder(place, warpSize);
    warp = code.div(place, warpSize);
    lane32 = code.integer.isInteger(32)
                 ? lane
                 : code.create<arith::TruncIOp>(code.builder.getI32Type(), lane).getResult();
  }
  if (scratchBytes(sizes, step.total))
    totals = kernel.workspace(MemRefType::get({2 * sizes.warpsPerLine()}, storageType(step.total)));
  Value line = code.add(code.mul(kernel.block(), sizes.linesPerBlock()),
                        code.div(kernel.thread(), sizes.threadsPerLine));
  if (shape.lines() % sizes.linesPerBlock())
    code.when(code.isBelow(line, shape.lines()), [&] { emitLine(line); });
  else
    emitLine(line);
  return success(points.ok());
}

} // namespace

LogicalResult scheduleScan(CudaScheduler &kernel) {
  auto op = lineOpOf<graph::ScanOp>(kernel.kernel);
  if (!op)
    return failure();
  const LineShape shape(op.getType(), op.getDimension());
  const ScanSizes sizes = chooseSizes(shape);
  if (int64_t bytes = scratchBytes(sizes, graph::accumulationType(op.getType().getElementType())))
    kernel.addScratch(bytes);
  kernel.launch("scan", sizes.blocks(shape), sizes, shape.elements(), bytesOf(kernel.kernel));
  return success();
}

LogicalResult emitScan(CudaKernel &kernel) {
  auto op = lineOpOf<graph::ScanOp>(kernel.kernel);
  ScanSizes sizes;
  if (!op || failed(readSizes(kernel.kernel, kernel.launch, sizes)))
    return failure();
  const LineShape shape(op.getType(), op.getDimension());
  const int64_t perLine = sizes.threadsPerLine;
  const bool fits = sizes.threads >= warpSize && sizes.threads <= 1024 &&
                    sizes.threads % warpSize == 0 &&
                    (perLine == 1 || perLine == warpSize || perLine == sizes.threads) &&
                    kernel.launch.getGrains() == sizes.blocks(shape);
  if (!fits)
    return kernel.kernel.emitError("kernel.schedule: these threads do not make its result");
  if (shape.elements() == 0)
    return success();
  return ScanEmitter(kernel, op, sizes).emit();
}

} // namespace ingot
