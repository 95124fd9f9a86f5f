/// What kernels cost, roughly: for the size of grains and for profiles.
#include "codegen/cpu/Emitters.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace ingot {

/// Operations that one scalar op stands for; transcendentals count as their expansion.
static double weight(Operation &op) {
  if (isa<math::FmaOp, math::AbsFOp, math::AbsIOp, math::FloorOp, math::CeilOp, math::CopySignOp>(
          op))
    return 1;
  if (isa<arith::DivFOp, math::SqrtOp>(op))
    return 5;
  if (isa<math::RsqrtOp>(op))
    return 10;
  if (isa<math::MathDialect>(op.getDialect()))
    return 20;
  if (isa<arith::ConstantOp, linalg::IndexOp, linalg::YieldOp>(op))
    return 0;
  return 1;
}

double flopsPerPoint(linalg::LinalgOp op) {
  double sum = 0;
  for (Operation &inner : *op.getBlock())
    sum += weight(inner);
  return sum;
}

double estimateFlops(func::FuncOp kernel) {
  double sum = 0;
  kernel.walk([&](linalg::LinalgOp op) {
    double points = 1;
    for (int64_t range : op.getStaticLoopRanges())
      points *= double(range);
    sum += points * flopsPerPoint(op);
  });
  return sum;
}

double estimateNanoseconds(double flops, double bytes) {
  constexpr double flopsPerNanosecond = 30, bytesPerNanosecond = 12;
  return std::max(flops / flopsPerNanosecond, bytes / bytesPerNanosecond);
}

int64_t grainsFor(double nanoseconds, int64_t units) {
  constexpr double grain = 20'000;
  constexpr int64_t most = 128;
  int64_t wanted = int64_t(nanoseconds / grain);
  return std::clamp<int64_t>(wanted, 1, std::max<int64_t>(1, std::min(units, most)));
}

} // namespace ingot
