/// A factor of a contraction, and where it lies.
#pragma once
#include "codegen/cpu/Emitters.h"
#include "codegen/kernel/StridedView.h"

namespace ingot {

/// One operand: its dimensions by part in the contraction, and its memory if strides express it.
struct ContractionOperand {
  ContractionOperand() = default;
  ContractionOperand(KernelBuilder &kernel, Code &code, mlir::Value tensor,
                     llvm::ArrayRef<int64_t> batchDims, llvm::ArrayRef<int64_t> contractDims);

  mlir::Value tensor;
  llvm::SmallVector<int64_t> batchDims, freeDims, contractDims;
  std::optional<StridedView> view;
  mlir::Value buffer; ///< flat memory of the view
  IndexGroup batch, free, contract;

  llvm::SmallVector<int64_t> sizes(llvm::ArrayRef<int64_t> dims) const;
};

} // namespace ingot
