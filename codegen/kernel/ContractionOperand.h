/// The factors of a contraction, and where they lie.
#pragma once
#include "codegen/kernel/KernelView.h"
#include "codegen/kernel/PointAccess.h"
#include "codegen/kernel/PointEmitter.h"
#include "codegen/kernel/ScheduleBuilder.h"
#include "ir/dialect/Graph.h"

namespace ingot {

/// One operand: its dimensions by part in the contraction, and its memory if strides express it.
/// Any other is computed while it is packed (a *prologue*).
struct ContractionOperand {
  ContractionOperand() = default;
  ContractionOperand(mlir::Value tensor, llvm::ArrayRef<int64_t> batchDims,
                     llvm::ArrayRef<int64_t> contractDims);

  mlir::Value tensor;
  llvm::SmallVector<int64_t> batchDims, freeDims, contractDims;
  std::optional<KernelView> view;
  kernel::UnpackOp packed; ///< instead of a view: the kernel reads it from panels
  mlir::Value buffer;      ///< flat memory of the view or the panels, while the kernel is emitted
  IndexGroup batch, free, contract;
  bool alongDepth = false; ///< computed: vectors go along the depth, else along the free dimensions
  int64_t line = 0;        ///< computed: their elements are runs within so many; 0: wherever

  llvm::SmallVector<int64_t> sizes(llvm::ArrayRef<int64_t> dims) const;
  /// The kernel's argument whose memory is read, if there is a view or if it is packed.
  std::optional<unsigned> memory() const;
  /// How the operand would be packed, where the kernel needs all of an argument for it and nothing
  /// else; null if it cannot be.
  kernel::PanelsAttr panels() const;
  /// True if several matrices of a batch are one and the same.
  bool isShared(mlir::func::FuncOp kernel) const;
  /// The batch is one matrix: of shared ones the first, of others all with their free dimensions
  /// side by side.
  void joinBatch(mlir::func::FuncOp kernel);
  /// Decides how the kernel's emitter computes vectors of neighbours: in the direction, and line by
  /// line of the last dimensions, where they gather less. Vectors along the free dimensions start
  /// at multiples of the lanes if `isFreeAligned`.
  void chooseVectors(mlir::func::FuncOp kernel, int64_t lanes, bool isFreeAligned);
  /// The distance in memory of elements that are neighbours along the depth, or along the free
  /// dimensions, where there is a single one. Where the operand is computed, 1 stands for the
  /// direction in which neighbours are computed at once.
  std::optional<int64_t> depthStride() const {
    return view ? contract.stride() : alongDepth ? std::optional<int64_t>(1) : std::nullopt;
  }
  std::optional<int64_t> freeStride() const {
    return view ? free.stride() : alongDepth ? std::nullopt : std::optional<int64_t>(1);
  }
  /// True if the depth's dimensions are the last ones; dimensions of size 1 do not count.
  bool isDepthLast() const;

  /// The value at an element of the contraction: with consecutive indices a vector.
  mlir::Value at(PointEmitter &points, const PointIndex &batch, const PointIndex &free,
                 const PointIndex &depth, mlir::Value mask = {}) const;
  /// What that reads.
  void access(PointAccess &points, const PointIndex &batch, const PointIndex &free,
              const PointIndex &depth) const;

private:
  template <typename Points>
  llvm::SmallVector<PointIndex> indices(Points &points, const PointIndex &batch,
                                        const PointIndex &free, const PointIndex &depth) const;
};

int64_t product(llvm::ArrayRef<int64_t> sizes);

/// The contraction that a contraction kernel holds; null after a diagnostic.
graph::ContractOp contractionOf(mlir::func::FuncOp kernel);

/// The kernel's operands that the factors read, where they lie or in a prologue.
llvm::SmallVector<unsigned> factorsOf(graph::ContractOp contract);

/// Notes what the epilogue of a contraction [batch, rows, columns] reads at one element: a result
/// may overwrite an operand that it reads at the result's own place alone. A failure has reported a
/// located diagnostic.
llvm::LogicalResult shareEpilogue(ScheduleBuilder &kernel, graph::ContractOp contract,
                                  int64_t batch, int64_t rows, int64_t columns, int64_t lanes);

} // namespace ingot
