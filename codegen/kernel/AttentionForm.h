/// The attention of a kernel, forward or backward: its sizes, and where its results lie.
#pragma once
#include "codegen/kernel/KernelView.h"
#include "ir/dialect/AttentionRule.h"

namespace ingot {

/// Sizes of an attention; a pair is a batch element and a head of its queries.
struct AttentionExtents {
  int64_t pairs = 0;
  int64_t heads = 1; ///< of queries: as many pairs have one batch element
  int64_t group = 1; ///< neighbouring pairs that share keys and values
  int64_t keyPairs() const { return pairs / group; }
  int64_t queryCount = 0, keyCount = 0; ///< sequence lengths
  int64_t head = 0, valueHead = 0;      ///< sizes of queries and keys, of values
};

/// An attention's operands, whatever its direction.
struct AttentionForm {
  AttentionForm(mlir::Value query, mlir::Value key, mlir::Value value);
  AttentionExtents extents;
  mlir::Type sumType; ///< at least f32
  int64_t sumBytes() const { return sumType.getIntOrFloatBitWidth() / 8; }
};

/// The attention that a kernel of this root holds; null after a diagnostic.
graph::AttentionOp attentionOf(mlir::func::FuncOp kernel);
graph::AttentionBackwardOp attentionBackwardOf(mlir::func::FuncOp kernel);

/// Where a result of an attention goes; none after a diagnostic.
std::optional<llvm::SmallVector<KernelView>> resultViews(mlir::Operation *root, unsigned result);

} // namespace ingot
