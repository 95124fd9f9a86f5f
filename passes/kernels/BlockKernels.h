/// The kernels of a block, and those of the blocks of its loops and branches.
#pragma once
#include "passes/kernels/KernelValues.h"
#include <map>
#include <memory>
#include <optional>

namespace ingot {

/// Kernels do not reach into or out of the blocks of loops and branches: a value that crosses is
/// stored.
struct BlockKernels {
  BlockKernels(const TargetCosts &costs, bool fuse) : groups(costs, fuse) {}

  /// A failure has reported the op that fits no kernel.
  llvm::LogicalResult form(mlir::Block &block);
  const BlockKernels &of(mlir::Block &block) const { return *inner.at(&block); }

  KernelGroups groups;
  std::optional<KernelValues> values;

private:
  std::map<mlir::Block *, std::unique_ptr<BlockKernels>> inner;
};

} // namespace ingot
