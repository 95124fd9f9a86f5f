/// Scatter kernels: each warp owns rows of the result and adds what the indices send there, in
/// their order, so that nothing is atomic and every sum is the CPU's.
#include "codegen/cuda/Emitters.h"
#include "codegen/kernel/ConvertFloat.h"
#include "codegen/kernel/ScatterShape.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ingot {
namespace {

struct ScatterSizes {
  int64_t threads = 128;
  int64_t range = 1; ///< rows of the result that a warp owns

  template <typename Field> void fields(Field field) {
    field("threads", threads);
    field("range", range);
  }
  int64_t ranges(const ScatterShape &shape) const {
    return llvm::divideCeilSigned(shape.size, range);
  }
  int64_t blocks(const ScatterShape &shape) const {
    if (shape.type.getNumElements() == 0)
      return 1;
    return llvm::divideCeilSigned(shape.outer * ranges(shape), threads / warpSize);
  }
};

class ScatterEmitter {
public:
  ScatterEmitter(CudaKernel &kernel, Operation *op, const ScatterSizes &sizes)
      : kernel(kernel), code(kernel.code), points(kernel.points(1)), shape(op), sizes(sizes) {}

  LogicalResult emit();

private:
  void emitWarp(Value warp);
  void startFromBase();
  void copyBase();
  void addUpdates();
  void addUpdate(Value number, Value row);
  Value clampedIndex(Value number);
  /// The columns of this lane.
  void overColumns(llvm::function_ref<void(const PointIndex &column)> body) {
    code.loop(lane, code.index(shape.inner), warpSize, [&](Value column) {
      PointEmitter::Scope scope(points);
      body(PointIndex::uniform(column, shape.inner));
    });
  }

  CudaKernel &kernel;
  IndexCode &code;
  PointEmitter points;
  const ScatterShape shape;
  const ScatterSizes sizes;
  Value lane;
  PointIndex part; ///< the warp's place in `outer`
  Value firstRow, lastRow;
};

Value ScatterEmitter::clampedIndex(Value number) {
  PointIndex place = PointIndex::uniform(number, shape.count);
  Value index = shape.adds
                    ? points.at(shape.indices, points.split(place, shape.indexType.getShape()))
                    : points.at(shape.indices, {});
  index = points.clampedIndex(code.location, index, shape.lastRow());
  return shape.adds ? index : code.add(index, number);
}

void ScatterEmitter::copyBase() {
  code.loop(firstRow, lastRow, 1, [&](Value number) {
    PointIndex row = part * shape.size + PointIndex::uniform(number, shape.size);
    overColumns([&](const PointIndex &column) {
      PointIndex position = row * shape.inner + column;
      Value value = points.at(shape.base, points.split(position, shape.type.getShape()));
      points.store(value, kernel.resultMemory(0), position, {}, shape.type.getElementType());
    });
  });
}

/// Whether the planner gave base and result one place is known when the kernel runs.
void ScatterEmitter::startFromBase() {
  BlockArgument base = shape.baseOperand();
  if (!base)
    return copyBase();
  auto address = [&](Value memory) -> Value {
    return code.create<memref::ExtractAlignedPointerAsIndexOp>(memory);
  };
  Value apart = code.create<arith::CmpIOp>(arith::CmpIPredicate::ne,
                                           address(kernel.operandMemory(base.getArgNumber())),
                                           address(kernel.resultMemory(0)));
  code.when(apart, [&] { copyBase(); });
}

/// A lane adds to its own columns alone, so lanes need not wait for each other.
void ScatterEmitter::addUpdate(Value number, Value row) {
  auto updates = cast<RankedTensorType>(shape.updates.getType());
  PointIndex from = part * shape.count + PointIndex::uniform(number, shape.count);
  PointIndex to = part * shape.size + PointIndex::uniform(row, shape.size);
  Type element = shape.type.getElementType();
  overColumns([&](const PointIndex &column) {
    Value update =
        points.at(shape.updates, points.split(from * shape.inner + column, updates.getShape()));
    PointIndex position = to * shape.inner + column;
    if (!shape.adds)
      return points.store(update, kernel.resultMemory(0), position, {}, element);
    Value old = points.load(kernel.resultMemory(0), element, position, {});
    points.store(addElements(code, old, update), kernel.resultMemory(0), position, {}, element);
  });
}

/// 32 indices at a time, one a lane; those that point into the warp's rows are taken in order.
void ScatterEmitter::addUpdates() {
  OpBuilder &builder = code.builder;
  Type i32 = builder.getI32Type();
  auto bits = [&](int64_t value) -> Value {
    return code.create<arith::ConstantOp>(builder.getI32IntegerAttr(int32_t(value)));
  };
  code.loop(code.index(0), code.index(shape.count), warpSize, [&](Value first) {
    PointEmitter::Scope scope(points);
    Value own = code.add(first, lane);
    // Beyond the last one: the last, which is not taken.
    Value row = clampedIndex(code.min(own, code.index(shape.count - 1)));
    auto test = [&](arith::CmpIPredicate predicate, Value bound) -> Value {
      return code.create<arith::CmpIOp>(predicate, row, bound);
    };
    Value mine = code.create<arith::AndIOp>(test(arith::CmpIPredicate::sge, firstRow),
                                            test(arith::CmpIPredicate::slt, lastRow));
    mine = code.create<arith::AndIOp>(mine, code.isBelow(own, shape.count));
    Value taken = code.create<NVVM::VoteSyncOp>(i32, bits(-1), mine, NVVM::VoteSyncKind::ballot);
    code.create<scf::WhileOp>(
        TypeRange{i32}, ValueRange{taken},
        [&](OpBuilder &, Location, ValueRange left) {
          Value any = code.create<arith::CmpIOp>(arith::CmpIPredicate::ne, left[0], bits(0));
          code.create<scf::ConditionOp>(any, left);
        },
        [&](OpBuilder &, Location, ValueRange left) {
          PointEmitter::Scope inner(points);
          Value next = code.create<math::CountTrailingZerosOp>(left[0]);
          Value place = code.integer == i32
                            ? next
                            : code.create<arith::ExtUIOp>(code.integer, next).getResult();
          addUpdate(code.add(first, place), kernel.fromLane(row, next));
          Value less = code.create<arith::SubIOp>(left[0], bits(1));
          code.create<scf::YieldOp>(
              ValueRange{code.create<arith::AndIOp>(left[0], less).getResult()});
        });
  });
}

void ScatterEmitter::emitWarp(Value warp) {
  const int64_t ranges = sizes.ranges(shape);
  Value range = code.remainder(warp, ranges);
  part = shape.outer == 1 ? PointIndex::constant(0)
                          : PointIndex::uniform(code.div(warp, ranges), shape.outer);
  firstRow = code.mul(range, sizes.range);
  lastRow = code.min(code.add(firstRow, sizes.range), code.index(shape.size));
  PointEmitter::Scope scope(points);
  startFromBase();
  if (shape.count)
    addUpdates();
}

LogicalResult ScatterEmitter::emit() {
  const int64_t perBlock = kernel.threads / warpSize, all = shape.outer * sizes.ranges(shape);
  lane = code.remainder(kernel.thread(), warpSize);
  Value warp = code.add(code.mul(kernel.block(), perBlock), code.div(kernel.thread(), warpSize));
  if (all % perBlock)
    code.when(code.isBelow(warp, all), [&] { emitWarp(warp); });
  else
    emitWarp(warp);
  return success(points.ok());
}

} // namespace

LogicalResult scheduleScatter(CudaScheduler &kernel) {
  Operation *op = scatterOf(kernel.kernel);
  if (!op)
    return failure();
  const ScatterShape shape(op);
  ScatterSizes sizes;
  if (shape.type.getNumElements()) {
    if (failed(accessScatter(kernel.kernel, shape, /*lanes=*/1)))
      return failure();
    const int64_t warps = kernel.costs.mostGrains * (sizes.threads / warpSize);
    sizes.range = llvm::divideCeilSigned(
        shape.size, std::max<int64_t>(1, std::min(shape.size, warps / shape.outer)));
    shareBase(kernel, shape);
  }
  kernel.launch("scatter", sizes.blocks(shape), sizes, shape.flops(), shape.bytes());
  return success();
}

LogicalResult emitScatter(CudaKernel &kernel) {
  Operation *op = scatterOf(kernel.kernel);
  ScatterSizes sizes;
  if (!op || failed(readSizes(kernel.kernel, kernel.launch, sizes)))
    return failure();
  const ScatterShape shape(op);
  const bool fits = sizes.threads >= warpSize && sizes.threads <= 1024 &&
                    sizes.threads % warpSize == 0 && sizes.range > 0 &&
                    kernel.launch.getGrains() == sizes.blocks(shape);
  if (!fits)
    return kernel.kernel.emitError("kernel.schedule: these warps do not make its result");
  if (shape.type.getNumElements() == 0)
    return success();
  return ScatterEmitter(kernel, op, sizes).emit();
}

} // namespace ingot
