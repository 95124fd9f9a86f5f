/// Points of kernels in memory: memrefs, vectors and masks.
#pragma once
#include "codegen/kernel/PointMemory.h"
#include "llvm/ADT/DenseMap.h"

namespace ingot {

/// Buffers are contiguous memrefs.
class VectorMemory : public PointMemory {
public:
  /// Positions are of type `index`.
  VectorMemory() = default;
  /// Positions are of this integer type, and the start of every buffer is aligned for the longest
  /// run that the target moves at once: runs that start at a multiple of their lanes are said to be
  /// aligned.
  explicit VectorMemory(mlir::IntegerType position) : position(position) {}

  mlir::Type indexType(mlir::MLIRContext *context) const override;
  mlir::Value load(mlir::OpBuilder &builder, mlir::Location location, mlir::Value buffer,
                   mlir::Type element, mlir::Value position) override;
  void store(mlir::OpBuilder &builder, mlir::Location location, mlir::Value value,
             mlir::Value buffer, mlir::Value position) override;
  mlir::Value loadRun(mlir::OpBuilder &builder, mlir::Location location, mlir::Value buffer,
                      mlir::VectorType type, mlir::Value start, bool isAligned,
                      mlir::Value mask) override;
  void storeRun(mlir::OpBuilder &builder, mlir::Location location, mlir::Value value,
                mlir::Value buffer, mlir::Value start, bool isAligned, mlir::Value mask) override;
  mlir::Value loadEverySecond(mlir::OpBuilder &builder, mlir::Location location, mlir::Value buffer,
                              mlir::VectorType type, mlir::Value start, mlir::Value mask) override;
  mlir::Value gather(mlir::OpBuilder &builder, mlir::Location location, mlir::Value buffer,
                     mlir::VectorType type, mlir::Value positions, mlir::Value mask) override;
  void scatter(mlir::OpBuilder &builder, mlir::Location location, mlir::Value value,
               mlir::Value buffer, mlir::Value positions, mlir::Value mask) override;

protected:
  mlir::Value flatten(mlir::OpBuilder &builder, mlir::Value buffer);
  /// A position as `index`.
  mlir::Value place(mlir::OpBuilder &builder, mlir::Location location, mlir::Value position);

private:
  llvm::MaybeAlign alignment(mlir::VectorType type, bool isAligned) const;

  mlir::IntegerType position;
  llvm::DenseMap<mlir::Value, mlir::Value> flat;
};

/// Prefetches to L2 what runs would read, and gives ones, by which anything may be divided: a point
/// is emitted for its loads alone, some time before it is emitted for its value.
class PrefetchingMemory : public VectorMemory {
public:
  mlir::Value loadRun(mlir::OpBuilder &builder, mlir::Location location, mlir::Value buffer,
                      mlir::VectorType type, mlir::Value start, bool isAligned,
                      mlir::Value mask) override;
  mlir::Value gather(mlir::OpBuilder &builder, mlir::Location location, mlir::Value buffer,
                     mlir::VectorType type, mlir::Value positions, mlir::Value mask) override;
};

} // namespace ingot
