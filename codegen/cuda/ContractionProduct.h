/// What contraction kernels have in common on a GPU: the product, how factors are read, where the
/// sums go.
#pragma once
#include "codegen/cuda/Emitters.h"
#include "codegen/kernel/ContractionOperand.h"

namespace ingot {

/// Of an A100, which chips that run the same code have at least a half of.
constexpr int64_t multiprocessors = 108;

/// What is multiplied: for each of `batch` pairs of matrices, [rows, depth] times [depth, columns].
struct ContractionProduct {
  explicit ContractionProduct(graph::ContractOp contract);

  ContractionOperand left, right;
  int64_t batch, rows, columns, depth;
  mlir::Type sumType;

  double flops() const {
    return 2.0 * double(batch) * double(rows) * double(columns) * double(depth);
  }
  /// Tiles of the result.
  int64_t blocks(int64_t tileRows, int64_t tileColumns) const {
    return batch * llvm::divideCeilSigned(rows, tileRows) *
           llvm::divideCeilSigned(columns, tileColumns);
  }
  bool isEmpty() const { return batch * rows * columns == 0; }
};

/// In which direction a factor is read: along the depth, or along its `free` elements, whichever
/// finds neighbours in memory. `lanes` are read at once.
bool readsAlongDepth(mlir::func::FuncOp kernel, const ContractionProduct &product,
                     const ContractionOperand &operand, int64_t free, int64_t lanes);

/// Takes sums to the kernel's results: the rest of the kernel's body, the epilogue, on them.
class ContractionEpilogue {
public:
  ContractionEpilogue(CudaKernel &kernel, graph::ContractOp contract,
                      const ContractionProduct &product)
      : kernel(kernel), contract(contract), product(product) {}

  /// Stores neighbours of one row, as many as `lanes`. `row` counts the rows of all matrices, or
  /// those of matrix `batch`.
  void store(mlir::Value sums, const PointIndex &row, const PointIndex &column, int64_t lanes);
  void store(mlir::Value sums, mlir::Value batch, mlir::Value row, const PointIndex &column,
             int64_t lanes) {
    store(sums,
          PointIndex::uniform(batch, product.batch) * product.rows +
              PointIndex::uniform(row, product.rows),
          column, lanes);
  }
  /// False once something could not be emitted; the diagnostic is out then.
  bool ok() const { return !broken; }

private:
  CudaKernel &kernel;
  graph::ContractOp contract;
  const ContractionProduct &product;
  bool broken = false;
};

} // namespace ingot
