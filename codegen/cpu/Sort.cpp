/// Sort kernels: a line becomes integers that are ordered as its elements are, which are merged
/// together with the places that they had; the merging steps have no branches.
#include "codegen/cpu/Code.h"
#include "codegen/cpu/Emitters.h"
#include "codegen/cpu/Lines.h"
#include "codegen/kernel/LineSteps.h"

using namespace mlir;

namespace ingot {
namespace {

int64_t unitsOf(const LineShape &shape) { return shape.elements() == 0 ? 0 : shape.lines(); }

/// How often runs double until one is the whole line.
int64_t passesOf(const LineShape &shape) {
  return shape.size > 1 ? llvm::Log2_64_Ceil(uint64_t(shape.size)) : 0;
}

class SortEmitter {
public:
  SortEmitter(KernelBuilder &kernel, graph::SortOp op, int64_t unitsPerGrain)
      : kernel(kernel), op(op), type(op.getOperand().getType()), shape(type, op.getDimension()),
        unitsPerGrain(unitsPerGrain), points(kernel.points()), code{kernel.builder, op.getLoc()} {}

  LogicalResult emit();

private:
  void emitLine(Value line);
  void fill(const PointIndex &outer, const PointIndex &column);
  void mergeRuns();
  void mergePair(Value from, Value to, Value left, Value middle, Value end);
  void store(const PointIndex &outer, const PointIndex &column);
  PointIndex positionOf(const PointIndex &outer, Value place, const PointIndex &column) {
    return (outer * shape.size + PointIndex::uniform(place, shape.size)) * shape.inner + column;
  }
  IntegerType keyType() { return code.builder.getI64Type(); }
  Value element(const PointIndex &position) {
    return points.at(op.getOperand(), points.split(position, type.getShape()));
  }

  KernelBuilder &kernel;
  graph::SortOp op;
  const RankedTensorType type;
  const LineShape shape;
  const int64_t unitsPerGrain;
  PointEmitter points;
  Code code;
  Value keys, places; ///< twice the line: what is merged, and what it becomes
};

void SortEmitter::fill(const PointIndex &outer, const PointIndex &column) {
  code.loop(code.index(0), code.index(shape.size), 1, [&](Value place) {
    PointEmitter::Scope scope(points);
    Value key = sortKey(code, op, element(positionOf(outer, place, column)), keyType());
    code.store(key, keys, place);
    code.store(code.create<arith::IndexCastOp>(code.builder.getI32Type(), place), places, place);
  });
}

/// Two runs, of which the left one's elements go first where they are equal.
void SortEmitter::mergePair(Value from, Value to, Value left, Value middle, Value end) {
  Value last = code.index(shape.size - 1);
  code.loop(left, end, 1, ValueRange{left, middle}, [&](Value next, ValueRange heads) {
    Value i = heads[0], j = heads[1];
    auto at = [&](Value head) { return code.add(from, code.min(head, last)); };
    Value leftKey = code.load(keys, at(i)), rightKey = code.load(keys, at(j));
    Value isOrdered = code.create<arith::CmpIOp>(arith::CmpIPredicate::sle, leftKey, rightKey);
    Value isRightEmpty = code.create<arith::CmpIOp>(arith::CmpIPredicate::uge, j, end);
    Value takesLeft = code.create<arith::AndIOp>(
        code.isBelow(i, middle), code.create<arith::OrIOp>(isRightEmpty, isOrdered));
    Value key = code.create<arith::SelectOp>(takesLeft, leftKey, rightKey);
    Value head = code.create<arith::SelectOp>(takesLeft, i, j);
    Value place = code.load(places, code.add(from, head));
    code.store(key, keys, code.add(to, next));
    code.store(place, places, code.add(to, next));
    Value step = code.create<arith::IndexCastUIOp>(code.builder.getIndexType(), takesLeft);
    return SmallVector<Value>{code.add(i, step), code.sub(code.add(j, 1), step)};
  });
}

void SortEmitter::mergeRuns() {
  Value size = code.index(shape.size);
  code.loop(code.index(0), code.index(passesOf(shape)), 1, ValueRange{code.index(1), code.index(0)},
            [&](Value, ValueRange carried) {
              Value width = carried[0], from = carried[1], to = code.sub(size, from);
              Value two = code.mul(width, 2);
              auto pairs = code.create<scf::ForOp>(code.index(0), size, two);
              {
                OpBuilder::InsertionGuard guard(code.builder);
                code.builder.setInsertionPointToStart(pairs.getBody());
                Value left = pairs.getInductionVar();
                mergePair(from, to, left, code.min(code.add(left, width), size),
                          code.min(code.add(left, two), size));
              }
              return SmallVector<Value>{two, to};
            });
}

void SortEmitter::store(const PointIndex &outer, const PointIndex &column) {
  const int64_t from = passesOf(shape) % 2 * shape.size;
  code.loop(code.index(0), code.index(shape.size), 1, [&](Value next) {
    PointEmitter::Scope scope(points);
    Value place = code.load(places, code.add(next, from));
    PointIndex to = positionOf(outer, next, column);
    for (unsigned result = 0; result < kernel.results(); ++result) {
      Value value;
      if (isSortedPlaces(kernel.kernel, op, result)) {
        value = code.create<arith::ExtSIOp>(code.builder.getI64Type(), place);
      } else {
        Value index = code.create<arith::IndexCastOp>(code.builder.getIndexType(), place);
        value = element(positionOf(outer, index, column));
      }
      points.store(value, kernel.resultMemory(result), to, {},
                   kernel.type(result).getElementType());
    }
  });
}

void SortEmitter::emitLine(Value line) {
  PointEmitter::Scope scope(points);
  PointIndex outer = PointIndex::uniform(code.div(line, shape.inner), shape.outer);
  PointIndex column = PointIndex::uniform(code.remainder(line, shape.inner), shape.inner);
  fill(outer, column);
  mergeRuns();
  store(outer, column);
}

LogicalResult SortEmitter::emit() {
  keys = kernel.workspace(MemRefType::get({2 * shape.size}, keyType()));
  places = kernel.workspace(MemRefType::get({2 * shape.size}, code.builder.getI32Type()));
  forUnits(kernel, code, unitsPerGrain, unitsOf(shape), [&](Value line) { emitLine(line); });
  return success(points.ok());
}

} // namespace

LogicalResult scheduleSort(KernelScheduler &kernel) {
  auto op = lineOpOf<graph::SortOp>(kernel.kernel);
  if (!op)
    return failure();
  const LineShape shape(op.getOperand().getType(), op.getDimension());
  if (unitsOf(shape)) {
    kernel.addScratch(2 * shape.size * int64_t(sizeof(int64_t)));
    kernel.addScratch(2 * shape.size * int64_t(sizeof(int32_t)));
  }
  constexpr double ofMerging = 40, ofMoving = 30; // simple operations an element
  launchLines(kernel, "sort", unitsOf(shape),
              shape.elements() * (ofMoving + ofMerging * double(passesOf(shape))),
              bytesOf(kernel.kernel));
  return success();
}

LogicalResult emitSort(KernelBuilder &kernel) {
  auto op = lineOpOf<graph::SortOp>(kernel.kernel);
  if (!op)
    return failure();
  FailureOr<int64_t> units =
      readLines(kernel, unitsOf(LineShape(op.getOperand().getType(), op.getDimension())));
  if (failed(units) || *units == 0)
    return units;
  return SortEmitter(kernel, op, *units).emit();
}

} // namespace ingot
