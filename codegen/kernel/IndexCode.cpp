#include "codegen/kernel/IndexCode.h"

using namespace mlir;

namespace ingot {

Value IndexCode::index(int64_t value) {
  return create<arith::ConstantOp>(builder.getIntegerAttr(integer, value));
}

Value IndexCode::add(Value a, Value b) {
  return builder.createOrFold<arith::AddIOp>(location, a, b);
}
Value IndexCode::sub(Value a, Value b) {
  return builder.createOrFold<arith::SubIOp>(location, a, b);
}
Value IndexCode::mul(Value a, Value b) {
  return builder.createOrFold<arith::MulIOp>(location, a, b);
}
Value IndexCode::div(Value a, int64_t b) {
  return builder.createOrFold<arith::DivUIOp>(location, a, index(b));
}
Value IndexCode::remainder(Value a, int64_t b) {
  return builder.createOrFold<arith::RemUIOp>(location, a, index(b));
}
Value IndexCode::min(Value a, Value b) {
  return builder.createOrFold<arith::MinSIOp>(location, a, b);
}
Value IndexCode::max(Value a, Value b) {
  return builder.createOrFold<arith::MaxSIOp>(location, a, b);
}
Value IndexCode::isBelow(Value a, Value b) {
  return builder.createOrFold<arith::CmpIOp>(location, arith::CmpIPredicate::slt, a, b);
}
Value IndexCode::isEqual(Value a, Value b) {
  return builder.createOrFold<arith::CmpIOp>(location, arith::CmpIPredicate::eq, a, b);
}

void IndexCode::loop(Value from, Value to, int64_t step, Body body) {
  create<scf::ForOp>(from, to, index(step), ValueRange{},
                     [&](OpBuilder &, Location, Value iteration, ValueRange) {
                       OpBuilder::InsertionGuard guard(builder);
                       body(iteration);
                       create<scf::YieldOp>();
                     });
}

SmallVector<Value> IndexCode::loop(Value from, Value to, int64_t step, ValueRange initial,
                                   CarryingBody body) {
  auto loop = create<scf::ForOp>(from, to, index(step), initial);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> carried = body(loop.getInductionVar(), loop.getRegionIterArgs());
  create<scf::YieldOp>(carried);
  return llvm::to_vector_of<Value>(loop.getResults());
}

void IndexCode::when(Value condition, llvm::function_ref<void()> body) {
  auto branch = create<scf::IfOp>(condition, /*else=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  body();
}

} // namespace ingot
