/// Sort kernels: a line becomes integers that are ordered as its elements are, which are merged
/// together with the places that they had; the merging steps have no branches. Where a few first
/// elements are stored alone, they are kept in order while the line passes.
#include "codegen/cpu/Code.h"
#include "codegen/cpu/Emitters.h"
#include "codegen/cpu/Lines.h"
#include "codegen/kernel/LineSteps.h"

using namespace mlir;

namespace ingot {
namespace {

/// A line repays sorting as a whole from so many stored elements on.
constexpr int64_t mostKept = 64;

/// The elements of a line that some result has.
int64_t storedOf(func::FuncOp kernel, graph::SortOp op) {
  int64_t most = 0;
  for (unsigned result = 0; result < kernel.getNumResults(); ++result)
    most = std::max(most, sortedResult(kernel, op, result).size);
  return most;
}

int64_t unitsOf(const LineShape &shape, int64_t stored) {
  return shape.elements() == 0 || stored == 0 ? 0 : shape.lines();
}

/// Whether the first elements are found without sorting the others.
bool keepsFirst(const LineShape &shape, int64_t stored) {
  return stored <= std::min(mostKept, shape.size / 4);
}

/// How often runs double until one is the whole line.
int64_t passesOf(const LineShape &shape) {
  return shape.size > 1 ? llvm::Log2_64_Ceil(uint64_t(shape.size)) : 0;
}

/// Elements of the scratch memory.
int64_t slotsOf(const LineShape &shape, int64_t stored) {
  return keepsFirst(shape, stored) ? stored : 2 * shape.size;
}

class SortEmitter {
public:
  SortEmitter(KernelBuilder &kernel, graph::SortOp op, int64_t unitsPerGrain)
      : kernel(kernel), op(op), type(op.getOperand().getType()), shape(type, op.getDimension()),
        stored(storedOf(kernel.kernel, op)), unitsPerGrain(unitsPerGrain), points(kernel.points()),
        code{kernel.builder, op.getLoc()} {}

  LogicalResult emit();

private:
  void emitLine(Value line);
  void fill(const PointIndex &outer, const PointIndex &column);
  void mergeRuns();
  void mergePair(Value from, Value to, Value left, Value middle, Value end);
  void findFirst(const PointIndex &outer, const PointIndex &column);
  void insert(Value key, Value place);
  void store(const PointIndex &outer, const PointIndex &column, int64_t from);
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
  const int64_t stored; ///< elements of a line
  const int64_t unitsPerGrain;
  PointEmitter points;
  Code code;
  Value keys,
      places; ///< the first elements, or twice the line: what is merged, and what it becomes
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

/// Puts an element among the first ones, of which there are as many as elements before it, at most
/// all that are stored: where its place is, it and those after it move on by one.
void SortEmitter::insert(Value key, Value place) {
  Value narrow = code.create<arith::IndexCastOp>(code.builder.getI32Type(), place);
  Value count = code.min(place, code.index(stored));
  auto last = code.loop(
      code.index(0), count, 1, ValueRange{key, narrow}, [&](Value slot, ValueRange carried) {
        Value otherKey = code.load(keys, slot), other = code.load(places, slot);
        auto test = [&](arith::CmpIPredicate predicate, Value a, Value b) -> Value {
          return code.create<arith::CmpIOp>(predicate, a, b);
        };
        Value isSame = test(arith::CmpIPredicate::eq, carried[0], otherKey);
        Value isBefore = code.create<arith::OrIOp>(
            test(arith::CmpIPredicate::slt, carried[0], otherKey),
            code.create<arith::AndIOp>(isSame, test(arith::CmpIPredicate::slt, carried[1], other)));
        auto choose = [&](Value a, Value b) -> Value {
          return code.create<arith::SelectOp>(isBefore, a, b);
        };
        code.store(choose(carried[0], otherKey), keys, slot);
        code.store(choose(carried[1], other), places, slot);
        return SmallVector<Value>{choose(otherKey, carried[0]), choose(other, carried[1])};
      });
  code.when(code.isBelow(place, stored), [&] {
    code.store(last[0], keys, place);
    code.store(last[1], places, place);
  });
}

/// One pass over the line. Blocks of consecutive floats without one that comes before the last of
/// the first ones are passed over at once.
void SortEmitter::findFirst(const PointIndex &outer, const PointIndex &column) {
  constexpr int64_t lanes = Code::lanes;
  auto keyAt = [&](Value place) {
    return sortKey(code, op, element(positionOf(outer, place, column)), keyType());
  };
  auto each = [&](Value from, Value to) {
    code.loop(from, to, 1, [&](Value place) {
      PointEmitter::Scope scope(points);
      Value key = keyAt(place);
      Value isBefore = code.create<arith::CmpIOp>(arith::CmpIPredicate::slt, key,
                                                  code.load(keys, code.index(stored - 1)));
      code.when(isBefore, [&] { insert(key, place); });
    });
  };
  code.loop(code.index(0), code.index(stored), 1, [&](Value place) {
    PointEmitter::Scope scope(points);
    insert(keyAt(place), place);
  });
  Type type = valueType(this->type.getElementType());
  const int64_t first = llvm::alignTo(stored, lanes), end = shape.size / lanes * lanes;
  if (shape.inner != 1 || !(type.isF32() || type.isF64()) || first >= end)
    return each(code.index(stored), code.index(shape.size));
  each(code.index(stored), code.index(first));
  code.loop(code.index(first), code.index(end), lanes, [&](Value start) {
    PointEmitter::Scope scope(points);
    PointIndex position =
        outer * shape.size + PointIndex::consecutive(start, shape.size, /*aligned=*/true);
    Value values = points.vectorised(
        points.at(op.getOperand(), points.split(position, this->type.getShape())));
    Value place = code.create<arith::IndexCastOp>(code.builder.getIndexType(),
                                                  code.load(places, code.index(stored - 1)));
    Value last = code.splat(element(positionOf(outer, place, column)));
    // A comparison with NaN holds: only what certainly comes after is skipped.
    Value isBefore = code.create<arith::CmpFOp>(
        op.getDescending() ? arith::CmpFPredicate::UGT : arith::CmpFPredicate::ULT, values, last);
    Value any = code.create<vector::ReductionOp>(vector::CombiningKind::OR, isBefore);
    code.when(any, [&] { each(start, code.add(start, lanes)); });
  });
  each(code.index(end), code.index(shape.size));
}

void SortEmitter::store(const PointIndex &outer, const PointIndex &column, int64_t from) {
  for (unsigned result = 0; result < kernel.results(); ++result) {
    const SortedResult sorted = sortedResult(kernel.kernel, op, result);
    code.loop(code.index(0), code.index(sorted.size), 1, [&](Value next) {
      PointEmitter::Scope scope(points);
      Value place = code.load(places, code.add(next, from)), value;
      if (sorted.isPlaces) {
        value = code.create<arith::ExtSIOp>(code.builder.getI64Type(), place);
      } else {
        Value index = code.create<arith::IndexCastOp>(code.builder.getIndexType(), place);
        value = element(positionOf(outer, index, column));
      }
      PointIndex to =
          (outer * sorted.size + PointIndex::uniform(next, sorted.size)) * shape.inner + column;
      points.store(value, kernel.resultMemory(result), to, {},
                   kernel.type(result).getElementType());
    });
  }
}

void SortEmitter::emitLine(Value line) {
  PointEmitter::Scope scope(points);
  PointIndex outer = PointIndex::uniform(code.div(line, shape.inner), shape.outer);
  PointIndex column = PointIndex::uniform(code.remainder(line, shape.inner), shape.inner);
  if (keepsFirst(shape, stored)) {
    findFirst(outer, column);
    return store(outer, column, /*from=*/0);
  }
  fill(outer, column);
  mergeRuns();
  store(outer, column, passesOf(shape) % 2 * shape.size);
}

LogicalResult SortEmitter::emit() {
  const int64_t kept = slotsOf(shape, stored);
  keys = kernel.workspace(MemRefType::get({kept}, keyType()));
  places = kernel.workspace(MemRefType::get({kept}, code.builder.getI32Type()));
  forUnits(kernel, code, unitsPerGrain, unitsOf(shape, stored),
           [&](Value line) { emitLine(line); });
  return success(points.ok());
}

} // namespace

LogicalResult scheduleSort(KernelScheduler &kernel) {
  auto op = lineOpOf<graph::SortOp>(kernel.kernel);
  if (!op)
    return failure();
  const LineShape shape(op.getOperand().getType(), op.getDimension());
  const int64_t stored = storedOf(kernel.kernel, op), units = unitsOf(shape, stored);
  if (units) {
    kernel.addScratch(slotsOf(shape, stored) * int64_t(sizeof(int64_t)));
    kernel.addScratch(slotsOf(shape, stored) * int64_t(sizeof(int32_t)));
  }
  constexpr double ofMerging = 40, ofMoving = 30, ofPassing = 4; // simple operations an element
  const double operations =
      keepsFirst(shape, stored) ? ofPassing : ofMoving + ofMerging * double(passesOf(shape));
  launchLines(kernel, "sort", units, shape.elements() * operations, bytesOf(kernel.kernel));
  return success();
}

LogicalResult emitSort(KernelBuilder &kernel) {
  auto op = lineOpOf<graph::SortOp>(kernel.kernel);
  if (!op)
    return failure();
  FailureOr<int64_t> units =
      readLines(kernel, unitsOf(LineShape(op.getOperand().getType(), op.getDimension()),
                                storedOf(kernel.kernel, op)));
  if (failed(units) || *units == 0)
    return units;
  return SortEmitter(kernel, op, *units).emit();
}

} // namespace ingot
