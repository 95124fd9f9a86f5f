/// What a contraction kernel does with finished sums.
#pragma once
#include "codegen/cpu/ContractionBlocks.h"
#include "codegen/cpu/Emitters.h"
#include "ir/dialect/Graph.h"
#include "llvm/ADT/SetVector.h"

namespace ingot {

/// Computes a contraction kernel's results from a tile of finished sums, while the tile is in the
/// L1, and stores them.
class ContractionEpilogue {
public:
  /// `sums` holds tiles.
  ContractionEpilogue(KernelBuilder &kernel, graph::ContractOp contract,
                      const ContractionShape &shape, Tile tile, mlir::Value sums)
      : kernel(kernel), contract(contract), code{kernel.builder, kernel.location()}, shape(shape),
        tile(tile), sums(sums) {}

  /// The results for the tile at `tileStart` of the sums, whose first one belongs to (batch, row,
  /// column); rows from `rowEnd` on and columns beyond the last are left out.
  void emit(mlir::Value tileStart, mlir::Value batch, mlir::Value row, mlir::Value rowEnd,
            mlir::Value column);
  /// Prefetches the memory that `emit`, called before, has been found to touch. At `place`, which
  /// comes before the tile's last products.
  void prefetch(mlir::Operation *place, mlir::Value batch, mlir::Value row, mlir::Value column);

  /// False once something could not be emitted; the diagnostic is out then.
  bool ok() const { return !broken; }

private:
  void storeJoined(mlir::Value sums, mlir::Value row, mlir::Value column);
  void storeResults(mlir::Value sum, mlir::Value batch, mlir::Value row, const PointIndex &column,
                    mlir::Value mask);

  KernelBuilder &kernel;
  graph::ContractOp contract;
  Code code;
  ContractionShape shape;
  Tile tile;
  mlir::Value sums;
  llvm::SmallSetVector<mlir::Value, 4> touched; ///< what is read or written as the result lies
  bool broken = false;
};

} // namespace ingot
