/// Indexing kernels: scatter_add into its base, in place where base and result share memory.
#include "codegen/cpu/Emitters.h"
#include "codegen/cpu/Lanes.h"
#include "ir/dialect/Graph.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ingot {
namespace {

/// The tensor behind views that keep every element's position in row-major order.
Value behindReshapes(Value tensor) {
  while (Operation *op = tensor.getDefiningOp()) {
    if (!isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, graph::ReshapeOp>(op))
      break;
    tensor = op->getOperand(0);
  }
  return tensor;
}

class ScatterEmitter {
public:
  ScatterEmitter(KernelBuilder &kernel, graph::ScatterAddOp op)
      : kernel(kernel), builder(kernel.builder), location(op.getLoc()), points(kernel.points()),
        op(op), type(cast<RankedTensorType>(op.getBase().getType())) {
    ArrayRef<int64_t> shape = type.getShape();
    int64_t dim = op.getDimension();
    for (int64_t index = 0; index < type.getRank(); ++index)
      (index < dim ? outer : index > dim ? inner : size) *= shape[index];
    indexType = cast<RankedTensorType>(op.getIndices().getType());
    count = indexType.getNumElements();
  }

  LogicalResult emit();

private:
  void cutGrains();
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
  graph::ScatterAddOp op;
  RankedTensorType type, indexType;
  int64_t outer = 1, size = 1, inner = 1, count = 0; ///< result [outer, size, inner]
  int64_t unroll = 1, chunk = 0, chunks = 1;         ///< columns of a grain
  int64_t range = 0, ranges = 1;                     ///< rows of the result that a grain owns
  PointIndex part;                                   ///< the grain's place in `outer`
  Value firstColumn, lastColumn, firstRow, lastRow;
};

/// Grains own columns of all rows; where rows are short, they own rows and skip the other indices.
void ScatterEmitter::cutGrains() {
  double work = estimateNanoseconds(double(outer) * count * inner,
                                    8.0 * outer * inner * double(count + size));
  int64_t perPart =
      llvm::divideCeilSigned(grainsFor(work, std::numeric_limits<int64_t>::max()), outer);
  unroll = unrollFor(1, inner, points.lanes());
  int64_t step = unroll * points.lanes();
  chunk = llvm::alignTo(
      llvm::divideCeilSigned(inner, std::min(perPart, llvm::divideCeilSigned(inner, 4 * step))),
      step);
  chunks = llvm::divideCeilSigned(inner, chunk);
  ranges = inner < 64 ? std::min({perPart, size, int64_t(16)}) : 1;
  range = llvm::divideCeilSigned(size, ranges);
  ranges = llvm::divideCeilSigned(size, range);
  kernel.setGrains(outer * ranges * chunks);
  kernel.setFlops(double(outer) * count * inner);
  // Updates are read once, their places in the result read and written; so it is in place.
  double element = type.getElementTypeBitWidth() / 8.0,
         index = indexType.getElementTypeBitWidth() / 8.0;
  kernel.setBytes(3 * element * double(outer) * count * inner + index * double(count));
}

Value ScatterEmitter::clampedIndex(Value number) {
  PointIndex place = PointIndex::uniform(number, count);
  Value index = points.at(op.getIndices(), points.split(place, indexType.getShape()));
  index = arith::IndexCastOp::create(builder, location, builder.getIndexType(), index);
  index = arith::MaxSIOp::create(builder, location, index, kernel.index(0));
  return arith::MinSIOp::create(builder, location, index, kernel.index(size - 1));
}

void ScatterEmitter::copyBase() {
  auto rows = loop(firstRow, lastRow);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(rows.getBody());
  PointIndex row = part * size + PointIndex::uniform(rows.getInductionVar(), size);
  overColumns([&](const PointIndex &column, Value mask) {
    PointIndex position = row * inner + column;
    Value value = points.at(op.getBase(), points.split(position, type.getShape()), mask);
    points.store(value, kernel.resultMemory(0), position, mask, type.getElementType());
  });
}

/// Whether the planner gave base and result one place is known when the kernel runs.
void ScatterEmitter::startFromBase() {
  auto base = dyn_cast<BlockArgument>(behindReshapes(op.getBase()));
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
  auto updates = cast<RankedTensorType>(op.getUpdates().getType());
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
        points.at(op.getUpdates(), points.split(from * inner + column, updates.getShape()), mask));
    PointIndex position = to * inner + column;
    Value old = points.load(kernel.resultMemory(0), type.getElementType(), position, mask);
    Value sum = isa<FloatType>(type.getElementType())
                    ? arith::AddFOp::create(builder, location, old, update).getResult()
                    : arith::AddIOp::create(builder, location, old, update).getResult();
    points.store(sum, kernel.resultMemory(0), position, mask, type.getElementType());
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
  if (type.getNumElements() == 0) {
    kernel.setGrains(0);
    return success();
  }
  cutGrains();
  {
    auto grains = loop(kernel.lo(), kernel.hi());
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(grains.getBody());
    emitGrain(grains.getInductionVar());
  }
  auto base = dyn_cast<BlockArgument>(behindReshapes(op.getBase()));
  if (base && base.hasOneUse())
    kernel.addInPlace(0, base.getArgNumber());
  return success(points.ok());
}

} // namespace

LogicalResult emitIndexing(KernelBuilder &kernel) {
  auto scatter = behindReshapes(kernel.returned(0)).getDefiningOp<graph::ScatterAddOp>();
  if (kernel.results() != 1 || !scatter)
    return kernel.kernel.emitError("an indexing kernel returns one scatter_add");
  return ScatterEmitter(kernel, scatter).emit();
}

} // namespace ingot
