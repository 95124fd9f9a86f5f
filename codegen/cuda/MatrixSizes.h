/// How a contraction on tensor cores is cut.
#pragma once
#include "codegen/cuda/FactorTiles.h"
#include "codegen/cuda/MatrixResults.h"

namespace ingot {

/// The tiles of blocks and warps, powers of two, and the parts of the depth.
struct MatrixSizes {
  int64_t threads = 0;
  int64_t rows = 0, columns = 0, depth = 0; ///< of a block's tile
  int64_t warpRows = 0, warpColumns = 0;    ///< of a warp's
  int64_t stages = 0;                       ///< tiles of the depth in shared memory at once
  int64_t splits = 1;                       ///< of the depth, each with blocks of its own
  int64_t lanes = 1;                        ///< results that are stored at once
  FactorReading left, right;
  int64_t factorBytes = 2; ///< of an element: the product's, so no size of the schedule

  template <typename Field> void fields(Field field) {
    field("threads", threads);
    field("rows", rows);
    field("columns", columns);
    field("depth", depth);
    field("warp_rows", warpRows);
    field("warp_columns", warpColumns);
    field("stages", stages);
    field("splits", splits);
    field("lanes", lanes);
    left.fields("left", field);
    right.fields("right", field);
  }

  int64_t leftBytes() const { return rows * depth * factorBytes; } ///< of a stage
  int64_t stageBytes() const { return (rows + columns) * depth * factorBytes; }
  int64_t warps() const { return threads / warpSize; }
  /// Rows of a warp's tile whose sums pass through shared memory at once.
  int64_t sumRows() const;
  /// Shared memory of a block.
  int64_t scratch() const;
  MatrixTiles tiles() const { return {rows, columns, depth, splits}; }
  ResultPart part() const { return {warps(), sumRows(), warpColumns, lanes}; }
};

/// Of an element of the product's factors.
int64_t factorBytes(const ContractionProduct &product);

/// True if the tensor cores have both factors' type, f32 as `tf32`.
bool isForTensorCores(graph::ContractOp contract, const ContractionProduct &product, bool tf32);

/// The sizes by which the chip is done first, by a model of its rates.
MatrixSizes chooseMatrixSizes(mlir::func::FuncOp kernel, const ContractionProduct &product);

/// False if sizes do not belong together, or not to the product.
bool fitTogether(mlir::func::FuncOp kernel, const MatrixSizes &sizes,
                 const ContractionProduct &product);

} // namespace ingot
