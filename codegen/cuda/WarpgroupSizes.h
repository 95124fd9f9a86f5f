/// How a contraction by warpgroups is cut.
#pragma once
#include "codegen/cuda/FactorMaps.h"
#include "codegen/cuda/MatrixResults.h"

namespace ingot {

/// A block's tile is computed by warpgroups of 64 rows each, behind one that copies.
struct WarpgroupSizes {
  int64_t threads = 0;
  int64_t rows = 0, columns = 0; ///< of a tile; a step of the depth has 64
  int64_t stages = 0;            ///< steps in shared memory at once
  int64_t splits = 1;            ///< of the depth
  int64_t partColumns = 0;       ///< of a warp's results that are stored at once
  int64_t lanes = 1;             ///< results of a thread that are stored at once
  std::vector<int64_t> maps;     ///< of the left factor, then of the right one

  template <typename Field> void fields(Field field) {
    field("threads", threads);
    field("rows", rows);
    field("columns", columns);
    field("stages", stages);
    field("splits", splits);
    field("part_columns", partColumns);
    field("lanes", lanes);
    field("maps", maps);
  }

  int64_t groups() const { return rows / warpgroupRows; } ///< that multiply
  int64_t leftBytes() const { return rows * lineBytes; }  ///< of a stage
  int64_t stageBytes() const { return (rows + columns) * lineBytes; }
  MatrixTiles tiles() const { return {rows, columns, lineElements, splits}; }
  ResultPart part() const { return {rows / 16, 16, partColumns, lanes}; }
  /// Shared memory of a block: stages, results, two barriers a stage.
  int64_t scratch() const { return stages * stageBytes() + part().bytes() + 64 * stages; }
  /// Blocks, which take tiles in turns: no more than the chip runs at once.
  int64_t blocks(const ContractionProduct &product) const;
};

/// The sizes by which an H100 is done first, by a model of its rates; none where the copy engine
/// cannot read the factors, or tiles would be empty for the most part.
std::optional<WarpgroupSizes> chooseWarpgroupSizes(mlir::func::FuncOp kernel,
                                                   const ContractionProduct &product,
                                                   int64_t sharedBytes);

/// False if sizes do not belong together, or not to the product.
bool fitTogether(mlir::func::FuncOp kernel, const WarpgroupSizes &sizes,
                 const ContractionProduct &product);

} // namespace ingot
