/// The factors of a contraction, and where they lie.
#pragma once
#include "codegen/cpu/ContractionBlocks.h"
#include "codegen/kernel/StridedView.h"
#include "ir/dialect/Graph.h"

namespace ingot {

/// One operand: its dimensions by part in the contraction, and its memory if strides express it.
struct ContractionOperand {
  ContractionOperand() = default;
  ContractionOperand(mlir::Value tensor, llvm::ArrayRef<int64_t> batchDims,
                     llvm::ArrayRef<int64_t> contractDims);

  mlir::Value tensor;
  llvm::SmallVector<int64_t> batchDims, freeDims, contractDims;
  std::optional<StridedView> view;
  mlir::Value buffer; ///< flat memory of the view, while the kernel is emitted
  IndexGroup batch, free, contract;

  llvm::SmallVector<int64_t> sizes(llvm::ArrayRef<int64_t> dims) const;
};

int64_t product(llvm::ArrayRef<int64_t> sizes);

/// A contraction's operands and shape.
struct ContractionForm {
  explicit ContractionForm(graph::ContractOp contract);

  ContractionOperand left, right;
  ContractionShape shape;
  mlir::Type sumType;
  bool keepRows = false; ///< panels of the left operand are rows that stay whole

  /// The kernel's operands that the contraction itself reads where they lie; none is known if a
  /// factor is computed on the way.
  std::optional<llvm::SmallVector<unsigned>> factors() const;
};

} // namespace ingot
