/// Scatter kernels: scatter_add and dynamic_update_slice into their base, in place where base and
/// result share memory.
#include "codegen/cpu/Code.h"
#include "codegen/cpu/Emitters.h"
#include "codegen/cpu/KernelScheduler.h"
#include "codegen/cpu/Lanes.h"
#include "codegen/kernel/ConvertFloat.h"
#include "codegen/kernel/ScatterShape.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ingot {
namespace {

struct ScatterSizes {
  int64_t chunk = 0;  ///< columns of a grain
  int64_t range = 0;  ///< rows of the result that a grain owns
  int64_t unroll = 1; ///< blocks of lanes that are written out

  template <typename Field> void fields(Field field) {
    field("chunk", chunk);
    field("range", range);
    field("unroll", unroll);
  }
};

int64_t chunksOf(const ScatterShape &shape, const ScatterSizes &sizes) {
  return llvm::divideCeilSigned(shape.inner, sizes.chunk);
}
int64_t rangesOf(const ScatterShape &shape, const ScatterSizes &sizes) {
  return llvm::divideCeilSigned(shape.size, sizes.range);
}

//===--------------------------------------------------------------------------------------------===//
// Schedule
//===--------------------------------------------------------------------------------------------===//

/// Grains own columns of all rows; where rows are short, they own rows and skip the other indices.
ScatterSizes chooseSizes(const ScatterShape &shape, const TargetCosts &costs, int64_t lanes) {
  ScatterSizes sizes;
  const double work =
      costs.nanoseconds(double(shape.outer) * shape.count * shape.inner,
                        8.0 * shape.outer * shape.inner * double(shape.count + shape.size));
  const int64_t perPart =
      llvm::divideCeilSigned(costs.grains(work, std::numeric_limits<int64_t>::max()), shape.outer);
  sizes.unroll = unrollFor(1, shape.inner, lanes);
  const int64_t step = sizes.unroll * lanes;
  sizes.chunk = llvm::alignTo(
      llvm::divideCeilSigned(shape.inner,
                             std::min(perPart, llvm::divideCeilSigned(shape.inner, 4 * step))),
      step);
  const int64_t ranges = shape.inner < 64 ? std::min({perPart, shape.size, int64_t(16)}) : 1;
  sizes.range = llvm::divideCeilSigned(shape.size, ranges);
  return sizes;
}

//===--------------------------------------------------------------------------------------------===//
// Emission
//===--------------------------------------------------------------------------------------------===//

class ScatterEmitter {
public:
  ScatterEmitter(KernelBuilder &kernel, Operation *op, const ScatterSizes &sizes)
      : kernel(kernel), builder(kernel.builder), location(op->getLoc()), points(kernel.points()),
        shape(op), type(shape.type), indexType(shape.indexType), outer(shape.outer),
        size(shape.size), inner(shape.inner), count(shape.count), chunk(sizes.chunk),
        range(sizes.range), unroll(sizes.unroll), chunks(chunksOf(shape, sizes)),
        ranges(rangesOf(shape, sizes)) {}

  LogicalResult emit();

private:
  void emitGrain(Value grain);
  void startFromBase();
  void copyBase();
  void addUpdates();
  Value clampedIndex(Value number);
  void overColumns(llvm::function_ref<void(const PointIndex &column, Value mask)> body) {
    forEachBlock(points, location, firstColumn, lastColumn, inner, unroll, body);
  }
  scf::ForOp loop(Value from, Value to) {
    return scf::ForOp::create(builder, location, from, to, kernel.index(1));
  }
  Value slice(Value number, int64_t width, int64_t end) {
    Value start = arith::MulIOp::create(builder, location, number, kernel.index(width));
    return arith::MinUIOp::create(builder, location, start, kernel.index(end));
  }
  Value next(Value number) {
    return arith::AddIOp::create(builder, location, number, kernel.index(1));
  }

  KernelBuilder &kernel;
  OpBuilder &builder;
  Location location;
  PointEmitter points;
  const ScatterShape shape;
  const RankedTensorType type, indexType;
  const int64_t outer, size, inner, count, chunk, range, unroll, chunks, ranges;
  PointIndex part; ///< the grain's place in `outer`
  Value firstColumn, lastColumn, firstRow, lastRow;
};

Value ScatterEmitter::clampedIndex(Value number) {
  PointIndex place = PointIndex::uniform(number, count);
  Value index = shape.adds ? points.at(shape.indices, points.split(place, indexType.getShape()))
                           : points.at(shape.indices, {});
  index = points.clampedIndex(location, index, shape.lastRow());
  return shape.adds ? index : arith::AddIOp::create(builder, location, index, number);
}

void ScatterEmitter::copyBase() {
  auto rows = loop(firstRow, lastRow);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(rows.getBody());
  PointIndex row = part * size + PointIndex::uniform(rows.getInductionVar(), size);
  overColumns([&](const PointIndex &column, Value mask) {
    PointIndex position = row * inner + column;
    Value value = points.at(shape.base, points.split(position, type.getShape()), mask);
    points.store(value, kernel.resultMemory(0), position, mask, type.getElementType());
  });
}

/// Whether the planner gave base and result one place is known when the kernel runs.
void ScatterEmitter::startFromBase() {
  BlockArgument base = shape.baseOperand();
  if (!base)
    return copyBase();
  auto address = [&](Value memory) -> Value {
    return memref::ExtractAlignedPointerAsIndexOp::create(builder, location, memory);
  };
  Value apart = arith::CmpIOp::create(builder, location, arith::CmpIPredicate::ne,
                                      address(kernel.operandMemory(base.getArgNumber())),
                                      address(kernel.resultMemory(0)));
  auto branch = scf::IfOp::create(builder, location, apart, /*else=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  copyBase();
}

void ScatterEmitter::addUpdates() {
  auto updates = cast<RankedTensorType>(shape.updates.getType());
  auto slices = loop(kernel.index(0), kernel.index(count));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(slices.getBody());
  PointEmitter::Scope scope(points);
  Value number = slices.getInductionVar(), index = clampedIndex(number);
  if (ranges > 1) {
    auto compare = [&](arith::CmpIPredicate predicate, Value bound) -> Value {
      return arith::CmpIOp::create(builder, location, predicate, index, bound);
    };
    Value mine =
        arith::AndIOp::create(builder, location, compare(arith::CmpIPredicate::uge, firstRow),
                              compare(arith::CmpIPredicate::ult, lastRow));
    auto branch = scf::IfOp::create(builder, location, mine, /*else=*/false);
    builder.setInsertionPointToStart(branch.thenBlock());
  }
  PointIndex from = part * count + PointIndex::uniform(number, count);
  PointIndex to = part * size + PointIndex::uniform(index, size);
  overColumns([&](const PointIndex &column, Value mask) {
    Value update = points.vectorised(
        points.at(shape.updates, points.split(from * inner + column, updates.getShape()), mask));
    PointIndex position = to * inner + column;
    if (!shape.adds)
      return points.store(update, kernel.resultMemory(0), position, mask, type.getElementType());
    Value old = points.load(kernel.resultMemory(0), type.getElementType(), position, mask);
    IndexCode code{builder, location};
    points.store(addElements(code, old, update), kernel.resultMemory(0), position, mask,
                 type.getElementType());
  });
}

void ScatterEmitter::emitGrain(Value grain) {
  auto take = [&](int64_t parts) {
    Value by = kernel.index(parts);
    Value digit = arith::RemUIOp::create(builder, location, grain, by);
    grain = arith::DivUIOp::create(builder, location, grain, by);
    return digit;
  };
  Value column = take(chunks), row = take(ranges);
  firstColumn = slice(column, chunk, inner), lastColumn = slice(next(column), chunk, inner);
  firstRow = slice(row, range, size), lastRow = slice(next(row), range, size);
  part = PointIndex::uniform(grain, outer);
  PointEmitter::Scope scope(points);
  startFromBase();
  if (count)
    addUpdates();
}

LogicalResult ScatterEmitter::emit() {
  auto grains = loop(kernel.lo(), kernel.hi());
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(grains.getBody());
  emitGrain(grains.getInductionVar());
  return success(points.ok());
}

} // namespace

LogicalResult scheduleScatter(KernelScheduler &kernel) {
  Operation *op = scatterOf(kernel.kernel);
  if (!op)
    return failure();
  const ScatterShape shape(op);
  ScatterSizes sizes;
  int64_t grains = 0;
  if (shape.type.getNumElements()) {
    if (failed(accessScatter(kernel.kernel, shape, Code::lanes)))
      return failure();
    sizes = chooseSizes(shape, kernel.costs, Code::lanes);
    grains = shape.outer * rangesOf(shape, sizes) * chunksOf(shape, sizes);
    shareBase(kernel, shape);
  }
  kernel.launch("scatter", grains, sizes, shape.flops(), shape.bytes());
  return success();
}

LogicalResult emitScatter(KernelBuilder &kernel) {
  Operation *op = scatterOf(kernel.kernel);
  ScatterSizes sizes;
  if (!op || failed(readSizes(kernel.kernel, kernel.launch, sizes)))
    return failure();
  const ScatterShape shape(op);
  if (shape.type.getNumElements() == 0)
    return success();
  const bool fits =
      sizes.chunk > 0 && sizes.range > 0 && sizes.unroll > 0 && sizes.unroll <= 16 &&
      sizes.chunk % (sizes.unroll * Code::lanes) == 0 &&
      kernel.launch.getGrains() == shape.outer * rangesOf(shape, sizes) * chunksOf(shape, sizes);
  if (!fits)
    return kernel.kernel.emitError("kernel.schedule: these grains do not make its result");
  return ScatterEmitter(kernel, op, sizes).emit();
}

} // namespace ingot
