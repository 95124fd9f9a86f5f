/// How a target moves elements between memory and the lanes of a point.
#pragma once
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"

namespace ingot {

/// What `PointEmitter` asks of a target. All functions emit at the builder's insertion point.
///
/// A buffer is the value that a tensor was mapped to; what its type is, the target decides.
/// Positions count elements in row-major order, in `indexType`. Masks are vectors of i1, null where
/// all lanes count; lanes that a mask leaves out must not touch memory, and read as 0.
class PointMemory {
public:
  virtual ~PointMemory() = default;

  /// The integer type of positions: `index`, i32 or i64.
  virtual mlir::Type indexType(mlir::MLIRContext *context) const = 0;

  /// One element of type `element`.
  virtual mlir::Value load(mlir::OpBuilder &builder, mlir::Location location, mlir::Value buffer,
                           mlir::Type element, mlir::Value position) = 0;
  virtual void store(mlir::OpBuilder &builder, mlir::Location location, mlir::Value value,
                     mlir::Value buffer, mlir::Value position) = 0;

  /// Neighbouring elements, one a lane. `isAligned`: the first one's position is a multiple of the
  /// number of lanes.
  virtual mlir::Value loadRun(mlir::OpBuilder &builder, mlir::Location location, mlir::Value buffer,
                              mlir::VectorType type, mlir::Value start, bool isAligned,
                              mlir::Value mask) = 0;
  virtual void storeRun(mlir::OpBuilder &builder, mlir::Location location, mlir::Value value,
                        mlir::Value buffer, mlir::Value start, bool isAligned,
                        mlir::Value mask) = 0;

  /// Every second element from `start` on, one a lane. Null: the target has nothing better than
  /// `gather`.
  virtual mlir::Value loadEverySecond(mlir::OpBuilder &, mlir::Location, mlir::Value,
                                      mlir::VectorType, mlir::Value /*start*/,
                                      mlir::Value /*mask*/) {
    return {};
  }

  /// Elements anywhere: `positions` is a vector of `indexType`.
  virtual mlir::Value gather(mlir::OpBuilder &builder, mlir::Location location, mlir::Value buffer,
                             mlir::VectorType type, mlir::Value positions, mlir::Value mask) = 0;
  virtual void scatter(mlir::OpBuilder &builder, mlir::Location location, mlir::Value value,
                       mlir::Value buffer, mlir::Value positions, mlir::Value mask) = 0;
};

} // namespace ingot
