/// What a contraction kernel does with finished sums.
#pragma once
#include "codegen/cpu/ContractionBlocks.h"
#include "codegen/cpu/Emitters.h"
#include "ir/dialect/Graph.h"
#include "llvm/ADT/SetVector.h"

namespace ingot {

/// A tile of finished sums and where its first one belongs in the result.
struct TilePlace {
  mlir::Value start; ///< in the buffer of sums
  int64_t vectors;   ///< of a row, no more than the whole tile's
  mlir::Value batch, row, column;
  mlir::Value rowEnd; ///< rows from here on are left out
};

/// Computes a contraction kernel's results from a tile of finished sums, while the tile is in
/// registers or in L1, and stores them.
class ContractionEpilogue {
public:
  /// `sums` holds tiles.
  ContractionEpilogue(KernelBuilder &kernel, graph::ContractOp contract,
                      const ContractionShape &shape, Tile tile, mlir::Value sums)
      : kernel(kernel), contract(contract), code{kernel.builder, kernel.location()}, shape(shape),
        tile(tile), sums(sums) {}

  /// The results for a tile that lies in the buffer of sums; rows and columns beyond the last are
  /// left out.
  void emit(const TilePlace &place);
  /// The same for a tile whose columns, rows of the result, are vectors of 16 in the buffer of
  /// sums.
  void emitTurned(const TilePlace &place);
  /// Whether the sums are all that is stored, so that they need not leave the registers before.
  bool storesSums();
  /// The results for a tile of whole rows whose sums are still in registers.
  void store(mlir::ValueRange tileSums, const TilePlace &place);
  /// Prefetches the memory that `emit` or `store`, called before, has been found to touch. At
  /// `where`, which comes before the tile's last products: all lines, or those of step `step` out
  /// of `steps`; only if `condition` holds, where there is one.
  void prefetch(mlir::Operation *where, mlir::Value condition, mlir::Value step, int64_t steps,
                const TilePlace &place);

  /// False once something could not be emitted; the diagnostic is out then.
  bool ok() const { return !broken; }

private:
  mlir::Value rowsLeft(const TilePlace &place);
  void storeVector(mlir::Value sum, const TilePlace &place, mlir::Value row, mlir::Value within);
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
