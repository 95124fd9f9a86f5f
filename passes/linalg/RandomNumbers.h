/// Philox 4x32-10 as integer arithmetic inside a linalg.generic.
#pragma once
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"

namespace ingot {

/// The number at the current iteration point of a generic over `type`: uniform in [0, 1) or
/// standard normal, of counter (seed, id, step, element) as ir/dialect/Random.h defines it.
mlir::Value emitRandom(mlir::OpBuilder &builder, mlir::Location location,
                       mlir::RankedTensorType type, mlir::Value seed, mlir::Value step,
                       mlir::Value id, bool isNormal);

} // namespace ingot
