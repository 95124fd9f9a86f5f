/// Scan kernels: running sums and products along lines, in order. Lines that lie side by side are
/// the lanes; a line of consecutive elements is walked one by one.
#include "codegen/cpu/Code.h"
#include "codegen/cpu/Emitters.h"
#include "codegen/cpu/Lines.h"
#include "codegen/kernel/LineSteps.h"

using namespace mlir;

namespace ingot {
namespace {

constexpr int64_t lanes = Code::lanes;

int64_t unitsOf(const LineShape &shape) {
  if (shape.elements() == 0)
    return 0;
  return shape.outer * (shape.inner == 1 ? 1 : llvm::divideCeilSigned(shape.inner, lanes));
}

class ScanEmitter {
public:
  ScanEmitter(KernelBuilder &kernel, graph::ScanOp op, int64_t unitsPerGrain)
      : kernel(kernel), op(op), type(op.getType()), shape(type, op.getDimension()),
        unitsPerGrain(unitsPerGrain), points(kernel.points()), code{kernel.builder, op.getLoc()},
        step(code, op) {}

  LogicalResult emit();

private:
  void emitUnit(Value unit);

  KernelBuilder &kernel;
  graph::ScanOp op;
  const RankedTensorType type;
  const LineShape shape;
  const int64_t unitsPerGrain;
  PointEmitter points;
  Code code;
  const ScanStep step;
};

void ScanEmitter::emitUnit(Value unit) {
  PointIndex line = PointIndex::uniform(unit, shape.outer), column = PointIndex::constant(0);
  Value mask;
  if (shape.inner > 1) {
    const int64_t blocks = llvm::divideCeilSigned(shape.inner, lanes);
    Value first = code.mul(code.remainder(unit, blocks), lanes);
    line = PointIndex::uniform(code.div(unit, blocks), shape.outer);
    column = PointIndex::consecutive(first, shape.inner, /*aligned=*/true);
    if (shape.inner % lanes)
      mask = code.maskBelow(code.sub(code.index(shape.inner), first));
  }
  code.loop(
      code.index(0), code.index(shape.size), 1,
      ValueRange{step.neutral(shape.inner > 1 ? lanes : 0)}, [&](Value number, ValueRange carried) {
        PointEmitter::Scope scope(points);
        Value place = op.getReverse() ? code.sub(code.index(shape.size - 1), number) : number;
        PointIndex position =
            (line * shape.size + PointIndex::uniform(place, shape.size)) * shape.inner + column;
        Value x = points.at(op.getOperand(), points.split(position, type.getShape()), mask);
        if (shape.inner > 1)
          x = points.vectorised(x);
        Value next = step.combine(carried[0], step.widened(x));
        points.store(step.narrowed(op.getExclusive() ? carried[0] : next), kernel.resultMemory(0),
                     position, mask, type.getElementType());
        return SmallVector<Value>{next};
      });
}

LogicalResult ScanEmitter::emit() {
  const int64_t units = unitsOf(shape);
  forUnits(kernel, code, unitsPerGrain, units, [&](Value unit) {
    PointEmitter::Scope scope(points);
    emitUnit(unit);
  });
  return success(points.ok());
}

} // namespace

LogicalResult scheduleScan(KernelScheduler &kernel) {
  auto op = lineOpOf<graph::ScanOp>(kernel.kernel);
  if (!op)
    return failure();
  const LineShape shape(op.getType(), op.getDimension());
  // Each addition waits for the one before it.
  const double operations =
      16 * shape.elements() / double(std::clamp<int64_t>(shape.inner, 1, lanes));
  launchLines(kernel, "scan", unitsOf(shape), operations, bytesOf(kernel.kernel));
  return success();
}

LogicalResult emitScan(KernelBuilder &kernel) {
  auto op = lineOpOf<graph::ScanOp>(kernel.kernel);
  if (!op)
    return failure();
  FailureOr<int64_t> units = readLines(kernel, unitsOf(LineShape(op.getType(), op.getDimension())));
  if (failed(units) || *units == 0)
    return units;
  return ScanEmitter(kernel, op, *units).emit();
}

} // namespace ingot
