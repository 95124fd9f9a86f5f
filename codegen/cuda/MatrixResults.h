/// From the registers in which tensor cores leave sums to the results of a contraction.
#pragma once
#include "codegen/cuda/MatrixTiles.h"

namespace ingot {

/// What a warp's sums pass through: shared memory of its own, for a part of its tile at a time, so
/// that results are stored in rows of 16 bytes a thread.
struct ResultPart {
  int64_t warps = 0;
  int64_t rows = 0, columns = 0; ///< of a part
  int64_t lanes = 1;             ///< results that are stored at once

  int64_t elements() const { return rows * columns; }
  int64_t bytes() const { return warps * elements() * 4; }
  int64_t sums() const { return elements() / warpSize; } ///< of a thread
};

/// Stores to the kernel's results by way of the epilogue, or of splits to the launch scratch.
class MatrixResults {
public:
  MatrixResults(CudaKernel &kernel, graph::ContractOp contract, const ContractionProduct &product,
                const MatrixTiles &tiles, ResultPart part)
      : kernel(kernel), code(kernel.code), product(product), tiles(tiles), part(part),
        epilogue(kernel, contract, product) {}

  /// `memory`: f32 of all warps. `warp` is the number of this one, `lane` of the thread in it.
  void place(mlir::Value memory, mlir::Value warp, mlir::Value lane);
  /// Stores a part of the warp's tile, which begins at `row` and `column` of the result; the part
  /// so much further. `sums` are by 16 rows, then by 8 columns, four each. Whoever has read the
  /// memory before must be done.
  void store(mlir::ValueRange sums, const TilePlace &tile, mlir::Value row, int64_t furtherRows,
             mlir::Value column, int64_t furtherColumns);

  /// False once something could not be emitted; the diagnostic is out then.
  bool ok() const { return epilogue.ok(); }

private:
  mlir::Value sumPlace(mlir::Value row, mlir::Value column);
  void put(mlir::ValueRange sums);
  mlir::Value load(mlir::Value row, mlir::Value column, int64_t lanes);
  void storeRun(mlir::Value sums, const TilePlace &tile, mlir::Value row, mlir::Value column);

  CudaKernel &kernel;
  IndexCode &code;
  const ContractionProduct &product;
  const MatrixTiles tiles;
  const ResultPart part;
  ContractionEpilogue epilogue;
  mlir::Value memory, lane, start; ///< the last of the warp's part
  mlir::Value partials;            ///< of all splits
};

/// Sums of all splits: launch scratch.
mlir::MemRefType partialSums(const ContractionProduct &product, int64_t splits);

/// The launch that adds up the splits.
struct SplitSizes {
  int64_t threads = 256;
  int64_t splits = 1;
  int64_t lanes = 1; ///< results of a thread

  template <typename Field> void fields(Field field) {
    field("threads", threads);
    field("splits", splits);
    field("lanes", lanes);
  }
  int64_t blocks(const ContractionProduct &product) const {
    return llvm::divideCeilSigned(product.batch * product.rows * product.columns, threads * lanes);
  }
};

/// Adds the launch of tiles and, where the depth is split, the one that adds the splits up.
/// `operations` are the epilogue's.
template <typename Sizes>
void launchTiles(CudaScheduler &kernel, llvm::StringRef kind, int64_t blocks, const Sizes &sizes,
                 const ContractionProduct &product, double operations) {
  if (sizes.splits == 1) {
    kernel.launch(kind, blocks, sizes, product.flops() + operations);
    return;
  }
  const SplitSizes adding{.splits = sizes.splits, .lanes = sizes.lanes};
  const int64_t partials = partialSums(product, sizes.splits).getNumElements();
  kernel.addLaunchScratch(partials * 4);
  kernel.launch(kind, blocks, sizes, product.flops());
  kernel.launch("contraction_of_splits", adding.blocks(product), adding,
                double(partials) + operations, double(partials) * 4);
}

} // namespace ingot
