#include "codegen/cpu/Lanes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace ingot {

Value tailMask(PointEmitter &points, Location location, int64_t count) {
  OpBuilder &builder = points.ops();
  SmallVector<bool> bits(points.lanes());
  std::fill_n(bits.begin(), count, true);
  auto type = VectorType::get({points.lanes()}, builder.getI1Type());
  return arith::ConstantOp::create(builder, location, DenseElementsAttr::get(type, bits));
}

int64_t unrollFor(double flopsPerElement, int64_t size, int64_t lanes) {
  if (flopsPerElement > 24 || size < 4 * lanes)
    return 1;
  return size / lanes % 4 == 0 ? 4 : size / lanes % 2 == 0 ? 2 : 1;
}

void forEachBlock(PointEmitter &points, Location location, Value from, Value to, int64_t size,
                  int64_t unroll, BlockBody body) {
  OpBuilder &builder = points.ops();
  int64_t lanes = points.lanes();
  int64_t step = unroll * lanes, unrolled = size / step * step, full = size / lanes * lanes;
  auto number = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(builder, location, value);
  };
  auto smaller = [&](Value a, Value b) -> Value {
    return arith::MinUIOp::create(builder, location, a, b);
  };
  auto block = [&](Value start, int64_t distance, Value mask) {
    if (distance)
      start = arith::AddIOp::create(builder, location, start, number(distance));
    PointEmitter::Scope scope(points);
    body(PointIndex::consecutive(start, size, /*aligned=*/true), mask);
  };
  auto loop = [&](Value begin, int64_t end, int64_t by) {
    Value stop = to ? smaller(to, number(end)) : number(end);
    auto nest = scf::ForOp::create(builder, location, begin, stop, number(by));
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(nest.getBody());
    for (int64_t distance = 0; distance < by; distance += lanes)
      block(nest.getInductionVar(), distance, {});
  };
  Value start = from ? from : number(0);
  if (unrolled)
    loop(start, unrolled, step);
  if (full > unrolled)
    loop(from && unrolled
             ? arith::MaxUIOp::create(builder, location, start, number(unrolled)).getResult()
             : number(unrolled),
         full, lanes);
  if (full == size)
    return;
  OpBuilder::InsertionGuard guard(builder);
  if (to) {
    Value last =
        arith::CmpIOp::create(builder, location, arith::CmpIPredicate::ugt, to, number(full));
    auto branch = scf::IfOp::create(builder, location, last, /*else=*/false);
    builder.setInsertionPointToStart(branch.thenBlock());
  }
  block(number(full), 0, tailMask(points, location, size - full));
}

} // namespace ingot
